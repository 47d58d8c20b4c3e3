/*
 * Gateways that listen to a channel which we own: what they have missed when they come, and what is
 * committed from then on. Where the one stands that comes is for it to say; whether it can go on
 * from there, or has lost something, is for us.
 */
#include <string.h>

#include "common/memory.h"
#include "router/shard_parts.h"

/* What gateways say to each other is not counted among what clients do. */
static bool is_counted(const struct place *place)
{
    return place->name[0] != CHANNEL_NAME_INTERNAL;
}

static void send_delivery(struct place *place, struct shard_link *gateway, struct message *message)
{
    metric_add(&place->shard->stats.delivered, is_counted(place));
    shard_send_link(place->shard, gateway,
                    &(struct router_frame){.kind = FRAME_DELIVER, .deliver = {.message = message}});
}

static void count_subscriptions(const struct place *place, int change)
{
    struct shard *shard = place->shard;
    uint64_t difference = (uint64_t)(int64_t)change;

    shard->subscription_count += difference;
    if (is_counted(place))
        metric_set(&shard->stats.subscriptions,
                   metric_read(&shard->stats.subscriptions) + difference);
}

void subscriber_end(struct subscriber *subscriber)
{
    count_subscriptions(subscriber->place, -1);
    list_remove(&subscriber->link);
    list_remove(&subscriber->link_link);
    memory_free(subscriber);
}

struct subscriber *subscriber_find(struct place *place, const struct shard_link *gateway)
{
    for (struct list *at = place->subscribers.next; at != &place->subscribers; at = at->next) {
        struct subscriber *subscriber = container_of(at, struct subscriber, link);

        if (subscriber->gateway == gateway)
            return subscriber;
    }
    return NULL;
}

static void add(struct place *place, struct shard_link *gateway)
{
    struct subscriber *subscriber = subscriber_find(place, gateway);

    if (subscriber)
        return; /* it asked again; it is told again where it stands */
    subscriber = memory_zeroed(1, sizeof(*subscriber));
    subscriber->place = place;
    subscriber->gateway = gateway;
    list_init(&subscriber->link);
    list_init(&subscriber->link_link);
    list_append(&place->subscribers, &subscriber->link);
    list_append(&gateway->subscribers, &subscriber->link_link);
    count_subscriptions(place, 1);
}

static void send_missed(struct place *place, struct shard_link *gateway, uint64_t from)
{
    struct history_reader reader;
    struct message *message;

    history_read(&place->history, &reader, from, HISTORY_FORWARD, place->committed - from);
    while ((message = history_next(&reader)) && message->offset <= place->committed)
        send_delivery(place, gateway, message);
}

/* Whether what a gateway published under `epoch`, up to that sequence, is in this history or about
 * to be. */
static bool has_acknowledged(const struct place *place, const char *epoch, uint64_t publisher,
                             uint64_t sequence)
{
    const struct router_producer *producer = producers_find(&place->producers, publisher);

    return sequence == 0 || strcmp(epoch, place->lineage.epoch) == 0 ||
           (producer && producer->sequence >= sequence) || stray_has(place, publisher, sequence);
}

void subscriber_take(struct place *place, struct shard_link *gateway, const char *epoch,
                     uint64_t offset, uint64_t acknowledged)
{
    uint64_t from = place->committed;
    bool is_lost = false;

    if (epoch[0] != '\0' && (!has_acknowledged(place, epoch, gateway->id, acknowledged) ||
                             !place_follows(place, epoch, offset, place->committed, &from))) {
        is_lost = true;
        from = place->committed;
        metric_add(&place->shard->stats.lost, 1);
    }
    add(place, gateway);
    shard_send_link(
        place->shard, gateway,
        &(struct router_frame){.kind = FRAME_SUBSCRIBED,
                               .channel = place->name,
                               .channel_size = place->name_size,
                               .subscribed = {place->lineage.epoch, from,
                                              is_lost ? OUTCOME_LOST : OUTCOME_CONTINUED}});
    if (from < place->committed)
        send_missed(place, gateway, from);
}

void subscriber_deliver_ephemeral(struct place *place, struct message *message)
{
    for (struct list *at = place->subscribers.next; at != &place->subscribers; at = at->next) {
        struct shard_link *gateway = container_of(at, struct subscriber, link)->gateway;

        if (gateway->capabilities & ROUTER_CAN_EPHEMERAL)
            send_delivery(place, gateway, message);
    }
}

void subscriber_deliver(struct place *place, struct message *message)
{
    for (struct list *at = place->subscribers.next; at != &place->subscribers; at = at->next)
        send_delivery(place, container_of(at, struct subscriber, link)->gateway, message);
}
