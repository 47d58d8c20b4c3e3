/*
 * Who published on a channel, and how far each has come: what tells a message that comes a second
 * time (published again after Redis lost its data, or read again from a history that we could not
 * match with what we had) from a new one. A sender's sequence only rises within a channel.
 */
#ifndef GATEWAY_REDIS_SENDERS_H
#define GATEWAY_REDIS_SENDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_sender {
    uint64_t publisher;
    uint64_t sequence; /* the last one seen */
    uint64_t seen_ms;
};

/* One of zero bytes is empty. */
struct redis_senders {
    struct redis_sender *senders;
    size_t count;
    size_t capacity;
};

/* Notes a message and says whether it is new. One without publisher or sequence always is. */
bool redis_senders_accept(struct redis_senders *senders, uint64_t publisher, uint64_t sequence,
                          uint64_t now_ms);

void redis_senders_deinit(struct redis_senders *senders);

#endif
