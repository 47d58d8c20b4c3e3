/*
 * A subscribed channel of the Redis bus: where it stands in the channel's history, and how live
 * messages and history are put together so that each message is delivered once and in order. Part
 * of struct redis_bus (bus_redis.h); main loop only. Reading history is in redis_attach.c, what is
 * asked of the subscriber connection in redis_topics.c.
 */
#ifndef GATEWAY_REDIS_CHANNEL_H
#define GATEWAY_REDIS_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/backoff.h"
#include "common/list.h"
#include "common/map.h"
#include "common/message.h"
#include "gateway/redis_echo.h"
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

/* Of a channel's history, where they are its own. */
struct redis_limits {
    bool are_set;
    uint64_t history_size;
    uint64_t history_ttl_ms;
};

struct redis_channel {
    struct redis_bus *bus;
    struct map_entry entry;
    struct list link;        /* among all channels */
    struct list attach_link; /* among those that wait for their ATTACH, or to try again */
    struct list untold_link; /* among those whose `subscribed` is due at once */
    enum redis_channel_stage stage;
    uint32_t life;  /* counts subscriptions under this name, to know old answers */
    unsigned joins; /* SUBSCRIBEs and UNSUBSCRIBEs not yet confirmed on this connection */
    unsigned leaves;
    unsigned pins; /* calls under way that will look at this object again */
    bool is_told;  /* `subscribed` was */

    bool is_barred;         /* Redis refuses its topic or its keys, for now */
    struct backoff backoff; /* of what is refused */
    uint64_t retry_ms;      /* when to try again */

    bool is_known;    /* `epoch` and `position` are where we stand; an empty epoch: nothing was ever
                         said */
    bool is_unplaced; /* told, though not known: counted, because publishes wait for it */
    bool is_behind;   /* may have missed something, and has not looked: counted for the same */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t position;

    bool is_asking;     /* an ATTACH or RESTORE is out */
    bool is_confirming; /* it was sent after SUBSCRIBE was confirmed on the present connection */
    bool must_check;    /* one is due whatever the stage, because Redis's data has a new life */
    unsigned restores;  /* refused since the channel was last live */
    uint64_t hole;      /* first offset of a hole that an answer has shown, or 0 */
    uint32_t attach_number;
    bool
        is_marked; /* Redis has another history than ours; what it sent of ours is still awaited, */
    uint64_t mark; /* up to this mark on the subscriber connection */
    unsigned mark_tries;
    bool has_overflowed; /* pending messages were dropped since the last ATTACH was sent */
    /* The epoch of the oldest of those since the channel was last live; empty: there was none. */
    char dropped[MESSAGE_EPOCH_LIMIT + 1];
    struct redis_pending pending;

    struct redis_echo echo;
    struct redis_tail tail;
    struct redis_senders senders;
    struct redis_limits limits; /* those of our last publish, for what is restored */
    size_t name_size;
    char name[MESSAGE_CHANNEL_LIMIT + 1];
};

struct redis_channels {
    struct map map;
    struct list all;
    struct list waiting;  /* for their turn to send an ATTACH */
    struct list retrying; /* for their time to try again */
    struct list echoing;  /* whose echo is still to come */
    struct list untold;
    struct redis_tails tails;
    size_t asking;   /* ATTACHes and RESTOREs that are out */
    size_t wanted;   /* channels that are not LEFT */
    size_t unplaced; /* see struct redis_channel */
    size_t behind;
};

void redis_channels_init(struct redis_channels *channels);

/* Frees all channels; no answer may be outstanding. */
void redis_channels_deinit(struct redis_bus *bus);

void redis_channel_subscribe(struct redis_bus *bus, const char *name, size_t size);
void redis_channel_unsubscribe(struct redis_bus *bus, const char *name, size_t size);

/* The subscriber connection is gone: every channel has to be subscribed again. */
void redis_channels_disconnected(struct redis_bus *bus);

/* Redis's data have another life: every channel has to look. */
void redis_channels_check(struct redis_bus *bus);

/* Tells `subscribed` for whatever waits for it: the bus is down. */
void redis_channels_tell_all(struct redis_bus *bus);
void redis_channels_tell_untold(struct redis_bus *bus);

/* For redis_topics.c. */

/* A live message, whose reference is the channel's from here on. */
void redis_channel_hear(struct redis_channel *channel, struct message *message);
/* The oldest SUBSCRIBE or UNSUBSCRIBE of the channel that is out was answered. */
void redis_channel_joined(struct redis_channel *channel);
void redis_channel_refused(struct redis_channel *channel, const char *why);
void redis_channel_left(struct redis_channel *channel);

/* For redis_topics.c, redis_attach.c and redis_echo.c. */

struct redis_channel *redis_channel_find(struct redis_bus *bus, const char *name, size_t size);

void redis_channel_pin(struct redis_channel *channel);
/* Frees a channel that is LEFT once nothing refers to it. */
void redis_channel_unpin(struct redis_channel *channel);
void redis_channel_tell(struct redis_channel *channel);
/* It stands at `position` of the epoch that is set already, as Redis says for the first time. */
void redis_channel_place(struct redis_channel *channel, uint64_t position);
/* Redis refuses it, or no longer so. */
void redis_channel_bar(struct redis_channel *channel);
void redis_channel_admit(struct redis_channel *channel);
/* Takes the message that follows the position; the reference stays the caller's. */
void redis_channel_take(struct redis_channel *channel, struct message *message);
/* Tells that messages are gone, and goes on at `position`. */
void redis_channel_lose(struct redis_channel *channel, uint64_t position);
/* Takes pending messages that follow the position under the present epoch; true if there were any.
 */
bool redis_channel_take_pending(struct redis_channel *channel);
/* It may have missed something: reads history, if it was live. */
void redis_channel_look(struct redis_channel *channel);
/* Subscribes again: when that is confirmed, all that was published until now has come. */
void redis_channel_rejoin(struct redis_channel *channel);
/* What comes live goes on from the position: what is pending decides whether it is so. */
void redis_channel_go_live(struct redis_channel *channel);
/* Tries again, later: at the next tick, or after a wait that grows from one failure to the next. */
void redis_channel_try_later(struct redis_channel *channel, bool is_refused);

#endif
