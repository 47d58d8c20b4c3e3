/*
 * Where routes lead. A router that comes back is given its channels back a second later, when
 * others have found it, too, and a few hundred at a time.
 */
#include <string.h>

#include "common/memory.h"
#include "gateway/router_client_parts.h"

#define SETTLE_MS        1000
#define MOVE_LIMIT       4 /* times that a route is sent on at once */
#define REBALANCE_A_TICK 256

static struct route *of_entry(struct map_entry *entry)
{
    return container_of(entry, struct route, entry);
}

struct route *client_route_find(struct router_client *client, const char *name, size_t size)
{
    struct map_entry *entry = map_find(&client->map, name, size);

    return entry ? of_entry(entry) : NULL;
}

struct route *client_route_find_or_create(struct router_client *client, const char *name,
                                          size_t size)
{
    struct route *route = client_route_find(client, name, size);

    if (route)
        return route;
    route = memory_zeroed(1, sizeof(*route) + size + 1);
    route->client = client;
    route->name_size = size;
    memcpy(route->name, name, size);
    list_init(&route->link);
    list_init(&route->retry_link);
    list_init(&route->untold_link);
    list_init(&route->cramped_link);
    list_init(&route->outgoing);
    map_insert(&client->map, &route->entry, route->name, size);
    list_append(&client->routes, &route->link);
    return route;
}

void client_route_drop_if_idle(struct route *route)
{
    struct router_client *client = route->client;

    if (route->is_wanted || !list_is_empty(&route->outgoing))
        return;
    if (client->rebalance_at == &route->link)
        client->rebalance_at = route->link.next;
    map_remove(&client->map, &route->entry);
    list_remove(&route->link);
    list_remove(&route->retry_link);
    list_remove(&route->untold_link);
    list_remove(&route->cramped_link);
    memory_free(route);
}

bool client_route_must_insist(const struct route *route)
{
    return client_links_lack_better(&route->client->links, route->target, route->name,
                                    route->name_size);
}

struct router_client_link *client_route_best(const struct route *route)
{
    return client_links_best(&route->client->links, route->name, route->name_size);
}

struct router_client_link *client_home(const struct router_client *client, const char *channel,
                                       size_t channel_size)
{
    const struct map_entry *entry = map_find(&client->map, channel, channel_size);
    const struct route *route = entry ? container_of(entry, struct route, entry) : NULL;

    return route && (route->stage == ROUTE_ASKED || route->stage == ROUTE_LIVE) ? route->target
                                                                                : NULL;
}

void client_route_ask(struct route *route)
{
    bool insists = client_route_must_insist(route) || route->is_lost;

    list_remove(&route->retry_link);
    list_remove(&route->cramped_link);
    if (!client_has_room(route->client, route->target)) {
        client_route_retry_later(route, 0);
        return;
    }
    route->stage = route->is_wanted ? ROUTE_ASKED : ROUTE_PUBLISH;
    client_outgoing_requeue(route);
    if (route->is_wanted)
        client_send(
            route->client, route->target,
            &(struct router_frame){.kind = FRAME_SUBSCRIBE,
                                   .channel = route->name,
                                   .channel_size = route->name_size,
                                   .subscribe = {route->epoch, route->offset, insists,
                                                 client_outgoing_last_acknowledged(route)}});
    client_outgoing_send(route, insists);
}

void client_route_send_unsubscribe(struct route *route)
{
    client_send(route->client, route->target,
                &(struct router_frame){.kind = FRAME_UNSUBSCRIBE,
                                       .channel = route->name,
                                       .channel_size = route->name_size});
}

void client_route_lead(struct route *route, struct router_client_link *link)
{
    if (route->target && route->target != link &&
        (route->stage == ROUTE_ASKED || route->stage == ROUTE_LIVE))
        client_route_send_unsubscribe(route);
    route->target = link;
    if (link) {
        client_route_ask(route);
        return;
    }
    route->stage = ROUTE_NOWHERE;
    client_outgoing_requeue(route);
    list_remove(&route->retry_link);
    list_remove(&route->cramped_link);
}

void client_route_retry_later(struct route *route, uint64_t delay_ms)
{
    route->stage = ROUTE_NOWHERE;
    client_outgoing_requeue(route);
    route->retry_ms = route->client->now_ms + delay_ms;
    list_remove(&route->retry_link);
    list_remove(&route->cramped_link);
    list_append(&route->client->retrying, &route->retry_link);
}

void client_route_follow(struct route *route, uint64_t node)
{
    struct router_client_link *link = client_links_find(&route->client->links, node);

    if (!link)
        link = client_route_best(route);
    if (route->moves++ < MOVE_LIMIT) {
        /* It holds no subscription of ours any more. */
        route->stage = ROUTE_NOWHERE;
        client_route_lead(route, link);
        return;
    }
    route->stage = ROUTE_NOWHERE;
    route->target = link;
    route->is_lost = true;
    client_route_retry_later(route, CLIENT_PAUSE_MS);
}

void client_routes_retry(struct router_client *client)
{
    struct list waiting;

    list_init(&waiting);
    list_append_all(&waiting, &client->retrying);
    while (!list_is_empty(&waiting)) {
        struct route *route = container_of(waiting.next, struct route, retry_link);

        list_remove(&route->retry_link);
        if (client->now_ms < route->retry_ms) {
            list_append(&client->retrying, &route->retry_link);
            continue;
        }
        route->moves = 0;
        client_route_lead(route, route->target ? route->target : client_route_best(route));
        client_route_drop_if_idle(route);
    }
}

static bool has_settled(const struct router_client *client)
{
    for (struct list *at = client->links.next; at != &client->links; at = at->next) {
        if (client->now_ms - container_of(at, struct router_client_link, link)->up_ms < SETTLE_MS)
            return false;
    }
    return true;
}

/* A router that serves is left only for one that it sees, so that the channel can move with it. */
static bool may_leave(const struct route *route, const struct router_client_link *best)
{
    const struct router_client_link *target = route->target;

    if (!target || target->is_leaving || route->stage != ROUTE_LIVE)
        return true;
    for (size_t i = 0; i < target->member_count; i++) {
        if (target->members[i].node == best->node)
            return true;
    }
    return false;
}

void client_routes_rebalance(struct router_client *client)
{
    if (client->must_rebalance && has_settled(client)) {
        client->must_rebalance = false;
        client->rebalance_at = client->routes.next;
    }
    for (unsigned i = 0; i < REBALANCE_A_TICK && client->rebalance_at; i++) {
        struct route *route;
        struct router_client_link *best;

        if (client->rebalance_at == &client->routes) {
            client->rebalance_at = NULL;
            return;
        }
        route = container_of(client->rebalance_at, struct route, link);
        client->rebalance_at = route->link.next;
        best = client_route_best(route);
        if (best != route->target && may_leave(route, best))
            client_route_lead(route, best);
        client_route_drop_if_idle(route);
    }
}
