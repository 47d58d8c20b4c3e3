/*
 * What a process on this machine has used so far, from /proc.
 *
 * Processor time: the scheduler's account of every thread (/proc/PID/task/N/schedstat,
 * nanoseconds), or where the kernel keeps none utime + stime of /proc/PID/stat. Memory: the
 * resident set of /proc/PID/smaps_rollup, which is exact, or where it may not be read that of
 * /proc/PID/statm, which lags by some pages for each thread.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process_usage {
    uint64_t cpu_ns;
    uint64_t resident_bytes;
    const char *cpu_source; /* file name below /proc/PID */
    const char *memory_source;
};

/* 0, -ESRCH if there is no such process or it has ended and waits for its parent, or another
 * negative errno; then `usage` is zeroed. */
int process_read_usage(int pid, struct process_usage *usage);

#define PROCESS_LIMIT 16

struct processes {
    int pids[PROCESS_LIMIT];
    unsigned count;
};

/* The same of several together; of none, all is zero. The kernel keeps the same accounts of all:
 * the sources are those of each. */
int processes_read_usage(const struct processes *processes, struct process_usage *usage);

/* What was used from one reading of a process to a later one. False if that cannot be told: the
 * figures are from different sources, or the later one is less. */
bool process_cpu_between(const struct process_usage *begin, const struct process_usage *end,
                         uint64_t *nanoseconds);
bool process_memory_between(const struct process_usage *begin, const struct process_usage *end,
                            uint64_t *bytes);

#endif
