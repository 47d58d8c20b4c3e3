/*
 * A gateway's side of the router bus, for one shard: which router each channel is at, where the
 * gateway stands in it, and what it has published that is not answered yet. Like the router's side
 * (router/shard.h) it is a machine without a clock or a socket; bus_router.c runs it over TCP.
 *
 * A *route* is a channel that is subscribed or being published to. It leads to one router at a
 * time: the best placed of those that are linked, or the one that the channel is said to have moved
 * to. When that one goes, the route goes to the next: the subscription says where we stand, and
 * what was not acknowledged is sent again in order; the router tells repetitions by their sequence.
 * A router that reads slowly is sent no more than there is room for; the rest waits its turn.
 *
 * After a longer outage the other gateways may be back a little later than we are. What waits may
 * be more than a history holds, or the first of a new one, and who then comes from before it has
 * lost something; so publishes rest until all have had the time to subscribe. The Redis bus does
 * so, too.
 *
 * What is ephemeral takes none of these ways: it goes to the router that the channel is at by all
 * we know, now or never, and is delivered as it comes.
 *
 * Who is on a channel is announced to the router where the channel is subscribed, again and again
 * (proto/router.proto); asks go to the best router whether the channel is subscribed or not. Both
 * only to routers that can: an older one is not bothered.
 */
#ifndef GATEWAY_ROUTER_CLIENT_H
#define GATEWAY_ROUTER_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/map.h"
#include "common/router_frame.h"
#include "gateway/bus.h"
#include "gateway/router_ask.h"

/* A connection to a router after its handshake; embedded in whatever carries it, which sets
 * `capabilities` and `message_limit` before the link is up. */
struct router_client_link {
    struct list link;
    unsigned capabilities;
    uint64_t message_limit; /* bytes of data of the largest message that it takes; 0: any */
    uint64_t node;
    uint64_t seed; /* placement_seed of its name */
    bool is_leaving;
    uint64_t up_ms;
    uint64_t heard_ms;
    uint64_t pinged_ms;
    size_t member_count; /* the routers that it named last */
    struct {
        uint64_t node;
        uint64_t seed;
    } members[ROUTER_MEMBER_LIMIT];
};

struct router_client_output {
    /* Sends a frame; it and what it points at are good only during the call. */
    void (*send)(void *context, struct router_client_link *link, const struct router_frame *frame);
    /* The link has to go. Must not call the client before it has returned; router_client_link_down
     * follows. */
    void (*drop)(void *context, struct router_client_link *link, const char *reason);
    /* False while so much waits to be read by that router that subscriptions and publishes are to
     * wait here, to be sent on a later tick. NULL: there is always room. */
    bool (*has_room)(void *context, const struct router_client_link *link);
    /* The first link came, or the last one went. */
    void (*changed)(void *context, bool is_up);
};

struct router_client {
    const struct router_client_output *output;
    void *output_context;
    const struct bus_events *events;
    void *events_context;
    struct bus_stats *stats;
    uint64_t node;          /* this gateway, as its messages name it */
    uint64_t *sequence;     /* of the last message of all shards */
    uint64_t *queued_bytes; /* of all shards */
    uint64_t *queued_count;
    uint64_t *wanted_count;
    uint64_t now_ms;
    uint64_t down_ms;       /* since when there is no router; 0: there never was one */
    uint64_t rest_until_ms; /* until when publishes wait for the other gateways */
    struct map map;
    struct list routes;
    struct list links;
    struct list retrying; /* routes that ask again later */
    struct list cramped;  /* routes with publishes that wait for room in their link */
    struct list untold;   /* routes whose `subscribed` is due at once */
    struct list outgoing; /* publishes that are not settled, by sequence */
    struct list said;     /* ephemeral messages that a router may yet send on */
    size_t said_bytes;
    struct list asks;
    uint64_t request;        /* of the last ask or announcement */
    struct map presence;     /* channels that somebody is on */
    struct list unannounced; /* who is to be announced at once */
    struct list announced;   /* and who was, the one longest ago first */
    size_t present_count;
    struct list *rebalance_at; /* where in `routes` it goes on; NULL: none is under way */
    bool must_rebalance;
    bool was_left; /* by the last router, with routes whose `subscribed` it may owe */
};

/* Prepares a client whose pointers (output, events, stats, …) have been set. */
void router_client_init(struct router_client *client, uint64_t now_ms);

/* Forgets everything; `published` with UV_ECANCELED for what is not answered. */
void router_client_deinit(struct router_client *client);

void router_client_link_up(struct router_client *client, struct router_client_link *link,
                           uint64_t node, const char *name, uint64_t now_ms);
void router_client_link_down(struct router_client *client, struct router_client_link *link,
                             uint64_t now_ms);
void router_client_receive(struct router_client *client, struct router_client_link *link,
                           const struct router_frame *frame, uint64_t now_ms);

/* Every 50 ms or so. */
void router_client_tick(struct router_client *client, uint64_t now_ms);

/* Tells `subscribed` where that need not wait for a router, because there is none. Not from inside
 * another call. */
void router_client_tell_untold(struct router_client *client);

/* As in bus.h. The sequence is given by the client. Where the router does not know of what the
 * publish asks for (keys, limits, ephemeral kinds), it ends with UV_ENOTSUP. */
void router_client_subscribe(struct router_client *client, const char *channel,
                             size_t channel_size);
void router_client_unsubscribe(struct router_client *client, const char *channel,
                               size_t channel_size);
void router_client_publish(struct router_client *client, struct bus_publish *publish);

/* Somebody is on a channel, which is subscribed, or is so with another `info`. */
void router_client_presence_set(struct router_client *client, const char *channel,
                                size_t channel_size, const struct router_present *who);
/* And is not any more. Unsubscribing removes everybody. */
void router_client_presence_remove(struct router_client *client, const char *channel,
                                   size_t channel_size, const char *who, size_t who_size);

/* Asks who is there, or for history, or that this be forgotten: router_ask.h. */
void router_client_presence_ask(struct router_client *client, struct router_ask *ask);
void router_client_history_ask(struct router_client *client, struct router_ask *ask);
void router_client_history_forget(struct router_client *client, struct router_ask *ask);

/* Sequence of the oldest publish that is not settled (answered and, where its channel is
 * subscribed, delivered); UINT64_MAX where all are. */
uint64_t router_client_oldest(const struct router_client *client);

bool router_client_is_up(const struct router_client *client);

#endif
