/*
 * The other routers that a shard knows: who of them is best for a channel, and what may be thought
 * of those that are out of sight.
 */
#include "common/memory.h"
#include "common/placement.h"
#include "router/shard_parts.h"

struct node *nodes_find(struct shard *shard, uint64_t id)
{
    for (struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        struct node *node = container_of(at, struct node, link);

        if (node->id == id)
            return node;
    }
    return NULL;
}

uint64_t nodes_id(const struct shard *shard, const struct node *node)
{
    return node ? node->id : shard->settings.node;
}

bool nodes_rank(const struct shard *shard, const struct place *place, const struct node *one,
                const struct node *other)
{
    uint64_t first = placement_score(one ? one->seed : shard->seed, place->name, place->name_size);
    uint64_t second =
        placement_score(other ? other->seed : shard->seed, place->name, place->name_size);

    return first != second ? first > second : nodes_id(shard, one) > nodes_id(shard, other);
}

struct node *nodes_best_other(const struct shard *shard, const struct place *place)
{
    struct node *best = NULL;

    for (struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        struct node *node = container_of(at, struct node, link);

        if (node->shard_link && !node->is_leaving &&
            (!best || nodes_rank(shard, place, node, best)))
            best = node;
    }
    return best;
}

struct node *nodes_best(const struct shard *shard, const struct place *place)
{
    struct node *other = nodes_best_other(shard, place);

    if (!other || shard->is_leaving)
        return other;
    return nodes_rank(shard, place, other, NULL) ? other : NULL;
}

bool nodes_any_taker(const struct shard *shard)
{
    for (const struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        const struct node *node = container_of(at, struct node, link);

        if (node->shard_link && !node->is_leaving)
            return true;
    }
    return false;
}

bool nodes_may_any_live(const struct shard *shard)
{
    for (const struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        const struct node *node = container_of(at, struct node, link);

        if (!node->shard_link && !node->is_leaving && !node->is_dead)
            return true;
    }
    return false;
}

bool nodes_may_any_return(const struct shard *shard)
{
    for (const struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        const struct node *node = container_of(at, struct node, link);

        if (!node->shard_link && !node->is_leaving && !node_fence_is_passed(node, shard->now_ms))
            return true;
    }
    return false;
}
