/* The links of the router bus, and what goes over them. */
#include <stdio.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/tls_keeper.h"
#include "gateway/bus_router.h"

struct bus_link {
    struct router_link router_link;
    struct router_client_link client_link;
    struct list link;
    struct router_bus_unit *unit;
    bool is_up;
};

static struct bus_link *of_router_link(struct router_link *link)
{
    return container_of(link, struct bus_link, router_link);
}

static struct router_bus_unit *unit_of(struct router_dialer *dialer)
{
    return container_of(dialer, struct router_bus_unit, dialer);
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
    bus_set_state(&bus->bus, is_up ? BUS_UP : BUS_DOWN);
    if (!is_up)
        loop_wait(bus->bus.loop, &bus->turn, 0);
}

static void on_changed(void *context, bool is_up)
{
    (void)is_up;
    update_state(context);
}

static bool has_room(void *context, const struct router_client_link *client_link)
{
    const struct bus_link *link = container_of(client_link, struct bus_link, client_link);

    (void)context;
    return stream_queued_bytes(&link->router_link.stream) < ROUTER_BUS_ROOM_BYTES;
}

static const struct router_client_output client_output = {
    .send = send_frame,
    .drop = drop_link,
    .has_room = has_room,
    .changed = on_changed,
};

/* Links. */

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
    struct router_bus_unit *unit = unit_of(dialer);

    for (struct list *at = unit->links.next; at != &unit->links; at = at->next) {
        struct bus_link *link = container_of(at, struct bus_link, link);

        if (link->is_up && link->router_link.peer.node == node &&
            link->router_link.state == ROUTER_LINK_READY)
            return true;
    }
    return false;
}

/* Whoever sends a message between the two limits is told, each time; the operator once. */
static void compare_limits(struct router_bus *bus, const struct router_peer *peer)
{
    uint64_t ours = bus->bus.settings.client_limit_bytes;

    if (peer->message_limit == 0 || ours <= peer->message_limit ||
        (bus->warned_limit != 0 && bus->warned_limit <= peer->message_limit))
        return;
    bus->warned_limit = peer->message_limit;
    log_event(LOG_WARNING,
              log_name("--max-message-size is above a router's: larger messages will be refused"),
              log_text("router", peer->name), log_number("max_message_size", (int64_t)ours),
              log_number("router_max_message_size", (int64_t)peer->message_limit));
}

static void on_ready(struct router_dialer *dialer, struct router_link *router_link)
{
    struct router_bus_unit *unit = unit_of(dialer);
    struct router_bus *bus = unit->bus;
    struct bus_link *link = of_router_link(router_link);
    const struct router_peer *peer = &router_link->peer;

    if (!bus->knows_shards)
        router_bus_start_units(bus, peer->shards);
    if (peer->shards != bus->identity.shards) {
        router_link_refuse(router_link, ROUTER_ERROR_SHARDS, "it has another number of shards");
        return;
    }
    if (is_covered(dialer, peer->node)) { /* two ways to it were tried at the same time */
        router_link_refuse(router_link, ROUTER_ERROR_TWICE, "there is a link already");
        return;
    }
    link->is_up = true;
    log_event(LOG_DEBUG, log_name("router connected"), log_text("name", peer->name),
              log_text("address", peer->address), log_number("shard", dialer->shard));
    compare_limits(bus, peer);
    link->client_link.capabilities = peer->capabilities;
    link->client_link.message_limit = peer->message_limit;
    router_client_link_up(&unit->client, &link->client_link, peer->node, peer->name,
                          router_bus_now_ms(bus));
}

static void on_frame(struct router_dialer *dialer, struct router_link *router_link,
                     const struct router_frame *frame)
{
    struct bus_link *link = of_router_link(router_link);
    struct router_bus_unit *unit = unit_of(dialer);

    if (!link->is_up)
        return;
    if (frame->kind == FRAME_MEMBERS) {
        for (size_t i = 0; i < frame->members.count; i++)
            router_dialer_add(dialer, frame->members.items[i].address);
    }
    router_client_receive(&unit->client, &link->client_link, frame, router_bus_now_ms(unit->bus));
}

static void on_closed(struct router_dialer *dialer, struct router_link *router_link)
{
    struct bus_link *link = of_router_link(router_link);
    struct router_bus_unit *unit = unit_of(dialer);

    list_remove(&link->link);
    if (link->is_up) {
        log_event(LOG_INFO, log_name("router disconnected"),
                  log_text("name", router_link->peer.name), log_number("shard", dialer->shard),
                  log_text("reason", router_link->reason));
        if (!unit->bus->is_closing)
            router_client_link_down(&unit->client, &link->client_link,
                                    router_bus_now_ms(unit->bus));
    }
    memory_free(link);
}

static void on_died(struct router_dialer *dialer, uint64_t node)
{
    (void)dialer;
    (void)node; /* routers find that out among themselves */
}

static void on_dialer_closed(struct router_dialer *dialer)
{
    struct router_bus *bus = unit_of(dialer)->bus;

    bus->closing--;
    router_bus_free_if_closed(bus);
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

void router_bus_start_unit(struct router_bus *bus, unsigned number)
{
    struct router_bus_unit *unit = memory_zeroed(1, sizeof(*unit));

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
    router_client_init(&unit->client, router_bus_now_ms(bus));
    bus->units[number] = unit;
    bus->unit_count = number + 1;
    router_dialer_start(&unit->dialer, &bus->host, number, &bus->names, &dialer_events);
}
