/*
 * How often somebody may do something: a token bucket, which fills at a rate up to a burst, and
 * from which each act takes one. Zeroed it is full. No clock: `now_ms` is the caller's, and may
 * wrap.
 */
#ifndef GATEWAY_PACE_H
#define GATEWAY_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
    uint32_t spent;    /* thousandths of acts, which come back with time */
    uint32_t since_ms; /* when `spent` was so much */
};

/* Takes one, if there is one: `rate` a second (0: any number), `burst` at once (at most four
 * million). */
bool pace_take(struct pace *pace, uint64_t rate, uint64_t burst, uint32_t now_ms);

#endif
