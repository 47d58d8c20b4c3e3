/*
 * A channel is here while any worker has subscribers of it, with a bit for each such worker. The
 * bus is asked once per channel, however many workers want it; a worker that comes later, when the
 * subscription is in effect, is answered at once.
 *
 * What waits for a full worker waits in one queue, whatever its channel: the order of a channel and
 * the meaning of COMMAND_SETTLE come for nothing that way, and who publishes where there is no
 * crowd waits for the crowd only as long as a worker needs for half of FLOW_LIMIT_BYTES.
 */
#include "gateway/hub.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "gateway/census.h"
#include "gateway/emulation.h"
#include "gateway/hook.h"

/* So many publishes go on in one go, then the loop serves its sockets: without an end a full queue
 * of small messages keeps it from every link of the bus, whose other side takes it for dead. */
#define HAND_ON_COUNT 400 /* in the poll, and in each round at its end (inbox.h) */

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

    if (!hub->bus || (!channel && hub->channels.count >= hub->max_channels)) {
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
    if (hub->bus)
        bus_unsubscribe(hub->bus, channel->name, channel->name_size);
    map_remove(&hub->channels, &channel->entry);
    memory_free(channel);
}

static uint64_t bit_of(const struct worker *worker)
{
    return 1ull << worker->index;
}

bool hub_leaves_out(const struct hub *hub, const struct worker *worker)
{
    return hub->overrun & bit_of(worker);
}

void hub_post(struct hub *hub, struct worker *worker, struct command *command,
              const struct message *message)
{
    flow_post(&worker->deliveries, message_cost(message));
    if (flow_is_full(&worker->deliveries))
        hub->full |= bit_of(worker);
    inbox_post(&worker->inbox, &command->item);
}

/* Goes on when the poll has ended: the bus may be in the middle of something. */
static void resume(struct hub *hub)
{
    if (!hub->waiting || hub->is_resuming)
        return;
    hub->is_resuming = true;
    inbox_post(&hub->inbox, &hub->resume);
}

static void on_published(struct bus_publish *publish, int error)
{
    struct publish_command *command = container_of(publish, struct publish_command, publish);
    struct hub *hub = command->hub;

    command->command.kind = COMMAND_PUBLISHED;
    command->error = error;
    hub_post(hub, command->command.worker, &command->command, publish->message);
    resume(hub);
}

static void on_passed(struct bus_barrier *barrier)
{
    struct settle_command *command = container_of(barrier, struct settle_command, barrier);

    command->command.kind = COMMAND_SETTLED;
    inbox_post(&command->command.worker->inbox, &command->command.item);
}

static void publish(struct hub *hub, struct publish_command *command)
{
    struct worker *worker = command->command.worker;

    if (flow_take(&worker->connections.sessions.publishes, message_cost(command->publish.message)))
        worker_signal(worker, COMMAND_GO_ON);
    command->hub = hub;
    command->publish.published = on_published;
    if (hub->bus)
        bus_publish(hub->bus, &command->publish);
    else
        on_published(&command->publish, UV_ECANCELED);
}

static void emulate(struct hub *hub, struct emulation_command *command)
{
    struct worker *worker = command->command.worker;

    if (flow_take(&worker->connections.sessions.publishes, emulation_cost(command)))
        worker_signal(worker, COMMAND_GO_ON);
    emulation_put(command, &hub->control);
}

static void settle(struct hub *hub, struct settle_command *command)
{
    command->barrier.passed = on_passed;
    if (hub->bus)
        bus_wait(hub->bus, &command->barrier);
    else
        on_passed(&command->barrier);
}

static struct inbox_item *next_waiting(struct hub *hub)
{
    struct inbox_item *item = hub->waiting;

    hub->waiting = item->next;
    return item;
}

static void watch(struct hub *hub)
{
    for (unsigned i = 0; i < hub->worker_count; i++)
        hub->taken_bytes[i] = flow_taken(&hub->workers[i]->deliveries);
    hub->watched = hub->full;
    loop_wait(hub->loop, &hub->patience, hub->stuck_ms);
}

