/*
 * Answers are heeded from where the route leads; what still comes from another router (deliveries
 * of a subscription that was moved, refusals of publishes that have been sent elsewhere since) is
 * dropped. Only an acknowledgement counts from anywhere: what a router has taken, it has.
 */
#include <assert.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"
#include "common/placement.h"
#include "gateway/router_client_parts.h"

#define PING_MS    300
#define SILENCE_MS 1500
#define STALL_MS   400
#define OUTAGE_MS  1000 /* a shorter one no gateway comes back from much later than another */
#define REST_MS    1500 /* longer than a dialer's longest wait between two attempts */
#define BUSY_MS    200  /* before a router that has no room is asked again */

/* Links. */

bool router_client_is_up(const struct router_client *client)
{
    return !list_is_empty(&client->links);
}

static void send_ping(struct router_client *client, struct router_client_link *link)
{
    link->pinged_ms = client->now_ms;
    client_send(client, link, &(struct router_frame){.kind = FRAME_PING, .ping = {client->now_ms}});
}

/* As in a shard: whoever slept must not think that the others did. */
static void advance(struct router_client *client, uint64_t now_ms)
{
    bool has_stalled = now_ms > client->now_ms + STALL_MS;

    if (now_ms > client->now_ms)
        client->now_ms = now_ms;
    for (struct list *at = client->links.next; has_stalled && at != &client->links; at = at->next)
        container_of(at, struct router_client_link, link)->heard_ms = now_ms;
}

void router_client_link_up(struct router_client *client, struct router_client_link *link,
                           uint64_t node, const char *name, uint64_t now_ms)
{
    bool is_first = list_is_empty(&client->links);

    advance(client, now_ms);
    *link = (struct router_client_link){
        .capabilities = link->capabilities,
        .message_limit = link->message_limit,
        .node = node,
        .seed = placement_seed(name),
        .up_ms = client->now_ms,
        .heard_ms = client->now_ms,
    };
    list_init(&link->link);
    list_append(&client->links, &link->link);
    send_ping(client, link);
    client->must_rebalance = true;
    if (is_first && client->down_ms != 0 && client->now_ms - client->down_ms > OUTAGE_MS)
        client->rest_until_ms = client->now_ms + REST_MS;
    for (struct list *at = client->routes.next; at != &client->routes;) {
        struct route *route = container_of(at, struct route, link);

        at = at->next;
        if (!route->target)
            client_route_lead(route, link);
        client_route_drop_if_idle(route);
    }
    if (is_first)
        client->output->changed(client->output_context, true);
}

void router_client_link_down(struct router_client *client, struct router_client_link *link,
                             uint64_t now_ms)
{
    advance(client, now_ms);
    list_remove(&link->link);
    if (list_is_empty(&client->links) && client->now_ms >= client->rest_until_ms)
        client->down_ms = client->now_ms; /* else the outage that was before goes on */
    for (struct list *at = client->routes.next; at != &client->routes;) {
        struct route *route = container_of(at, struct route, link);

        at = at->next;
        if (route->target != link)
            continue;
        route->stage = ROUTE_NOWHERE;
        route->moves = 0;
        client_route_lead(route, client_route_best(route));
        client_route_drop_if_idle(route);
    }
    client_asks_link_down(client, link);
    client->was_left = list_is_empty(&client->links);
    if (client->was_left)
        client->output->changed(client->output_context, false);
}

/* Subscriptions. */

static void tell_subscribed(struct route *route)
{
    struct router_client *client = route->client;

    list_remove(&route->untold_link);
    if (route->is_told)
        return;
    route->is_told = true;
    client->events->subscribed(client->events_context, route->name, route->name_size);
}

void router_client_tell_untold(struct router_client *client)
{
    while (!list_is_empty(&client->untold))
        tell_subscribed(container_of(client->untold.next, struct route, untold_link));
    if (router_client_is_up(client) || !client->was_left)
        return;
    client->was_left = false;
    for (struct list *at = client->routes.next; at != &client->routes;) {
        struct route *route = container_of(at, struct route, link);

        at = at->next;
        if (route->is_wanted)
            tell_subscribed(route);
    }
}

void router_client_subscribe(struct router_client *client, const char *channel, size_t channel_size)
{
    struct route *route = client_route_find_or_create(client, channel, channel_size);

    assert(!route->is_wanted);
    route->is_wanted = true;
    route->is_told = false;
    route->epoch[0] = '\0';
    route->offset = 0;
    route->moves = 0;
    metric_set(&client->stats->subscriptions, ++*client->wanted_count);
    if (!router_client_is_up(client)) {
        list_append(&client->untold, &route->untold_link);
        return;
    }
    client_route_lead(route, route->target ? route->target : client_route_best(route));
}

