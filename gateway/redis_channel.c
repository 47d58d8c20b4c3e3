/*
 * Live messages come over the subscriber connection, history over the command connection, and
 * nothing orders the two but the offsets. So a channel has a position, and one rule: the message at
 * position + 1 is taken, what is at or before the position is dropped, and what is beyond waits
 * while history is read. It is live once SUBSCRIBE has been confirmed on the present connection and
 * the history has been read after that: from then on everything comes by itself, until a hole shows
 * that something did not. Its first position is asked for after that confirmation, too: between the
 * two, messages of a channel without history would belong to neither.
 *
 * A channel that nobody wants any more stays in the map until every answer that names it has come,
 * so that a confirmation is never taken for that of a later subscription.
 */
#include "gateway/redis_channel.h"

#include <assert.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "gateway/bus_redis.h"
#include "gateway/redis_attach.h"
#include "gateway/redis_topics.h"

#define RETRY_MS       250 /* first wait of a channel that Redis refuses */
#define RETRY_LIMIT_MS 30000

static uint64_t now_of(const struct redis_channel *channel)
{
    return loop_now_ms(channel->bus->bus.loop);
}

struct redis_channel *redis_channel_find(struct redis_bus *bus, const char *name, size_t size)
{
    struct map_entry *entry = map_find(&bus->channels.map, name, size);

    return entry ? container_of(entry, struct redis_channel, entry) : NULL;
}

/* Keeps a message, whose reference is ours, until history has been read. */
static void append_pending(struct redis_channel *channel, struct message *message,
                           uint32_t attach_number)
{
    struct redis_pending *pending = &channel->pending;
    const struct message *oldest = pending->count ? pending->entries[0].message : message;
    char epoch[sizeof(oldest->epoch)];

    memcpy(epoch, oldest->epoch, sizeof(epoch));
    if (redis_pending_append(pending, message, attach_number))
        return;
    channel->has_overflowed = true; /* history has them, and is read once more */
    if (channel->dropped[0] == '\0')
        memcpy(channel->dropped, epoch, sizeof(epoch));
}

/* What publishes wait for. */

static void set_counted(bool *is_counted, size_t *count, bool is_to_be)
{
    if (is_to_be && !*is_counted)
        ++*count;
    if (!is_to_be && *is_counted)
        --*count;
    *is_counted = is_to_be;
}

/* Subscribers count on a position that is not known yet: asked for after their own messages went
 * out, it would already be behind them. */
static void count_unplaced(struct redis_channel *channel)
{
    set_counted(&channel->is_unplaced, &channel->bus->channels.unplaced,
                channel->is_told && !channel->is_known && !channel->is_barred);
}

static void set_behind(struct redis_channel *channel, bool is_behind)
{
    set_counted(&channel->is_behind, &channel->bus->channels.behind, is_behind);
}

void redis_channel_bar(struct redis_channel *channel)
{
    channel->is_barred = true;
    count_unplaced(channel);
    set_behind(channel, false);
    redis_echo_end(channel);
}

void redis_channel_admit(struct redis_channel *channel)
{
    channel->is_barred = false;
    backoff_reset(&channel->backoff);
    count_unplaced(channel);
}

/* Life and death. */

