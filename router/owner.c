/*
 * What gateways want. A request for a channel that we own is served; for one that belongs to us and
 * that nobody has claimed it is parked, and so is whatever comes meanwhile; any other is told where
 * to ask.
 *
 * A message is *appended* when it has its offset, and *committed* when it is as safe as it can be:
 * the mirror has it, or there can be no mirror. Only then is it delivered and acknowledged, in this
 * order, so that nobody has ever seen a message that a failover takes back.
 */
#include <assert.h>
#include <string.h>

#include "common/memory.h"
#include "router/shard_parts.h"

#define REQUEST_COST 512 /* bytes of a request beside its data */

/* Waiting. */

static struct waiting *of_link(struct list *at)
{
    return container_of(at, struct waiting, link);
}

static struct waiting *wait_for(struct list *where, struct place *place, struct shard_link *gateway,
                                enum waiting_kind kind, struct message *message)
{
    struct shard *shard = place->shard;
    struct waiting *waiting = memory_zeroed(1, sizeof(*waiting));

    waiting->place = place;
    waiting->gateway = gateway;
    waiting->kind = kind;
    waiting->message = message ? message_ref(message) : NULL;
    waiting->cost = REQUEST_COST + (message ? message_content_size(message) : 0);
    list_init(&waiting->link);
    list_init(&waiting->link_link);
    list_append(where, &waiting->link);
    if (gateway)
        list_append(&gateway->waiting, &waiting->link_link);
    shard->waiting_bytes += waiting->cost;
    metric_set(&shard->stats.waiting_bytes, shard->waiting_bytes);
    return waiting;
}

void owner_forget(struct waiting *waiting)
{
    struct shard *shard = waiting->place->shard;

    list_remove(&waiting->link);
    list_remove(&waiting->link_link);
    shard->waiting_bytes -= waiting->cost;
    metric_set(&shard->stats.waiting_bytes, shard->waiting_bytes);
    message_unref(waiting->message);
    memory_free(waiting);
}

/* The largest messages need half of the room and may take more than there is: refused whenever
 * anything else waits, or always, they would come again for ever, and their channel behind them. */
bool owner_has_room(const struct shard *shard, size_t bytes)
{
    uint64_t limit = shard->settings.waiting_limit_bytes;
    uint64_t needed = bytes < limit / 2 ? bytes : limit / 2;

    return shard->waiting_bytes + REQUEST_COST + needed <= limit;
}

bool owner_is_awaited(const struct place *place)
{
    for (const struct list *at = place->parked.next; at != &place->parked; at = at->next) {
        if (container_of(at, struct waiting, link)->gateway)
            return true;
    }
    return stray_waits(place);
}

/* Answers. */

static void send_moved(struct shard *shard, struct shard_link *gateway, const char *channel,
                       size_t channel_size, uint64_t node)
{
    shard_send_link(shard, gateway,
                    &(struct router_frame){.kind = FRAME_MOVED,
                                           .channel = channel,
                                           .channel_size = channel_size,
                                           .moved = {node}});
}

static void send_refused(struct shard *shard, struct shard_link *gateway, const char *channel,
                         size_t channel_size, uint64_t sequence, enum router_reason reason,
                         uint64_t node)
{
    shard_send_link(
        shard, gateway,
        &(struct router_frame){.kind = FRAME_REFUSED,
                               .channel = channel,
                               .channel_size = channel_size,
                               .refused = {.sequence = sequence, .reason = reason, .node = node}});
}

static void refuse_for_room(struct shard *shard, struct shard_link *gateway,
                            const struct router_frame *frame, uint64_t sequence)
{
    metric_add(&shard->stats.refused, 1);
    send_refused(shard, gateway, frame->channel, frame->channel_size, sequence, REASON_BUSY, 0);
}