void router_client_unsubscribe(struct router_client *client, const char *channel,
                               size_t channel_size)
{
    struct route *route = client_route_find(client, channel, channel_size);

    assert(route && route->is_wanted);
    route->is_wanted = false;
    metric_set(&client->stats->subscriptions, --*client->wanted_count);
    list_remove(&route->untold_link);
    if (route->target && route->stage != ROUTE_PUBLISH) {
        client_route_send_unsubscribe(
            route); /* it may hold the subscription even while we wait to ask again */
        if (route->stage != ROUTE_NOWHERE)
            route->stage = ROUTE_PUBLISH;
    }
    client_presence_forget(client, channel, channel_size);
    client_outgoing_settle_delivered(route, UINT64_MAX);
    client_route_drop_if_idle(route);
}

static void lose(struct route *route)
{
    struct router_client *client = route->client;

    metric_add(&client->stats->messages_lost, 1);
    client_outgoing_settle_delivered(route, UINT64_MAX);
    client->events->lost(client->events_context, route->name, route->name_size);
}

static void receive_subscribed(struct route *route, const struct router_frame *frame)
{
    struct router_client *client = route->client;
    bool was_known = route->epoch[0] != '\0';
    bool is_other = was_known && strcmp(route->epoch, frame->subscribed.epoch) != 0;

    if (route->stage != ROUTE_ASKED)
        return;
    if (is_other && frame->subscribed.outcome == OUTCOME_CONTINUED &&
        frame->subscribed.offset != route->offset)
        return; /* it answers what we asked when we had seen less; in this epoch that may not go on
                 */
    if (is_other)
        metric_add(&client->stats->histories_lost, frame->subscribed.outcome == OUTCOME_LOST);
    epoch_copy(route->epoch, frame->subscribed.epoch);
    /* Where it goes on we know best: this may answer a question that we asked when we had seen
     * less. */
    if (!was_known || frame->subscribed.outcome == OUTCOME_LOST)
        route->offset = frame->subscribed.offset;
    route->stage = ROUTE_LIVE;
    route->moves = 0;
    route->is_lost = false;
    client_presence_renew(client, route->name, route->name_size);
    if (was_known && frame->subscribed.outcome == OUTCOME_LOST)
        lose(route);
    tell_subscribed(route);
}

/* It has no place, so it neither moves ours nor waits for what is missing. Whoever has not been
 * told `subscribed` does not expect anything yet. */
static void receive_ephemeral(const struct route *route, struct message *message)
{
    struct router_client *client = route->client;

    if (!route->is_wanted || !route->is_told)
        return;
    metric_add(&client->stats->delivered, 1);
    client->events->deliver(client->events_context, message);
}

static void receive_delivery(struct route *route, struct message *message)
{
    struct router_client *client = route->client;

    if (message_is_ephemeral(message->kind)) {
        receive_ephemeral(route, message);
        return;
    }
    if (route->stage != ROUTE_LIVE)
        return;
    if (message->offset <= route->offset) {
        metric_add(&client->stats->duplicates, 1);
        return;
    }
    if (message->offset != route->offset + 1) {
        client_route_ask(route); /* something is missing; it is sent from where we stand */
        return;
    }
    route->offset = message->offset;
    epoch_copy(message->epoch, route->epoch);
    metric_add(&client->stats->delivered, 1);
    client->events->deliver(client->events_context, message);
    if (message->publisher == client->node)
        client_outgoing_see_own(route, message);
    client_outgoing_settle_delivered(route, route->offset);
}

static void receive_refusal(struct route *route, const struct router_frame *frame)
{
    struct outgoing *outgoing = client_outgoing_find(route, frame->refused.sequence);

    if (frame->refused.reason == REASON_INVALID) {
        if (!outgoing)
            return;
        client_outgoing_answer(outgoing, UV_EPROTO);
        client_outgoing_settle(outgoing);
        return;
    }
    if (frame->refused.sequence != 0 && (!outgoing || outgoing->stage != OUTGOING_SENT))
        return; /* it has been sent again since, or is settled */
    if (frame->refused.reason == REASON_MOVED)
        client_route_follow(route, frame->refused.node);
    else
        client_route_retry_later(route,
                                 frame->refused.reason == REASON_BUSY ? BUSY_MS : CLIENT_PAUSE_MS);
}

