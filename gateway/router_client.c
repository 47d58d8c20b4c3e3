/*
 * Answers are heeded from where the route leads; what still comes from another router (deliveries
 * of a subscription that was moved, refusals of publishes that have been sent elsewhere since) is
 * dropped. Only an acknowledgement counts from anywhere: what a router has taken, it has.
 *
 * A router that comes back is given its channels back a second later, when others have found it,
 * too, and a few hundred at a time.
 */
#include <assert.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"
#include "common/placement.h"
#include "gateway/router_client_parts.h"

#define PING_MS          300
#define SILENCE_MS       1500
#define STALL_MS         400
#define SETTLE_MS        1000
#define MOVE_LIMIT       4   /* times that a route is sent on at once */
#define PAUSE_MS         50  /* after that, and after a gap */
#define BUSY_MS          200 /* for a router that has no room */
#define REBALANCE_A_TICK 256

enum route_stage {
    ROUTE_NOWHERE, /* there is no router, or it waits to ask again */
    ROUTE_ASKED,   /* subscribing */
    ROUTE_LIVE,
    ROUTE_PUBLISH, /* not subscribed, only published to */
};

struct route {
    struct map_entry entry;
    struct list link;
    struct list retry_link;
    struct list untold_link;
    struct list outgoing;      /* by sequence */
    size_t acknowledged_count; /* of them */
    struct router_client *client;
    struct router_client_link *target;
    enum route_stage stage;
    bool is_wanted;
    bool is_told;                        /* `subscribed` was */
    char epoch[MESSAGE_EPOCH_LIMIT + 1]; /* empty: nowhere yet */
    uint64_t offset;
    unsigned moves; /* since the last answer */
    bool is_lost;   /* routers send it round in circles: the next one is to take it */
    uint64_t retry_ms;
    size_t name_size;
    char name[];
};

enum outgoing_stage {
    OUTGOING_QUEUED,
    OUTGOING_SENT,
    OUTGOING_ACKNOWLEDGED, /* still to be delivered here */
};

struct outgoing {
    struct list link;     /* in the client's */
    struct list own_link; /* in the route's */
    struct route *route;
    struct bus_publish *publish; /* NULL once `published` was called */
    struct message *message;
    enum outgoing_stage stage;
    uint64_t offset;
    bool was_sent;
};

static struct route *of_entry(struct map_entry *entry)
{
    return container_of(entry, struct route, entry);
}

static struct outgoing *of_own_link(struct list *at)
{
    return container_of(at, struct outgoing, own_link);
}

static void send_frame(struct router_client *client, struct router_client_link *link,
                       const struct router_frame *frame)
{
    client->output->send(client->output_context, link, frame);
}

/* Routes. */

static struct route *find(struct router_client *client, const char *name, size_t size)
{
    struct map_entry *entry = map_find(&client->map, name, size);

    return entry ? of_entry(entry) : NULL;
}

static struct route *find_or_create(struct router_client *client, const char *name, size_t size)
{
    struct route *route = find(client, name, size);

    if (route)
        return route;
    route = memory_zeroed(1, sizeof(*route) + size + 1);
    route->client = client;
    route->name_size = size;
    memcpy(route->name, name, size);
    list_init(&route->link);
    list_init(&route->retry_link);
    list_init(&route->untold_link);
    list_init(&route->outgoing);
    map_insert(&client->map, &route->entry, route->name, size);
    list_append(&client->routes, &route->link);
    return route;
}

static void drop_if_idle(struct route *route)
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
    memory_free(route);
}

/* Publishes. */

static void count_queue(struct router_client *client)
{
    metric_set(&client->stats->queued_messages, *client->queued_count);
    metric_set(&client->stats->queued_bytes, *client->queued_bytes);
}

