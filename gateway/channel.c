/*
 * Subscribers stand in a dense array for each wire format: a flush walks it from the end, so that a
 * subscriber that fails may leave in the middle of the walk (the last one, already served, takes
 * its place), and so does leaving at any other time, in O(1).
 *
 * A tick block that outgrows CHANNEL_TICK_BYTES is flushed before its time, which bounds both the
 * memory of a busy channel and the step by which a slow socket's queue can grow.
 */
#include "gateway/channel.h"

#include <assert.h>
#include <string.h>

#include "common/memory.h"

#define FIRST_BYTES 2048 /* of a tick block, which grows */

struct group {
    struct subscription **subscribers;
    uint32_t count;
    uint32_t capacity;
    struct block *tick; /* NULL while empty */
};

struct channel {
    struct map_entry entry;
    struct list idle_link;
    struct list dirty_link;
    struct list *dirty;
    const struct channel_sink *sink;
    enum channel_state state;
    size_t tick_messages;
    struct group groups[WIRE_COUNT];
    size_t name_size;
    char name[];
};

struct channel *channel_create(const char *name, size_t name_size, const struct channel_sink *sink,
                               struct list *dirty)
{
    struct channel *channel = memory_zeroed(1, sizeof(*channel) + name_size + 1);

    list_init(&channel->idle_link);
    list_init(&channel->dirty_link);
    channel->dirty = dirty;
    channel->sink = sink;
    channel->name_size = name_size;
    memcpy(channel->name, name, name_size);
    return channel;
}

void channel_destroy(struct channel *channel)
{
    assert(channel_is_empty(channel));
    list_remove(&channel->dirty_link);
    for (int wire = 0; wire < WIRE_COUNT; wire++) {
        block_unref(channel->groups[wire].tick);
        memory_free(channel->groups[wire].subscribers);
    }
    memory_free(channel);
}

void channel_each(struct channel *channel,
                  void (*visit)(struct subscription *subscription, void *context), void *context)
{
    for (int wire = 0; wire < WIRE_COUNT; wire++) {
        struct group *group = &channel->groups[wire];

        for (uint32_t i = group->count; i-- > 0;)
            visit(group->subscribers[i], context);
    }
}

struct settlement {
    const struct channel_sink *sink;
    int error;
};

static void tell_opened(struct subscription *subscription, void *context)
{
    const struct settlement *settlement = context;

    settlement->sink->opened(subscription, settlement->error);
}

void channel_settle(struct channel *channel, int error)
{
    struct settlement settlement = {channel->sink, error};

    assert(channel->state == CHANNEL_OPENING);
    if (!error)
        channel->state = CHANNEL_OPEN;
    channel_each(channel, tell_opened, &settlement);
}

void channel_join(struct channel *channel, struct subscription *subscription, enum wire wire)
{
    struct group *group = &channel->groups[wire];

    assert(!subscription->channel);
    channel_flush(channel);
    if (group->count == group->capacity) {
        group->capacity = group->capacity ? group->capacity * 2 : 2;
        group->subscribers =
            memory_resize(group->subscribers, group->capacity * sizeof(struct subscription *));
    }
    subscription->channel = channel;
    subscription->index = group->count;
    subscription->wire = (uint8_t)wire;
    group->subscribers[group->count++] = subscription;
}

void channel_leave(struct subscription *subscription)
{
    struct group *group = &subscription->channel->groups[subscription->wire];
    struct subscription *last = group->subscribers[--group->count];

    group->subscribers[subscription->index] = last;
    last->index = subscription->index;
    subscription->channel = NULL;
    if (group->capacity > 16 && group->count < group->capacity / 4) {
        group->capacity /= 2;
        group->subscribers =
            memory_resize(group->subscribers, group->capacity * sizeof(struct subscription *));
    }
}

void channel_append(struct channel *channel, const struct message *message)
{
    size_t largest = 0;

    if (channel->state != CHANNEL_OPEN)
        return;
    for (int wire = 0; wire < WIRE_COUNT; wire++) {
        struct group *group = &channel->groups[wire];

        if (group->count == 0)
            continue;
        if (!group->tick)
            group->tick = block_create(FIRST_BYTES);
        group->tick = channel->sink->encode((enum wire)wire, group->tick, message);
        if (group->tick->size > largest)
            largest = group->tick->size;
    }
    channel->tick_messages++;
    if (largest > CHANNEL_TICK_BYTES)
        channel_flush(channel);
    else if (list_is_empty(&channel->dirty_link))
        list_append(channel->dirty, &channel->dirty_link);
}

static void flush_group(struct channel *channel, struct group *group, size_t messages)
{
    struct block *tick = group->tick;

    if (!tick)
        return;
    group->tick = NULL;
    for (uint32_t i = group->count; i-- > 0;)
        channel->sink->deliver(group->subscribers[i], tick, messages);
    block_unref(tick);
}

void channel_flush(struct channel *channel)
{
    size_t messages = channel->tick_messages;

    list_remove(&channel->dirty_link);
    channel->tick_messages = 0;
    for (int wire = 0; wire < WIRE_COUNT; wire++)
        flush_group(channel, &channel->groups[wire], messages);
}

void channel_flush_all(struct list *dirty)
{
    while (!list_is_empty(dirty))
        channel_flush(container_of(dirty->next, struct channel, dirty_link));
}

bool channel_is_empty(const struct channel *channel)
{
    for (int wire = 0; wire < WIRE_COUNT; wire++) {
        if (channel->groups[wire].count > 0)
            return false;
    }
    return true;
}

size_t channel_subscriber_count(const struct channel *channel)
{
    size_t count = 0;

    for (int wire = 0; wire < WIRE_COUNT; wire++)
        count += channel->groups[wire].count;
    return count;
}

enum channel_state channel_state(const struct channel *channel)
{
    return channel->state;
}

const char *channel_name(const struct channel *channel, size_t *size)
{
    *size = channel->name_size;
    return channel->name;
}

struct map_entry *channel_entry(struct channel *channel)
{
    return &channel->entry;
}

struct channel *channel_of_entry(struct map_entry *entry)
{
    return container_of(entry, struct channel, entry);
}

struct list *channel_idle_link(struct channel *channel)
{
    return &channel->idle_link;
}

struct channel *channel_of_idle_link(struct list *link)
{
    return container_of(link, struct channel, idle_link);
}
