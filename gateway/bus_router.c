/*
 * The router bus over TCP: for each shard a client (router_client.h) and a dialer that keeps it
 * linked with every router. How many shards there are, the first router that answers tells; until
 * then the bus is down, and what is asked of it waits in `early`.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/cluster_name.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/placement.h"
#include "common/router_dialer.h"
#include "common/secret.h"
#include "common/tls_keeper.h"
#include "gateway/bus_backend.h"
#include "gateway/bus_router_asks.h"
#include "gateway/router_client.h"

#define TICK_MS       50
#define COST_OVERHEAD 128 /* bytes of a publish beside its content, as bus.h says */
#define SHARD_LIMIT   64
#define QUEUE_LIMIT   ((size_t)64 * 1024 * 1024) /* that a router may leave unread */
#define MESSAGE_LIMIT ((size_t)64 * 1024 * 1024) /* what other gateways may take */

struct router_bus;

/* A shard. */
struct unit {
    struct router_bus *bus;
    struct router_client client;
    struct router_dialer dialer;
    struct list links;
};

struct bus_link {
    struct router_link router_link;
    struct router_client_link client_link;
    struct list link;
    struct unit *unit;
    bool is_up;
};

/* A channel that is wanted before the shards are known. */
struct early_channel {
    struct map_entry entry;
    struct list link;
    bool is_told;
    size_t name_size;
    char name[];
};

struct router_bus {
    struct bus bus; /* must stay first */
    struct option_list names;
    char cluster[CLUSTER_NAME_LIMIT + 1];
    char *name_text;
    char *secret;
    struct router_identity identity;
    struct router_link_host host;
    struct unit *units[SHARD_LIMIT];
    unsigned unit_count;
    bool is_tls; /* routers:// */
    bool knows_shards;
    bool was_up;
    struct waiter tick;
    struct waiter turn; /* for what must not come from inside a call */
    uint64_t sequence;
    uint64_t queued_bytes;
    uint64_t queued_count;
    uint64_t wanted_count;
    struct map early_map;
    struct list early_channels;
    struct list early_publishes; /* struct bus_publish */
    struct list barriers;        /* that wait for more than one shard */
    struct router_asks asks;
    bool is_closing;
    bool is_host_closed;
    unsigned closing;
    void (*closed)(void *context);
    void *closed_context;
};

static struct router_bus *of_bus(struct bus *bus)
{
    return container_of(bus, struct router_bus, bus);
}

static uint64_t now_of(const struct router_bus *bus)
{
    return loop_now_ms(bus->bus.loop);
}

static struct bus_link *of_router_link(struct router_link *link)
{
    return container_of(link, struct bus_link, router_link);
}

static struct unit *unit_of(struct router_dialer *dialer)
{
    return container_of(dialer, struct unit, dialer);
}

static struct router_client *client_of(struct router_bus *bus, const char *channel, size_t size)
{
    return &bus->units[placement_shard(channel, size, bus->unit_count)]->client;
}

/* What the clients say. */

static void send_frame(void *context, struct router_client_link *link,
                       const struct router_frame *frame)
{
    (void)context;
    router_link_send(&container_of(link, struct bus_link, client_link)->router_link, frame);
}

static void drop_link(void *context, struct router_client_link *link, const char *reason)
{
    (void)context;
    router_link_close(&container_of(link, struct bus_link, client_link)->router_link, reason);
}

static void update_state(struct router_bus *bus)
{
    bool is_up = bus->knows_shards;

    for (unsigned i = 0; i < bus->unit_count; i++)
        is_up = is_up && router_client_is_up(&bus->units[i]->client);
    if (bus->is_closing)
        return;
    if (is_up && bus->bus.state == BUS_DOWN && bus->was_up)
        metric_add(&bus->bus.stats.reconnects, 1);
    bus->was_up = bus->was_up || is_up;
    bus_set_state(&bus->bus, is_up ? BUS_UP : BUS_DOWN);
    if (!is_up)
        loop_wait(bus->bus.loop, &bus->turn, 0);
}

static void on_changed(void *context, bool is_up)
{
    (void)is_up;
    update_state(context);
}

static const struct router_client_output client_output = {send_frame, drop_link, on_changed};

/* Links. */

static void start_units(struct router_bus *bus, uint32_t shards);

static struct router_link *on_create(struct router_dialer *dialer)
{
    struct bus_link *link = memory_zeroed(1, sizeof(*link));
    struct router_bus *bus = unit_of(dialer)->bus;

    if (bus->is_tls)
        bus->host.dial_tls = bus->bus.settings.tls->context; /* the present one */
    link->unit = unit_of(dialer);
    list_init(&link->link);
    list_append(&link->unit->links, &link->link);
    return &link->router_link;
}

static bool is_covered(struct router_dialer *dialer, uint64_t node)
{
    struct unit *unit = unit_of(dialer);

    for (struct list *at = unit->links.next; at != &unit->links; at = at->next) {
        struct bus_link *link = container_of(at, struct bus_link, link);

        if (link->is_up && link->router_link.peer.node == node &&
            link->router_link.state == ROUTER_LINK_READY)
            return true;
    }
    return false;
}