static bool is_bus_busy(const struct hub *hub, uint64_t cost)
{
    uint64_t queued = hub->bus && atomic_load(&hub->status->is_bus_up)
                          ? metric_read(&bus_stats(hub->bus)->queued_bytes)
                          : 0;

    return queued > 0 && queued + cost > hub->bus_buffer_bytes / 2;
}

/* What a command will cost the bus; 0: nothing. */
static uint64_t cost_of(const struct hub *hub, struct command *command)
{
    const struct emulation_command *emulation;

    switch (command->kind) {
    case COMMAND_PUBLISH:
        return message_cost(
            container_of(command, struct publish_command, command)->publish.message);
    case COMMAND_EMULATE:
        emulation = container_of(command, struct emulation_command, command);
        return emulation->node == hub->control.id ? 0 : emulation_cost(emulation);
    default:
        return 0;
    }
}

/* True where the next in the queue may not go yet. */
static bool is_held(const struct hub *hub)
{
    uint64_t cost = cost_of(hub, container_of(hub->waiting, struct command, item));

    return (hub->full & ~hub->overrun) || (cost > 0 && is_bus_busy(hub, cost));
}

/* Hands on what waits, as far as neither a worker nor the bus is in the way. */
static void go_on(struct hub *hub)
{
    while (hub->waiting && !is_held(hub)) {
        if (hub->bus && hub->hand_on_left == 0) {
            resume(hub);
            break;
        }
        hub->hand_on_left -= hub->hand_on_left > 0;

        struct command *command = container_of(next_waiting(hub), struct command, item);

        if (command->kind == COMMAND_PUBLISH)
            publish(hub, container_of(command, struct publish_command, command));
        else if (command->kind == COMMAND_EMULATE)
            emulate(hub, container_of(command, struct emulation_command, command));
        else
            settle(hub, container_of(command, struct settle_command, command));
    }
    if (hub->waiting && (hub->full & ~hub->overrun) && !hub->watched)
        watch(hub);
}

static void await_turn(struct hub *hub, struct command *command)
{
    command->item.next = NULL;
    if (hub->waiting)
        hub->last->next = &command->item;
    else
        hub->waiting = &command->item;
    hub->last = &command->item;
    go_on(hub);
}

/* From here on messages for this worker are left out. */
static void give_up(struct hub *hub, struct worker *worker, const char *reason)
{
    hub->overrun |= bit_of(worker);
    log_event(LOG_ERROR, log_name("a thread is too far behind and misses messages"),
              log_number("thread", worker->index), log_text("reason", reason),
              log_number("queued_bytes", (int64_t)flow_depth(&worker->deliveries)));
}

static void on_patience(struct waiter *waiter)
{
    struct hub *hub = container_of(waiter, struct hub, patience);
    uint64_t still_full = hub->waiting ? hub->watched & hub->full & ~hub->overrun : 0;

    hub->watched = 0;
    for (unsigned i = 0; i < hub->worker_count; i++) {
        struct worker *worker = hub->workers[i];

        if (worker->has_thread && (still_full & bit_of(worker)) &&
            flow_taken(&worker->deliveries) == hub->taken_bytes[i])
            give_up(hub, worker, "stuck");
    }
    go_on(hub);
}

static void on_caught_up(struct hub *hub, struct worker *worker)
{
    bool has_missed = hub->overrun & bit_of(worker);

    if (flow_is_full(&worker->deliveries))
        return; /* full again since; it will be told again */
    hub->full &= ~bit_of(worker);
    hub->overrun &= ~bit_of(worker);
    if (has_missed)
        worker_signal(worker, COMMAND_OVERRUN);
    go_on(hub);
}

