/* The Redis bus from the inside: what bus_redis.c and the modules on which it stands
 * (redis_hello.c, redis_publisher.c, redis_channel.c, redis_topics.c, redis_attach.c, redis_echo.c,
 * redis_asks.c, redis_presence.c, redis_ephemeral.c) share. Main loop only.
 *
 * Beside what has a place in a channel's history, Redis is given three things that have none:
 *
 * - Questions (redis_asks.c) go over the command connection like everything else, piece by piece,
 *   so that none holds up publishes for long. They end with the connection, and are not asked
 *   again: whoever asks is still there, and can.
 * - Presence (redis_presence.c) is an entry for each client with a deadline by Redis's own clock,
 *   which its gateway moves on. Nothing in Redis tells whose entry it is: there is one for each
 *   client, and a client is on one gateway.
 * - What is ephemeral (redis_ephemeral.c) is a PUBLISH. It has no part in positions, holes and
 *   echoes; a channel whose subscribers were told that they are subscribed hands it on at once,
 *   whatever history is read meanwhile.
 */
#ifndef GATEWAY_BUS_REDIS_H
#define GATEWAY_BUS_REDIS_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/loop.h"
#include "gateway/bus_backend.h"
#include "gateway/redis_asks.h"
#include "gateway/redis_channel.h"
#include "gateway/redis_command.h"
#include "gateway/redis_ephemeral.h"
#include "gateway/redis_link.h"
#include "gateway/redis_presence.h"
#include "gateway/redis_publisher.h"
#include "gateway/redis_script.h"
#include "gateway/redis_topics.h"
#include "gateway/redis_url.h"

/* Warnings that may come in floods; each kind is written once in a while. */
enum redis_warning {
    REDIS_WARNING_GARBAGE, /* a message that is none */
    REDIS_WARNING_LOSS,    /* messages that are gone */
    REDIS_WARNING_EPOCH,   /* channels whose history was lost */
    REDIS_WARNING_REFUSED, /* a command that failed */
    REDIS_WARNING_COUNT,
};

#define REDIS_REST_MS 1500 /* longer than a link's longest wait between two attempts */

/* What waits for the other gateways although both connections are there. */
enum redis_rest {
    REDIS_REST_NONE,
    REDIS_REST_RETURN, /* publishes: others may come back from the same outage a little later */
    REDIS_REST_REPAIR, /* and positions: all restore what Redis lost */
};

struct redis_bus {
    struct bus bus; /* must stay first */
    struct redis_url url;
    char *prefix;
    struct redis_link commands;
    struct redis_link subscriber;
    struct redis_command command; /* under construction */
    char scripts[REDIS_SCRIPT_COUNT][REDIS_SHA_SIZE + 1];
    struct redis_publisher publisher;
    struct redis_channels channels;
    struct redis_topics topics;
    struct redis_presence presence;
    struct redis_asks asks;
    struct redis_ephemeral ephemeral;

    bool is_greeted;    /* the command connection has the scripts and has said hello */
    bool is_new_life;   /* Redis's data may have lost something since the publisher last sent */
    bool is_loading;    /* the scripts are on their way */
    uint64_t lost_ms;   /* when the command connection was lost */
    uint64_t outage_ms; /* when publishes had to stop, or 0 */
    uint64_t up_ms;     /* when the bus last came up */
    char life[REDIS_ID_SIZE + 1]; /* of Redis's data, as the last hello told */
    enum redis_rest rest;
    struct waiter rest_end;
    struct waiter tick;
    uv_prepare_t chores; /* the start, and events that must not come from inside a call */
    uint64_t epoch_seed;
    uint64_t epoch_count;
    uint64_t warned_ms[REDIS_WARNING_COUNT];

    int handles; /* still to be closed */
    bool is_closing;
    void (*closed)(void *context);
    void *closed_context;
};

/* Commands can be sent. */
static inline bool redis_bus_is_usable(const struct redis_bus *bus)
{
    return bus->is_greeted && redis_link_is_ready(&bus->commands);
}

/* What waits to be published may go out. */
bool redis_bus_may_publish(const struct redis_bus *bus);

/* Publishes what waits, if it may go out; whoever ends something that holds it back calls this. */
void redis_bus_go_on(struct redis_bus *bus);

/* The command connection has the scripts, and Redis said hello. */
void redis_bus_greeted(struct redis_bus *bus, const struct redis_hello *hello);

/* Starts `command` as a call of a script on the channel; its keys and arguments follow. */
struct redis_command *redis_bus_begin(struct redis_bus *bus, enum redis_script script,
                                      unsigned keys);

/* Adds a key of the channel. */
void redis_bus_add_key(struct redis_bus *bus, const char *channel, size_t channel_size,
                       const char *end);

/* Adds history size and ttl as the scripts take them: those of the settings where there are no
 * `limits`. */
void redis_bus_add_history(struct redis_bus *bus, const struct redis_limits *limits);

/* Adds the pub/sub channel. */
void redis_bus_add_topic(struct redis_bus *bus, const char *channel, size_t channel_size);

/* Adds an epoch that was never used before. */
void redis_bus_add_fresh_epoch(struct redis_bus *bus);

/* Handles an error reply as far as it concerns the whole bus, and says what it means:
 * REDIS_FAULT_SERVER (the connection has been dropped), REDIS_FAULT_RETRY or REDIS_FAULT_FINAL. */
enum redis_fault redis_bus_fault(struct redis_bus *bus, const redisReply *reply);

/* Tells what is to be told from the loop, and announces who came, before the loop waits. */
void redis_bus_tell_soon(struct redis_bus *bus);

/* True where a warning of this kind is due again. */
bool redis_bus_may_warn(struct redis_bus *bus, enum redis_warning warning);

#endif
