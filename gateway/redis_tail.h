/*
 * The newest messages of a channel that this gateway has seen: references, no copies. When Redis
 * loses its data, they are what its gateways can give back (redis_attach.c). Bounded per channel
 * by count, bytes and age, and by bytes over all channels.
 *
 * The offsets of a tail rise by one and end at the channel's position.
 */
#ifndef GATEWAY_REDIS_TAIL_H
#define GATEWAY_REDIS_TAIL_H

#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/message.h"

/* All tails of a bus. */
struct redis_tails {
    struct list members;  /* those that hold something */
    size_t bytes;         /* of all */
    size_t message_limit; /* messages of one tail; 0: tails stay empty */
};

struct redis_tail_entry {
    struct message *message;
    uint64_t offset;
    uint64_t seen_ms;
};

struct redis_tail {
    struct list link;              /* in redis_tails.members */
    struct redis_tail_entry *ring; /* NULL while empty */
    size_t capacity;               /* a power of two */
    size_t first;
    size_t count;
    size_t bytes;
};

void redis_tails_init(struct redis_tails *tails, size_t message_limit);

void redis_tail_init(struct redis_tail *tail);

/* Appends a reference to the message that stands at `offset`. */
void redis_tail_append(struct redis_tails *tails, struct redis_tail *tail, struct message *message,
                       uint64_t offset, uint64_t now_ms);

/* Drops everything. */
void redis_tail_clear(struct redis_tails *tails, struct redis_tail *tail);

/* Drops what is too old, in all tails. */
void redis_tails_expire(struct redis_tails *tails, uint64_t now_ms);

/* The `index`th oldest message. */
const struct redis_tail_entry *redis_tail_at(const struct redis_tail *tail, size_t index);

/* The message at `offset`, or NULL. */
const struct redis_tail_entry *redis_tail_find(const struct redis_tail *tail, uint64_t offset);

#endif
