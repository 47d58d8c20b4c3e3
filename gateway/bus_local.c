#include <stdio.h>
#include <string.h>

#include "common/map.h"
#include "common/memory.h"
#include "common/random.h"
#include "gateway/bus_backend.h"

/*
 * The bus of a gateway that is alone: the order of a channel is the order in which the hub publishes,
 * and everything happens before the call returns. A channel is remembered while it is subscribed;
 * each of its lives has an epoch of its own.
 */

struct local_channel {
    struct map_entry entry;
    uint64_t offset;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    size_t name_size;
    char name[];
};

struct local_bus {
    struct bus bus;
    struct waiter waiter; /* for events that must not come from inside a call */
    struct map channels;
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

static void subscribe(struct bus *base, const char *name, size_t size)
{
    struct local_bus *bus = of_bus(base);
    struct local_channel *channel = memory_zeroed(1, sizeof(*channel) + size + 1);

    snprintf(channel->epoch, sizeof(channel->epoch), "%016llx", (unsigned long long)random_id());
    channel->name_size = size;
    memcpy(channel->name, name, size);
    map_insert(&bus->channels, &channel->entry, channel->name, size);
    metric_set(&base->stats.subscriptions, bus->channels.count);
    base->events->subscribed(base->context, name, size);
}

static void unsubscribe(struct bus *base, const char *name, size_t size)
{
    struct local_bus *bus = of_bus(base);
    struct local_channel *channel = find(bus, name, size);

    if (!channel)
        return;
    map_remove(&bus->channels, &channel->entry);
    metric_set(&base->stats.subscriptions, bus->channels.count);
    memory_free(channel);
}

static void publish(struct bus *base, struct bus_publish *publish)
{
    struct local_bus *bus = of_bus(base);
    struct message *message = publish->message;
    struct local_channel *channel = find(bus, message->channel, message->channel_size);

    message->publisher = base->settings.node_id;
    message->sequence = ++bus->sequence;
    metric_add(&base->stats.published, 1);
    if (channel) {
        message->offset = ++channel->offset;
        memcpy(message->epoch, channel->epoch, sizeof(message->epoch));
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
    struct local_bus *bus = context;

    map_remove(&bus->channels, entry);
    memory_free(container_of(entry, struct local_channel, entry));
}

static void on_turn(struct waiter *waiter)
{
    struct local_bus *bus = container_of(waiter, struct local_bus, waiter);

    if (!bus->closed) {
        bus_set_state(&bus->bus, BUS_UP);
        return;
    }

    void (*closed)(void *context) = bus->closed;
    void *context = bus->closed_context;

    map_each(&bus->channels, free_channel, bus);
    map_deinit(&bus->channels);
    memory_free(bus);
    closed(context);
}

static void close_bus(struct bus *base, void (*closed)(void *context), void *context)
{
    struct local_bus *bus = of_bus(base);

    bus->closed = closed;
    bus->closed_context = context;
    loop_wait(base->loop, &bus->waiter, 0);
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
    waiter_init(&bus->waiter, on_turn);
    loop_wait(loop, &bus->waiter, 0);
    return &bus->bus;
}