/* Frames. */

static void receive_members(struct router_client *client, struct router_client_link *link,
                            const struct router_frame *frame)
{
    link->member_count = 0;
    for (size_t i = 0; i < frame->members.count; i++) {
        const struct router_member *member = &frame->members.items[i];

        if (member->node == link->node && member->is_leaving && !link->is_leaving) {
            link->is_leaving = true;
            client->must_rebalance = true;
            link->up_ms = 0; /* no time to settle */
        }
        if (member->is_leaving)
            continue;
        link->members[link->member_count].node = member->node;
        link->members[link->member_count++].seed = placement_seed(member->name);
    }
}

static bool receive_about_route(struct router_client *client, struct router_client_link *link,
                                const struct router_frame *frame)
{
    struct route *route = client_route_find(client, frame->channel, frame->channel_size);
    bool is_heeded = route && route->target == link;

    switch (frame->kind) {
    case FRAME_SUBSCRIBED:
        if (is_heeded)
            receive_subscribed(route, frame);
        break;
    case FRAME_DELIVER:
        if (is_heeded)
            receive_delivery(route, frame->deliver.message);
        break;
    case FRAME_MOVED:
        if (is_heeded && (route->stage == ROUTE_ASKED || route->stage == ROUTE_LIVE))
            client_route_follow(route, frame->moved.node);
        break;
    case FRAME_ACK:
        if (route)
            client_outgoing_receive_ack(route, frame);
        break;
    case FRAME_REFUSED:
        if (!client_ephemeral_refused(client, frame) && is_heeded)
            receive_refusal(route, frame);
        break;
    default:
        return false;
    }
    if (route)
        client_route_drop_if_idle(route);
    return true;
}

void router_client_receive(struct router_client *client, struct router_client_link *link,
                           const struct router_frame *frame, uint64_t now_ms)
{
    advance(client, now_ms);
    link->heard_ms = client->now_ms;
    switch (frame->kind) {
    case FRAME_PING:
        client_send(client, link, &(struct router_frame){.kind = FRAME_PONG, .ping = frame->ping});
        return;
    case FRAME_PONG:
        return;
    case FRAME_MEMBERS:
        receive_members(client, link, frame);
        return;
    default:
        if (!client_asks_receive(client, link, frame) && !receive_about_route(client, link, frame))
            client->output->drop(client->output_context, link, "a frame that does not belong here");
        return;
    }
}

/* Time. */

static void look_at_links(struct router_client *client)
{
    for (struct list *at = client->links.next; at != &client->links;) {
        struct router_client_link *link = container_of(at, struct router_client_link, link);

        at = at->next;
        if (client->now_ms - link->heard_ms >= SILENCE_MS)
            client->output->drop(client->output_context, link, "silent for 1.5 s");
        else if (client->now_ms - link->pinged_ms >= PING_MS)
            send_ping(client, link);
    }
}

void router_client_tick(struct router_client *client, uint64_t now_ms)
{
    advance(client, now_ms);
    look_at_links(client);
    client_routes_retry(client);
    client_outgoing_go_on(client);
    client_routes_rebalance(client);
    client_presence_tick(client);
    client_ephemeral_tick(client);
    client_asks_tick(client);
    router_client_tell_untold(client);
}

void router_client_init(struct router_client *client, uint64_t now_ms)
{
    client->now_ms = now_ms;
    list_init(&client->routes);
    list_init(&client->links);
    list_init(&client->retrying);
    list_init(&client->cramped);
    list_init(&client->untold);
    list_init(&client->outgoing);
    list_init(&client->said);
    list_init(&client->asks);
    list_init(&client->unannounced);
    list_init(&client->announced);
}

void router_client_deinit(struct router_client *client)
{
    while (!list_is_empty(&client->outgoing)) {
        struct outgoing *outgoing = container_of(client->outgoing.next, struct outgoing, link);

        client_outgoing_answer(outgoing, UV_ECANCELED);
        client_outgoing_settle(outgoing);
    }
    client_ephemeral_deinit(client);
    client_asks_deinit(client);
    client_presence_deinit(client);
    while (!list_is_empty(&client->routes)) {
        struct route *route = container_of(client->routes.next, struct route, link);

        route->is_wanted = false;
        client_route_drop_if_idle(route);
    }
    map_deinit(&client->map);
}
