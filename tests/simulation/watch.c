#include "tests/simulation/watch.h"

#include <string.h>

#include "common/memory.h"
#include "router/shard_parts.h"
#include "tests/simulation/processes.h"

static void note_place(int channel, const struct message *message, struct identity identity)
{
    for (size_t i = world.seen_count; i-- > 0;) {
        if (world.seen[i].channel != channel || world.seen[i].offset != message->offset ||
            strcmp(world.seen[i].epoch, message->epoch) != 0)
            continue;
        if (!is_same(world.seen[i].identity, identity))
            fail("two messages at %s %s/%llu", channels[channel], message->epoch,
                 (unsigned long long)message->offset);
        return;
    }
    if (world.seen_count == world.seen_capacity) {
        world.seen_capacity = world.seen_capacity ? world.seen_capacity * 2 : 256;
        world.seen = memory_resize(world.seen, world.seen_capacity * sizeof(*world.seen));
    }
    world.seen[world.seen_count].channel = channel;
    epoch_copy(world.seen[world.seen_count].epoch, message->epoch);
    world.seen[world.seen_count].offset = message->offset;
    world.seen[world.seen_count++].identity = identity;
}

static void on_deliver(void *context, struct message *message)
{
    struct process *gateway = context;
    int channel = channel_index(message->channel);
    struct log *log = &gateway->logs[channel];
    struct identity identity = identity_of(message);

    say("%s: %s %s/%llu is %llx:%llu", gateway->name, message->channel, message->epoch + 12,
        (unsigned long long)message->offset, (unsigned long long)message->publisher,
        (unsigned long long)message->sequence);
    if (message_is_ephemeral(message->kind)) {
        if (message->offset != 0 || message->epoch[0] != '\0')
            fail("%s was given an ephemeral message with a place", gateway->name);
        return;
    }
    note_place(channel, message, identity);
    for (size_t i = 0; i < log->count; i++) {
        if (is_same(log->items[i], identity) && log->losses == 0)
            fail("%s was given %llx:%llu twice", gateway->name,
                 (unsigned long long)identity.publisher, (unsigned long long)identity.sequence);
    }
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 64;
        log->items = memory_resize(log->items, log->capacity * sizeof(*log->items));
    }
    log->items[log->count++] = identity;
}

static void on_subscribed(void *context, const char *channel, size_t channel_size)
{
    (void)context;
    (void)channel;
    (void)channel_size;
}

static void on_lost(void *context, const char *channel, size_t channel_size)
{
    struct process *gateway = context;
    int index = channel_index(channel);

    (void)channel_size;
    say("%s: LOST on %s", gateway->name, channel);
    gateway->logs[index].losses++;
    if (world.is_mild && !world.all_died && !world.is_divided[index])
        fail("%s was told of a loss on %s", gateway->name, channel);
}

static void on_bus_state(void *context, enum bus_state state)
{
    (void)context;
    (void)state;
}

const struct bus_events bus_events = {on_deliver, on_subscribed, on_lost, on_bus_state};

void on_published(struct bus_publish *publish, int error)
{
    const struct message *message = publish->message;

    if (error != UV_ECANCELED) {
        world.answered++;
        if (error)
            fail("a publish ended with %s", uv_err_name(error));
        if (world.acked_count == world.acked_capacity) {
            world.acked_capacity = world.acked_capacity ? world.acked_capacity * 2 : 256;
            world.acked = memory_resize(world.acked, world.acked_capacity * sizeof(*world.acked));
        }
        world.acked[world.acked_count].channel = channel_index(message->channel);
        world.acked[world.acked_count++].identity = identity_of(message);
    }
    message_unref(publish->message);
    memory_free(publish);
}

void on_said(struct bus_publish *publish, int error)
{
    if (error && error != UV_ENOTCONN && error != UV_ECANCELED)
        fail("an ephemeral publish ended with %s", uv_err_name(error));
    message_unref(publish->message);
    memory_free(publish);
}

bool has_message(const struct history *history, struct identity identity)
{
    struct history_reader reader;
    const struct message *message;

    history_read(history, &reader, 0, HISTORY_FORWARD, UINT64_MAX);
    while ((message = history_next(&reader))) {
        if (is_same(identity_of(message), identity))
            return true;
    }
    return false;
}

static bool has_stray(const struct place *place, struct identity identity)
{
    for (const struct list *at = place->strays.next; at != &place->strays; at = at->next) {
        const struct waiting *waiting = container_of(at, struct waiting, link);

        if (is_same(identity_of(waiting->message), identity))
            return true;
    }
    return false;
}

static bool is_alive_somewhere(int channel, struct identity identity)
{
    for (int i = 0; i < world.router_count; i++) {
        const struct place *place = world.routers[i] ? place_of(world.routers[i], channel) : NULL;

        if (place && (has_message(&place->history, identity) || has_stray(place, identity)))
            return true;
    }
    return false;
}

static void bury_message(int channel, const struct message *message)
{
    struct identity identity = identity_of(message);

    if (is_alive_somewhere(channel, identity))
        return;
    if (world.buried_count == world.buried_capacity) {
        world.buried_capacity = world.buried_capacity ? world.buried_capacity * 2 : 256;
        world.buried = memory_resize(world.buried, world.buried_capacity * sizeof(*world.buried));
    }
    world.buried[world.buried_count].channel = channel;
    world.buried[world.buried_count++].identity = identity;
}

void bury_messages(const struct process *router)
{
    for (int c = 0; c < CHANNELS; c++) {
        const struct place *place = place_of(router, c);
        struct history_reader reader;
        const struct message *message;

        if (!place)
            continue;
        history_read(&place->history, &reader, 0, HISTORY_FORWARD, UINT64_MAX);
        while ((message = history_next(&reader)))
            bury_message(c, message);
        for (const struct list *at = place->strays.next; at != &place->strays; at = at->next)
            bury_message(c, container_of(at, struct waiting, link)->message);
    }
}

bool is_buried(int channel, struct identity identity)
{
    for (size_t i = 0; i < world.buried_count; i++) {
        if (world.buried[i].channel == channel && is_same(world.buried[i].identity, identity))
            return true;
    }
    return false;
}
