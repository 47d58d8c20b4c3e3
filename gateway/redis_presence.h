/*
 * Who is on the channels of this gateway, announced to Redis again and again: an entry that is not
 * announced any more dies after BUS_PRESENCE_MS, which is how the clients of a gateway that died
 * leave. Part of struct redis_bus (bus_redis.h); main loop only.
 */
#ifndef GATEWAY_REDIS_PRESENCE_H
#define GATEWAY_REDIS_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/bus_presence.h"

struct redis_bus;

struct redis_presence {
    struct bus_presences members;
    size_t flying;       /* announcements that are not answered */
    bool must_renew;     /* one was refused, for now */
    uint64_t renewed_ms; /* when all were last to be announced anew */
};

void redis_presence_init(struct redis_presence *presence);
void redis_presence_deinit(struct redis_presence *presence);

void redis_presence_set(struct redis_bus *bus, const char *channel, size_t channel_size,
                        const struct bus_present *who);
void redis_presence_remove(struct redis_bus *bus, const char *channel, size_t channel_size,
                           struct text client);

/* Everybody leaves a channel. */
void redis_presence_forget(struct redis_bus *bus, const char *channel, size_t channel_size);

/* Redis may have lost what it knew. */
void redis_presence_renew(struct redis_bus *bus);

/* Announces whoever is due; a few times a second, and when somebody came. */
void redis_presence_announce(struct redis_bus *bus);

#endif
