/*
 * The echo of a channel: what this gateway published there, was acknowledged, and has to come back
 * like everybody else's messages. Embedded in the channel; main loop only.
 */
#ifndef GATEWAY_REDIS_ECHO_H
#define GATEWAY_REDIS_ECHO_H

#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/message.h"

struct redis_bus;
struct redis_channel;

struct redis_echo {
    struct list link;  /* among the channels that wait for theirs */
    uint64_t offset;   /* the newest that an acknowledgement told */
    uint64_t since_ms; /* nothing came that leads there */
    uint64_t from;     /* the channel's position at that time */
    size_t messages;   /* publications that wait; the publisher counts them */
};

void redis_echo_init(struct redis_echo *echo);

/* The channel on which a publish that was acknowledged at (epoch, offset) is still to be delivered
 * here, or NULL. */
struct redis_channel *redis_echo_await(struct redis_bus *bus, const struct message *message,
                                       const char *epoch, uint64_t offset);

/* Nothing is to be waited for: all that was acknowledged so far has been read, or is of an epoch
 * that is over, or Redis refuses the channel. */
void redis_echo_end(struct redis_channel *channel);

/* Looks after channels whose echo does not come; a few times a second. */
void redis_echoes_look(struct redis_bus *bus);

#endif
