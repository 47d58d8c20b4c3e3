#include "gateway/hub.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"

struct hub_channel {
    struct map_entry entry;
    uint64_t workers; /* a bit for each worker with subscribers */
    bool is_open;     /* the bus said that the subscription is in effect */
    size_t name_size;
    char name[];
};

static struct hub_channel *find(const struct hub *hub, const char *name, size_t size)
{
    struct map_entry *entry = map_find(&hub->channels, name, size);

    return entry ? container_of(entry, struct hub_channel, entry) : NULL;
}

static void tell(struct worker *worker, enum command_kind kind, const char *name, size_t size)
{
    struct channel_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = kind;
    command->command.worker = worker;
    command->channel_size = size;
    memcpy(command->channel, name, size);
    inbox_post(&worker->inbox, &command->command.item);
}

static void tell_all(struct hub *hub, const struct hub_channel *channel, enum command_kind kind)
{
    for (unsigned i = 0; i < hub->worker_count; i++) {
        if (channel->workers & (1ull << i))
            tell(hub->workers[i], kind, channel->name, channel->name_size);
    }
}

static void subscribe(struct hub *hub, struct worker *worker, const char *name, size_t size)
{
    struct hub_channel *channel = find(hub, name, size);

    if (!channel && hub->channels.count >= hub->max_channels) {
        tell(worker, COMMAND_REFUSED, name, size);
        return;
    }
    if (channel) {
        channel->workers |= 1ull << worker->index;
        if (channel->is_open)
            tell(worker, COMMAND_SUBSCRIBED, name, size);
        return;
    }
    channel = memory_zeroed(1, sizeof(*channel) + size + 1);
    channel->workers = 1ull << worker->index;
    channel->name_size = size;
    memcpy(channel->name, name, size);
    map_insert(&hub->channels, &channel->entry, channel->name, size);
    bus_subscribe(hub->bus, channel->name, size);
}

static void unsubscribe(struct hub *hub, struct worker *worker, const char *name, size_t size)
{
    struct hub_channel *channel = find(hub, name, size);

    if (!channel)
        return;
    channel->workers &= ~(1ull << worker->index);
    if (channel->workers)
        return;
    bus_unsubscribe(hub->bus, channel->name, channel->name_size);
    map_remove(&hub->channels, &channel->entry);
    memory_free(channel);
}

static void on_published(struct bus_publish *publish, int error)
{
    struct publish_command *command = container_of(publish, struct publish_command, publish);

    command->command.kind = COMMAND_PUBLISHED;
    command->error = error;
    inbox_post(&command->command.worker->inbox, &command->command.item);
}

static void on_passed(struct bus_barrier *barrier)
{
    struct settle_command *command = container_of(barrier, struct settle_command, barrier);

    command->command.kind = COMMAND_SETTLED;
    inbox_post(&command->command.worker->inbox, &command->command.item);
}

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct hub *hub = container_of(inbox, struct hub, inbox);
    struct command *command = container_of(item, struct command, item);
    struct channel_command *channel = container_of(command, struct channel_command, command);

    switch (command->kind) {
    case COMMAND_PUBLISH: {
        struct publish_command *publish = container_of(command, struct publish_command, command);

        publish->publish.published = on_published;
        bus_publish(hub->bus, &publish->publish);
        return;
    }
    case COMMAND_SETTLE: {
        struct settle_command *settle = container_of(command, struct settle_command, command);

        settle->barrier.passed = on_passed;
        bus_wait(hub->bus, &settle->barrier);
        return;
    }
    case COMMAND_SUBSCRIBE:
        subscribe(hub, command->worker, channel->channel, channel->channel_size);
        break;
    case COMMAND_UNSUBSCRIBE:
        unsubscribe(hub, command->worker, channel->channel, channel->channel_size);
        break;
    case COMMAND_DRAINED:
        if (++hub->drained_count == hub->worker_count)
            hub->drained(hub);
        break;
    default:
        abort(); /* a command for a worker */
    }
    memory_free(command);
}

static void on_deliver(void *context, struct message *message)
{
    struct hub *hub = context;
    struct hub_channel *channel = find(hub, message->channel, message->channel_size);

    if (!channel)
        return;
    for (unsigned i = 0; i < hub->worker_count; i++) {
        if (!(channel->workers & (1ull << i)))
            continue;

        struct deliver_command *command = memory_zeroed(1, sizeof(*command));

        command->command.kind = COMMAND_DELIVER;
        command->command.worker = hub->workers[i];
        command->message = message_ref(message);
        inbox_post(&hub->workers[i]->inbox, &command->command.item);
    }
}

static void on_subscribed(void *context, const char *name, size_t size)
{
    struct hub *hub = context;
    struct hub_channel *channel = find(hub, name, size);

    if (!channel || channel->is_open)
        return;
    channel->is_open = true;
    tell_all(hub, channel, COMMAND_SUBSCRIBED);
}

static void on_lost(void *context, const char *name, size_t size)
{
    struct hub *hub = context;
    struct hub_channel *channel = find(hub, name, size);

    if (channel)
        tell_all(hub, channel, COMMAND_LOST);
}

static void on_state(void *context, enum bus_state state)
{
    struct hub *hub = context;

    atomic_store(&hub->status->is_bus_up, state == BUS_UP);
    if (state == BUS_UP)
        log_event(LOG_INFO, log_name("bus up"));
    else
        log_event(LOG_WARNING, log_name("bus down"));
}

const struct bus_events hub_bus_events = {on_deliver, on_subscribed, on_lost, on_state};

int hub_init(struct hub *hub, struct loop *loop, uint64_t max_channels, struct status *status)
{
    hub->max_channels = max_channels;
    hub->status = status;
    return inbox_init(&hub->inbox, &loop->uv, receive);
}

static void free_channel(struct map_entry *entry, void *context)
{
    struct hub *hub = context;

    map_remove(&hub->channels, entry);
    memory_free(container_of(entry, struct hub_channel, entry));
}

void hub_deinit(struct hub *hub)
{
    map_each(&hub->channels, free_channel, hub);
    map_deinit(&hub->channels);
    memory_free(hub->workers);
}
