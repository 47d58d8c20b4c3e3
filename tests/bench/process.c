#include "tests/bench/process.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NANOSECONDS 1000000000ull

static FILE *open_file(int pid, const char *name)
{
    char path[320];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return fopen(path, "re");
}

/* The first number of a file such as schedstat, 0 if it cannot be read. */
static uint64_t read_first_number(int pid, const char *name)
{
    char line[128] = "";
    FILE *file = open_file(pid, name);

    if (!file)
        return 0;

    const char *text = fgets(line, sizeof(line), file);

    fclose(file);
    return text ? strtoull(text, NULL, 10) : 0;
}

static uint64_t read_schedstat(int pid)
{
    char path[64];
    uint64_t total = 0;
    const struct dirent *entry;

    snprintf(path, sizeof(path), "/proc/%d/task", pid);

    DIR *directory = opendir(path);

    if (!directory)
        return 0;
    while ((entry = readdir(directory))) {
        char name[300];

        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "task/%s/schedstat", entry->d_name);
        total += read_first_number(pid, name);
    }
    closedir(directory);
    return total;
}

/* The state is the 3rd field, utime and stime are the 14th and 15th (proc(5)); the second, the
 * name, ends at the last closing bracket whatever it holds. */
static int read_stat(int pid, uint64_t *cpu_ns)
{
    char line[1024] = "";
    FILE *file = open_file(pid, "stat");

    if (!file)
        return errno == ENOENT ? -ESRCH : -errno;

    const char *text = fgets(line, sizeof(line), file);
    char *field = text ? strrchr(line, ')') : NULL;

    fclose(file);
    if (field && (strncmp(field, ") Z", 3) == 0 || strncmp(field, ") X", 3) == 0))
        return -ESRCH;
    for (int number = 2; field && number < 14; number++)
        field = strchr(field + 1, ' ');
    if (!field)
        return -ESRCH;

    uint64_t ticks = strtoull(field, &field, 10);

    ticks += strtoull(field, NULL, 10);
    *cpu_ns = ticks * NANOSECONDS / (uint64_t)sysconf(_SC_CLK_TCK);
    return 0;
}

static uint64_t read_smaps(int pid)
{
    char line[256];
    uint64_t bytes = 0;
    FILE *file = open_file(pid, "smaps_rollup");

    if (!file)
        return 0;
    while (bytes == 0 && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "Rss:", 4) == 0)
            bytes = strtoull(line + 4, NULL, 10) * 1024;
    }
    fclose(file);
    return bytes;
}

static uint64_t read_statm(int pid)
{
    char line[128] = "";
    FILE *file = open_file(pid, "statm");

    if (!file)
        return 0;

    const char *text = fgets(line, sizeof(line), file);
    const char *second = text ? strchr(text, ' ') : NULL;

    fclose(file);
    return second ? strtoull(second, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/* A process gives its memory back before it closes its sockets: none is left when its peers learn
 * that it has ended, though its state may not say so yet. */
int process_read_usage(int pid, struct process_usage *usage)
{
    struct process_usage found = {.cpu_source = "stat", .memory_source = "smaps_rollup"};
    int error = read_stat(pid, &found.cpu_ns);
    uint64_t scheduled_ns = read_schedstat(pid);

    *usage = (struct process_usage){0};
    if (error)
        return error;
    if (scheduled_ns > 0) {
        found.cpu_source = "schedstat";
        found.cpu_ns = scheduled_ns;
    }
    found.resident_bytes = read_smaps(pid);
    if (found.resident_bytes == 0) {
        found.memory_source = "statm";
        found.resident_bytes = read_statm(pid);
    }
    if (found.resident_bytes == 0)
        return -ESRCH;
    *usage = found;
    return 0;
}

int processes_read_usage(const struct processes *processes, struct process_usage *usage)
{
    struct process_usage sum = {0};

    *usage = sum;
    for (unsigned i = 0; i < processes->count; i++) {
        struct process_usage one;
        int error = process_read_usage(processes->pids[i], &one);

        if (error)
            return error;
        sum.cpu_ns += one.cpu_ns;
        sum.resident_bytes += one.resident_bytes;
        sum.cpu_source = one.cpu_source;
        sum.memory_source = one.memory_source;
    }
    *usage = sum;
    return 0;
}

/* False if there is no difference between figures of these sources. */
static bool subtract(const char *begin_source, uint64_t begin, const char *end_source, uint64_t end,
                     uint64_t *difference)
{
    if (!begin_source || !end_source || strcmp(begin_source, end_source) != 0 || end < begin)
        return false;
    *difference = end - begin;
    return true;
}

bool process_cpu_between(const struct process_usage *begin, const struct process_usage *end,
                         uint64_t *nanoseconds)
{
    return subtract(begin->cpu_source, begin->cpu_ns, end->cpu_source, end->cpu_ns, nanoseconds);
}

bool process_memory_between(const struct process_usage *begin, const struct process_usage *end,
                            uint64_t *bytes)
{
    return subtract(begin->memory_source, begin->resident_bytes, end->memory_source,
                    end->resident_bytes, bytes);
}