static void answer_elsewhere(const struct waiting *waiting, uint64_t node)
{
    struct place *place = waiting->place;

    if (!waiting->gateway)
        return;
    switch (waiting->kind) {
    case WAITING_SUBSCRIBE:
        send_moved(place->shard, waiting->gateway, place->name, place->name_size, node);
        return;
    case WAITING_PUBLISH:
        send_refused(place->shard, waiting->gateway, place->name, place->name_size,
                     waiting->sequence, REASON_MOVED, node);
        return;
    case WAITING_STRAY: /* no gateway's */
        return;
    case WAITING_PRESENCE:
    case WAITING_HISTORY:
    case WAITING_FORGET:
        ask_send_away(waiting, node);
        return;
    }
}

/* Publishing. */

static void acknowledge(const struct waiting *waiting)
{
    const struct place *place = waiting->place;

    if (waiting->gateway)
        shard_send_link(place->shard, waiting->gateway,
                        &(struct router_frame){.kind = FRAME_ACK,
                                               .channel = place->name,
                                               .channel_size = place->name_size,
                                               .ack = {waiting->sequence, place->lineage.epoch,
                                                       waiting->told, waiting->is_repeat}});
}

static void count_commit(struct place *place)
{
    struct shard_stats *stats = &place->shard->stats;

    metric_add(&stats->published, 1);
    if (place->mirror_state != MIRROR_HELD)
        metric_add(&stats->alone, 1);
}

void owner_commit(struct place *place)
{
    uint64_t limit;

    if (place->role != PLACE_OWNED)
        return;
    limit = mirror_commit_limit(place);
    while (!list_is_empty(&place->pending) && of_link(place->pending.next)->offset <= limit) {
        struct waiting *waiting = of_link(place->pending.next);

        if (waiting->message) {
            count_commit(place);
            place->committed = waiting->offset;
            subscriber_deliver(place, waiting->message);
        }
        acknowledge(waiting);
        owner_forget(waiting);
    }
}

/* Acknowledges a publish that is not appended with an earlier message's place, or none, once all
 * that is here is committed. */
static void answer_later(struct place *place, struct shard_link *gateway, uint64_t sequence,
                         uint64_t told, bool is_repeat)
{
    struct waiting *waiting = wait_for(&place->pending, place, gateway, WAITING_PUBLISH, NULL);

    waiting->sequence = sequence;
    waiting->offset = place->history.top;
    waiting->told = told;
    waiting->is_repeat = is_repeat;
    owner_commit(place);
}

/* True where a message with its key has been taken. */
static bool is_key_known(const struct place *place, const struct message *message, uint64_t *offset)
{
    return message->key.size > 0 &&
           key_table_find(&place->keys, message->key, place->shard->now_ms, offset);
}

/* True where what stands at an offset is another message, as far as we have it. */
static bool is_of_another(const struct place *place, const struct message *message, uint64_t offset)
{
    struct history_reader reader;
    const struct message *first;

    if (offset == 0 || offset <= place_start(place))
        return false;
    history_read(&place->history, &reader, offset - 1, HISTORY_FORWARD, 1);
    first = history_next(&reader);
    return first &&
           (first->publisher != message->publisher || first->sequence != message->sequence);
}

/* A publish that was seen before: acknowledged when the first one is, or would have been. */
static void repeat(struct place *place, struct shard_link *gateway, const struct message *message,
                   const struct router_producer *producer)
{
    uint64_t told = producer->sequence == message->sequence ? producer->offset : 0;

    metric_add(&place->shard->stats.duplicates, 1);
    answer_later(place, gateway, message->sequence, told, is_of_another(place, message, told));
}

/* A publish whose key is another message's. Its sequence counts all the same: the next one may come
 * after it. */
static void repeat_key(struct place *place, struct shard_link *gateway,
                       const struct message *message, uint64_t told)
{
    metric_add(&place->shard->stats.repeated, 1);
    place_note_publisher(place, message, told);
    answer_later(place, gateway, message->sequence, told, true);
}

void owner_append(struct place *place, struct shard_link *gateway, struct message *message,
                  const struct router_limits *limits)
{
    struct waiting *waiting;

    message->offset = place->history.top + 1;
    memcpy(message->epoch, place->lineage.epoch, sizeof(message->epoch));
    waiting = wait_for(&place->pending, place, gateway, WAITING_PUBLISH, message);
    waiting->sequence = message->sequence;
    waiting->offset = message->offset;
    waiting->told = message->offset;
    waiting->limits = *limits;
    place_append(place, message, limits, place->shard->now_ms);
    mirror_append(place, message);
    owner_commit(place);
}

