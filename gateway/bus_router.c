/*
 * The router bus over TCP: for each shard a client (router_client.h) and a dialer that keeps it
 * linked with every router. How many shards there are, the first router that answers tells; until
 * then the bus is down, and what is asked of it waits in `early`.
 */
#include "gateway/bus_router.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "common/secret.h"

#define TICK_MS       50
#define COST_OVERHEAD 128 /* bytes of a publish beside its content, as bus.h says */

/* A channel that is wanted before the shards are known. */
struct early_channel {
    struct map_entry entry;
    struct list link;
    bool is_told;
    size_t name_size;
    char name[];
};

static struct router_bus *of_bus(struct bus *bus)
{
    return container_of(bus, struct router_bus, bus);
}

static struct router_client *client_of(struct router_bus *bus, const char *channel, size_t size)
{
    return &bus->units[placement_shard(channel, size, bus->unit_count)]->client;
}

/* Shards. */

static void forget_early(struct router_bus *bus, struct early_channel *channel)
{
    map_remove(&bus->early_map, &channel->entry);
    list_remove(&channel->link);
    memory_free(channel);
}

static void end_early(struct router_bus *bus)
{
    while (!list_is_empty(&bus->early_channels)) {
        struct early_channel *channel =
            container_of(bus->early_channels.next, struct early_channel, link);

        struct router_client *client = client_of(bus, channel->name, channel->name_size);

        router_client_subscribe(client, channel->name, channel->name_size);
        router_asks_hand_over(&bus->asks, client, channel->name, channel->name_size);
        forget_early(bus, channel);
    }
    while (!list_is_empty(&bus->early_publishes)) {
        struct bus_publish *publish =
            container_of(bus->early_publishes.next, struct bus_publish, link);
        const struct message *message = publish->message;

        list_remove(&publish->link);
        bus->queued_bytes -= publish->cost;
        bus->queued_count--;
        router_client_publish(client_of(bus, message->channel, message->channel_size), publish);
    }
}

/* The first router has answered. */
void router_bus_start_units(struct router_bus *bus, uint32_t shards)
{
    if (shards == 0 || shards > ROUTER_BUS_SHARD_LIMIT)
        return;
    bus->identity.shards = shards;
    for (unsigned i = 1; i < shards; i++)
        router_bus_start_unit(bus, i);
    bus->knows_shards = true;
    end_early(bus);
}

/* Time. */

static struct early_channel *early_of(struct list *at)
{
    return container_of(at, struct early_channel, link);
}

/* Those that nobody was told of are the newest, behind all others. */
static void tell_early(struct router_bus *bus)
{
    struct list *at = bus->early_channels.previous;

    while (at != &bus->early_channels && !early_of(at)->is_told)
        at = at->previous;
    for (at = at->next; at != &bus->early_channels; at = at->next) {
        struct early_channel *channel = early_of(at);

        channel->is_told = true;
        bus->bus.events->subscribed(bus->bus.context, channel->name, channel->name_size);
    }
}

/* Events of a bus that is down: nobody waits for a router that is not there. */
static void on_turn(struct waiter *waiter)
{
    struct router_bus *bus = container_of(waiter, struct router_bus, turn);

    tell_early(bus);
    router_asks_tell(&bus->asks);
    for (unsigned i = 0; i < bus->unit_count; i++)
        router_client_tell_untold(&bus->units[i]->client);
}

static void pass_barriers(struct router_bus *bus);

static void on_tick(struct waiter *waiter)
{
    struct router_bus *bus = container_of(waiter, struct router_bus, tick);

    for (unsigned i = 0; i < bus->unit_count; i++)
        router_client_tick(&bus->units[i]->client, router_bus_now_ms(bus));
    pass_barriers(bus);
    loop_wait(bus->bus.loop, &bus->tick, TICK_MS);
}

/* The operations. */

static void subscribe(struct bus *base, const char *channel, size_t channel_size)
{
    struct router_bus *bus = of_bus(base);
    struct early_channel *early;

    if (bus->knows_shards) {
        router_client_subscribe(client_of(bus, channel, channel_size), channel, channel_size);
        if (base->state == BUS_DOWN)
            loop_wait(base->loop, &bus->turn, 0);
        return;
    }
    early = memory_zeroed(1, sizeof(*early) + channel_size + 1);
    early->name_size = channel_size;
    memcpy(early->name, channel, channel_size);
    list_init(&early->link);
    list_append(&bus->early_channels, &early->link);
    map_insert(&bus->early_map, &early->entry, early->name, channel_size);
    loop_wait(base->loop, &bus->turn, 0);
}

static void unsubscribe(struct bus *base, const char *channel, size_t channel_size)
{
    struct router_bus *bus = of_bus(base);
    struct map_entry *entry;

    if (bus->knows_shards) {
        router_client_unsubscribe(client_of(bus, channel, channel_size), channel, channel_size);
        return;
    }
    entry = map_find(&bus->early_map, channel, channel_size);
    assert(entry);
    bus_presences_forget(&bus->asks.early, channel, channel_size);
    forget_early(bus, container_of(entry, struct early_channel, entry));
}

