#include "gateway/redis_channel.h"

#include <assert.h>
#include <string.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/memory.h"
#include "gateway/bus_redis.h"
#include "gateway/redis_attach.h"

/*
 * Live messages come over the subscriber connection, history over the command connection, and
 * nothing orders the two but the offsets. So a channel has a position, and one rule: the message at
 * position + 1 is taken, what is at or before the position is dropped, and what is beyond waits
 * while history is read. It is live once SUBSCRIBE has been confirmed on the present connection and
 * the history has been read after that: from then on everything comes by itself, until a hole shows
 * that something did not.
 *
 * An own publish that was acknowledged and has not come back within LAG_MS is such a hole, too: the
 * one at the end, after which nothing would show it.
 *
 * A channel that nobody wants any more stays in the map until every answer that names it has come,
 * so that a confirmation is never taken for that of a later subscription.
 */

#define LAG_MS          1000
#define SUBSCRIBE_BATCH 100 /* channels in one command */

static uint64_t now_of(const struct redis_channel *channel)
{
    return loop_now_ms(channel->bus->bus.loop);
}

static struct redis_channel *find(struct redis_bus *bus, const char *name, size_t size)
{
    struct map_entry *entry = map_find(&bus->channels.map, name, size);

    return entry ? container_of(entry, struct redis_channel, entry) : NULL;
}

static void send_topics(struct redis_bus *bus, const char *verb,
                        struct redis_channel *const *channels, size_t count)
{
    redis_command_begin(&bus->command);
    redis_command_add_text(&bus->command, verb);
    for (size_t i = 0; i < count; i++)
        redis_bus_add_topic(bus, channels[i]->name, channels[i]->name_size);
    redis_command_send(&bus->command, &bus->subscriber, NULL, NULL, 0);
}

/* Keeps a message, whose reference is ours, until history has been read. */
static void append_pending(struct redis_channel *channel, struct message *message,
                           uint32_t attach_number)
{
    if (!redis_pending_append(&channel->pending, message, attach_number))
        channel->has_overflowed = true; /* history has them, and is read once more */
}

/* Life and death. */

static void reset(struct redis_channel *channel)
{
    struct redis_channels *channels = &channel->bus->channels;

    list_remove(&channel->attach_link);
    list_remove(&channel->lagging_link);
    list_remove(&channel->untold_link);
    redis_pending_clear(&channel->pending);
    redis_tail_clear(&channels->tails, &channel->tail);
    redis_senders_deinit(&channel->senders);
    if (channel->awaited_messages > 0)
        redis_publisher_release(&channel->bus->publisher, channel, UINT64_MAX);
    channel->life++;
    channel->is_known = false;
    channel->epoch[0] = '\0';
    channel->position = 0;
    channel->is_confirming = false;
    channel->must_check = false;
    channel->restores = 0;
    channel->has_overflowed = false;
    channel->awaited = 0;
}

static struct redis_channel *create(struct redis_bus *bus, const char *name, size_t size)
{
    struct redis_channel *channel = memory_zeroed(1, sizeof(*channel));

    assert(size > 0 && size <= MESSAGE_CHANNEL_LIMIT);
    channel->bus = bus;
    memcpy(channel->name, name, size);
    channel->name_size = size;
    list_init(&channel->link);
    list_init(&channel->attach_link);
    list_init(&channel->lagging_link);
    list_init(&channel->untold_link);
    redis_tail_init(&channel->tail);
    map_insert(&bus->channels.map, &channel->entry, channel->name, size);
    list_append(&bus->channels.all, &channel->link);
    return channel;
}

static void destroy(struct redis_channel *channel)
{
    reset(channel);
    map_remove(&channel->bus->channels.map, &channel->entry);
    list_remove(&channel->link);
    memory_free(channel);
}

void redis_channel_pin(struct redis_channel *channel)
{
    channel->pins++;
}

void redis_channel_unpin(struct redis_channel *channel)
{
    assert(channel->pins > 0);
    channel->pins--;
    if (channel->stage == REDIS_CHANNEL_LEFT && channel->pins == 0 && channel->joins == 0 &&
        channel->leaves == 0 && !channel->is_asking)
        destroy(channel);
}

void redis_channel_tell(struct redis_channel *channel)
{
    struct bus *bus = &channel->bus->bus;

    list_remove(&channel->untold_link);
    if (channel->is_told)
        return;
    channel->is_told = true;
    bus->events->subscribed(bus->context, channel->name, channel->name_size);
}