static void publish(struct place *place, struct shard_link *gateway, struct message *message,
                    uint64_t after, const struct router_limits *limits)
{
    const struct router_producer *producer = producers_find(&place->producers, message->publisher);
    uint64_t last = producer ? producer->sequence : 0;
    uint64_t offset;

    if (message_is_ephemeral(message->kind)) {
        subscriber_deliver_ephemeral(place, message);
        return;
    }
    if (producer && message->sequence <= last) {
        repeat(place, gateway, message, producer);
        return;
    }
    if (after > last) {
        if (gateway)
            send_refused(place->shard, gateway, place->name, place->name_size, message->sequence,
                         REASON_GAP, 0);
        return;
    }
    if (is_key_known(place, message, &offset)) {
        repeat_key(place, gateway, message, offset);
        return;
    }
    owner_append(place, gateway, message, limits);
}

/* Requests. */

/* True where a channel that we do not own belongs to another, or was taken by one on purpose. Not
 * where we hold its title: nobody else can own it then. */
static bool is_elsewhere(struct shard *shard, const struct place *place, uint64_t *node)
{
    struct node *taker = place->yielded_to ? nodes_find(shard, place->yielded_to) : NULL;
    struct node *best =
        taker && taker->shard_link && !taker->is_leaving ? taker : nodes_best(shard, place);

    if (!best || place->has_title)
        return false;
    *node = best->id;
    return true;
}

enum owner_turn owner_turn(struct place *place, bool insists, uint64_t *node)
{
    struct shard *shard = place->shard;

    place->used_ms = shard->now_ms;
    switch (place->role) {
    case PLACE_OWNED:
        return TURN_SERVE;
    case PLACE_CLAIMING:
        return TURN_PARK;
    case PLACE_YIELDING:
        *node = place->taker->id;
        return TURN_AWAY;
    case PLACE_COPY:
        break;
    }
    if (!insists && is_elsewhere(shard, place, node))
        return TURN_AWAY;
    claim_start(place, insists);
    return place->role == PLACE_OWNED ? TURN_SERVE : TURN_PARK;
}

struct waiting *owner_park(struct place *place, struct shard_link *gateway, enum waiting_kind kind,
                           struct message *message)
{
    return wait_for(kind == WAITING_STRAY ? &place->strays : &place->parked, place, gateway, kind,
                    message);
}

void owner_subscribe(struct shard *shard, struct shard_link *gateway,
                     const struct router_frame *frame)
{
    struct place *place;
    struct waiting *waiting;
    uint64_t node = 0;

    if (!owner_has_room(shard, 0) || !places_have_room(shard) ||
        !(place = places_find_or_create(shard, frame->channel, frame->channel_size))) {
        refuse_for_room(shard, gateway, frame, 0);
        return;
    }
    switch (owner_turn(place, frame->subscribe.insist, &node)) {
    case TURN_SERVE:
        subscriber_take(place, gateway, frame->subscribe.epoch, frame->subscribe.offset,
                        frame->subscribe.acknowledged);
        return;
    case TURN_PARK:
        waiting = owner_park(place, gateway, WAITING_SUBSCRIBE, NULL);
        epoch_copy(waiting->epoch, frame->subscribe.epoch);
        waiting->offset = frame->subscribe.offset;
        waiting->acknowledged = frame->subscribe.acknowledged;
        return;
    case TURN_AWAY:
        send_moved(shard, gateway, place->name, place->name_size, node);
        places_drop_if_empty(shard, place);
        return;
    }
}

