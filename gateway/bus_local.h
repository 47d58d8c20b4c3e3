/* The local bus from the inside: what bus_local.c (channels, publishes) and bus_local_asks.c
 * (history, who is there) share. Main loop only. */
#ifndef GATEWAY_BUS_LOCAL_H
#define GATEWAY_BUS_LOCAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/history.h"
#include "common/keys.h"
#include "common/map.h"
#include "gateway/bus_backend.h"
#include "gateway/bus_presence.h"

struct local_channel {
    struct map_entry entry;
    struct history history;
    struct key_table keys;
    struct local_bus *bus;
    bool is_subscribed;
    bool is_in_use; /* by a call that goes on with it */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    size_t name_size;
    char name[];
};

struct local_bus {
    struct bus bus;   /* must stay first */
    uv_idle_t chores; /* events that must not come from inside a call; runs while there are any */
    struct waiter expiry;
    bool is_expiry_set;
    uint64_t expiry_ms; /* when it fires, at the earliest */
    struct map channels;
    size_t subscription_count;
    struct histories histories;
    struct key_tables keys;
    struct bus_presences presences;
    struct list asks; /* struct bus_ask, to be answered by the chores */
    uint64_t sequence;
    void (*closed)(void *context);
    void *closed_context;
};

/* bus_local.c */

/* NULL where nothing is known of it. */
struct local_channel *local_channel_find(const struct local_bus *bus, const char *name,
                                         size_t size);

/* Frees a channel that nothing holds any more. */
void local_channel_release(struct local_channel *channel);

/* Runs the chores before the loop waits. */
void local_bus_wake(struct local_bus *bus);

/* bus_local_asks.c: the operations, and the answers to what was asked. */
void local_ask_history(struct bus *bus, struct bus_ask *ask);
void local_forget_history(struct bus *bus, struct bus_ask *ask);
void local_ask_presence(struct bus *bus, struct bus_ask *ask);
void local_presence_set(struct bus *bus, const char *channel, size_t channel_size,
                        const struct bus_present *who);
void local_presence_remove(struct bus *bus, const char *channel, size_t channel_size,
                           struct text client);
/* Answers what was asked before; with `error`, if that is one. */
void local_asks_answer(struct local_bus *bus, int error);

#endif