/* Tells the owner how its publish ended. */
static void answer(struct outgoing *outgoing, int error)
{
    struct router_client *client = outgoing->route->client;
    struct bus_publish *publish = outgoing->publish;

    if (!publish)
        return;
    outgoing->publish = NULL;
    *client->queued_count -= 1;
    *client->queued_bytes -= publish->cost;
    count_queue(client);
    metric_add(error ? &client->stats->refused : &client->stats->published, 1);
    if (!error)
        histogram_record(&client->stats->round_trip, uv_hrtime() - publish->sent_ns);
    publish->published(publish, error);
}

static void settle(struct outgoing *outgoing)
{
    if (outgoing->stage == OUTGOING_ACKNOWLEDGED)
        outgoing->route->acknowledged_count--;
    list_remove(&outgoing->link);
    list_remove(&outgoing->own_link);
    message_unref(outgoing->message);
    memory_free(outgoing);
}

static void send_publish(struct outgoing *outgoing, bool insists)
{
    struct route *route = outgoing->route;
    struct list *before = outgoing->own_link.previous;
    uint64_t after = 0;

    if (before != &route->outgoing && of_own_link(before)->stage == OUTGOING_SENT)
        after = of_own_link(before)->message->sequence;
    if (outgoing->was_sent)
        metric_add(&route->client->stats->repeated, 1);
    outgoing->was_sent = true;
    outgoing->stage = OUTGOING_SENT;
    send_frame(route->client, route->target,
               &(struct router_frame){.kind = FRAME_PUBLISH,
                                      .publish = {outgoing->message, after, insists}});
}

/* True if a router that we cannot reach would be better for the channel. */
static bool must_insist(const struct route *route)
{
    return client_links_lack_better(&route->client->links, route->target, route->name,
                                    route->name_size);
}

/* Sends all that is not acknowledged, in order. */
static void send_outgoing(struct route *route, bool insists)
{
    for (struct list *at = route->outgoing.next; at != &route->outgoing; at = at->next) {
        if (of_own_link(at)->stage != OUTGOING_ACKNOWLEDGED)
            send_publish(of_own_link(at), insists);
    }
}

static void requeue(struct route *route)
{
    for (struct list *at = route->outgoing.next; at != &route->outgoing; at = at->next) {
        if (of_own_link(at)->stage == OUTGOING_SENT)
            of_own_link(at)->stage = OUTGOING_QUEUED;
    }
}

/* The position moved on, or is none any more (UINT64_MAX): acknowledged messages that are behind
 * it. */
static void settle_delivered(struct route *route, uint64_t offset)
{
    struct list *at = route->outgoing.next;

    /* They stand before all that are not acknowledged, but for few. */
    for (size_t left = route->acknowledged_count; left > 0;) {
        struct outgoing *outgoing = of_own_link(at);

        at = at->next;
        if (outgoing->stage != OUTGOING_ACKNOWLEDGED)
            continue;
        left--;
        if (outgoing->offset <= offset)
            settle(outgoing);
    }
}

/* The last sequence that was acknowledged and has not come; 0 if there is none. */
static uint64_t last_acknowledged(const struct route *route)
{
    struct list *at = route->outgoing.next;
    uint64_t last = 0;

    for (size_t left = route->acknowledged_count; left > 0; at = at->next) {
        if (of_own_link(at)->stage != OUTGOING_ACKNOWLEDGED)
            continue;
        last = of_own_link(at)->message->sequence;
        left--;
    }
    return last;
}

/* Where routes lead. */

static struct router_client_link *best_link(const struct route *route)
{
    return client_links_best(&route->client->links, route->name, route->name_size);
}

/* Asks the target for everything. */
static void ask(struct route *route)
{
    bool insists = must_insist(route) || route->is_lost;

    list_remove(&route->retry_link);
    route->stage = route->is_wanted ? ROUTE_ASKED : ROUTE_PUBLISH;
    requeue(route);
    if (route->is_wanted)
        send_frame(route->client, route->target,
                   &(struct router_frame){.kind = FRAME_SUBSCRIBE,
                                          .channel = route->name,
                                          .channel_size = route->name_size,
                                          .subscribe = {route->epoch, route->offset, insists,
                                                        last_acknowledged(route)}});
    send_outgoing(route, insists);
}

