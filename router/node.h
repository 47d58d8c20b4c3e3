/*
 * Another router, as one shard knows it: linked or not, leaving or not, and what may be concluded
 * from its silence. Outlives its link, because copies and fences refer to it.
 *
 * - An owner that lost its mirror goes on alone only FENCE_MS after it last heard of it, or once it
 *   takes the mirror's process for dead.
 * - Whoever would take the place of a router that it lost waits out the same FENCE_MS: a line that
 *   broke may be back at once, and the owner with it.
 *
 * Dead means that its address refuses connections or answers as another node. That ends waiting and
 * nothing else: a firewall can refuse in the name of a router that lives, so no epoch rests on it
 * (place.h). Silence is not death: see router/README.md on splits.
 */
#ifndef ROUTER_NODE_H
#define ROUTER_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/list.h"
#include "common/router_frame.h"

#define NODE_PING_MS    300
#define NODE_SILENCE_MS 1500
#define NODE_FENCE_MS   1500

struct shard_link;

enum node_fate {
    NODE_LINKED,
    NODE_MISSED, /* lost, and it may be back at once */
    NODE_GONE,   /* dead, lost for longer than its fence, or never met */
};

struct node {
    struct list link; /* in the shard's nodes */
    uint64_t id;
    uint64_t seed; /* placement_seed of the name */
    char name[ROUTER_NAME_LIMIT + 1];
    char address[ROUTER_NAME_LIMIT + 1];
    struct shard_link *shard_link; /* NULL while not linked */
    bool is_leaving;
    bool is_dead; /* its process is gone */
    enum node_fate fate;
    uint64_t echoed_ms; /* our clock when it had last heard all that we had said, as we know */
    uint64_t fence_ms;  /* once lost: from when on whoever had it as a mirror may go on alone */
    uint64_t lost_ms;
    struct list copies;   /* places whose copy it keeps up to date, as their owner */
    struct list mirrored; /* places whose mirror it is */
    unsigned fenced;      /* places that wait for its fence */
};

struct node *node_create(uint64_t id, const char *name, const char *address);

/* Frees a node that nothing refers to. */
void node_destroy(struct node *node);

/* The link is there: whatever was concluded from its absence is void. */
void node_linked(struct node *node, struct shard_link *link);

/* The link is gone; `heard_ms` is when it last brought anything. */
void node_lost(struct node *node, uint64_t heard_ms, uint64_t now_ms);

/* The process is known to be dead. */
void node_died(struct node *node);

/* Time passes; true if it is gone by that. */
bool node_expire(struct node *node, uint64_t now_ms);

/* True if an owner that had it as a mirror may go on without it. */
bool node_fence_is_passed(const struct node *node, uint64_t now_ms);

#endif