/* Of a channel that is given up meanwhile the bus forgets everybody by itself. */
static void note_presence(struct hub *hub, const struct presence_command *command)
{
    if (!hub->bus || !find(hub, command->channel, command->channel_size))
        return;
    if (command->is_there)
        bus_presence_set(hub->bus, command->channel, command->channel_size, &command->who);
    else
        bus_presence_remove(hub->bus, command->channel, command->channel_size, command->who.client);
}

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct hub *hub = container_of(inbox, struct hub, inbox);
    struct command *command = container_of(item, struct command, item);
    struct channel_command *channel = container_of(command, struct channel_command, command);

    if (item == &hub->resume) {
        hub->is_resuming = false;
        hub->hand_on_left = HAND_ON_COUNT;
        go_on(hub);
        return;
    }
    if (item == &hub->put_asks) {
        asks_put(&hub->asks, hub->bus);
        return;
    }
    switch (command->kind) {
    case COMMAND_PUBLISH:
    case COMMAND_SETTLE:
    case COMMAND_EMULATE:
        await_turn(hub, command);
        return;
    case COMMAND_SUBSCRIBE:
        subscribe(hub, command->worker, channel->channel, channel->channel_size);
        break;
    case COMMAND_UNSUBSCRIBE:
        unsubscribe(hub, command->worker, channel->channel, channel->channel_size);
        break;
    case COMMAND_ASK:
        if (asks_take(&hub->asks, container_of(command, struct ask_command, command), hub->bus))
            inbox_post(&hub->inbox, &hub->put_asks);
        return;
    case COMMAND_HOOK:
        hook_put(container_of(command, struct hook_command, command), hub->backend);
        return;
    case COMMAND_PRESENCE:
        note_presence(hub, container_of(command, struct presence_command, command));
        break;
    case COMMAND_COUNTED:
        control_counted(&hub->control, container_of(command, struct census_command, command));
        return;
    case COMMAND_CAUGHT_UP:
        on_caught_up(hub, command->worker);
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

static void deliver(struct hub *hub, struct worker *worker, struct message *message)
{
    if (!(hub->overrun & bit_of(worker)) && flow_depth(&worker->deliveries) > OVERRUN_BYTES)
        give_up(hub, worker, "overrun");
    if (hub->overrun & bit_of(worker))
        return;

    struct deliver_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = COMMAND_DELIVER;
    command->command.worker = worker;
    command->message = message_ref(message);
    hub_post(hub, worker, &command->command, message);
}

static void on_deliver(void *context, struct message *message)
{
    struct hub *hub = context;
    struct hub_channel *channel;

    if (control_receive(&hub->control, message))
        return;
    channel = find(hub, message->channel, message->channel_size);
    if (!channel)
        return;
    for (unsigned i = 0; i < hub->worker_count; i++) {
        if (channel->workers & (1ull << i))
            deliver(hub, hub->workers[i], message);
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

    atomic_store(&hub->status->is_hearing, false); /* first: /ready looks at both */
    atomic_store(&hub->status->is_bus_up, state == BUS_UP);
    resume(hub);
    if (state == BUS_UP) {
        log_event(LOG_INFO, log_name("bus up"));
        control_bus_is_up(&hub->control);
    } else {
        log_event(LOG_WARNING, log_name("bus down"));
    }
}

const struct bus_events hub_bus_events = {on_deliver, on_subscribed, on_lost, on_state};

int hub_init(struct hub *hub, struct loop *loop, uint64_t max_channels, struct status *status)
{
    hub->loop = loop;
    hub->max_channels = max_channels;
    hub->status = status;
    hub->stuck_ms = STUCK_MS;
    hub->hand_on_left = HAND_ON_COUNT;
    asks_init(&hub->asks);
    waiter_init(&hub->patience, on_patience);

    int error = survey_init(&hub->survey);

    if (!error)
        error = inbox_init(&hub->inbox, &loop->uv, receive);
    if (!error)
        error = wakeups_start(&hub->wakeups, &loop->uv);
    return error ? error : lag_meter_start(&hub->lag_meter, &loop->uv);
}

void hub_close_bus(struct hub *hub, void (*closed)(void *context), void *context)
{
    struct bus *bus = hub->bus;

    control_stop(&hub->control);
    /* First, because a bus that is closing takes no more calls. */
    hub->bus = NULL;
    backend_close(hub->backend);
    hub->backend = NULL;
    bus_close(bus, closed, context);
}

void hub_close(struct hub *hub)
{
    inbox_drain(&hub->inbox);
    loop_cancel(hub->loop, &hub->patience);
    inbox_close(&hub->inbox);
    wakeups_stop(&hub->wakeups);
    lag_meter_stop(&hub->lag_meter);
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
    asks_deinit(&hub->asks);
    survey_deinit(&hub->survey);
    control_deinit(&hub->control);
    memory_free(hub->workers);
}