void redis_channel_subscribe(struct redis_bus *bus, const char *name, size_t size)
{
    struct redis_channel *channel = find(bus, name, size);

    if (!channel)
        channel = create(bus, name, size);
    assert(channel->stage == REDIS_CHANNEL_LEFT);
    channel->stage = REDIS_CHANNEL_SUBSCRIBING;
    channel->is_told = false;
    metric_set(&bus->bus.stats.subscriptions, ++bus->channels.wanted);
    if (redis_link_is_ready(&bus->subscriber)) {
        send_topics(bus, "SUBSCRIBE", &channel, 1);
        channel->joins++;
    }
    redis_attach(channel);
    if (bus->bus.state == BUS_DOWN) {
        list_append(&bus->channels.untold, &channel->untold_link);
        redis_bus_tell_soon(bus);
    }
}

void redis_channel_unsubscribe(struct redis_bus *bus, const char *name, size_t size)
{
    struct redis_channel *channel = find(bus, name, size);

    assert(channel && channel->stage != REDIS_CHANNEL_LEFT);
    redis_channel_pin(channel);
    reset(channel);
    channel->stage = REDIS_CHANNEL_LEFT;
    metric_set(&bus->bus.stats.subscriptions, --bus->channels.wanted);
    if (redis_link_is_ready(&bus->subscriber)) {
        send_topics(bus, "UNSUBSCRIBE", &channel, 1);
        channel->leaves++;
    }
    redis_channel_unpin(channel);
}

void redis_channels_tell_untold(struct redis_bus *bus)
{
    while (!list_is_empty(&bus->channels.untold))
        redis_channel_tell(
            container_of(bus->channels.untold.next, struct redis_channel, untold_link));
}

void redis_channels_tell_all(struct redis_bus *bus)
{
    for (struct list *link = bus->channels.all.next; link != &bus->channels.all;
         link = link->next) {
        struct redis_channel *channel = container_of(link, struct redis_channel, link);

        if (channel->stage != REDIS_CHANNEL_LEFT && !channel->is_told &&
            list_is_empty(&channel->untold_link))
            list_append(&bus->channels.untold, &channel->untold_link);
    }
    redis_channels_tell_untold(bus);
}

/* Messages. */

void redis_channel_take(struct redis_channel *channel, struct message *message)
{
    struct redis_bus *bus = channel->bus;
    struct bus_stats *stats = &bus->bus.stats;
    uint64_t now = now_of(channel);

    assert(message->offset == channel->position + 1);
    channel->position = message->offset;
    redis_tail_append(&bus->channels.tails, &channel->tail, message, message->offset, now);
    if (redis_senders_accept(&channel->senders, message->publisher, message->sequence, now)) {
        metric_add(&stats->delivered, 1);
        bus->bus.events->deliver(bus->bus.context, message);
    } else {
        metric_add(&stats->duplicates, 1);
    }
    if (message->publisher == bus->bus.settings.node_id)
        redis_publisher_seen(&bus->publisher, message->sequence, message->epoch, message->offset);
}

void redis_channel_lose(struct redis_channel *channel, uint64_t position)
{
    struct redis_bus *bus = channel->bus;

    channel->position = position;
    redis_tail_clear(&bus->channels.tails, &channel->tail);
    metric_add(&bus->bus.stats.messages_lost, 1);
    if (redis_bus_may_warn(bus, REDIS_WARNING_LOSS))
        log_event(LOG_WARNING, log_name("messages lost"), log_text("channel", channel->name),
                  log_number("offset", (int64_t)position));
    bus->bus.events->lost(bus->bus.context, channel->name, channel->name_size);
}

static bool is_next(const struct redis_channel *channel, const struct message *message)
{
    if (message->offset != channel->position + 1)
        return false;
    return channel->epoch[0] == '\0' || strcmp(message->epoch, channel->epoch) == 0;
}

