/*
 * What the router bus is asked, and who is on a channel: the way from bus.h to the client of the
 * channel's shard (router_client.h), and what is kept while there is none yet, because no router
 * has said how many shards there are. Part of the router bus (bus_router.c); main loop only.
 */
#ifndef GATEWAY_BUS_ROUTER_ASKS_H
#define GATEWAY_BUS_ROUTER_ASKS_H

#include "gateway/bus.h"
#include "gateway/bus_presence.h"
#include "gateway/router_client.h"

struct router_asks {
    struct list refused;        /* to be told when that need not be from inside the call */
    struct bus_presences early; /* for clients that are to come */
};

void router_asks_init(struct router_asks *asks);

/* The operations; `client` is NULL while there is none. True where router_asks_tell is due soon. */
bool router_asks_history(struct router_asks *asks, struct router_client *client,
                         struct bus_ask *ask);
bool router_asks_forget(struct router_asks *asks, struct router_client *client,
                        struct bus_ask *ask);
bool router_asks_presence(struct router_asks *asks, struct router_client *client,
                          struct bus_ask *ask);
void router_asks_set(struct router_asks *asks, struct router_client *client, const char *channel,
                     size_t channel_size, const struct bus_present *who);
void router_asks_remove(struct router_asks *asks, struct router_client *client, const char *channel,
                        size_t channel_size, struct text client_id);

/* The channel has a client now, and is subscribed there: whoever is on it is told to that. */
void router_asks_hand_over(struct router_asks *asks, struct router_client *client,
                           const char *channel, size_t channel_size);

/* Tells what was refused. */
void router_asks_tell(struct router_asks *asks);

/* The end: what was refused is told, everybody is forgotten. */
void router_asks_deinit(struct router_asks *asks);

#endif