/* Now or never: it does not wait for shards, nor in the buffer. */
static void publish_ephemeral(struct router_bus *bus, struct bus_publish *publish)
{
    const struct message *message = publish->message;

    if (bus->knows_shards) {
        router_client_publish(client_of(bus, message->channel, message->channel_size), publish);
        return;
    }
    metric_add(&bus->bus.stats.refused, 1);
    publish->published(publish, UV_ENOTCONN);
}

static void publish(struct bus *base, struct bus_publish *publish)
{
    struct router_bus *bus = of_bus(base);
    const struct message *message = publish->message;

    publish->is_repeat = false;
    if (message_is_ephemeral(message->kind)) {
        publish_ephemeral(bus, publish);
        return;
    }
    publish->cost = message_content_size(message) + COST_OVERHEAD;
    if (bus->queued_bytes + publish->cost > base->settings.buffer_limit_bytes) {
        metric_add(&base->stats.refused, 1);
        publish->published(publish, UV_ENOBUFS);
        return;
    }
    if (bus->knows_shards) {
        router_client_publish(client_of(bus, message->channel, message->channel_size), publish);
        return;
    }
    bus->queued_bytes += publish->cost;
    bus->queued_count++;
    list_init(&publish->link);
    list_append(&bus->early_publishes, &publish->link);
}

/* Asks and presence: bus_router_asks.c. */

/* The client of the channel's shard, or NULL while the shards are not known. */
static struct router_client *known_client(struct router_bus *bus, const char *channel, size_t size)
{
    return bus->knows_shards ? client_of(bus, channel, size) : NULL;
}

static void tell_soon(struct router_bus *bus, bool is_due)
{
    if (is_due)
        loop_wait(bus->bus.loop, &bus->turn, 0);
}

static void ask_history(struct bus *base, struct bus_ask *ask)
{
    struct router_bus *bus = of_bus(base);
    struct router_client *client = known_client(bus, ask->channel, ask->channel_size);

    tell_soon(bus, router_asks_history(&bus->asks, client, ask));
}

static void forget_history(struct bus *base, struct bus_ask *ask)
{
    struct router_bus *bus = of_bus(base);
    struct router_client *client = known_client(bus, ask->channel, ask->channel_size);

    tell_soon(bus, router_asks_forget(&bus->asks, client, ask));
}

static void ask_presence(struct bus *base, struct bus_ask *ask)
{
    struct router_bus *bus = of_bus(base);
    struct router_client *client = known_client(bus, ask->channel, ask->channel_size);

    tell_soon(bus, router_asks_presence(&bus->asks, client, ask));
}

static void presence_set(struct bus *base, const char *channel, size_t channel_size,
                         const struct bus_present *who)
{
    struct router_bus *bus = of_bus(base);

    router_asks_set(&bus->asks, known_client(bus, channel, channel_size), channel, channel_size,
                    who);
}

static void presence_remove(struct bus *base, const char *channel, size_t channel_size,
                            struct text client)
{
    struct router_bus *bus = of_bus(base);

    router_asks_remove(&bus->asks, known_client(bus, channel, channel_size), channel, channel_size,
                       client);
}

/* True once nothing that was published up to `position` is on its way. */
static bool is_settled(const struct router_bus *bus, uint64_t position)
{
    if (!list_is_empty(&bus->early_publishes))
        return false;
    for (unsigned i = 0; i < bus->unit_count; i++) {
        if (router_client_oldest(&bus->units[i]->client) <= position)
            return false;
    }
    return true;
}

static void pass_barriers(struct router_bus *bus)
{
    while (!list_is_empty(&bus->barriers)) {
        struct bus_barrier *barrier = container_of(bus->barriers.next, struct bus_barrier, link);

        if (!is_settled(bus, barrier->position) && !bus->is_closing)
            return;
        list_remove(&barrier->link);
        barrier->passed(barrier);
    }
}

/* Looked at on every tick: barriers are for the way down, where 50 ms do not count. */
static void wait_for(struct bus *base, struct bus_barrier *barrier)
{
    struct router_bus *bus = of_bus(base);

    barrier->position = bus->sequence;
    list_init(&barrier->link);
    list_append(&bus->barriers, &barrier->link);
    pass_barriers(bus);
}

/* The end. */

static void on_host_closed(struct waiter *waiter)
{
    struct router_bus *bus = container_of(waiter, struct router_bus, turn);
    void (*closed)(void *context) = bus->closed;
    void *context = bus->closed_context;

    for (unsigned i = 0; i < bus->unit_count; i++)
        memory_free(bus->units[i]);
    map_deinit(&bus->early_map);
    memory_free(bus->names.items);
    memory_free(bus->name_text);
    memory_free(bus->secret);
    memory_free(bus);
    closed(context);
}

/* The host's handle is closed by the next iteration of the loop, and a waiter comes later than
 * that. */
