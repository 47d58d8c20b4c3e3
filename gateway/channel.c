/*
 * Subscribers stand in a dense array for each wire format: a flush walks it from the end, so that a
 * subscriber that fails may leave in the middle of the walk (the last one takes its place, and is
 * not forgotten by that), and so does leaving at any other time, in O(1).
 *
 * A tick block that outgrows CHANNEL_TICK_BYTES is flushed before its time, which bounds both the
 * memory of a busy channel and the step by which a slow socket's queue can grow.
 */
#include "gateway/channel.h"

#include <assert.h>
#include <string.h>

#include "common/memory.h"

#define FIRST_BYTES       2048 /* of a tick block, which grows */
#define DELIVERED_AT_ONCE 64

struct subscriber {
    void *receiver;
    struct subscription *subscription;
};

struct group {
    struct subscriber *subscribers;
    uint32_t count;
    uint32_t capacity;
    struct block *tick; /* NULL while empty */
    size_t messages;    /* in it */
    uint8_t wire;
    bool has_publication; /* among them */
    bool must_move;       /* its subscribers have had one, and another wire from then on */
};

struct channel {
    struct map_entry entry;
    struct list idle_link;
    struct list dirty_link;
    struct list *dirty;
    const struct channel_sink *sink;
    enum channel_state state;
    uint32_t due_ms;      /* while it waits: when it is flushed; afterwards: when it was to be */
    bool was_due;         /* ever */
    struct message *base; /* the last one, where a wire needs it; else NULL */
    struct recent *recent;
    struct group *groups; /* one for each wire in use, and those that were: few */
    size_t group_count;
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
    for (size_t i = 0; i < channel->group_count; i++) {
        block_unref(channel->groups[i].tick);
        memory_free(channel->groups[i].subscribers);
    }
    message_unref(channel->base);
    memory_free(channel->groups);
    memory_free(channel);
}