/* A message, whose reference is ours now, on a channel that may be live. */
static void hear(struct redis_channel *channel, struct message *message)
{
    if (channel->stage != REDIS_CHANNEL_LIVE) {
        append_pending(channel, message, channel->attach_number);
        return;
    }
    if (is_next(channel, message)) {
        memcpy(channel->epoch, message->epoch, sizeof(channel->epoch));
        redis_channel_take(channel, message);
        message_unref(message);
        return;
    }
    if (message->offset <= channel->position && strcmp(message->epoch, channel->epoch) == 0) {
        metric_add(&channel->bus->bus.stats.duplicates, 1);
        message_unref(message);
        return;
    }
    channel->stage = REDIS_CHANNEL_ATTACHING;
    append_pending(channel, message, channel->attach_number);
    redis_attach(channel);
}

/* Hands the pending messages over to the caller. */
static struct redis_pending take_out_pending(struct redis_channel *channel)
{
    struct redis_pending pending = channel->pending;

    channel->pending = (struct redis_pending){0};
    return pending;
}

bool redis_channel_take_pending(struct redis_channel *channel)
{
    uint32_t life = channel->life;
    bool any = false;
    struct redis_pending pending = take_out_pending(channel);

    for (size_t i = 0; i < pending.count; i++) {
        struct message *message = pending.entries[i].message;

        if (channel->life == life && channel->epoch[0] != '\0' && is_next(channel, message)) {
            redis_channel_take(channel, message);
            message_unref(message);
            any = true;
        } else if (channel->life == life) {
            append_pending(channel, message, pending.entries[i].attach_number);
        } else {
            message_unref(message);
        }
    }
    memory_free(pending.entries);
    return any;
}

/*
 * What came before the last ATTACH was sent had been published when Redis answered it. If it still
 * does not fit then, it never will: it is of an epoch that is over, or nobody published it through
 * us. Keeping it would mean asking for ever.
 */
static bool is_stale(const struct redis_channel *channel, const struct redis_pending_entry *pending)
{
    return pending->attach_number != channel->attach_number &&
           !is_next(channel, pending->message) &&
           (pending->message->offset > channel->position ||
            strcmp(pending->message->epoch, channel->epoch) != 0);
}

void redis_channel_go_live(struct redis_channel *channel)
{
    uint32_t life = channel->life;
    struct redis_pending pending = take_out_pending(channel);

    channel->stage = REDIS_CHANNEL_LIVE;
    channel->restores = 0;
    for (size_t i = 0; i < pending.count; i++) {
        struct message *message = pending.entries[i].message;

        if (channel->life != life || is_stale(channel, &pending.entries[i]))
            message_unref(message);
        else
            hear(channel, message);
    }
    memory_free(pending.entries);
    if (channel->life == life && channel->stage == REDIS_CHANNEL_LIVE &&
        channel->awaited_messages > 0)
        redis_publisher_release(&channel->bus->publisher, channel, channel->position);
}

/* The subscriber connection. */

static void on_message(struct redis_bus *bus, struct redis_channel *channel,
                       const redisReply *payload)
{
    struct message *message = NULL;
    int error = UV_EPROTO;

    if (payload->type == REDIS_REPLY_STRING)
        error = envelope_read(payload->str, (size_t)payload->len,
                              (size_t)bus->bus.settings.message_limit_bytes, &message);
    if (!error && message->channel_size == channel->name_size &&
        memcmp(message->channel, channel->name, channel->name_size) == 0 && message->offset > 0 &&
        message->epoch[0] != '\0') {
        hear(channel, message);
        return;
    }
    message_unref(message);
    if (redis_bus_may_warn(bus, REDIS_WARNING_GARBAGE))
        log_event(LOG_WARNING, log_name("redis message is garbage"),
                  log_text("channel", channel->name), log_number("bytes", (int64_t)payload->len));
}

static void on_joined(struct redis_channel *channel)
{
    if (channel->joins == 0)
        return; /* not asked for */
    channel->joins--;
    if (channel->joins == 0 && channel->stage == REDIS_CHANNEL_SUBSCRIBING) {
        channel->stage = REDIS_CHANNEL_ATTACHING;
        redis_attach(channel);
    }
}

