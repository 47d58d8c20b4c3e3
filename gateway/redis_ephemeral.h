/* Publishes of an ephemeral kind: a PUBLISH, no more, of which nobody waits for the answer. Part of
 * struct redis_bus (bus_redis.h); main loop only. */
#ifndef GATEWAY_REDIS_EPHEMERAL_H
#define GATEWAY_REDIS_EPHEMERAL_H

#include <stddef.h>

#include "gateway/bus.h"

struct redis_bus;

struct redis_ephemeral {
    size_t flying_count; /* not yet answered */
    size_t flying_bytes;
};

/* Sends the message, or drops it where the connection is away (UV_ENOTCONN) or too much is on its
 * way (UV_ENOBUFS). `published` comes from inside. */
void redis_ephemeral_publish(struct redis_bus *bus, struct bus_publish *publish);

#endif
