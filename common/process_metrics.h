/*
 * What every program of ours says of its own process in /metrics: version, start, file descriptors,
 * memory, CPU time. Read when somebody asks, without a walk over anything that grows.
 */
#ifndef COMMON_PROCESS_METRICS_H
#define COMMON_PROCESS_METRICS_H

#include <stdint.h>

#include "common/buffer.h"

/* The process starts now; called by main once, before there are threads. */
void process_started(void);

/* When it did: seconds since 1970; 0 if process_started was never called. */
double process_start_time(void);

/*
 * File descriptors in use. Before Linux 6.2 this is the lowest free one: there the kernel counts
 * only for those who walk over all of them, which takes longer than a loop may stand still. It is
 * the same number when few are left, since the lowest free one is always taken first.
 */
uint64_t process_open_descriptors(void);

/* Appends them all in Prometheus' text format; `program` is the value of a label. */
void process_append_metrics(struct buffer *text, const char *program);

#endif