static void send_unsubscribe(struct route *route)
{
    send_frame(route->client, route->target,
               &(struct router_frame){.kind = FRAME_UNSUBSCRIBE,
                                      .channel = route->name,
                                      .channel_size = route->name_size});
}

/* Leads the route to `link`, or nowhere. */
static void lead(struct route *route, struct router_client_link *link)
{
    if (route->target && route->target != link &&
        (route->stage == ROUTE_ASKED || route->stage == ROUTE_LIVE))
        send_unsubscribe(route);
    route->target = link;
    if (link) {
        ask(route);
        return;
    }
    route->stage = ROUTE_NOWHERE;
    requeue(route);
    list_remove(&route->retry_link);
}

static void retry_later(struct route *route, uint64_t delay_ms)
{
    route->stage = ROUTE_NOWHERE;
    requeue(route);
    route->retry_ms = route->client->now_ms + delay_ms;
    list_remove(&route->retry_link);
    list_append(&route->client->retrying, &route->retry_link);
}

/* The target says that the channel is elsewhere. */
static void follow(struct route *route, uint64_t node)
{
    struct router_client_link *link = client_links_find(&route->client->links, node);

    if (!link)
        link = best_link(route);
    if (route->moves++ < MOVE_LIMIT) {
        /* It holds no subscription of ours any more. */
        route->stage = ROUTE_NOWHERE;
        lead(route, link);
        return;
    }
    route->stage = ROUTE_NOWHERE;
    route->target = link;
    route->is_lost = true;
    retry_later(route, PAUSE_MS);
}

/* Links. */

bool router_client_is_up(const struct router_client *client)
{
    return !list_is_empty(&client->links);
}

static void send_ping(struct router_client *client, struct router_client_link *link)
{
    link->pinged_ms = client->now_ms;
    send_frame(client, link, &(struct router_frame){.kind = FRAME_PING, .ping = {client->now_ms}});
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
        .node = node,
        .seed = placement_seed(name),
        .up_ms = client->now_ms,
        .heard_ms = client->now_ms,
    };
    list_init(&link->link);
    list_append(&client->links, &link->link);
    send_ping(client, link);
    client->must_rebalance = true;
    for (struct list *at = client->routes.next; at != &client->routes; at = at->next) {
        struct route *route = container_of(at, struct route, link);

        if (!route->target)
            lead(route, link);
    }
    if (is_first)
        client->output->changed(client->output_context, true);
}

void router_client_link_down(struct router_client *client, struct router_client_link *link,
                             uint64_t now_ms)
{
    advance(client, now_ms);
    list_remove(&link->link);
    for (struct list *at = client->routes.next; at != &client->routes; at = at->next) {
        struct route *route = container_of(at, struct route, link);

        if (route->target != link)
            continue;
        route->stage = ROUTE_NOWHERE;
        route->moves = 0;
        lead(route, best_link(route));
    }
    client_asks_link_down(client, link);
    if (list_is_empty(&client->links))
        client->output->changed(client->output_context, false);
}

/* Subscriptions. */

struct router_client_link *client_home(const struct router_client *client, const char *channel,
                                       size_t channel_size)
{
    const struct map_entry *entry = map_find(&client->map, channel, channel_size);
    const struct route *route = entry ? container_of(entry, struct route, entry) : NULL;

    return route && (route->stage == ROUTE_ASKED || route->stage == ROUTE_LIVE) ? route->target
                                                                                : NULL;
}

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
    if (router_client_is_up(client))
        return;
    for (struct list *at = client->routes.next; at != &client->routes;) {
        struct route *route = container_of(at, struct route, link);

        at = at->next;
        if (route->is_wanted)
            tell_subscribed(route);
    }
}

