/*
 * A subscribed channel of the Redis bus: where it stands in the channel's history, and how live
 * messages and history are put together so that each message is delivered once and in order. Part
 * of struct redis_bus (bus_redis.h); main loop only. Reading history is in redis_attach.c.
 */
#ifndef GATEWAY_REDIS_CHANNEL_H
#define GATEWAY_REDIS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/map.h"
#include "common/message.h"
#include "gateway/redis_pending.h"
#include "gateway/redis_reply.h"
#include "gateway/redis_senders.h"
#include "gateway/redis_tail.h"

struct redis_bus;

enum redis_channel_stage {
    REDIS_CHANNEL_LEFT,        /* nobody wants it; answers that name it are still outstanding */
    REDIS_CHANNEL_SUBSCRIBING, /* until SUBSCRIBE is confirmed on the present connection */
    REDIS_CHANNEL_ATTACHING,   /* until the history up to there has been read */
    REDIS_CHANNEL_LIVE,
};

struct redis_channel {
    struct redis_bus *bus;
    struct map_entry entry;
    struct list link;         /* among all channels */
    struct list attach_link;  /* among those that wait for their ATTACH, or for its repetition */
    struct list lagging_link; /* among those that Redis has more of than we have seen */
    struct list untold_link;  /* among those whose `subscribed` is due at once */
    enum redis_channel_stage stage;
    uint32_t life;  /* counts subscriptions under this name, to know old answers */
    unsigned joins; /* SUBSCRIBEs and UNSUBSCRIBEs not yet confirmed on this connection */
    unsigned leaves;
    unsigned pins; /* calls under way that will look at this object again */
    bool is_told;  /* `subscribed` was */

    bool is_known; /* `epoch` and `position` are where we stand; an empty epoch: nothing was ever
                      said */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t position;

    bool is_asking;     /* an ATTACH or RESTORE is out */
    bool is_confirming; /* it was sent after SUBSCRIBE was confirmed on the present connection */
    bool must_check;    /* one is due whatever the stage, because Redis's data has a new life */
    unsigned restores;  /* tried since the channel was last live */
    uint32_t attach_number;
    bool has_overflowed; /* pending messages were dropped since the last ATTACH was sent */
    struct redis_pending pending;

    uint64_t awaited;        /* newest offset that an acknowledgement told */
    uint64_t awaited_ms;     /* since when we wait for it */
    size_t awaited_messages; /* our publishes that wait to be seen here */
    struct redis_tail tail;
    struct redis_senders senders;
    size_t name_size;
    char name[MESSAGE_CHANNEL_LIMIT + 1];
};

struct redis_channels {
    struct map map;
    struct list all;
    struct list waiting;  /* for their turn to send an ATTACH */
    struct list retrying; /* the same, at the next tick */
    struct list lagging;
    struct list untold;
    struct redis_tails tails;
    size_t asking; /* ATTACHes and RESTOREs that are out */
    size_t wanted; /* channels that are not LEFT */
};

void redis_channels_init(struct redis_channels *channels);

/* Frees all channels; no answer may be outstanding. */
void redis_channels_deinit(struct redis_bus *bus);

void redis_channel_subscribe(struct redis_bus *bus, const char *name, size_t size);
void redis_channel_unsubscribe(struct redis_bus *bus, const char *name, size_t size);

/* The subscriber connection came, went, or brought something. */
void redis_channels_subscriber_ready(struct redis_bus *bus);
void redis_channels_subscriber_down(struct redis_bus *bus);
void redis_channels_pushed(struct redis_bus *bus, const redisReply *reply);

/* Tells `subscribed` for whatever waits for it: the bus is down. */
void redis_channels_tell_all(struct redis_bus *bus);
void redis_channels_tell_untold(struct redis_bus *bus);

/* Looks after channels that lag and tails that age; a few times a second. */
void redis_channels_tick(struct redis_bus *bus);

/* The channel on which a publish that was acknowledged at (epoch, offset) is still to be delivered
 * here, or NULL. */
struct redis_channel *redis_channel_await(struct redis_bus *bus, const struct message *message,
                                          const char *epoch, uint64_t offset);

/* For redis_attach.c. */

void redis_channel_pin(struct redis_channel *channel);
/* Frees a channel that is LEFT once nothing refers to it. */
void redis_channel_unpin(struct redis_channel *channel);
void redis_channel_tell(struct redis_channel *channel);
/* Takes the message that follows the position; the reference stays the caller's. */
void redis_channel_take(struct redis_channel *channel, struct message *message);
/* Tells that messages are gone, and goes on at `position`. */
void redis_channel_lose(struct redis_channel *channel, uint64_t position);
/* Takes pending messages that follow the position under the present epoch; true if there were any.
 */
bool redis_channel_take_pending(struct redis_channel *channel);
/* The history is read: what is pending decides whether the channel is live. */
void redis_channel_go_live(struct redis_channel *channel);

#endif
