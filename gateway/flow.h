/*
 * What is on its way from one loop to another, and how much that may be. The sender counts what it
 * posts, the receiver what it has taken; once more than the limit is under way the sender stops and
 * is told when there is room again.
 *
 * Each worker has two: `publishes` to the hub, at whose limit it stops reading its clients, and
 * `deliveries` from the hub, which takes publishes from nobody while one of them is full. A worker
 * never waits before it takes deliveries, so the chain always comes loose from its end.
 *
 * Messages between loops therefore cost, for each worker and direction, no more than
 * FLOW_LIMIT_BYTES and what is posted in one go: the messages of one read of a socket (3 MB if they
 * are empty) or one message of the largest size. Deliveries from other gateways have a bound of
 * their own, see hub.h.
 */
#ifndef GATEWAY_FLOW_H
#define GATEWAY_FLOW_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Throughput was no higher with four times as much, but lower, as the messages leave the cache. */
#define FLOW_LIMIT_BYTES ((uint64_t)4 * 1024 * 1024)

/* Zeroed it is empty. */
struct flow {
    _Atomic uint64_t posted_bytes; /* only the sender changes it */
    _Atomic uint64_t taken_bytes;  /* only the receiver changes it */
    atomic_bool is_awaited;        /* the sender wants to be told of room */
};

/* The sender is about to post so much; before the post itself. */
void flow_post(struct flow *flow, uint64_t bytes);

/* True if the sender has to stop; the receiver will then tell it when to go on. */
bool flow_is_full(struct flow *flow);

/* The receiver is done with so much. True if it has to tell the sender to go on. */
bool flow_take(struct flow *flow, uint64_t bytes);

/* What is under way. Any thread. */
uint64_t flow_depth(const struct flow *flow);

/* What the receiver has taken since the beginning. Any thread. */
uint64_t flow_taken(const struct flow *flow);

#endif