void router_client_subscribe(struct router_client *client, const char *channel, size_t channel_size)
{
    struct route *route = find_or_create(client, channel, channel_size);

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
    lead(route, route->target ? route->target : best_link(route));
}

void router_client_unsubscribe(struct router_client *client, const char *channel,
                               size_t channel_size)
{
    struct route *route = find(client, channel, channel_size);

    assert(route && route->is_wanted);
    route->is_wanted = false;
    metric_set(&client->stats->subscriptions, --*client->wanted_count);
    list_remove(&route->untold_link);
    if (route->target && route->stage != ROUTE_PUBLISH) {
        send_unsubscribe(route); /* it may hold the subscription even while we wait to ask again */
        if (route->stage != ROUTE_NOWHERE)
            route->stage = ROUTE_PUBLISH;
    }
    client_presence_forget(client, channel, channel_size);
    settle_delivered(route, UINT64_MAX);
    drop_if_idle(route);
}

static void lose(struct route *route)
{
    struct router_client *client = route->client;

    metric_add(&client->stats->messages_lost, 1);
    settle_delivered(route, UINT64_MAX);
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

static struct outgoing *find_outgoing(struct route *route, uint64_t sequence)
{
    for (struct list *at = route->outgoing.next; at != &route->outgoing; at = at->next) {
        if (of_own_link(at)->message->sequence >= sequence)
            return of_own_link(at)->message->sequence == sequence ? of_own_link(at) : NULL;
    }
    return NULL;
}

static void assign(struct message *message, const char *epoch, uint64_t offset)
{
    message->offset = offset;
    epoch_copy(message->epoch, epoch);
}

/* A message of ours came back: it is in the history, whatever became of its acknowledgement. */
static void see_own(struct route *route, const struct message *message)
{
    struct outgoing *outgoing = find_outgoing(route, message->sequence);

    if (!outgoing)
        return;
    if (outgoing->publish)
        assign(outgoing->message, message->epoch, message->offset);
    answer(outgoing, 0);
    settle(outgoing);
}

static void receive_delivery(struct route *route, struct message *message)
{
    struct router_client *client = route->client;

    if (route->stage != ROUTE_LIVE)
        return;
    if (message->offset <= route->offset) {
        metric_add(&client->stats->duplicates, 1);
        return;
    }
    if (message->offset != route->offset + 1) {
        ask(route); /* something is missing; it is sent from where we stand */
        return;
    }
    route->offset = message->offset;
    epoch_copy(message->epoch, route->epoch);
    metric_add(&client->stats->delivered, 1);
    client->events->deliver(client->events_context, message);
    if (message->publisher == client->node)
        see_own(route, message);
    settle_delivered(route, route->offset);
}

static void receive_ack(struct route *route, const struct router_frame *frame)
{
    struct outgoing *outgoing = find_outgoing(route, frame->ack.sequence);
    bool is_awaited = route->is_wanted && strcmp(route->epoch, frame->ack.epoch) == 0 &&
                      frame->ack.offset > route->offset;

    if (!outgoing || outgoing->stage == OUTGOING_ACKNOWLEDGED)
        return;
    route->moves = 0;
    route->is_lost = false;
    if (outgoing->publish)
        assign(outgoing->message, frame->ack.epoch, frame->ack.offset);
    outgoing->stage = OUTGOING_ACKNOWLEDGED;
    route->acknowledged_count++;
    outgoing->offset = frame->ack.offset;
    answer(outgoing, 0);
    if (!is_awaited)
        settle(outgoing);
}

static void receive_refusal(struct route *route, const struct router_frame *frame)
{
    struct outgoing *outgoing = find_outgoing(route, frame->refused.sequence);

    if (frame->refused.reason == REASON_INVALID) {
        if (!outgoing)
            return;
        answer(outgoing, UV_EPROTO);
        settle(outgoing);
        return;
    }
    if (frame->refused.sequence != 0 && (!outgoing || outgoing->stage != OUTGOING_SENT))
        return; /* it has been sent again since, or is settled */
    if (frame->refused.reason == REASON_MOVED)
        follow(route, frame->refused.node);
    else
        retry_later(route, frame->refused.reason == REASON_BUSY ? BUSY_MS : PAUSE_MS);
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
    struct route *route = find(client, frame->channel, frame->channel_size);
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
            follow(route, frame->moved.node);
        break;
    case FRAME_ACK:
        if (route)
            receive_ack(route, frame);
        break;
    case FRAME_REFUSED:
        if (is_heeded)
            receive_refusal(route, frame);
        break;
    default:
        return false;
    }
    if (route)
        drop_if_idle(route);
    return true;
}

