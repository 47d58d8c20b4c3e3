/*
 * A shard is a router's part of the channels: all whose names hash to it (common/placement.h).
 * Shards share nothing: each has its own links to gateways and to the shards of the same number in
 * other routers, so that a router with several is several routers which start and stop together.
 *
 * This is the router's whole behaviour as a machine without a clock, a thread or a socket: links
 * come and go, frames come in, time passes, frames go out. The program runs it over TCP (worker.h),
 * the tests over whatever they like (tests/simulation).
 *
 * The way of a channel: a gateway asks for it at the router where it belongs (the highest placement
 * score of those it can reach). If that router does not own it yet, it *claims* it: it asks all
 * others what they have, takes the best copy with its title, has its mirror hold it, too, and
 * serves. So joining, leaving, failing over and being cut off are one and the same thing.
 */
#ifndef ROUTER_SHARD_H
#define ROUTER_SHARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/history.h"
#include "common/keys.h"
#include "common/list.h"
#include "common/map.h"
#include "common/metrics.h"
#include "common/router_frame.h"
#include "router/node.h"
#include "router/presence.h"

struct shard;
struct place;

/* One end of a connection after its handshake; embedded in whatever carries it. */
struct shard_link {
    struct list link;
    struct node *node;     /* the router at the other end; NULL: it is a gateway */
    uint64_t id;           /* the other end's node id */
    unsigned capabilities; /* set before the link is up */
    uint64_t heard_ms;
    uint64_t pinged_ms;
    struct list subscribers; /* its subscriptions, */
    struct list waiting;     /* its requests and publishes that are not answered */
};

struct shard_output {
    /* Sends a frame; it and what it points at are good only during the call. */
    void (*send)(void *context, struct shard_link *link, const struct router_frame *frame);
    /* The link has to go: the other end is silent or talks nonsense. Must not call the shard
     * before it has returned; shard_link_down follows. */
    void (*drop)(void *context, struct shard_link *link, const char *reason);
};

struct shard_settings {
    uint64_t node; /* this process; never 0 */
    const char *name;
    const char *address;
    struct history_limits history;
    uint64_t
        waiting_limit_bytes;    /* of publishes that are not committed, and of requests that wait */
    uint64_t place_limit;       /* channels in memory, */
    uint64_t place_limit_bytes; /* and what they take, with their subscriptions; 0: any */
    uint64_t presence_limit_bytes;
    uint64_t key_limit_bytes;
    /* A random number that is new each time. */
    uint64_t (*random)(void *context);
};

struct shard_stats {
    struct metric places; /* channels in memory */
    struct metric owned;
    struct metric subscriptions;
    struct metric gateways;
    struct metric peers;
    struct metric waiting_bytes;
    struct metric history_bytes;
    struct metric place_bytes; /* channels and subscriptions */
    struct metric evicted;     /* messages that left their history for want of memory */
    struct metric present;     /* clients on all channels */
    struct metric presence_bytes;
    struct metric key_bytes;
    struct metric keys_evicted; /* keys that went before their time for want of memory */
    struct metric repeated;     /* publishes whose key was known */
    struct metric published;    /* committed publishes */
    struct metric alone;        /* of them, those that no other router holds */
    struct metric unmirrored;   /* owned channels that the router which should hold them refused */
    struct metric duplicates;   /* repeated publishes */
    struct metric refused;      /* publishes and requests that were refused for room */
    struct metric delivered;    /* messages to gateways, ephemeral ones among them */
    struct metric claims;
    struct metric taken;     /* copies that came from another router */
    struct metric given;     /* copies that went to another */
    struct metric failovers; /* epochs that changed because their owner is dead, */
    struct metric forks;     /* or may be */
    struct metric conflicts; /* channels that were found to have two owners */
    struct metric strays;    /* messages of an owner that was relieved, published again */
    struct metric lost;      /* subscriptions that could not be continued */
};

struct shard {
    struct shard_settings settings;
    const struct shard_output *output;
    void *context;
    uint64_t now_ms;
    uint64_t seed; /* of our own name */
    bool is_open;  /* the other routers have been looked for */
    bool is_leaving;
    struct map map;
    struct list places;
    struct list nodes;
    struct list gateways; /* links */
    struct list wanted;   /* places that want a mirror */
    struct list fenced;   /* places whose commits wait for a fence */
    struct list held;     /* claims and inquiries that wait for a node's fate; see claim.c */
    struct list inquiries;
    struct list acks; /* places whose owner is to be told what we mirror */
    struct histories histories;
    struct key_tables keys;
    struct presences presences;
    struct shard_stats stats;
    uint64_t claim_count;
    uint64_t waiting_bytes;
    uint64_t place_bytes; /* without subscriptions */
    uint64_t owned_count;
    uint64_t refused_count; /* owned channels that have no mirror because it refused */
    uint64_t subscription_count;
    size_t opening;        /* mirrors that were asked and are not in sync yet */
    uint64_t given_before; /* channels, while leaving: when others were offered last */
};

/* `output` and what `settings` points at must outlive the shard. */
void shard_init(struct shard *shard, const struct shard_settings *settings,
                const struct shard_output *output, void *context, uint64_t now_ms);

/* Frees everything; all links are down. */
void shard_deinit(struct shard *shard);

/* All other routers that are there have been met, or looked for long enough: from here on channels
 * may be claimed. A router that did so before would own what others own already. */
void shard_open(struct shard *shard, uint64_t now_ms);

/* A link to another router, or to a gateway, is there. `link` is zero-initialised, but for its
 * capabilities. */
void shard_peer_up(struct shard *shard, struct shard_link *link, uint64_t id, const char *name,
                   const char *address, uint64_t now_ms);
void shard_gateway_up(struct shard *shard, struct shard_link *link, uint64_t id, uint64_t now_ms);

/* A link is gone. */
void shard_link_down(struct shard *shard, struct shard_link *link, uint64_t now_ms);

/* A router's process is known to be gone: its address refuses, or answers as another node. */
void shard_node_died(struct shard *shard, uint64_t id, uint64_t now_ms);

/* A frame came. What does not belong drops the link. */
void shard_receive(struct shard *shard, struct shard_link *link, const struct router_frame *frame,
                   uint64_t now_ms);

/* What is due by time; call it every 50 ms or so. */
void shard_tick(struct shard *shard, uint64_t now_ms);

/* After a batch of frames, before waiting for more: sends what was put off to be said once. */
void shard_flush(struct shard *shard);

/* Starts to give everything away. */
void shard_leave(struct shard *shard, uint64_t now_ms);

/* True once a leaving shard owns nothing that somebody else could have. */
bool shard_has_left(const struct shard *shard);

/* For /state: what is known of each place, in no particular order. */
struct shard_place_view {
    const char *channel;
    size_t channel_size;
    const char *role;
    const char *epoch;
    uint64_t offset;
    uint64_t committed;
    size_t history;
    size_t subscribers;
    uint64_t mirror; /* node, 0: none */
};

/* Shows at most `limit` places. */
void shard_each_place(const struct shard *shard, size_t limit,
                      void (*visit)(void *context, const struct shard_place_view *view),
                      void *context);

#endif
