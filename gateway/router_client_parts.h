/* What the files of a router client tell each other: router_client.c (links, subscriptions,
 * what comes in), router_client_route.c (which router a channel is sought at),
 * router_client_outgoing.c (publishes), router_client_links.c (which router is the best),
 * router_client_ephemeral.c (publishes that nobody keeps), router_client_asks.c (presence and
 * history asks) and router_client_presence.c (who is
 * announced). */
#ifndef GATEWAY_ROUTER_CLIENT_PARTS_H
#define GATEWAY_ROUTER_CLIENT_PARTS_H

#include "gateway/router_client.h"

#define CLIENT_PAUSE_MS                                                                            \
    50 /* before a route is asked for again that was sent in circles, or after a gap */

enum route_stage {
    ROUTE_NOWHERE, /* there is no router, or it waits to ask again */
    ROUTE_ASKED,   /* subscribing */
    ROUTE_LIVE,
    ROUTE_PUBLISH, /* not subscribed, only published to */
};

struct route {
    struct map_entry entry;
    struct list link;
    struct list retry_link;
    struct list untold_link;
    struct list cramped_link;
    struct list outgoing;      /* by sequence */
    size_t acknowledged_count; /* of them */
    struct router_client *client;
    struct router_client_link *target;
    enum route_stage stage;
    bool is_wanted;
    bool is_told;                        /* `subscribed` was */
    char epoch[MESSAGE_EPOCH_LIMIT + 1]; /* empty: nowhere yet */
    uint64_t offset;
    unsigned moves; /* since the last answer */
    bool is_lost;   /* routers send it round in circles: the next one is to take it */
    uint64_t retry_ms;
    size_t name_size;
    char name[];
};

enum outgoing_stage {
    OUTGOING_QUEUED,
    OUTGOING_SENT,
    OUTGOING_ACKNOWLEDGED, /* still to be delivered here */
};

struct outgoing {
    struct list link;     /* in the client's */
    struct list own_link; /* in the route's */
    struct route *route;
    struct bus_publish *publish; /* NULL once `published` was called */
    struct message *message;
    enum outgoing_stage stage;
    struct router_limits limits;
    uint64_t offset;
    bool was_sent;
};

static inline struct outgoing *client_outgoing_at(struct list *at)
{
    return container_of(at, struct outgoing, own_link);
}

static inline void client_send(struct router_client *client, struct router_client_link *link,
                               const struct router_frame *frame)
{
    client->output->send(client->output_context, link, frame);
}

static inline bool client_has_room(const struct router_client *client,
                                   const struct router_client_link *link)
{
    return !client->output->has_room || client->output->has_room(client->output_context, link);
}

/* router_client_route.c */

struct route *client_route_find(struct router_client *client, const char *name, size_t size);
struct route *client_route_find_or_create(struct router_client *client, const char *name,
                                          size_t size);

/* Forgets a route that is not subscribed and has no publishes left. */
void client_route_drop_if_idle(struct route *route);

/* The router where the channel is subscribed, or asked for, or NULL. */
struct router_client_link *client_home(const struct router_client *client, const char *channel,
                                       size_t channel_size);

/* The best router for it of those that are linked, or NULL. */
struct router_client_link *client_route_best(const struct route *route);

/* True if a router that we cannot reach would be better for the channel. */
bool client_route_must_insist(const struct route *route);

/* Leads the route to `link`, or nowhere. */
void client_route_lead(struct route *route, struct router_client_link *link);

/* Asks the target for everything, as soon as there is room. */
void client_route_ask(struct route *route);

void client_route_retry_later(struct route *route, uint64_t delay_ms);

/* The target says that the channel is elsewhere. */
void client_route_follow(struct route *route, uint64_t node);

void client_route_send_unsubscribe(struct route *route);

/* On every tick: routes that are due to ask again; routes that are better placed elsewhere. */
void client_routes_retry(struct router_client *client);
void client_routes_rebalance(struct router_client *client);

/* router_client_outgoing.c */

/* Sends all that is queued, in order, as far as there is room; the rest follows on later ticks. */
void client_outgoing_send(struct route *route, bool insists);
void client_outgoing_go_on(struct router_client *client);

/* What was sent is to be sent again. */
void client_outgoing_requeue(struct route *route);

struct outgoing *client_outgoing_find(struct route *route, uint64_t sequence);

/* Tells the owner how its publish ended, */
void client_outgoing_answer(struct outgoing *outgoing, int error);
/* and forgets it. */
void client_outgoing_settle(struct outgoing *outgoing);

/* The position moved on, or is none any more (UINT64_MAX): forgets acknowledged messages that are
 * behind it. */
void client_outgoing_settle_delivered(struct route *route, uint64_t offset);

/* The last sequence that was acknowledged and has not come; 0 if there is none. */
uint64_t client_outgoing_last_acknowledged(const struct route *route);

/* A message of ours came back: it is in the history, whatever became of its acknowledgement. */
void client_outgoing_see_own(struct route *route, const struct message *message);

void client_outgoing_receive_ack(struct route *route, const struct router_frame *frame);

/* router_client_ephemeral.c */

/* Sends a message of an ephemeral kind, or not, and tells its owner. */
void client_ephemeral_publish(struct router_client *client, struct bus_publish *publish);

/* Takes a refusal, if it is one of these, and sends the message on where the channel has moved. */
bool client_ephemeral_refused(struct router_client *client, const struct router_frame *frame);
void client_ephemeral_tick(struct router_client *client);
void client_ephemeral_deinit(struct router_client *client);

/* router_client_links.c */

/* The best router for a channel of those that are linked, or NULL where there is none. One that is
 * leaving is best only where there is no other. */
struct router_client_link *client_links_best(const struct list *links, const char *channel,
                                             size_t channel_size);

struct router_client_link *client_links_find(const struct list *links, uint64_t node);

/* True if a router that `link` knows and we cannot reach would be better for the channel. */
bool client_links_lack_better(const struct list *links, const struct router_client_link *link,
                              const char *channel, size_t channel_size);

/* router_client_asks.c */

/* Takes a frame that answers an ask or an announcement; false if it does not. */
bool client_asks_receive(struct router_client *client, struct router_client_link *link,
                         const struct router_frame *frame);
void client_asks_link_down(struct router_client *client, const struct router_client_link *link);
void client_asks_tick(struct router_client *client);
void client_asks_deinit(struct router_client *client);

/* router_client_presence.c */

/* A copy in one allocation, which `client` points at. */
struct router_present client_present_copy(const struct router_present *who);

/* A channel is subscribed anew: the router may not know who is there. */
void client_presence_renew(struct router_client *client, const char *channel, size_t channel_size);
/* A channel is subscribed no more. */
void client_presence_forget(struct router_client *client, const char *channel, size_t channel_size);
void client_presence_tick(struct router_client *client);
void client_presence_deinit(struct router_client *client);

#endif