void channel_each(struct channel *channel,
                  void (*visit)(struct subscription *subscription, void *context), void *context)
{
    for (size_t at = 0; at < channel->group_count; at++) {
        for (uint32_t i = channel->groups[at].count; i-- > 0;)
            visit(channel->groups[at].subscribers[i].subscription, context);
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

static struct group *find_group(const struct channel *channel, uint8_t wire)
{
    for (size_t i = 0; i < channel->group_count; i++) {
        if (channel->groups[i].wire == wire)
            return &channel->groups[i];
    }
    return NULL;
}

static struct group *find_or_add_group(struct channel *channel, uint8_t wire)
{
    struct group *group = find_group(channel, wire);

    if (group)
        return group;
    channel->groups =
        memory_resize(channel->groups, (channel->group_count + 1) * sizeof(struct group));
    group = &channel->groups[channel->group_count++];
    *group = (struct group){.wire = wire};
    return group;
}

static void add(struct channel *channel, struct subscriber subscriber, uint8_t wire)
{
    struct subscription *subscription = subscriber.subscription;
    struct group *group = find_or_add_group(channel, wire);

    if (group->count == group->capacity) {
        group->capacity = group->capacity ? group->capacity * 2 : 2;
        group->subscribers =
            memory_resize(group->subscribers, group->capacity * sizeof(struct subscriber));
    }
    subscription->channel = channel;
    subscription->index = group->count;
    subscription->wire = wire;
    group->subscribers[group->count++] = subscriber;
}

void channel_join(struct channel *channel, struct subscription *subscription, void *receiver,
                  uint8_t wire)
{
    assert(!subscription->channel);
    channel_flush(channel);
    add(channel, (struct subscriber){receiver, subscription}, wire);
}

static struct subscriber subscriber_of(const struct subscription *subscription)
{
    return find_group(subscription->channel, subscription->wire)->subscribers[subscription->index];
}

void channel_change_wire(struct subscription *subscription, uint8_t wire)
{
    struct channel *channel = subscription->channel;

    channel_flush(channel);

    struct subscriber subscriber = subscriber_of(subscription);

    channel_leave(subscription);
    add(channel, subscriber, wire);
}

void channel_leave(struct subscription *subscription)
{
    struct group *group = find_group(subscription->channel, subscription->wire);
    struct subscriber last = group->subscribers[--group->count];

    group->subscribers[subscription->index] = last;
    last.subscription->index = subscription->index;
    subscription->channel = NULL;
    if (group->capacity > 16 && group->count < group->capacity / 4) {
        group->capacity /= 2;
        group->subscribers =
            memory_resize(group->subscribers, group->capacity * sizeof(struct subscriber));
    }
}

/* Appends it to the tick of one wire; returns how large that is. */
static size_t append(const struct channel *channel, struct group *group,
                     const struct message *message)
{
    bool is_publication = message_is_publication(message->kind);

    if (group->count == 0 || group->wire == WIRE_NONE)
        return 0;

    struct wire_traits traits = channel->sink->traits(group->wire);

    if (!is_publication && !traits.takes_joins)
        return 0;
    if (!group->tick)
        group->tick = block_create(FIRST_BYTES);
    group->tick = channel->sink->encode(channel->sink->context, group->wire, group->tick, message,
                                        traits.needs_base ? channel->base : NULL);
    group->messages++;
    group->has_publication |= is_publication;
    return group->tick->size;
}

/* Remembers the message for the next one, if some wire needs it. */
static void keep_base(struct channel *channel, struct message *message)
{
    bool is_needed = false;

    for (size_t i = 0; i < channel->group_count; i++) {
        const struct group *group = &channel->groups[i];

        is_needed |= group->count > 0 && channel->sink->traits(group->wire).needs_base;
    }
    message_unref(channel->base);
    channel->base = is_needed ? message_ref(message) : NULL;
}

void channel_append(struct channel *channel, struct message *message)
{
    size_t largest = 0;

    if (channel->state != CHANNEL_OPEN)
        return;
    for (size_t i = 0; i < channel->group_count; i++) {
        size_t size = append(channel, &channel->groups[i], message);

        if (size > largest)
            largest = size;
    }
    if (message_is_publication(message->kind))
        keep_base(channel, message);
    if (largest > CHANNEL_TICK_BYTES)
        channel_flush(channel);
    else if (largest > 0 && list_is_empty(&channel->dirty_link))
        list_append(channel->dirty, &channel->dirty_link);
}

/* From the end, some at a time: whoever leaves amid that is replaced by one that is served, or
 * among those that are being served. These in the order in which they came, which is mostly that of
 * their memory, here and in the kernel. */
static void deliver(const struct channel *channel, const struct group *group, struct block *tick,
                    size_t messages)
{
    void *receivers[DELIVERED_AT_ONCE];
    uint32_t left = group->count;

    while (left > 0) {
        uint32_t count = left < DELIVERED_AT_ONCE ? left : DELIVERED_AT_ONCE;

        left -= count;
        for (uint32_t i = 0; i < count; i++)
            receivers[i] = group->subscribers[left + i].receiver;
        channel->sink->deliver(channel->sink->context, receivers, count, tick, messages);
    }
}

static void flush_group(struct channel *channel, struct group *group)
{
    struct block *tick = group->tick;
    size_t messages = group->messages;

    if (!tick)
        return;
    group->must_move =
        group->has_publication && channel->sink->traits(group->wire).next != group->wire;
    group->tick = NULL;
    group->messages = 0;
    group->has_publication = false;
    deliver(channel, group, tick, messages);
    block_unref(tick);
}

/* The subscribers of a wire that is for the first message alone have had it. */
static void move_on(struct channel *channel, size_t at)
{
    uint8_t next = channel->sink->traits(channel->groups[at].wire).next;

    channel->groups[at].must_move = false;
    while (channel->groups[at].count > 0) {
        struct subscriber last = channel->groups[at].subscribers[channel->groups[at].count - 1];

        channel_leave(last.subscription);
        add(channel, last, next); /* may move the groups */
    }
}

void channel_flush(struct channel *channel)
{
    list_remove(&channel->dirty_link);
    for (size_t at = 0; at < channel->group_count; at++)
        flush_group(channel, &channel->groups[at]);
    /* Not before all have what is in this tick, or who moves would be sent it twice. */
    for (size_t at = 0; at < channel->group_count; at++) {
        if (channel->groups[at].must_move)
            move_on(channel, at);
    }
}

void channel_flush_all(struct list *dirty)
{
    while (!list_is_empty(dirty))
        channel_flush(container_of(dirty->next, struct channel, dirty_link));
}

struct channel *channel_first(const struct list *dirty)
{
    return list_is_empty(dirty) ? NULL : container_of(dirty->next, struct channel, dirty_link);
}

/* One that was quiet is flushed at once, and due now: so the next message is the first to wait, and
 * none waits for longer than it is told to. */
void channel_await(struct channel *channel, struct list *waiting, uint32_t now_ms, uint32_t wait_ms)
{
    bool is_busy = channel->was_due && now_ms - channel->due_ms < wait_ms;

    channel->due_ms = is_busy ? now_ms + wait_ms : now_ms;
    channel->was_due = true;
    if (!is_busy) {
        channel_flush(channel);
        return;
    }
    list_remove(&channel->dirty_link);
    list_append(waiting, &channel->dirty_link);
}

uint32_t channel_wait_ms(const struct channel *channel, uint32_t now_ms)
{
    int32_t left_ms = (int32_t)(channel->due_ms - now_ms);

    return left_ms > 0 ? (uint32_t)left_ms : 0;
}

bool channel_is_empty(const struct channel *channel)
{
    for (size_t i = 0; i < channel->group_count; i++) {
        if (channel->groups[i].count > 0)
            return false;
    }
    return true;
}

size_t channel_subscriber_count(const struct channel *channel)
{
    size_t count = 0;

    for (size_t i = 0; i < channel->group_count; i++)
        count += channel->groups[i].count;
    return count;
}

struct recent *channel_recent(const struct channel *channel)
{
    return channel->recent;
}

void channel_set_recent(struct channel *channel, struct recent *recent)
{
    channel->recent = recent;
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
