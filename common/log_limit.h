/*
 * A limit for log lines that a stranger can cause as often as he likes: one a second, which says
 * how many were left out before it. One limit for each kind of line; zeroed it is ready. Any
 * thread.
 */
#ifndef COMMON_LOG_LIMIT_H
#define COMMON_LOG_LIMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct log_limit {
    _Atomic uint64_t next_ms; /* when a line may be written again */
    _Atomic uint64_t left_out;
};

/* True if a line may be written at `now_ms` (a loop's clock); `*left_out` is then how many were
 * not since the last one. */
bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint64_t *left_out);

#endif