static void on_ready(struct router_dialer *dialer, struct router_link *router_link)
{
    struct unit *unit = unit_of(dialer);
    struct router_bus *bus = unit->bus;
    struct bus_link *link = of_router_link(router_link);
    const struct router_peer *peer = &router_link->peer;

    if (!bus->knows_shards)
        start_units(bus, peer->shards);
    if (peer->shards != bus->identity.shards) {
        router_link_close(router_link, "it has another number of shards");
        return;
    }
    if (is_covered(dialer, peer->node)) { /* two ways to it were tried at the same time */
        router_link_close(router_link, "there is a link already");
        return;
    }
    link->is_up = true;
    log_event(LOG_DEBUG, log_name("router connected"), log_text("name", peer->name),
              log_text("address", peer->address), log_number("shard", dialer->shard));
    link->client_link.capabilities = peer->capabilities;
    router_client_link_up(&unit->client, &link->client_link, peer->node, peer->name, now_of(bus));
}

static void on_frame(struct router_dialer *dialer, struct router_link *router_link,
                     const struct router_frame *frame)
{
    struct bus_link *link = of_router_link(router_link);
    struct unit *unit = unit_of(dialer);

    if (!link->is_up)
        return;
    if (frame->kind == FRAME_MEMBERS) {
        for (size_t i = 0; i < frame->members.count; i++)
            router_dialer_add(dialer, frame->members.items[i].address);
    }
    router_client_receive(&unit->client, &link->client_link, frame, now_of(unit->bus));
}

static void on_closed(struct router_dialer *dialer, struct router_link *router_link)
{
    struct bus_link *link = of_router_link(router_link);
    struct unit *unit = unit_of(dialer);

    list_remove(&link->link);
    if (link->is_up) {
        log_event(LOG_INFO, log_name("router disconnected"),
                  log_text("name", router_link->peer.name), log_number("shard", dialer->shard),
                  log_text("reason", router_link->reason));
        if (!unit->bus->is_closing)
            router_client_link_down(&unit->client, &link->client_link, now_of(unit->bus));
    }
    memory_free(link);
}

static void on_died(struct router_dialer *dialer, uint64_t node)
{
    (void)dialer;
    (void)node; /* routers find that out among themselves */
}

static void free_if_closed(struct router_bus *bus);

static void on_dialer_closed(struct router_dialer *dialer)
{
    struct router_bus *bus = unit_of(dialer)->bus;

    bus->closing--;
    free_if_closed(bus);
}

static const struct router_dialer_events dialer_events = {
    .create = on_create,
    .is_covered = is_covered,
    .ready = on_ready,
    .frame = on_frame,
    .closed = on_closed,
    .died = on_died,
    .closed_all = on_dialer_closed,
};

/* Shards. */

static void start_unit(struct router_bus *bus, unsigned number)
{
    struct unit *unit = memory_zeroed(1, sizeof(*unit));

    unit->bus = bus;
    list_init(&unit->links);
    unit->client = (struct router_client){
        .output = &client_output,
        .output_context = bus,
        .events = bus->bus.events,
        .events_context = bus->bus.context,
        .stats = &bus->bus.stats,
        .node = bus->bus.settings.node_id,
        .sequence = &bus->sequence,
        .queued_bytes = &bus->queued_bytes,
        .queued_count = &bus->queued_count,
        .wanted_count = &bus->wanted_count,
    };
    router_client_init(&unit->client, now_of(bus));
    bus->units[number] = unit;
    bus->unit_count = number + 1;
    router_dialer_start(&unit->dialer, &bus->host, number, &bus->names, &dialer_events);
}

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
static void start_units(struct router_bus *bus, uint32_t shards)
{
    if (shards == 0 || shards > SHARD_LIMIT)
        return;
    bus->identity.shards = shards;
    for (unsigned i = 1; i < shards; i++)
        start_unit(bus, i);
    bus->knows_shards = true;
    end_early(bus);
}

/* Time. */

static void tell_early(struct router_bus *bus)
{
    for (struct list *at = bus->early_channels.next; at != &bus->early_channels; at = at->next) {
        struct early_channel *channel = container_of(at, struct early_channel, link);

        if (channel->is_told)
            continue;
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
        router_client_tick(&bus->units[i]->client, now_of(bus));
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

static void publish(struct bus *base, struct bus_publish *publish)
{
    struct router_bus *bus = of_bus(base);
    const struct message *message = publish->message;

    publish->is_repeat = false;
    if (message_is_ephemeral(message->kind)) { /* routers give everything a place */
        metric_add(&base->stats.refused, 1);
        publish->published(publish, UV_EPROTO);
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
    tell_soon(of_bus(base), router_asks_forget(&of_bus(base)->asks, ask));
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
static void free_if_closed(struct router_bus *bus)
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
    free_if_closed(bus);
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
    bus->identity.message_limit = MESSAGE_LIMIT;
    bus->host.tls_server_name = bus->bus.settings.tls_server_name;
    waiter_init(&bus->turn, on_turn);
    start_unit(bus, 0);
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
    bus->identity.queue_limit = QUEUE_LIMIT;
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