void owner_unsubscribe(struct shard *shard, struct shard_link *gateway,
                       const struct router_frame *frame)
{
    struct place *place = places_find(shard, frame->channel, frame->channel_size);
    struct subscriber *subscriber;

    if (!place)
        return;
    place->used_ms = shard->now_ms;
    subscriber = subscriber_find(place, gateway);
    if (subscriber)
        subscriber_end(subscriber);
    presence_remove_node(&place->presence, gateway->id);
    for (struct list *at = place->parked.next; at != &place->parked;) {
        struct waiting *waiting = of_link(at);

        at = at->next;
        if (waiting->gateway == gateway && waiting->kind == WAITING_SUBSCRIBE)
            owner_forget(waiting);
    }
}

void owner_publish(struct shard *shard, struct shard_link *gateway,
                   const struct router_frame *frame)
{
    struct message *message = frame->publish.message;
    struct place *place;
    struct waiting *waiting;
    uint64_t node = 0;

    if (message->sequence == 0) {
        send_refused(shard, gateway, frame->channel, frame->channel_size, 0, REASON_INVALID, 0);
        return;
    }
    if (!owner_has_room(shard, message_content_size(message)) ||
        !(place = places_find_or_create(shard, frame->channel, frame->channel_size))) {
        refuse_for_room(shard, gateway, frame, message->sequence);
        return;
    }
    switch (owner_turn(place, frame->publish.insist, &node)) {
    case TURN_SERVE:
        publish(place, gateway, message, frame->publish.after, &frame->publish.limits);
        return;
    case TURN_PARK:
        waiting = owner_park(place, gateway, WAITING_PUBLISH, message);
        waiting->sequence = message->sequence;
        waiting->after = frame->publish.after;
        waiting->limits = frame->publish.limits;
        return;
    case TURN_AWAY:
        send_refused(shard, gateway, place->name, place->name_size, message->sequence, REASON_MOVED,
                     node);
        places_drop_if_empty(shard, place);
        return;
    }
}

static void serve(const struct waiting *waiting)
{
    switch (waiting->kind) {
    case WAITING_PUBLISH:
        publish(waiting->place, waiting->gateway, waiting->message, waiting->after,
                &waiting->limits);
        return;
    case WAITING_STRAY: /* of another list */
        return;
    case WAITING_SUBSCRIBE:
        if (waiting->gateway)
            subscriber_take(waiting->place, waiting->gateway, waiting->epoch, waiting->offset,
                            waiting->acknowledged);
        return;
    case WAITING_PRESENCE:
    case WAITING_HISTORY:
    case WAITING_FORGET:
        ask_serve_parked(waiting);
        return;
    }
}

void owner_serve_parked(struct place *place)
{
    stray_publish_all(place); /* before what their publishers said later */
    while (!list_is_empty(&place->parked) && place->role == PLACE_OWNED) {
        struct waiting *waiting = of_link(place->parked.next);

        /* Out of the list first: serving it may change the place. */
        list_remove(&waiting->link);
        serve(waiting);
        owner_forget(waiting);
    }
}

static void send_all_away(struct list *waitings, uint64_t node)
{
    for (struct list *at = waitings->next; at != waitings;) {
        struct waiting *waiting = of_link(at);

        at = at->next;
        answer_elsewhere(waiting, node);
        owner_forget(waiting);
    }
}

void owner_send_away(struct place *place, uint64_t node)
{
    while (!list_is_empty(&place->subscribers)) {
        struct subscriber *subscriber =
            container_of(place->subscribers.next, struct subscriber, link);

        send_moved(place->shard, subscriber->gateway, place->name, place->name_size, node);
        subscriber_end(subscriber);
    }
    send_all_away(&place->pending, node);
    send_all_away(&place->parked, node);
    presence_clear(&place->presence);
}

void owner_gateway_down(struct shard *shard, struct shard_link *gateway)
{
    (void)shard;
    while (!list_is_empty(&gateway->subscribers))
        subscriber_end(container_of(gateway->subscribers.next, struct subscriber, link_link));
    while (!list_is_empty(&gateway->waiting)) {
        struct waiting *waiting = container_of(gateway->waiting.next, struct waiting, link_link);

        /* What was appended is committed all the same; any other request has nobody left. */
        list_remove(&waiting->link_link);
        waiting->gateway = NULL;
        if (waiting->kind != WAITING_PUBLISH)
            owner_forget(waiting);
    }
}
