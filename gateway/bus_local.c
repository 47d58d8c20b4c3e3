/*
 * The bus of a gateway that is alone: the order of a channel is the order in which the hub
 * publishes, and everything happens before the call returns, but for answers (bus_local_asks.c).
 *
 * A channel exists while it has a subscriber, a message in its history, or an idempotency key; with
 * the last of these its epoch and offset are forgotten, and should it be used again, that is a new
 * life under a new epoch. So channels without subscribers are bounded by --history-ttl,
 * --history-memory and KEYS_MEMORY_BYTES, whatever names clients think of.
 *
 * A publish costs no timer: one waiter, set for what is due first, serves all histories and keys.
 * It is left as it is when that history grows younger, and finds out when it fires.
 */
#include "gateway/bus_local.h"

#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "common/random.h"

#define KEYS_MEMORY_BYTES ((uint64_t)32 * 1024 * 1024)

static struct local_bus *of_bus(struct bus *bus)
{
    return container_of(bus, struct local_bus, bus);
}

struct local_channel *local_channel_find(const struct local_bus *bus, const char *name, size_t size)
{
    struct map_entry *entry = map_find(&bus->channels, name, size);

    return entry ? container_of(entry, struct local_channel, entry) : NULL;
}

static void forget(struct local_channel *channel)
{
    history_deinit(&channel->history);
    key_table_deinit(&channel->keys);
    map_remove(&channel->bus->channels, &channel->entry);
    memory_free(channel);
}

void local_channel_release(struct local_channel *channel)
{
    if (!channel->is_subscribed && !channel->is_in_use && !history_is_held(&channel->history) &&
        key_table_is_empty(&channel->keys))
        forget(channel);
}

static void on_history_emptied(struct history *history)
{
    local_channel_release(container_of(history, struct local_channel, history));
}

static void on_keys_emptied(struct key_table *keys)
{
    local_channel_release(container_of(keys, struct local_channel, keys));
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
        histories_init(&bus->histories, &limits, on_history_emptied);
    return &bus->histories;
}

static struct local_channel *find_or_create(struct local_bus *bus, const char *name, size_t size)
{
    struct local_channel *channel = local_channel_find(bus, name, size);
    size_t bytes = sizeof(*channel) + size + 1;

    if (channel)
        return channel;
    channel = memory_zeroed(1, bytes);
    channel->bus = bus;
    channel->name_size = size;
    memcpy(channel->name, name, size);
    snprintf(channel->epoch, sizeof(channel->epoch), "%016llx", (unsigned long long)random_id());
    history_init(&channel->history, histories_of(bus), bytes);
    key_table_init(&channel->keys, &bus->keys, bytes);
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
    struct local_channel *channel = local_channel_find(of_bus(base), name, size);

    if (!channel)
        return;
    bus_presences_forget(&of_bus(base)->presences, name, size);
    set_subscribed(channel, false);
    local_channel_release(channel);
}

static void await_expiry(struct local_bus *bus)
{
    uint64_t now_ms = loop_now_ms(bus->bus.loop);
    uint64_t history_ms = histories_due_ms(&bus->histories);
    uint64_t keys_ms = key_tables_due_ms(&bus->keys);
    uint64_t due_ms = history_ms < keys_ms ? history_ms : keys_ms;

    if (due_ms == UINT64_MAX || (bus->is_expiry_set && bus->expiry_ms <= due_ms))
        return;
    bus->is_expiry_set = true;
    bus->expiry_ms = due_ms;
    loop_wait(bus->bus.loop, &bus->expiry, due_ms > now_ms ? due_ms - now_ms : 0);
}

static void on_expiry(struct waiter *waiter)
{
    struct local_bus *bus = container_of(waiter, struct local_bus, expiry);

    bus->is_expiry_set = false;
    histories_expire(histories_of(bus), loop_now_ms(bus->bus.loop));
    key_tables_expire(&bus->keys, loop_now_ms(bus->bus.loop));
    await_expiry(bus);
}

/* Gives the message its place. */
static void stamp(struct local_channel *channel, struct message *message)
{
    message->publisher = channel->bus->bus.settings.node_id;
    message->sequence = ++channel->bus->sequence;
    message->offset = channel->history.top + 1;
    memcpy(message->epoch, channel->epoch, sizeof(message->epoch));
}

static void deliver(struct local_bus *bus, struct message *message)
{
    metric_add(&bus->bus.stats.delivered, 1);
    bus->bus.events->deliver(bus->bus.context, message);
}

