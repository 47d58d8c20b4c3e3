/*
 * The router bus, for its own files alone: bus_router.c (what the owner asks, the beginning and the
 * end) and bus_router_links.c (links, and what the clients say).
 */
#ifndef GATEWAY_BUS_ROUTER_H
#define GATEWAY_BUS_ROUTER_H

#include "common/cluster_name.h"
#include "common/placement.h"
#include "common/router_dialer.h"
#include "gateway/bus_backend.h"
#include "gateway/bus_router_asks.h"
#include "gateway/router_client.h"

#define ROUTER_BUS_SHARD_LIMIT 64

/* What may wait for a router before subscriptions and publishes wait here: about what a fast line
 * takes between two ticks. */
#define ROUTER_BUS_ROOM_BYTES ((size_t)16 * 1024 * 1024)

/* And whatever may wait: one message that was the last for which there was room, and what is not
 * held back, as the answers to pings and what clients ask. */
#define ROUTER_BUS_QUEUE_BYTES                                                                     \
    (2 * ROUTER_BUS_ROOM_BYTES + ROUTER_MESSAGE_LIMIT + ROUTER_OVERHEAD_BYTES)

struct router_bus;

/* A shard. */
struct router_bus_unit {
    struct router_bus *bus;
    struct router_client client;
    struct router_dialer dialer;
    struct list links;
};

struct router_bus {
    struct bus bus; /* must stay first */
    struct option_list names;
    char cluster[CLUSTER_NAME_LIMIT + 1];
    char *name_text;
    char *secret;
    struct router_identity identity;
    struct router_link_host host;
    struct router_bus_unit *units[ROUTER_BUS_SHARD_LIMIT];
    unsigned unit_count;
    bool is_tls; /* routers:// */
    bool knows_shards;
    uint64_t warned_limit; /* of routers that take less than our clients may send; 0: none */
    struct waiter tick;
    struct waiter turn; /* for what must not come from inside a call */
    uint64_t sequence;
    uint64_t queued_bytes;
    uint64_t queued_count;
    uint64_t wanted_count;
    struct map early_map;
    struct list early_channels;
    struct list early_publishes; /* struct bus_publish */
    struct list barriers;        /* that wait for more than one shard */
    struct router_asks asks;
    bool is_closing;
    bool is_host_closed;
    unsigned closing;
    void (*closed)(void *context);
    void *closed_context;
};

static inline uint64_t router_bus_now_ms(const struct router_bus *bus)
{
    return loop_now_ms(bus->bus.loop);
}

/* bus_router.c */

/* The first router has answered: now the shards are known. */
void router_bus_start_units(struct router_bus *bus, uint32_t shards);

/* At the end: a dialer has closed its links. */
void router_bus_free_if_closed(struct router_bus *bus);

/* bus_router_links.c */

/* Starts a shard: its client, and a dialer that keeps that linked. */
void router_bus_start_unit(struct router_bus *bus, unsigned number);

#endif
