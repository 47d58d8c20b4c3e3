/*
 * A run of the load generator: connect, warm up, measure, wait for what is under way, and ask every
 * client for a pong, so that a message that came twice is not missed at the end.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/arguments.h"
#include "tests/bench/measurement.h"
#include "tests/bench/rooms.h"

struct load_result {
    uint32_t opened; /* connections */
    uint64_t connect_ns;
    struct measurement measurement;
    bool has_server_ended;    /* the process, before the run was over */
    struct rooms_total total; /* the whole run's check */
    uint32_t ended;           /* connections that ended early */
    char trouble[256];        /* the first thing that went wrong, in words; empty if all is well */
};

/* Returns when the run is over; what went wrong is in the result. Over TLS the process has to
 * ignore SIGPIPE. */
void load_run(const struct arguments *arguments, struct load_result *result);

/* Stops publishing; the run comes to its end. Safe in a signal handler. */
void load_stop(void);

#endif
