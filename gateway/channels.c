#include "gateway/channels.h"

#include <string.h>

#include "common/memory.h"
#include "gateway/recent.h"

void channels_init(struct channels *channels, const struct channel_sink *sink,
                   struct worker *worker, struct inbox *hub, struct worker_stats *stats)
{
    *channels = (struct channels){.sink = sink, .worker = worker, .hub = hub, .stats = stats};
    list_init(&channels->dirty);
    list_init(&channels->waiting);
    list_init(&channels->idle);
}

static void destroy_entry(struct map_entry *entry, void *context)
{
    struct channels *channels = context;
    struct channel *channel = channel_of_entry(entry);

    map_remove(&channels->by_name, entry);
    recent_destroy(channel_recent(channel));
    list_remove(channel_idle_link(channel));
    channel_destroy(channel);
}

void channels_deinit(struct channels *channels)
{
    map_each(&channels->by_name, destroy_entry, channels);
    map_deinit(&channels->by_name);
}

static void tell_hub(struct channels *channels, enum command_kind kind, const char *name,
                     size_t name_size)
{
    struct channel_command *command = memory_allocate(sizeof(*command));

    command->command = (struct command){.kind = kind, .worker = channels->worker};
    command->channel_size = name_size;
    memcpy(command->channel, name, name_size);
    command->channel[name_size] = '\0';
    inbox_post(channels->hub, &command->command.item);
}

struct channel *channels_find(const struct channels *channels, const char *name, size_t name_size)
{
    struct map_entry *entry = map_find(&channels->by_name, name, name_size);

    return entry ? channel_of_entry(entry) : NULL;
}

enum channel_state channels_join(struct channels *channels, const char *name, size_t name_size,
                                 struct subscription *subscription, void *receiver, uint8_t wire)
{
    struct channel *channel = channels_find(channels, name, name_size);

    if (!channel) {
        channel = channel_create(name, name_size, channels->sink, &channels->dirty);
        name = channel_name(channel, &name_size);
        map_insert(&channels->by_name, channel_entry(channel), name, name_size);
        metric_set(&channels->stats->channels, channels->by_name.count);
        tell_hub(channels, COMMAND_SUBSCRIBE, name, name_size);
    }
    channel_join(channel, subscription, receiver, wire);
    return channel_state(channel);
}

/* Lets the end of the tick look at a channel that may be empty for good. Not freed at once: it may
 * be in the middle of handing out its tick. */
static void mark_idle(struct channels *channels, struct channel *channel)
{
    if (channel_is_empty(channel) && list_is_empty(channel_idle_link(channel)))
        list_append(&channels->idle, channel_idle_link(channel));
}

void channels_leave(struct channels *channels, struct subscription *subscription)
{
    struct channel *channel = subscription->channel;

    if (!channel)
        return;
    channel_leave(subscription);
    mark_idle(channels, channel);
}

void channels_subscribed(struct channels *channels, const struct channel_command *command)
{
    struct channel *channel = channels_find(channels, command->channel, command->channel_size);

    if (!channel || channel_state(channel) != CHANNEL_OPENING)
        return;
    channel_settle(channel, 0);
    mark_idle(channels, channel); /* all may have left while the bus was asked */
}

void channels_refused(struct channels *channels, const struct channel_command *command, int error)
{
    struct channel *channel = channels_find(channels, command->channel, command->channel_size);

    if (!channel || channel_state(channel) != CHANNEL_OPENING)
        return;
    channel_settle(channel, error); /* every subscriber leaves */
    destroy_entry(channel_entry(channel), channels);
    metric_set(&channels->stats->channels, channels->by_name.count);
}

static void free_idle(struct channels *channels)
{
    while (!list_is_empty(&channels->idle)) {
        struct channel *channel = channel_of_idle_link(channels->idle.next);
        size_t size;
        const char *name = channel_name(channel, &size);

        list_remove(channel_idle_link(channel));
        if (!channel_is_empty(channel))
            continue; /* somebody came back within the tick */
        /* Kept until the bus answers: were it subscribed anew before, the answer to the first
         * subscription would open it while the hub is still giving that one up. */
        if (channel_state(channel) == CHANNEL_OPENING)
            continue;
        tell_hub(channels, COMMAND_UNSUBSCRIBE, name, size);
        destroy_entry(channel_entry(channel), channels);
        metric_set(&channels->stats->channels, channels->by_name.count);
    }
}

/* Busy channels go on gathering; returns with the others flushed. */
static void gather(struct channels *channels)
{
    struct channel *first;

    while ((first = channel_first(&channels->dirty)))
        channel_await(first, &channels->waiting, channels->now_ms, channels->gather_ms);
    while ((first = channel_first(&channels->waiting)) &&
           channel_wait_ms(first, channels->now_ms) == 0)
        channel_flush(first);
}

void channels_end_tick(struct channels *channels)
{
    if (channels->gather_ms > 0)
        gather(channels);
    else
        channels_flush(channels);
    free_idle(channels);
}

bool channels_wait(const struct channels *channels, uint32_t *wait_ms)
{
    const struct channel *first = channel_first(&channels->waiting);

    if (first)
        *wait_ms = channel_wait_ms(first, channels->now_ms);
    return first;
}

void channels_flush(struct channels *channels)
{
    channel_flush_all(&channels->waiting);
    channel_flush_all(&channels->dirty);
}
