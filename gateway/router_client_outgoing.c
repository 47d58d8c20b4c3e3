/*
 * What a gateway has published and what became of it. A publish waits in its route, in order, until
 * it is acknowledged, and, where the channel is subscribed here, delivered. Who owns it is told as
 * soon as it is safe.
 */
#include <string.h>
#include <uv.h>

#include "common/memory.h"
#include "gateway/router_client_parts.h"

static void count_queue(struct router_client *client)
{
    metric_set(&client->stats->queued_messages, *client->queued_count);
    metric_set(&client->stats->queued_bytes, *client->queued_bytes);
}

void client_outgoing_answer(struct outgoing *outgoing, int error)
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

void client_outgoing_settle(struct outgoing *outgoing)
{
    if (outgoing->stage == OUTGOING_ACKNOWLEDGED)
        outgoing->route->acknowledged_count--;
    list_remove(&outgoing->link);
    list_remove(&outgoing->own_link);
    message_unref(outgoing->message);
    memory_free(outgoing);
}

static void send_one(struct outgoing *outgoing, bool insists)
{
    struct route *route = outgoing->route;
    struct list *before = outgoing->own_link.previous;
    uint64_t after = 0;

    if (before != &route->outgoing && client_outgoing_at(before)->stage == OUTGOING_SENT)
        after = client_outgoing_at(before)->message->sequence;
    if (outgoing->was_sent)
        metric_add(&route->client->stats->repeated, 1);
    outgoing->was_sent = true;
    outgoing->stage = OUTGOING_SENT;
    client_send(
        route->client, route->target,
        &(struct router_frame){.kind = FRAME_PUBLISH,
                               .publish = {outgoing->message, after, insists, outgoing->limits}});
}

/* 0, or why the router does not take it. What one has got may be in its history, and in another's,
 * which then tells it by its sequence. */
static int check(const struct outgoing *outgoing)
{
    const struct router_client_link *target = outgoing->route->target;
    unsigned needed = (outgoing->message->key.size > 0 ? (unsigned)ROUTER_CAN_KEYS : 0) |
                      (outgoing->limits.are_set ? (unsigned)ROUTER_CAN_LIMITS : 0);

    if (target->message_limit > 0 && outgoing->message->data_size > target->message_limit)
        return UV_EMSGSIZE;
    return outgoing->was_sent || (target->capabilities & needed) == needed ? 0 : UV_ENOTSUP;
}

/* Sends the next one, or tells its owner that the router does not take it. False where it is not
 * the time, or there is no room: it goes on later. */
static bool send_next(struct outgoing *outgoing, bool insists)
{
    struct route *route = outgoing->route;
    int error = check(outgoing);

    if (error) {
        client_outgoing_answer(outgoing, error);
        client_outgoing_settle(outgoing);
        return true;
    }
    if (route->client->now_ms < route->client->rest_until_ms ||
        !client_has_room(route->client, route->target)) {
        list_append(&route->client->cramped, &route->cramped_link);
        return false;
    }
    send_one(outgoing, insists);
    return true;
}

void client_outgoing_send(struct route *route, bool insists)
{
    list_remove(&route->cramped_link);
    for (struct list *at = route->outgoing.next; at != &route->outgoing;) {
        struct outgoing *outgoing = client_outgoing_at(at);

        at = at->next;
        if (outgoing->stage == OUTGOING_QUEUED && !send_next(outgoing, insists))
            return;
    }
}

void client_outgoing_go_on(struct router_client *client)
{
    struct list waiting;

    list_init(&waiting);
    list_append_all(&waiting, &client->cramped);
    while (!list_is_empty(&waiting)) {
        struct route *route = container_of(waiting.next, struct route, cramped_link);

        client_outgoing_send(route, client_route_must_insist(route) || route->is_lost);
        client_route_drop_if_idle(route);
    }
}

void client_outgoing_requeue(struct route *route)
{
    for (struct list *at = route->outgoing.next; at != &route->outgoing; at = at->next) {
        if (client_outgoing_at(at)->stage == OUTGOING_SENT)
            client_outgoing_at(at)->stage = OUTGOING_QUEUED;
    }
}

