#include "router/node.h"

#include <assert.h>
#include <stdio.h>

#include "common/memory.h"
#include "common/placement.h"

struct node *node_create(uint64_t id, const char *name, const char *address)
{
    struct node *node = memory_zeroed(1, sizeof(*node));

    node->id = id;
    node->seed = placement_seed(name);
    node->fate = NODE_GONE;
    snprintf(node->name, sizeof(node->name), "%s", name);
    snprintf(node->address, sizeof(node->address), "%s", address);
    list_init(&node->link);
    list_init(&node->copies);
    list_init(&node->mirrored);
    return node;
}

void node_destroy(struct node *node)
{
    assert(!node->shard_link && list_is_empty(&node->copies) && list_is_empty(&node->mirrored) &&
           node->fenced == 0);
    list_remove(&node->link);
    memory_free(node);
}

void node_linked(struct node *node, struct shard_link *link)
{
    assert(!node->shard_link);
    node->shard_link = link;
    node->is_leaving = false;
    node->is_dead = false;
    node->fate = NODE_LINKED;
    node->echoed_ms = 0; /* its first answer to a ping will tell */
}

void node_lost(struct node *node, uint64_t heard_ms, uint64_t now_ms)
{
    node->shard_link = NULL;
    node->fate = NODE_MISSED;
    node->lost_ms = now_ms;
    node->fence_ms = heard_ms + NODE_FENCE_MS;
}

void node_died(struct node *node)
{
    if (node->shard_link)
        return;
    node->is_dead = true;
    node->fate = NODE_GONE;
}

bool node_expire(struct node *node, uint64_t now_ms)
{
    if (node->fate != NODE_MISSED || !node_fence_is_passed(node, now_ms))
        return false;
    node->fate = NODE_GONE;
    return true;
}

bool node_fence_is_passed(const struct node *node, uint64_t now_ms)
{
    return node->is_dead || now_ms >= node->fence_ms;
}
