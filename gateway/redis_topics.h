/*
 * What the subscriber connection is asked, SUBSCRIBE and UNSUBSCRIBE, and what comes back over it:
 * confirmations, refusals, messages. Part of struct redis_bus (bus_redis.h); main loop only.
 */
#ifndef GATEWAY_REDIS_TOPICS_H
#define GATEWAY_REDIS_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/list.h"
#include "gateway/redis_reply.h"

struct redis_bus;
struct redis_channel;

struct redis_topics {
    struct list commands; /* not yet answered, oldest first */
    size_t returning; /* channels asked for when the connection came, and not yet answered for */
};

void redis_topics_init(struct redis_topics *topics);

/* Ask for one channel, or to be rid of it, if the connection is there. */
void redis_topics_subscribe(struct redis_channel *channel);
void redis_topics_unsubscribe(struct redis_channel *channel);

/* The connection came: asks for every channel that is wanted. */
void redis_topics_connected(struct redis_bus *bus);

/* The connection is gone, and with it whatever it was asked. */
void redis_topics_disconnected(struct redis_topics *topics);

/* The connection brought something. */
void redis_topics_pushed(struct redis_bus *bus, const redisReply *reply);

/* True where the connection is there and every channel that was wanted when it came is answered
 * for: what is published from now on is heard. */
bool redis_topics_are_heard(const struct redis_bus *bus);

#endif
