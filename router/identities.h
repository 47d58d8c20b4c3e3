/*
 * A set of messages by who published them and as which of theirs: whether a message is in a history
 * is asked once for each of many strays (stray.c), and a walk through the history each time would
 * take the shard for seconds. No I/O.
 */
#ifndef ROUTER_IDENTITIES_H
#define ROUTER_IDENTITIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct identity_slot {
    uint64_t publisher;
    uint64_t sequence; /* 0: empty */
};

/* Zero-initialised it is empty. */
struct identities {
    struct identity_slot *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;
};

void identities_deinit(struct identities *identities);

/* Adds a message, if it is not there; one without a sequence is never there. */
void identities_add(struct identities *identities, uint64_t publisher, uint64_t sequence);

bool identities_have(const struct identities *identities, uint64_t publisher, uint64_t sequence);

#endif
