/*
 * Links that were accepted and links that were dialed become the shard's. Two routers may connect
 * to each other at once; both keep the connection that was dialed by the node with the smaller id,
 * and close the other.
 */
#include "router/peer_link.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "router/unit.h"

#define REFUSAL_LOG_MS  1000
#define REFUSALS_LOGGED 10 /* in that time */

static struct peer_link *of_router_link(struct router_link *link)
{
    return container_of(link, struct peer_link, router_link);
}

static struct worker *worker_of(const struct peer_link *link)
{
    return container_of(link->router_link.host, struct worker, host);
}

/* What the shard sends. */

static void send_frame(void *context, struct shard_link *link, const struct router_frame *frame)
{
    (void)context;
    router_link_send(&container_of(link, struct peer_link, shard_link)->router_link, frame);
}

static void drop_link(void *context, struct shard_link *link, const char *reason)
{
    (void)context;
    router_link_close(&container_of(link, struct peer_link, shard_link)->router_link, reason);
}

const struct shard_output peer_link_output = {send_frame, drop_link};

/* Links. */

const char *peer_link_role(const struct router_link *link)
{
    return link->peer.role == ROLE_ROUTER ? "router" : "gateway";
}

static void log_link(const char *event, const struct peer_link *link, const char *reason)
{
    log_event(LOG_INFO, log_name(event), log_text("role", peer_link_role(&link->router_link)),
              log_text("name", link->router_link.peer.name), log_text("address", link->from),
              log_number("shard", link->unit->number), log_text("reason", reason));
}

static void learn_from(struct peer_link *link)
{
    struct sockaddr_storage from = {0}; /* of no family that prints */
    int size = sizeof(from);

    uv_tcp_getpeername(&link->router_link.stream.uv.tcp, (struct sockaddr *)&from, &size);
    address_format((const struct sockaddr *)&from, link->from);
}

/* The shard is to have the link no more; it closes, or has. */
static void take_down(struct peer_link *link)
{
    if (!link->is_up)
        return;
    link->is_up = false;
    shard_link_down(&link->unit->shard, &link->shard_link, worker_now_ms(link->unit->worker));
}

static struct peer_link *link_to(struct unit *unit, uint64_t node)
{
    for (struct list *at = unit->links.next; at != &unit->links; at = at->next) {
        struct peer_link *link = container_of(at, struct peer_link, link);

        if (link->is_up && link->router_link.peer.role == ROLE_ROUTER &&
            link->router_link.peer.node == node)
            return link;
    }
    return NULL;
}

static bool is_preferred(const struct peer_link *link)
{
    uint64_t own = link->router_link.host->identity->node;
    uint64_t other = link->router_link.peer.node;

    return link->is_dialed == (own < other);
}

/* What one takes the other may have to refuse once the channel has moved. */
static void compare_limits(const struct peer_link *link)
{
    const struct router_peer *peer = &link->router_link.peer;
    uint64_t ours = link->router_link.host->identity->message_limit;

    if (link->unit->number == 0 && peer->role == ROLE_ROUTER && peer->message_limit != 0 &&
        peer->message_limit != ours)
        log_event(LOG_WARNING, log_name("another router has another --max-message-size"),
                  log_text("name", peer->name), log_number("ours", (int64_t)ours),
                  log_number("theirs", (int64_t)peer->message_limit));
}

static void bring_up(struct peer_link *link)
{
    struct unit *unit = link->unit;
    struct router_peer *peer = &link->router_link.peer;
    uint64_t now_ms = worker_now_ms(unit->worker);

    link->is_up = true;
    link->shard_link.capabilities = peer->capabilities;
    learn_from(link);
    if (peer->role == ROLE_ROUTER)
        shard_peer_up(&unit->shard, &link->shard_link, peer->node, peer->name, peer->address,
                      now_ms);
    else
        shard_gateway_up(&unit->shard, &link->shard_link, peer->node, now_ms);
    log_link("connected", link, "");
    compare_limits(link);
    unit_log_alone(unit);
}

static void on_ready(struct router_link *router_link)
{
    struct peer_link *link = of_router_link(router_link);
    struct peer_link *present =
        router_link->peer.role == ROLE_ROUTER ? link_to(link->unit, router_link->peer.node) : NULL;

    if (present && present->router_link.state == ROUTER_LINK_READY &&
        (is_preferred(present) || !is_preferred(link))) {
        router_link_refuse(router_link, ROUTER_ERROR_TWICE, "there is a link already");
        return;
    }
    if (present) {
        take_down(present);
        router_link_refuse(&present->router_link, ROUTER_ERROR_TWICE, "there is a better link");
    }
    bring_up(link);
}

static void learn_members(struct unit *unit, const struct router_frame *frame)
{
    for (size_t i = 0; i < frame->members.count; i++)
        router_dialer_add(&unit->dialer, frame->members.items[i].address);
}

static void on_frame(struct router_link *router_link, const struct router_frame *frame)
{
    struct peer_link *link = of_router_link(router_link);

    if (!link->is_up)
        return;
    if (frame->kind == FRAME_MEMBERS)
        learn_members(link->unit, frame);
    shard_receive(&link->unit->shard, &link->shard_link, frame, worker_now_ms(link->unit->worker));
}

/* A connection that came to nothing, for whoever wonders why; a few a second. */
static void log_refused(struct worker *worker, const struct peer_link *link)
{
    const struct router_link *router_link = &link->router_link;
    uint64_t now_ms = worker_now_ms(worker);

    if (router_link->was_ready || link->is_dialed || link->is_handed_over || worker->is_stopping)
        return;
    if (now_ms - worker->refusal_ms >= REFUSAL_LOG_MS) {
        worker->refusal_ms = now_ms;
        worker->refusals = 0;
    }
    if (worker->refusals++ < REFUSALS_LOGGED)
        log_event(LOG_WARNING, log_name("connection refused"),
                  log_text("reason", router_link->reason), log_text("name", router_link->peer.name),
                  log_text("address", link->from));
}

