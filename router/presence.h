/*
 * Who is on a channel, as its owner was told by gateways: one entry for each client, with the
 * gateway that announced it last. An entry dies PRESENCE_TTL_MS after it was last announced, which
 * is how the clients of a gateway that died leave. Every presence belongs to a family, `struct
 * presences`, which bounds the memory of them all: what would exceed it is refused, and what is
 * there stays.
 *
 * Nothing here knows a loop or a clock: `now_ms` is the caller's, monotonic, never going back
 * within a family. Not thread-safe: a family belongs to one loop.
 */
#ifndef ROUTER_PRESENCE_H
#define ROUTER_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/map.h"
#include "common/router_frame.h"

#define PRESENCE_TTL_MS 15000

struct presences {
    uint64_t memory_limit;
    uint64_t memory;  /* bytes in use */
    size_t count;     /* entries of all channels */
    struct list ages; /* of all entries, the one that was announced longest ago first */
};

struct presence {
    struct presences *family;
    struct map map;      /* by client */
    struct list entries; /* in the order in which they came */
};

void presences_init(struct presences *presences, uint64_t memory_limit);

/* Drops every entry that was not announced for PRESENCE_TTL_MS. */
void presences_expire(struct presences *presences, uint64_t now_ms);

/* Nobody is there. */
void presence_init(struct presence *presence, struct presences *family);

void presence_deinit(struct presence *presence);

bool presence_is_empty(const struct presence *presence);

/* `node` announces a client, which is its own from here on. Returns 0, or UV_ENOBUFS where there is
 * no room; what was known of the client stays then. */
int presence_set(struct presence *presence, const struct router_present *who, uint64_t node,
                 uint64_t now_ms);

/* A client is gone, if `node` was the last to announce it. */
void presence_remove(struct presence *presence, const char *client, size_t client_size,
                     uint64_t node);

/* All of a gateway are. */
void presence_remove_node(struct presence *presence, uint64_t node);

void presence_clear(struct presence *presence);

/* Going through the entries: NULL gives the first one; NULL is the end. What an entry points at is
 * good until the next change. */
struct presence_entry;
const struct presence_entry *presence_next(const struct presence *presence,
                                           const struct presence_entry *entry);
struct router_present presence_who(const struct presence_entry *entry);

#endif