/* To whoever is there. */
static void publish_ephemeral(struct local_bus *bus, struct bus_publish *publish)
{
    struct message *message = publish->message;
    const struct local_channel *channel =
        local_channel_find(bus, message->channel, message->channel_size);

    message->publisher = bus->bus.settings.node_id;
    if (channel && channel->is_subscribed)
        deliver(bus, message);
    publish->published(publish, 0);
}

/* True where the message was said before: it is given that one's place. */
static bool is_repeat(const struct local_channel *channel, struct message *message)
{
    uint64_t now_ms = loop_now_ms(channel->bus->bus.loop);

    if (message->key.size == 0 ||
        !key_table_find(&channel->keys, message->key, now_ms, &message->offset))
        return false;
    memcpy(message->epoch, channel->epoch, sizeof(message->epoch));
    return true;
}

/* Keeps the message as long as it is to be kept, which may be no longer than this call, and the
 * channel with it. */
static void keep(struct local_channel *channel, const struct bus_publish *publish)
{
    struct local_bus *bus = channel->bus;
    struct message *message = publish->message;
    uint64_t now_ms = loop_now_ms(bus->bus.loop);
    struct history_terms terms = {bus->bus.settings.history_size, bus->bus.settings.history_ttl_ms};

    if (publish->has_limits)
        terms = (struct history_terms){publish->history_size, publish->history_ttl_ms};
    if (terms.ttl_ms == 0)
        terms.message_limit = 0;
    channel->is_in_use = true;
    history_append_as(&channel->history, message, &terms, now_ms);
    if (message->key.size > 0)
        key_table_note(&channel->keys, message->key, message->offset, now_ms);
    channel->is_in_use = false;
    local_channel_release(channel);
    await_expiry(bus);
}

static void publish(struct bus *base, struct bus_publish *publish)
{
    struct local_bus *bus = of_bus(base);
    struct message *message = publish->message;
    struct local_channel *channel;
    bool is_subscribed;

    publish->is_repeat = false;
    if (message_is_ephemeral(message->kind)) {
        publish_ephemeral(bus, publish);
        return;
    }
    channel = find_or_create(bus, message->channel, message->channel_size);
    is_subscribed = channel->is_subscribed;
    publish->is_repeat = is_repeat(channel, message);
    metric_add(&base->stats.published, 1);
    if (!publish->is_repeat) {
        stamp(channel, message);
        keep(channel, publish);
        if (is_subscribed)
            deliver(bus, message);
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

static void free_bus(uv_handle_t *handle)
{
    struct local_bus *bus = container_of((uv_idle_t *)handle, struct local_bus, chores);
    void (*closed)(void *context) = bus->closed;
    void *context = bus->closed_context;

    map_each(&bus->channels, free_channel, NULL);
    map_deinit(&bus->channels);
    bus_presences_deinit(&bus->presences);
    memory_free(bus);
    closed(context);
}

static void close_bus(struct bus *base, void (*closed)(void *context), void *context)
{
    struct local_bus *bus = of_bus(base);

    bus->closed = closed;
    bus->closed_context = context;
    loop_cancel(base->loop, &bus->expiry);
    uv_close((uv_handle_t *)&bus->chores, free_bus);
    local_asks_answer(bus, UV_ECANCELED);
}

static void on_chores(uv_idle_t *chores)
{
    struct local_bus *bus = container_of(chores, struct local_bus, chores);

    uv_idle_stop(chores);
    bus_set_state(&bus->bus, BUS_UP);
    local_asks_answer(bus, 0);
}

void local_bus_wake(struct local_bus *bus)
{
    uv_idle_start(&bus->chores, on_chores);
}

static const struct bus_operations operations = {
    .name = "local",
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .publish = publish,
    .ask_history = local_ask_history,
    .forget_history = local_forget_history,
    .presence_set = local_presence_set,
    .presence_remove = local_presence_remove,
    .ask_presence = local_ask_presence,
    .wait = wait,
    .close = close_bus,
};

struct bus *bus_local_open(struct loop *loop)
{
    struct local_bus *bus = memory_zeroed(1, sizeof(*bus));

    bus->bus.operations = &operations;
    uv_idle_init(&loop->uv, &bus->chores); /* cannot fail */
    waiter_init(&bus->expiry, on_expiry);
    list_init(&bus->asks);
    bus_presences_init(&bus->presences);
    key_tables_init(&bus->keys, BUS_KEY_WINDOW_MS, KEYS_MEMORY_BYTES, on_keys_emptied);
    local_bus_wake(bus);
    return &bus->bus;
}