/* A link is gone. */
static void bury(struct peer_link *link)
{
    struct unit *unit = link->unit;
    uint64_t node = link->router_link.peer.node;
    bool was_router = link->is_up && link->router_link.peer.role == ROLE_ROUTER;

    if (link->is_up)
        log_link("disconnected", link, link->router_link.reason);
    else
        log_refused(worker_of(link), link);
    take_down(link);
    list_remove(&link->link);
    memory_free(link);
    if (unit && was_router) {
        router_dialer_probe(&unit->dialer, node);
        unit_log_alone(unit);
    }
}

/* Accepting. */

static void hand_over(struct peer_link *link, struct worker *owner)
{
    struct router_link *router_link = &link->router_link;
    struct worker_take *take = memory_zeroed(1, sizeof(*take));

    take->item.command = WORKER_TAKE;
    if (!router_link_depart(router_link, &take->arrival)) {
        memory_free(take);
        router_link_close(router_link, "cannot be handed over");
        return;
    }
    inbox_post(&owner->inbox, &take->item.item);
    link->is_handed_over = true;
    router_link_close(router_link, "handed over");
}

/* A router that names no host is where its connection comes from, at the port that it listens on.
 */
static void learn_address(struct router_link *link)
{
    struct sockaddr_storage from;
    int size = sizeof(from);
    char host[ADDRESS_TEXT_LIMIT];
    char port[ROUTER_NAME_LIMIT + 1];

    if (link->peer.address[0] != ':')
        return;
    memcpy(port, link->peer.address, sizeof(port));
    link->peer.address[0] = '\0';
    if (uv_tcp_getpeername(&link->stream.uv.tcp, (struct sockaddr *)&from, &size))
        return;
    address_format_host((const struct sockaddr *)&from, host);
    snprintf(link->peer.address, sizeof(link->peer.address), strchr(host, ':') ? "[%s]%s" : "%s%s",
             host, port);
}

static bool on_hello(struct router_link *router_link)
{
    struct peer_link *link = of_router_link(router_link);
    struct worker *worker = worker_of(link);
    uint32_t number = router_link->peer.shard;
    struct worker *owner;

    if (number >= worker->identity->shards) {
        router_link_refuse(router_link, ROUTER_ERROR_SHARDS, "there is no such shard");
        return false;
    }
    owner = worker->workers[number % worker->worker_count];
    if (owner != worker) {
        hand_over(link, owner);
        return false;
    }
    if (worker->is_leaving) {
        router_link_refuse(router_link, ROUTER_ERROR_LEAVING, "this router is about to stop");
        return false;
    }
    learn_address(router_link);
    link->unit = &worker->units[number / worker->worker_count];
    list_remove(&link->link);
    list_append(&link->unit->links, &link->link);
    return true;
}

static void on_accepted_closed(struct router_link *router_link, int error)
{
    (void)error;
    bury(of_router_link(router_link));
}

static const struct router_link_events accepted_events = {
    .hello = on_hello,
    .ready = on_ready,
    .frame = on_frame,
    .closed = on_accepted_closed,
};

void peer_link_accept(struct worker *worker, struct router_arrival *arrival)
{
    struct peer_link *link = memory_zeroed(1, sizeof(*link));

    list_init(&link->link);
    list_append(&worker->greeting, &link->link);
    router_link_accept(&link->router_link, &worker->host, NULL, arrival, &accepted_events);
    learn_from(link);
}

/* Dialing. */

static struct unit *unit_of(struct router_dialer *dialer)
{
    return container_of(dialer, struct unit, dialer);
}

static struct router_link *on_create(struct router_dialer *dialer)
{
    struct peer_link *link = memory_zeroed(1, sizeof(*link));

    list_init(&link->link);
    link->unit = unit_of(dialer);
    link->is_dialed = true;
    list_append(&link->unit->links, &link->link);
    return &link->router_link;
}

static bool is_covered(struct router_dialer *dialer, uint64_t node)
{
    const struct peer_link *link = link_to(unit_of(dialer), node);

    return link && link->router_link.state == ROUTER_LINK_READY;
}

static void on_dialed_ready(struct router_dialer *dialer, struct router_link *link)
{
    (void)dialer;
    on_ready(link);
}

static void on_dialed_frame(struct router_dialer *dialer, struct router_link *link,
                            const struct router_frame *frame)
{
    (void)dialer;
    on_frame(link, frame);
}

static void on_dialed_closed(struct router_dialer *dialer, struct router_link *link)
{
    (void)dialer;
    bury(of_router_link(link));
}

static void on_died(struct router_dialer *dialer, uint64_t node)
{
    struct unit *unit = unit_of(dialer);

    shard_node_died(&unit->shard, node, worker_now_ms(unit->worker));
}

static void on_tried(struct router_dialer *dialer)
{
    unit_open(unit_of(dialer));
}

static void on_dialer_closed(struct router_dialer *dialer)
{
    worker_dialer_closed(unit_of(dialer)->worker);
}

const struct router_dialer_events peer_link_dialer_events = {
    .create = on_create,
    .is_covered = is_covered,
    .ready = on_dialed_ready,
    .frame = on_dialed_frame,
    .closed = on_dialed_closed,
    .died = on_died,
    .tried = on_tried,
    .closed_all = on_dialer_closed,
};
