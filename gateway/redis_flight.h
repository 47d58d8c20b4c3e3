/* The newest sequence that is in flight on each channel, for the publish script to see that nothing
 * before it failed. One of zero bytes is empty. */
#ifndef GATEWAY_REDIS_FLIGHT_H
#define GATEWAY_REDIS_FLIGHT_H

#include <stdint.h>

#include "common/map.h"
#include "common/message.h"

struct redis_flight {
    struct map channels;
};

/* Notes that the message is sent; returns the sequence that is in flight before it, or 0. */
uint64_t redis_flight_exchange(struct redis_flight *flight, const struct message *message);

/* Notes that the message is no longer in flight. */
void redis_flight_end(struct redis_flight *flight, const struct message *message);

/* Nothing is in flight. */
void redis_flight_clear(struct redis_flight *flight);

#endif