void router_bus_free_if_closed(struct router_bus *bus)
{
    if (bus->closing > 0 || bus->is_host_closed)
        return;
    bus->is_host_closed = true;
    router_link_host_close(&bus->host);
    waiter_init(&bus->turn, on_host_closed);
    loop_wait(bus->bus.loop, &bus->turn, 1);
}

static void cancel_early(struct router_bus *bus)
{
    while (!list_is_empty(&bus->early_channels))
        forget_early(bus, container_of(bus->early_channels.next, struct early_channel, link));
    while (!list_is_empty(&bus->early_publishes)) {
        struct bus_publish *publish =
            container_of(bus->early_publishes.next, struct bus_publish, link);

        list_remove(&publish->link);
        publish->published(publish, UV_ECANCELED);
    }
}

static void close_bus(struct bus *base, void (*closed)(void *context), void *context)
{
    struct router_bus *bus = of_bus(base);

    bus->is_closing = true;
    bus->closed = closed;
    bus->closed_context = context;
    loop_cancel(base->loop, &bus->tick);
    loop_cancel(base->loop, &bus->turn);
    cancel_early(bus);
    router_asks_deinit(&bus->asks);
    bus->closing = bus->unit_count + 1;
    for (unsigned i = 0; i < bus->unit_count; i++) {
        router_client_deinit(&bus->units[i]->client);
        router_dialer_close(&bus->units[i]->dialer);
    }
    pass_barriers(bus);
    bus->closing--;
    router_bus_free_if_closed(bus);
}

static const struct bus_operations operations = {
    .name = "router",
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .publish = publish,
    .ask_history = ask_history,
    .forget_history = forget_history,
    .presence_set = presence_set,
    .presence_remove = presence_remove,
    .ask_presence = ask_presence,
    .wait = wait_for,
    .close = close_bus,
};

/* Opening. */

static int parse_names(struct router_bus *bus, const char *url, char error[256])
{
    const char *wrong;
    char *text;

    const char *names = strchr(url, '/') + 2;

    bus->is_tls = bus_wants_tls(url);
    bus->name_text = memory_copy_text(names, strlen(names));
    text = bus->name_text;
    for (char *name = strsep(&text, ","); name; name = strsep(&text, ",")) {
        bus->names.items =
            memory_resize(bus->names.items, (bus->names.count + 1) * sizeof(*bus->names.items));
        bus->names.items[bus->names.count++] = name;
    }
    wrong = router_dialer_check(&bus->names);
    if (!wrong)
        return 0;
    snprintf(error, 256, "expected router://HOST[:PORT],HOST[:PORT], not \"%.100s\"", wrong);
    return UV_EINVAL;
}

static int read_secret(struct router_bus *bus, const char *path, char error[256])
{
    int result;

    if (!path || path[0] == '\0')
        return 0;
    result = secret_read(path, &bus->secret, &bus->identity.secret_size);
    if (result)
        snprintf(error, 256, "--router-secret-file: %.150s: %s", path, secret_explain(result));
    bus->identity.secret = bus->secret;
    return result;
}

/* bus.c fills in the settings after bus_router_open, so the work starts with the loop. */
static void on_start(struct waiter *waiter)
{
    struct router_bus *bus = container_of(waiter, struct router_bus, turn);

    bus->identity.node = bus->bus.settings.node_id;
    bus->identity.message_limit = ROUTER_MESSAGE_LIMIT;
    bus->host.tls_server_name = bus->bus.settings.tls_server_name;
    waiter_init(&bus->turn, on_turn);
    router_bus_start_unit(bus, 0);
    on_turn(&bus->turn);
    loop_wait(bus->bus.loop, &bus->tick, TICK_MS);
}

struct bus *bus_router_open(struct loop *loop, const char *url, const char *cluster,
                            const char *secret_file, char error[256])
{
    struct router_bus *bus = memory_zeroed(1, sizeof(*bus));

    if (parse_names(bus, url, error) || read_secret(bus, secret_file, error)) {
        memory_free(bus->names.items);
        memory_free(bus->name_text);
        memory_free(bus);
        return NULL;
    }
    bus->bus.operations = &operations;
    bus->bus.loop = loop;
    bus->identity.role = ROLE_GATEWAY;
    bus->identity.name = "gateway";
    bus->identity.address = "";
    snprintf(bus->cluster, sizeof(bus->cluster), "%s", cluster);
    bus->identity.cluster = bus->cluster;
    bus->identity.queue_limit = ROUTER_BUS_QUEUE_BYTES;
    list_init(&bus->early_channels);
    list_init(&bus->early_publishes);
    list_init(&bus->barriers);
    router_asks_init(&bus->asks);
    waiter_init(&bus->tick, on_tick);
    waiter_init(&bus->turn, on_start);
    router_link_host_init(&bus->host, loop,
                          &bus->identity); /* cannot fail: a handle, no descriptor */
    loop_wait(loop, &bus->turn, 0);
    return &bus->bus;
}
