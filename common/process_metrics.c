#include "common/process_metrics.h"

#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "common/metrics.h"

static double start_time;

void process_started(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);

    long milliseconds = now.tv_nsec / 1000000; /* as logs have it */

    start_time = (double)now.tv_sec + (double)milliseconds / 1e3;
}

double process_start_time(void)
{
    return start_time;
}

static uint64_t descriptor_limit(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) ? 0 : limit.rlim_cur;
}

static uint64_t lowest_free_descriptor(void)
{
    int lowest = dup(STDERR_FILENO);

    if (lowest < 0)
        return descriptor_limit();
    close(lowest);
    return (uint64_t)lowest;
}

uint64_t process_open_descriptors(void)
{
    struct stat status;

    if (stat("/proc/self/fd", &status) == 0 && status.st_size > 0)
        return (uint64_t)status.st_size;
    return lowest_free_descriptor();
}

static uint64_t resident_bytes(void)
{
    size_t size = 0;

    return uv_resident_set_memory(&size) ? 0 : size;
}

static double seconds_of(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec / 1e6;
}

static double processor_seconds(void)
{
    struct rusage usage;

    return getrusage(RUSAGE_SELF, &usage)
               ? 0
               : seconds_of(&usage.ru_utime) + seconds_of(&usage.ru_stime);
}

void process_append_metrics(struct buffer *text, const char *program)
{
    char labels[96];

    snprintf(labels, sizeof(labels), "program=\"%s\",version=\"%s\"", program, CARILLON_VERSION);
    metrics_describe(text, "carillon_build_info", METRIC_GAUGE, "Always 1; the labels say what.");
    metrics_sample(text, "carillon_build_info", labels, 1);
    metrics_single(text, "carillon_start_time_seconds", METRIC_GAUGE,
                   "When the process started, since 1970.", start_time);
    metrics_single(text, "carillon_open_descriptors", METRIC_GAUGE, "File descriptors in use.",
                   (double)process_open_descriptors());
    metrics_single(text, "carillon_descriptors_limit", METRIC_GAUGE,
                   "File descriptors that the process may have.", (double)descriptor_limit());
    metrics_single(text, "carillon_resident_memory_bytes", METRIC_GAUGE,
                   "Memory of the process, as the kernel counts it.", (double)resident_bytes());
    metrics_single(text, "carillon_cpu_seconds_total", METRIC_COUNTER,
                   "Processor time that all threads have used.", processor_seconds());
}
