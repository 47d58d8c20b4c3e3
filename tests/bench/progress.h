/* The line on a terminal that says how a run is going, rewritten in place once a second. */
#ifndef BENCH_PROGRESS_H
#define BENCH_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/latency_histogram.h"

struct progress {
    int fd;
    bool is_shown;
    uint64_t shown_at_ns; /* the last time */
    uint64_t received;    /* by then */
};

struct progress_figures {
    const char *phase;
    uint32_t opened;   /* connections */
    uint64_t sent;     /* messages */
    uint64_t received; /* deliveries */
    const struct latency_histogram *latency;
};

/* Prepares the line on `fd`; nothing is shown if it `is_quiet` or `fd` is no terminal. */
void progress_init(struct progress *progress, int fd, bool is_quiet, uint64_t now_ns);

/* When to show it next. */
uint64_t progress_due_ns(const struct progress *progress);

/* Shows the line, cut to the width that the terminal has now: one that wraps cannot be rewritten.
 */
void progress_show(struct progress *progress, uint64_t now_ns,
                   const struct progress_figures *figures);

/* Leaves an empty line. */
void progress_clear(const struct progress *progress);

#endif
