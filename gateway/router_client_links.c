/* Which of the linked routers a channel belongs to. */
#include "common/memory.h"
#include "common/placement.h"
#include "gateway/router_client_parts.h"

static struct router_client_link *of_link(struct list *at)
{
    return container_of(at, struct router_client_link, link);
}

struct router_client_link *client_links_best(const struct list *links, const char *channel,
                                             size_t channel_size)
{
    struct router_client_link *best = NULL;
    uint64_t best_score = 0;

    for (struct list *at = links->next; at != links; at = at->next) {
        struct router_client_link *link = of_link(at);
        uint64_t score = placement_score(link->seed, channel, channel_size);

        if (best && link->is_leaving && !best->is_leaving)
            continue;
        if (!best || (best->is_leaving && !link->is_leaving) || score > best_score ||
            (score == best_score && link->node > best->node)) {
            best = link;
            best_score = score;
        }
    }
    return best;
}

struct router_client_link *client_links_find(const struct list *links, uint64_t node)
{
    for (struct list *at = links->next; at != links; at = at->next) {
        if (of_link(at)->node == node)
            return of_link(at);
    }
    return NULL;
}

bool client_links_lack_better(const struct list *links, const struct router_client_link *link,
                              const char *channel, size_t channel_size)
{
    uint64_t score = placement_score(link->seed, channel, channel_size);

    for (size_t i = 0; i < link->member_count; i++) {
        if (placement_score(link->members[i].seed, channel, channel_size) > score &&
            !client_links_find(links, link->members[i].node))
            return true;
    }
    return false;
}
