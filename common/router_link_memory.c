#include "common/router_link_memory.h"

#include "common/memory.h"

#define CHARGE_SHARE 16 /* of the limit, may come between two looks */

static size_t held_by(const struct router_link *link)
{
    if (link->state == ROUTER_LINK_CLOSING)
        return 0; /* gone within this iteration of the loop */
    return stream_queued_bytes(&link->stream) + link->reader.tail.capacity +
           (link->output ? link->output->capacity : 0);
}

/* The link that holds most, and what all hold. */
static struct router_link *heaviest(const struct router_link_host *host, size_t *total)
{
    struct router_link *heaviest = NULL;
    size_t most = 0;

    *total = 0;
    for (struct list *at = host->links.next; at != &host->links; at = at->next) {
        struct router_link *link = container_of(at, struct router_link, host_link);
        size_t held = held_by(link);

        *total += held;
        if (held > most) {
            most = held;
            heaviest = link;
        }
    }
    return heaviest;
}

void router_link_memory_weigh(struct router_link_host *host)
{
    size_t limit = host->identity->links_limit;
    size_t total;
    struct router_link *link = heaviest(host, &total);

    host->charged = 0;
    while (limit > 0 && total > limit - limit / CHARGE_SHARE && link) {
        router_link_close(link, "all links hold too much, and this one most");
        link = heaviest(host, &total);
    }
    metric_set(&host->held_bytes, total);
}

void router_link_memory_charge(struct router_link_host *host, size_t bytes)
{
    host->charged += bytes;
    if (host->identity->links_limit > 0 &&
        host->charged > host->identity->links_limit / CHARGE_SHARE)
        router_link_memory_weigh(host);
}
