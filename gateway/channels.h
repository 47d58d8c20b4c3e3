/*
 * The channels of one worker by name: created with their first subscriber, which the hub is told so
 * that the bus delivers, and freed at the end of the tick in which the last one left, which the hub
 * is told, too; but not before the bus has answered, so that each COMMAND_SUBSCRIBE gets its answer
 * before the COMMAND_UNSUBSCRIBE that ends it. Belongs to the worker's loop.
 */
#ifndef GATEWAY_CHANNELS_H
#define GATEWAY_CHANNELS_H

#include "common/inbox.h"
#include "common/map.h"
#include "gateway/channel.h"
#include "gateway/command.h"
#include "gateway/stats.h"

struct channels {
    struct map by_name;
    struct list dirty;   /* channels with something to flush */
    struct list waiting; /* those that gather more until they are due; the first to be is first */
    uint32_t now_ms;     /* the owner's: loop time, wrapping; */
    uint32_t gather_ms;  /* and how long busy channels gather (--coalesce-max); 0: a tick */
    struct list idle;    /* channels that may have lost their last subscriber in this tick */
    const struct channel_sink *sink;
    struct worker *worker; /* only named in commands */
    struct inbox *hub;
    struct worker_stats *stats;
};

void channels_init(struct channels *channels, const struct channel_sink *sink,
                   struct worker *worker, struct inbox *hub, struct worker_stats *stats);

/* Frees all channels; none has a subscriber left. Tells the hub nothing. */
void channels_deinit(struct channels *channels);

/*
 * Subscribes to the channel of that name (1 to MESSAGE_CHANNEL_LIMIT bytes); `receiver` and `wire`
 * are those of channel_join. Returns CHANNEL_OPEN, or CHANNEL_OPENING where `opened` of the sink
 * will follow.
 */
enum channel_state channels_join(struct channels *channels, const char *name, size_t name_size,
                                 struct subscription *subscription, void *receiver, uint8_t wire);

/* Takes a subscription out of its channel; harmless if it is in none. */
void channels_leave(struct channels *channels, struct subscription *subscription);

/* What the hub says about a channel. The command stays the caller's. */
void channels_subscribed(struct channels *channels, const struct channel_command *command);
void channels_refused(struct channels *channels, const struct channel_command *command, int error);

/* The channel of that name, or NULL. */
struct channel *channels_find(const struct channels *channels, const char *name, size_t name_size);

/* At the end of a loop iteration: flushes what is dirty, or has waited long enough, frees what is
 * empty. */
void channels_end_tick(struct channels *channels);

/* Whether some channel waits, and if so how long until channels_end_tick is to be called. */
bool channels_wait(const struct channels *channels, uint32_t *wait_ms);

/* Flushes all, those that wait as well. */
void channels_flush(struct channels *channels);

#endif
