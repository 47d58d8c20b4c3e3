/*
 * The last message of each publisher on a channel: how a repeated publish is told from a new one,
 * and what a publish that comes after another is checked against. Publishers are gateways, so there
 * are few; where more than PRODUCERS_LIMIT come along, the one that was silent longest is
 * forgotten.
 */
#ifndef ROUTER_PRODUCERS_H
#define ROUTER_PRODUCERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/router_frame.h"

#define PRODUCERS_LIMIT 256

/* Zero-initialised it is empty. The most recent one stands last. */
struct producers {
    struct router_producer *items;
    uint32_t count;
    uint32_t capacity;
};

void producers_deinit(struct producers *producers);

/* What is known of a publisher, or NULL. Good until the next change. */
const struct router_producer *producers_find(const struct producers *producers, uint64_t publisher);

/* Notes a publisher's message, if it is its newest. */
void producers_note(struct producers *producers, uint64_t publisher, uint64_t sequence,
                    uint64_t offset);

/* Forgets the publishers whose newest message is behind an offset; true if there were any. */
bool producers_forget_after(struct producers *producers, uint64_t offset);

/* Replaces all that is known. */
void producers_set(struct producers *producers, const struct router_producer *items, size_t count);

#endif