void redis_channels_pushed(struct redis_bus *bus, const redisReply *reply)
{
    const redisReply *verb = redis_reply_at(reply, 0);
    const redisReply *topic = redis_reply_at(reply, 1);
    const redisReply *payload = redis_reply_at(reply, 2);
    const char *name;
    size_t size;

    if (!verb || !topic || !payload || verb->type != REDIS_REPLY_STRING ||
        topic->type != REDIS_REPLY_STRING) {
        redis_link_drop(&bus->subscriber, "answer that no subscriber gets");
        return;
    }
    if (!redis_topic_channel(bus->prefix, bus->url.database, topic->str, (size_t)topic->len, &name,
                             &size))
        return;

    struct redis_channel *channel = find(bus, name, size);

    if (!channel)
        return;
    redis_channel_pin(channel);
    if (strcmp(verb->str, "message") == 0) {
        if (channel->stage != REDIS_CHANNEL_LEFT)
            on_message(bus, channel, payload);
    } else if (strcmp(verb->str, "subscribe") == 0) {
        on_joined(channel);
    } else if (strcmp(verb->str, "unsubscribe") == 0 && channel->leaves > 0) {
        channel->leaves--;
    }
    redis_channel_unpin(channel);
}

void redis_channels_subscriber_ready(struct redis_bus *bus)
{
    struct redis_channel *batch[SUBSCRIBE_BATCH];
    size_t count = 0;

    for (struct list *link = bus->channels.all.next; link != &bus->channels.all;
         link = link->next) {
        struct redis_channel *channel = container_of(link, struct redis_channel, link);

        if (channel->stage == REDIS_CHANNEL_LEFT)
            continue;
        channel->joins++;
        batch[count++] = channel;
        if (count == SUBSCRIBE_BATCH) {
            send_topics(bus, "SUBSCRIBE", batch, count);
            count = 0;
        }
    }
    if (count > 0)
        send_topics(bus, "SUBSCRIBE", batch, count);
}

void redis_channels_subscriber_down(struct redis_bus *bus)
{
    struct list *link = bus->channels.all.next;

    while (link != &bus->channels.all) {
        struct redis_channel *channel = container_of(link, struct redis_channel, link);

        link = link->next;
        channel->joins = 0;
        channel->leaves = 0;
        channel->is_confirming = false;
        if (channel->stage != REDIS_CHANNEL_LEFT)
            channel->stage = REDIS_CHANNEL_SUBSCRIBING;
        redis_channel_pin(channel);
        redis_channel_unpin(channel);
    }
}

/* Lagging. */

struct redis_channel *redis_channel_await(struct redis_bus *bus, const struct message *message,
                                          const char *epoch, uint64_t offset)
{
    struct redis_channel *channel = find(bus, message->channel, message->channel_size);

    bool is_same = channel && strcmp(epoch, channel->epoch) == 0;

    if (!channel || channel->stage == REDIS_CHANNEL_LEFT || !channel->is_known || !epoch[0])
        return NULL;
    if (offset <= channel->position && is_same)
        return NULL;
    if (!is_same && channel->epoch[0] && channel->stage == REDIS_CHANNEL_LIVE) {
        channel->stage = REDIS_CHANNEL_ATTACHING;
        redis_attach(channel);
    }
    channel->awaited = offset;
    if (list_is_empty(&channel->lagging_link)) {
        channel->awaited_ms = now_of(channel);
        list_append(&bus->channels.lagging, &channel->lagging_link);
    }
    return channel;
}

static void look_at_lagging(struct redis_channel *channel)
{
    uint64_t now = now_of(channel);

    if (channel->stage != REDIS_CHANNEL_LIVE)
        return;
    if (channel->position >= channel->awaited) {
        list_remove(&channel->lagging_link);
        return;
    }
    if (now - channel->awaited_ms < LAG_MS)
        return;
    channel->awaited_ms = now;
    channel->stage = REDIS_CHANNEL_ATTACHING;
    redis_attach(channel);
}

void redis_channels_tick(struct redis_bus *bus)
{
    struct list *link = bus->channels.lagging.next;

    while (link != &bus->channels.lagging) {
        struct redis_channel *channel = container_of(link, struct redis_channel, lagging_link);

        link = link->next;
        look_at_lagging(channel);
    }
    redis_tails_expire(&bus->channels.tails, loop_now_ms(bus->bus.loop));
}

void redis_channels_init(struct redis_channels *channels)
{
    *channels = (struct redis_channels){0};
    list_init(&channels->all);
    list_init(&channels->waiting);
    list_init(&channels->retrying);
    list_init(&channels->lagging);
    list_init(&channels->untold);
    redis_tails_init(&channels->tails, 0);
}

void redis_channels_deinit(struct redis_bus *bus)
{
    while (!list_is_empty(&bus->channels.all))
        destroy(container_of(bus->channels.all.next, struct redis_channel, link));
    map_deinit(&bus->channels.map);
}
