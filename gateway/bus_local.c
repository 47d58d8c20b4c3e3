/*
 * The bus of a gateway that is alone: the order of a channel is the order in which the hub
 * publishes, and everything happens before the call returns.
 *
 * A channel exists while it has a subscriber or a message in its history; with the last of both its
 * epoch and offset are forgotten, and should it be used again, that is a new life under a new
 * epoch. So channels without subscribers are bounded by --history-ttl and --history-memory,
 * whatever names clients think of. The epoch comes with the first message: before it there is
 * nothing to lose.
 *
 * A publish costs no timer: one waiter, set for the history that is due first, serves them all. It
 * is left as it is when that history grows younger, and finds out when it fires.
 */
#include <stdio.h>
#include <string.h>

#include "common/history.h"
#include "common/map.h"
#include "common/memory.h"
#include "common/random.h"
#include "gateway/bus_backend.h"

struct local_channel {
    struct map_entry entry;
    struct history history;
    struct local_bus *bus;
    bool is_subscribed;
    char epoch[MESSAGE_EPOCH_LIMIT + 1]; /* empty before the first message */
    size_t name_size;
    char name[];
};

struct local_bus {
    struct bus bus;
    struct waiter turn; /* for events that must not come from inside a call */
    struct waiter expiry;
    bool is_expiry_set;
    struct map channels;
    size_t subscription_count;
    struct histories histories;
    uint64_t sequence;
    void (*closed)(void *context);
    void *closed_context;
};

static struct local_bus *of_bus(struct bus *bus)
{
    return container_of(bus, struct local_bus, bus);
}

static struct local_channel *find(struct local_bus *bus, const char *name, size_t size)
{
    struct map_entry *entry = map_find(&bus->channels, name, size);

    return entry ? container_of(entry, struct local_channel, entry) : NULL;
}

static void forget(struct local_channel *channel)
{
    history_deinit(&channel->history);
    map_remove(&channel->bus->channels, &channel->entry);
    memory_free(channel);
}

static void on_emptied(struct history *history)
{
    struct local_channel *channel = container_of(history, struct local_channel, history);

    if (!channel->is_subscribed)
        forget(channel);
}

/* Of all histories; not at bus_local_open, because the settings are filled in behind it. */
static struct histories *histories_of(struct local_bus *bus)
{
    const struct bus_settings *settings = &bus->bus.settings;
    struct history_limits limits = {
        .message_limit = settings->history_size,
        .ttl_ms = settings->history_ttl_ms,
        .memory_limit = settings->history_memory_bytes,
    };

    if (!bus->histories.emptied)
        histories_init(&bus->histories, &limits, on_emptied);
    return &bus->histories;
}

static struct local_channel *find_or_create(struct local_bus *bus, const char *name, size_t size)
{
    struct local_channel *channel = find(bus, name, size);
    size_t bytes = sizeof(*channel) + size + 1;

    if (channel)
        return channel;
    channel = memory_zeroed(1, bytes);
    channel->bus = bus;
    channel->name_size = size;
    memcpy(channel->name, name, size);
    history_init(&channel->history, histories_of(bus), bytes);
    map_insert(&bus->channels, &channel->entry, channel->name, size);
    return channel;
}

static void set_subscribed(struct local_channel *channel, bool is_subscribed)
{
    struct local_bus *bus = channel->bus;

    if (channel->is_subscribed == is_subscribed)
        return;
    channel->is_subscribed = is_subscribed;
    if (is_subscribed)
        bus->subscription_count++;
    else
        bus->subscription_count--;
    metric_set(&bus->bus.stats.subscriptions, bus->subscription_count);
}

static void subscribe(struct bus *base, const char *name, size_t size)
{
    set_subscribed(find_or_create(of_bus(base), name, size), true);
    base->events->subscribed(base->context, name, size);
}

static void unsubscribe(struct bus *base, const char *name, size_t size)
{
    struct local_channel *channel = find(of_bus(base), name, size);

    if (!channel)
        return;
    set_subscribed(channel, false);
    if (channel->history.count == 0)
        forget(channel);
}

static void await_expiry(struct local_bus *bus)
{
    uint64_t now_ms = loop_now_ms(bus->bus.loop);
    uint64_t due_ms = histories_due_ms(&bus->histories);

    if (bus->is_expiry_set || due_ms == UINT64_MAX)
        return;
    bus->is_expiry_set = true;
    loop_wait(bus->bus.loop, &bus->expiry, due_ms > now_ms ? due_ms - now_ms : 0);
}

static void on_expiry(struct waiter *waiter)
{
    struct local_bus *bus = container_of(waiter, struct local_bus, expiry);

    bus->is_expiry_set = false;
    histories_expire(&bus->histories, loop_now_ms(bus->bus.loop));
    await_expiry(bus);
}

/* Gives the message its place. */
static void stamp(struct local_channel *channel, struct message *message)
{
    if (channel->epoch[0] == '\0')
        snprintf(channel->epoch, sizeof(channel->epoch), "%016llx",
                 (unsigned long long)random_id());
    message->publisher = channel->bus->bus.settings.node_id;
    message->sequence = ++channel->bus->sequence;
    message->offset = channel->history.top + 1;
    memcpy(message->epoch, channel->epoch, sizeof(message->epoch));
}

static void publish(struct bus *base, struct bus_publish *publish)
{
    struct local_bus *bus = of_bus(base);
    struct message *message = publish->message;
    struct local_channel *channel = find_or_create(bus, message->channel, message->channel_size);
    bool is_subscribed = channel->is_subscribed;

    stamp(channel, message);
    history_append(&channel->history, message,
                   loop_now_ms(base->loop)); /* may forget the channel */
    await_expiry(bus);
    metric_add(&base->stats.published, 1);
    if (is_subscribed) {
        metric_add(&base->stats.delivered, 1);
        base->events->deliver(base->context, message);
    }
    publish->published(publish, 0);
}

static void wait(struct bus *base, struct bus_barrier *barrier)
{
    (void)base; /* every publish before this one has been delivered already */
    barrier->passed(barrier);
}

static void free_channel(struct map_entry *entry, void *context)
{
    (void)context;
    forget(container_of(entry, struct local_channel, entry));
}

static void on_turn(struct waiter *waiter)
{
    struct local_bus *bus = container_of(waiter, struct local_bus, turn);

    if (!bus->closed) {
        bus_set_state(&bus->bus, BUS_UP);
        return;
    }

    void (*closed)(void *context) = bus->closed;
    void *context = bus->closed_context;

    loop_cancel(bus->bus.loop, &bus->expiry);
    map_each(&bus->channels, free_channel, NULL);
    map_deinit(&bus->channels);
    memory_free(bus);
    closed(context);
}

static void close_bus(struct bus *base, void (*closed)(void *context), void *context)
{
    struct local_bus *bus = of_bus(base);

    bus->closed = closed;
    bus->closed_context = context;
    loop_wait(base->loop, &bus->turn, 0);
}

static const struct bus_operations operations = {
    .name = "local",
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .publish = publish,
    .wait = wait,
    .close = close_bus,
};

struct bus *bus_local_open(struct loop *loop)
{
    struct local_bus *bus = memory_zeroed(1, sizeof(*bus));

    bus->bus.operations = &operations;
    waiter_init(&bus->turn, on_turn);
    waiter_init(&bus->expiry, on_expiry);
    loop_wait(loop, &bus->turn, 0);
    return &bus->bus;
}