static void reset(struct redis_channel *channel)
{
    struct redis_channels *channels = &channel->bus->channels;

    list_remove(&channel->attach_link);
    list_remove(&channel->untold_link);
    redis_pending_clear(&channel->pending);
    redis_tail_clear(&channels->tails, &channel->tail);
    redis_senders_deinit(&channel->senders);
    redis_echo_end(channel);
    channel->life++;
    channel->is_told = false;
    channel->is_known = false;
    redis_channel_admit(channel);
    set_behind(channel, false);
    channel->epoch[0] = '\0';
    channel->position = 0;
    channel->limits = (struct redis_limits){0};
    channel->is_confirming = false;
    channel->must_check = false;
    channel->is_marked = false;
    channel->restores = 0;
    channel->hole = 0;
    channel->has_overflowed = false;
    channel->dropped[0] = '\0';
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
    list_init(&channel->untold_link);
    channel->backoff = (struct backoff){.floor_ms = RETRY_MS, .limit_ms = RETRY_LIMIT_MS};
    redis_echo_init(&channel->echo);
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

void redis_channel_place(struct redis_channel *channel, uint64_t position)
{
    uint32_t life = channel->life;
    bool is_late = channel->is_barred && channel->is_told;

    channel->position = position;
    channel->is_known = true;
    redis_channel_admit(channel);
    redis_channel_tell(channel);
    /* Whoever was told while Redis refused has missed what others published since. */
    if (is_late && channel->life == life)
        redis_channel_lose(channel, position);
}

void redis_channel_tell(struct redis_channel *channel)
{
    struct bus *bus = &channel->bus->bus;

    list_remove(&channel->untold_link);
    if (channel->is_told)
        return;
    channel->is_told = true;
    count_unplaced(channel);
    bus->events->subscribed(bus->context, channel->name, channel->name_size);
}

void redis_channel_subscribe(struct redis_bus *bus, const char *name, size_t size)
{
    struct redis_channel *channel = redis_channel_find(bus, name, size);

    if (!channel)
        channel = create(bus, name, size);
    assert(channel->stage == REDIS_CHANNEL_LEFT);
    channel->stage = REDIS_CHANNEL_SUBSCRIBING;
    metric_set(&bus->bus.stats.subscriptions, ++bus->channels.wanted);
    set_behind(channel, !redis_topics_are_heard(bus));
    redis_topics_subscribe(channel);
    if (bus->bus.state == BUS_DOWN) {
        list_append(&bus->channels.untold, &channel->untold_link);
        redis_bus_tell_soon(bus);
    }
}

void redis_channel_unsubscribe(struct redis_bus *bus, const char *name, size_t size)
{
    struct redis_channel *channel = redis_channel_find(bus, name, size);

    assert(channel && channel->stage != REDIS_CHANNEL_LEFT);
    redis_channel_pin(channel);
    reset(channel);
    channel->stage = REDIS_CHANNEL_LEFT;
    metric_set(&bus->bus.stats.subscriptions, --bus->channels.wanted);
    redis_topics_unsubscribe(channel);
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

void redis_channel_look(struct redis_channel *channel)
{
    if (channel->stage != REDIS_CHANNEL_LIVE)
        return;
    channel->stage = REDIS_CHANNEL_ATTACHING;
    redis_attach(channel);
}

static bool is_next(const struct redis_channel *channel, const struct message *message)
{
    if (message->offset != channel->position + 1)
        return false;
    return channel->epoch[0] == '\0' || strcmp(message->epoch, channel->epoch) == 0;
}

/* Drops a message that was delivered before, or false where it was not. */
static bool drop_duplicate(struct redis_channel *channel, struct message *message)
{
    if (message->offset > channel->position || strcmp(message->epoch, channel->epoch) != 0)
        return false;
    metric_add(&channel->bus->bus.stats.duplicates, 1);
    message_unref(message);
    return true;
}

void redis_channel_hear(struct redis_channel *channel, struct message *message)
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
    if (drop_duplicate(channel, message))
        return;
    append_pending(channel, message, channel->attach_number);
    redis_channel_look(channel);
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
        } else if (channel->life != life) {
            message_unref(message);
        } else if (!drop_duplicate(channel, message)) {
            append_pending(channel, message, pending.entries[i].attach_number);
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
    channel->hole = 0;
    channel->dropped[0] = '\0';
    for (size_t i = 0; i < pending.count; i++) {
        struct message *message = pending.entries[i].message;

        if (channel->life != life || is_stale(channel, &pending.entries[i]))
            message_unref(message);
        else
            redis_channel_hear(channel, message);
    }
    memory_free(pending.entries);
    if (channel->life != life || channel->stage != REDIS_CHANNEL_LIVE)
        return;
    set_behind(channel, false);
    if (channel->echo.messages > 0)
        redis_publisher_release(&channel->bus->publisher, channel, channel->position);
}

/* The subscriber connection. */

void redis_channel_joined(struct redis_channel *channel)
{
    redis_channel_pin(channel);
    channel->joins--;
    if (channel->joins == 0 && channel->stage == REDIS_CHANNEL_SUBSCRIBING) {
        channel->stage = REDIS_CHANNEL_ATTACHING;
        redis_attach(channel);
    }
    redis_channel_unpin(channel);
}

void redis_channel_rejoin(struct redis_channel *channel)
{
    if (channel->stage == REDIS_CHANNEL_SUBSCRIBING)
        return; /* about to be confirmed as it is */
    channel->stage = REDIS_CHANNEL_SUBSCRIBING;
    redis_topics_subscribe(channel);
}

void redis_channel_left(struct redis_channel *channel)
{
    redis_channel_pin(channel);
    channel->leaves--;
    redis_channel_unpin(channel);
}

void redis_channel_refused(struct redis_channel *channel, const char *why)
{
    struct redis_bus *bus = channel->bus;
    uint32_t life = channel->life;

    redis_channel_pin(channel);
    channel->joins--;
    if (channel->joins == 0 && channel->stage == REDIS_CHANNEL_SUBSCRIBING) {
        if (redis_bus_may_warn(bus, REDIS_WARNING_REFUSED))
            log_event(LOG_WARNING, log_name("subscription refused"), log_text("reason", why),
                      log_text("channel", channel->name));
        redis_channel_bar(channel);
        redis_channel_tell(channel);
        if (channel->life == life)
            redis_channel_lose(channel, channel->position);
        if (channel->life == life)
            redis_channel_try_later(channel, true);
    }
    redis_channel_unpin(channel);
}

void redis_channels_disconnected(struct redis_bus *bus)
{
    struct list *link = bus->channels.all.next;

    while (link != &bus->channels.all) {
        struct redis_channel *channel = container_of(link, struct redis_channel, link);

        redis_channel_pin(channel);
        channel->joins = 0;
        channel->leaves = 0;
        channel->is_confirming = false;
        if (channel->stage != REDIS_CHANNEL_LEFT) {
            channel->stage = REDIS_CHANNEL_SUBSCRIBING;
            set_behind(channel, !channel->is_barred);
            /* What does not fit now is beyond a hole, which is read with whatever follows it. */
            redis_channel_take_pending(channel);
            redis_pending_clear(&channel->pending);
        }
        link = link->next;
        redis_channel_unpin(channel);
    }
}

void redis_channels_check(struct redis_bus *bus)
{
    for (struct list *link = bus->channels.all.next; link != &bus->channels.all;
         link = link->next) {
        struct redis_channel *channel = container_of(link, struct redis_channel, link);

        if (channel->stage == REDIS_CHANNEL_LEFT)
            continue;
        channel->must_check = true;
        set_behind(channel, !channel->is_barred);
    }
}

void redis_channel_try_later(struct redis_channel *channel, bool is_refused)
{
    channel->retry_ms = now_of(channel);
    if (is_refused)
        channel->retry_ms += backoff_next_ms(&channel->backoff);
    list_remove(&channel->attach_link);
    list_append(&channel->bus->channels.retrying, &channel->attach_link);
}

void redis_channels_init(struct redis_channels *channels)
{
    *channels = (struct redis_channels){0};
    list_init(&channels->all);
    list_init(&channels->waiting);
    list_init(&channels->retrying);
    list_init(&channels->echoing);
    list_init(&channels->untold);
    redis_tails_init(&channels->tails, 0);
}

void redis_channels_deinit(struct redis_bus *bus)
{
    while (!list_is_empty(&bus->channels.all))
        destroy(container_of(bus->channels.all.next, struct redis_channel, link));
    map_deinit(&bus->channels.map);
}
