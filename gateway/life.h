/*
 * Whether the peer of an open WebSocket is still there. A whole frame is a sign of life; after a
 * ping interval without one the peer is asked, and given the pong timeout to answer. Taking in what
 * it was sent counts for one that was asked: the question may stand behind megabytes that it has to
 * read first.
 *
 * Times in, a verdict out: no loop, no socket. Zeroed it has heard from the peer at time 0.
 */
#ifndef GATEWAY_LIFE_H
#define GATEWAY_LIFE_H

#include <stdbool.h>
#include <stdint.h>

#include "gateway/config.h"

struct life {
    uint32_t since_ms; /* loop time, wrapping: of the last sign, or of the question */
    bool is_asked;     /* a ping waits for an answer */
};

enum life_verdict {
    LIFE_WAIT, /* look again after `*wait_ms` */
    LIFE_ASK,  /* send a ping, and look again after `*wait_ms` */
    LIFE_OVER, /* the peer is dead */
};

/* There was a sign of life. */
void life_sign(struct life *life, uint32_t now_ms);

/*
 * Looks at the time. `has_moved` tells whether the peer has taken some of what it was sent since
 * the last look; it matters only for one that was asked.
 */
enum life_verdict life_check(struct life *life, uint32_t now_ms, bool has_moved,
                             const struct config *config, uint64_t *wait_ms);

#endif