void client_outgoing_settle_delivered(struct route *route, uint64_t offset)
{
    struct list *at = route->outgoing.next;

    /* They stand before all that are not acknowledged, but for few. */
    for (size_t left = route->acknowledged_count; left > 0;) {
        struct outgoing *outgoing = client_outgoing_at(at);

        at = at->next;
        if (outgoing->stage != OUTGOING_ACKNOWLEDGED)
            continue;
        left--;
        if (outgoing->offset <= offset)
            client_outgoing_settle(outgoing);
    }
}

uint64_t client_outgoing_last_acknowledged(const struct route *route)
{
    struct list *at = route->outgoing.next;
    uint64_t last = 0;

    for (size_t left = route->acknowledged_count; left > 0; at = at->next) {
        if (client_outgoing_at(at)->stage != OUTGOING_ACKNOWLEDGED)
            continue;
        last = client_outgoing_at(at)->message->sequence;
        left--;
    }
    return last;
}

struct outgoing *client_outgoing_find(struct route *route, uint64_t sequence)
{
    for (struct list *at = route->outgoing.next; at != &route->outgoing; at = at->next) {
        if (client_outgoing_at(at)->message->sequence >= sequence)
            return client_outgoing_at(at)->message->sequence == sequence ? client_outgoing_at(at)
                                                                         : NULL;
    }
    return NULL;
}

static void assign(struct message *message, const char *epoch, uint64_t offset)
{
    message->offset = offset;
    epoch_copy(message->epoch, epoch);
}

void client_outgoing_see_own(struct route *route, const struct message *message)
{
    struct outgoing *outgoing = client_outgoing_find(route, message->sequence);

    if (!outgoing)
        return;
    if (outgoing->publish)
        assign(outgoing->message, message->epoch, message->offset);
    client_outgoing_answer(outgoing, 0);
    client_outgoing_settle(outgoing);
}

void client_outgoing_receive_ack(struct route *route, const struct router_frame *frame)
{
    struct outgoing *outgoing = client_outgoing_find(route, frame->ack.sequence);
    bool is_awaited = !frame->ack.is_repeat && route->is_wanted &&
                      strcmp(route->epoch, frame->ack.epoch) == 0 &&
                      frame->ack.offset > route->offset;

    if (!outgoing || outgoing->stage == OUTGOING_ACKNOWLEDGED)
        return;
    route->moves = 0;
    route->is_lost = false;
    if (outgoing->publish) {
        outgoing->publish->is_repeat = frame->ack.is_repeat;
        assign(outgoing->message, frame->ack.epoch, frame->ack.offset);
    }
    outgoing->stage = OUTGOING_ACKNOWLEDGED;
    route->acknowledged_count++;
    outgoing->offset = frame->ack.offset;
    client_outgoing_answer(outgoing, 0);
    if (!is_awaited)
        client_outgoing_settle(outgoing);
}

void router_client_publish(struct router_client *client, struct bus_publish *publish)
{
    struct message *message = publish->message;
    struct outgoing *outgoing;
    struct route *route;

    if (message_is_ephemeral(message->kind)) {
        client_ephemeral_publish(client, publish);
        return;
    }
    route = client_route_find_or_create(client, message->channel, message->channel_size);
    outgoing = memory_zeroed(1, sizeof(*outgoing));
    message->publisher = client->node;
    message->sequence = ++*client->sequence;
    outgoing->route = route;
    outgoing->publish = publish;
    outgoing->message = message_ref(message);
    outgoing->limits =
        (struct router_limits){publish->has_limits, publish->history_size, publish->history_ttl_ms};
    list_init(&outgoing->link);
    list_init(&outgoing->own_link);
    list_append(&client->outgoing, &outgoing->link);
    list_append(&route->outgoing, &outgoing->own_link);
    publish->sent_ns = uv_hrtime();
    *client->queued_count += 1;
    *client->queued_bytes += publish->cost;
    count_queue(client);
    if (route->stage == ROUTE_NOWHERE && !route->target && router_client_is_up(client))
        client_route_lead(route, client_route_best(route));
    else if (route->stage != ROUTE_NOWHERE && list_is_empty(&route->cramped_link))
        send_next(outgoing, client_route_must_insist(route));
    client_route_drop_if_idle(route);
}

uint64_t router_client_oldest(const struct router_client *client)
{
    if (list_is_empty(&client->outgoing))
        return UINT64_MAX;
    return container_of(client->outgoing.next, struct outgoing, link)->message->sequence;
}
