/*
 * When a connection that is wanted for ever is tried anew. A failure is followed by a growing wait
 * with jitter. What was there and broke is tried at once, because most often the other side is
 * there again, or is seen to be dead; but one that keeps breaking as soon as it is there waits as
 * long as a failing one would: whatever breaks it would otherwise keep both sides busy with it.
 * Pure: knows no loop.
 */
#ifndef COMMON_REDIAL_H
#define COMMON_REDIAL_H

#include <stdint.h>

#include "common/backoff.h"

#define REDIAL_STEADY_MS 5000 /* a connection that lasted so long was a good one */

struct redial {
    struct backoff failing;  /* attempts that came to nothing since the last that did not */
    struct backoff breaking; /* connections that were there for a moment, since the last good one */
};

/* Waits are from `floor_ms` to `limit_ms`. */
void redial_init(struct redial *redial, uint32_t floor_ms, uint32_t limit_ms);

/* An attempt failed: how long to wait before the next one, in ms. */
uint32_t redial_after_failure_ms(struct redial *redial);

/* A connection broke that was there for `lasted_ms`: the same. */
uint32_t redial_after_break_ms(struct redial *redial, uint64_t lasted_ms);

#endif
