/*
 * The wait before the next attempt: exponential with full jitter, so that a thousand clients of one
 * dead server do not come back as one ("Exponential Backoff And Jitter", AWS Architecture Blog,
 * 2015). Each wait is drawn evenly from [floor, min(limit, floor * 2^attempt)].
 */
#ifndef COMMON_BACKOFF_H
#define COMMON_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t floor_ms;
    uint32_t limit_ms;
    uint32_t attempt; /* failures since the last success */
};

/* The wait before the next attempt, and counts the failure that led to it. */
uint32_t backoff_next_ms(struct backoff *backoff);

/* Success: the next failure starts from the floor again. */
void backoff_reset(struct backoff *backoff);

#endif