void router_client_receive(struct router_client *client, struct router_client_link *link,
                           const struct router_frame *frame, uint64_t now_ms)
{
    advance(client, now_ms);
    link->heard_ms = client->now_ms;
    switch (frame->kind) {
    case FRAME_PING:
        send_frame(client, link, &(struct router_frame){.kind = FRAME_PONG, .ping = frame->ping});
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

static void retry(struct router_client *client)
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
        lead(route, route->target ? route->target : best_link(route));
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

/* Leads routes to where they belong, a few at a time. */
static void rebalance(struct router_client *client)
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
        best = best_link(route);
        if (best != route->target && may_leave(route, best))
            lead(route, best);
    }
}

void router_client_tick(struct router_client *client, uint64_t now_ms)
{
    advance(client, now_ms);
    look_at_links(client);
    retry(client);
    rebalance(client);
    client_presence_tick(client);
    client_asks_tick(client);
    router_client_tell_untold(client);
}

/* From the bus's owner. */

void router_client_publish(struct router_client *client, struct bus_publish *publish)
{
    struct message *message = publish->message;
    struct route *route = find_or_create(client, message->channel, message->channel_size);
    struct outgoing *outgoing = memory_zeroed(1, sizeof(*outgoing));

    message->publisher = client->node;
    message->sequence = ++*client->sequence;
    outgoing->route = route;
    outgoing->publish = publish;
    outgoing->message = message_ref(message);
    list_init(&outgoing->link);
    list_init(&outgoing->own_link);
    list_append(&client->outgoing, &outgoing->link);
    list_append(&route->outgoing, &outgoing->own_link);
    publish->sent_ns = uv_hrtime();
    *client->queued_count += 1;
    *client->queued_bytes += publish->cost;
    count_queue(client);
    if (route->stage != ROUTE_NOWHERE)
        send_publish(outgoing, must_insist(route));
    else if (!route->target && router_client_is_up(client))
        lead(route, best_link(route));
}

uint64_t router_client_oldest(const struct router_client *client)
{
    if (list_is_empty(&client->outgoing))
        return UINT64_MAX;
    return container_of(client->outgoing.next, struct outgoing, link)->message->sequence;
}

void router_client_init(struct router_client *client, uint64_t now_ms)
{
    client->now_ms = now_ms;
    list_init(&client->routes);
    list_init(&client->links);
    list_init(&client->retrying);
    list_init(&client->untold);
    list_init(&client->outgoing);
    list_init(&client->asks);
    list_init(&client->unannounced);
    list_init(&client->announced);
}

void router_client_deinit(struct router_client *client)
{
    while (!list_is_empty(&client->outgoing)) {
        struct outgoing *outgoing = container_of(client->outgoing.next, struct outgoing, link);

        answer(outgoing, UV_ECANCELED);
        settle(outgoing);
    }
    client_asks_deinit(client);
    client_presence_deinit(client);
    while (!list_is_empty(&client->routes)) {
        struct route *route = container_of(client->routes.next, struct route, link);

        route->is_wanted = false;
        drop_if_idle(route);
    }
    map_deinit(&client->map);
}
