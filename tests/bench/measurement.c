#include "tests/bench/measurement.h"

#include <sys/resource.h>

#include "tests/bench/clock.h"

static uint64_t own_cpu_ns(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * CLOCK_SECOND_NS +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000;
}

int measurement_init(struct measurement *measurement, const struct processes *server)
{
    measurement->server = server;
    measurement->from_ns = UINT64_MAX;
    measurement->own_connect_cpu_ns = own_cpu_ns();
    return processes_read_usage(server, &measurement->alone);
}

int measurement_note_connected(struct measurement *measurement)
{
    measurement->own_connect_cpu_ns = own_cpu_ns() - measurement->own_connect_cpu_ns;
    return processes_read_usage(measurement->server, &measurement->connected);
}

int measurement_begin(struct measurement *measurement, uint64_t length_ns)
{
    int error = processes_read_usage(measurement->server, &measurement->begin);

    measurement->own_cpu_ns = own_cpu_ns();
    measurement->is_under_way = true;
    measurement->from_ns = clock_now_ns();
    measurement->until_ns = length_ns == UINT64_MAX ? UINT64_MAX : measurement->from_ns + length_ns;
    return error;
}

int measurement_end(struct measurement *measurement, uint64_t now_ns)
{
    measurement->is_under_way = false;
    measurement->length_ns = now_ns - measurement->from_ns;
    measurement->own_cpu_ns = own_cpu_ns() - measurement->own_cpu_ns;
    if (now_ns < measurement->until_ns)
        measurement->until_ns = now_ns;
    return processes_read_usage(measurement->server, &measurement->end);
}

void measurement_note_delivery(struct measurement *measurement, uint64_t due_ns, uint64_t now_ns)
{
    if (measurement->is_under_way)
        measurement->deliveries++;
    if (due_ns >= measurement->from_ns && due_ns < measurement->until_ns)
        latency_histogram_record(&measurement->latency, now_ns > due_ns ? now_ns - due_ns : 0);
}
