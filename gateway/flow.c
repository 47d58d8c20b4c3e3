/*
 * The two threads meet in is_awaited and the counts, each writes one and then reads the other, and
 * all of that sequentially consistent: either the sender sees that there is room, or the receiver
 * sees that it is awaited. Both may happen, and the sender is told what it knows already.
 */
#include "gateway/flow.h"

/* The sender is told when it can post so much at once, not after each message. */
#define ROOM_BYTES (FLOW_LIMIT_BYTES / 2)

uint64_t flow_depth(const struct flow *flow)
{
    uint64_t taken = atomic_load(&flow->taken_bytes);

    /* In this order: what is taken has been posted before. */
    return atomic_load(&flow->posted_bytes) - taken;
}

uint64_t flow_taken(const struct flow *flow)
{
    return atomic_load(&flow->taken_bytes);
}

static bool has_room(const struct flow *flow)
{
    return flow_depth(flow) <= FLOW_LIMIT_BYTES - ROOM_BYTES;
}

void flow_post(struct flow *flow, uint64_t bytes)
{
    uint64_t posted = atomic_load_explicit(&flow->posted_bytes, memory_order_relaxed);

    /* The post itself publishes it to the receiver. */
    atomic_store_explicit(&flow->posted_bytes, posted + bytes, memory_order_relaxed);
}

bool flow_is_full(struct flow *flow)
{
    if (flow_depth(flow) <= FLOW_LIMIT_BYTES)
        return false;
    atomic_store(&flow->is_awaited, true);
    return !has_room(flow);
}

bool flow_take(struct flow *flow, uint64_t bytes)
{
    uint64_t taken = atomic_load_explicit(&flow->taken_bytes, memory_order_relaxed);

    atomic_store(&flow->taken_bytes, taken + bytes);
    return atomic_load(&flow->is_awaited) && has_room(flow) &&
           atomic_exchange(&flow->is_awaited, false);
}
