/*
 * The measured part of a run: a stretch of time in which deliveries and processor time are counted.
 * Latency goes by the time at which a message was due, not by that of its arrival: the messages
 * that a stall holds back until the measured time is over are those that it delayed most.
 */
#ifndef BENCH_MEASUREMENT_H
#define BENCH_MEASUREMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/latency_histogram.h"
#include "tests/bench/process.h"

struct measurement {
    const struct processes *server; /* none: nothing is known of it */
    bool is_under_way;              /* arrivals count */
    uint64_t from_ns;               /* messages due from here on count, */
    uint64_t until_ns;              /* and until here, whenever they arrive */
    uint64_t length_ns;             /* once it has ended */
    uint64_t deliveries;
    struct latency_histogram latency;
    uint64_t own_cpu_ns;            /* of this process */
    struct process_usage alone;     /* the server before the first connection */
    struct process_usage connected; /* when all were open */
    uint64_t own_connect_cpu_ns;    /* of this process until then */
    struct process_usage begin;
    struct process_usage end; /* zeroed if the server was not measured */
};

/* Prepares a zeroed measurement before anybody connects. 0, or what processes_read_usage says. */
int measurement_init(struct measurement *measurement, const struct processes *server);

/* All are open. 0, or what processes_read_usage says. */
int measurement_note_connected(struct measurement *measurement);

/* It begins now, and is to end after `length_ns`; UINT64_MAX: when measurement_end is called. 0, or
 * what processes_read_usage says. */
int measurement_begin(struct measurement *measurement, uint64_t length_ns);

/* It has ended, as planned or early. What was due in it still counts. 0, or what
 * processes_read_usage says. */
int measurement_end(struct measurement *measurement, uint64_t now_ns);

/* A message that was due at `due_ns` has arrived at one client. */
void measurement_note_delivery(struct measurement *measurement, uint64_t due_ns, uint64_t now_ns);

#endif
