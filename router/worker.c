/*
 * Carries shards over TCP: links that were accepted and links that were dialed become the shard's,
 * frames go in and out, and time passes. Two routers may connect to each other at once; both keep
 * the connection that was dialed by the node with the smaller id, and close the other.
 */
#include "router/worker.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/placement.h"
#include "common/random.h"
#include "common/router_link_memory.h"
#include "common/tls_context.h"

#define LISTEN_BACKLOG  1024
#define TICK_MS         50
#define OPEN_LIMIT_MS   2000
#define WEIGH_MS        1000
#define REFUSAL_LOG_MS  1000
#define REFUSALS_LOGGED 10 /* in that time */

/* A connection that was accepted or dialed. */
struct peer_link {
    struct router_link router_link;
    struct shard_link shard_link;
    struct list link;
    struct unit *unit; /* NULL until it is known */
    bool is_up;        /* the shard has it */
    bool is_dialed;
    bool is_handed_over;           /* to another worker */
    char from[ADDRESS_TEXT_LIMIT]; /* where the other end is, for the log */
};

struct worker_take {
    struct worker_item item;
    struct router_arrival arrival;
};

static struct peer_link *of_router_link(struct router_link *link)
{
    return container_of(link, struct peer_link, router_link);
}

static uint64_t now_of(const struct worker *worker)
{
    return loop_now_ms(&worker->loop);
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

static const struct shard_output shard_output = {send_frame, drop_link};

static uint64_t fresh_number(void *context)
{
    (void)context;
    return random_id();
}

/* Links. */

static void log_alone(struct unit *unit)
{
    bool is_alone = unit->is_open && unit->worker->config->peers.count > 0 &&
                    metric_read(&unit->shard.stats.peers) == 0;

    if (is_alone == unit->is_alone)
        return;
    unit->is_alone = is_alone;
    metric_add(&unit->worker->alone_units, is_alone ? 1 : (uint64_t)-1);
    if (is_alone)
        log_event(LOG_WARNING,
                  log_name("no other router is connected: messages are held here alone"),
                  log_number("shard", unit->number));
    else
        log_event(LOG_INFO, log_name("another router is connected"),
                  log_number("shard", unit->number));
}

static const char *role_name(const struct router_link *link)
{
    return link->peer.role == ROLE_ROUTER ? "router" : "gateway";
}

static void log_link(const char *event, const struct peer_link *link, const char *reason)
{
    log_event(LOG_INFO, log_name(event), log_text("role", role_name(&link->router_link)),
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
    shard_link_down(&link->unit->shard, &link->shard_link, now_of(link->unit->worker));
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
    uint64_t now_ms = now_of(unit->worker);

    link->is_up = true;
    learn_from(link);
    if (peer->role == ROLE_ROUTER)
        shard_peer_up(&unit->shard, &link->shard_link, peer->node, peer->name, peer->address,
                      now_ms);
    else
        shard_gateway_up(&unit->shard, &link->shard_link, peer->node, now_ms);
    log_link("connected", link, "");
    compare_limits(link);
    log_alone(unit);
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
    shard_receive(&link->unit->shard, &link->shard_link, frame, now_of(link->unit->worker));
}

/* A connection that came to nothing, for whoever wonders why; a few a second. */
static void log_refused(struct worker *worker, const struct peer_link *link)
{
    const struct router_link *router_link = &link->router_link;
    uint64_t now_ms = now_of(worker);

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
        log_alone(unit);
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

static void accept_link(struct worker *worker, struct router_arrival *arrival)
{
    struct peer_link *link = memory_zeroed(1, sizeof(*link));

    list_init(&link->link);
    list_append(&worker->greeting, &link->link);
    router_link_accept(&link->router_link, &worker->host, NULL, arrival, &accepted_events);
    learn_from(link);
}

static void on_accepted(struct listener *listener, int socket)
{
    accept_link(container_of(listener, struct worker, listener),
                &(struct router_arrival){.socket = socket});
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

    shard_node_died(&unit->shard, node, now_of(unit->worker));
}

static void open_unit(struct unit *unit)
{
    if (unit->is_open)
        return;
    unit->is_open = true;
    metric_add(&unit->worker->open_units, 1);
    shard_open(&unit->shard, now_of(unit->worker));
    log_alone(unit);
}

static void on_tried(struct router_dialer *dialer)
{
    open_unit(unit_of(dialer));
}

static void on_dialer_closed(struct router_dialer *dialer);

static const struct router_dialer_events dialer_events = {
    .create = on_create,
    .is_covered = is_covered,
    .ready = on_dialed_ready,
    .frame = on_dialed_frame,
    .closed = on_dialed_closed,
    .died = on_died,
    .tried = on_tried,
    .closed_all = on_dialer_closed,
};

/* Time. */

static void on_opening_limit(struct waiter *waiter)
{
    struct worker *worker = container_of(waiter, struct worker, opening);

    for (unsigned i = 0; i < worker->unit_count; i++)
        open_unit(&worker->units[i]);
}

static void drop_tls(struct worker *worker)
{
    tls_context_unref(worker->host.dial_tls);
    tls_context_unref(worker->host.accept_tls);
    worker->host.dial_tls = NULL;
    worker->host.accept_tls = NULL;
}

static void report_if_left(struct worker *worker)
{
    struct worker_item *item;

    if (!worker->is_leaving || worker->has_left)
        return;
    for (unsigned i = 0; i < worker->unit_count; i++) {
        if (!shard_has_left(&worker->units[i].shard))
            return;
    }
    worker->has_left = true;
    item = memory_zeroed(1, sizeof(*item));
    item->command = WORKER_HAS_LEFT;
    inbox_post(worker->main, &item->item);
}

/* For /metrics, and for what shrank without being written to. */
static void weigh_links(struct worker *worker)
{
    if (now_of(worker) - worker->weighed_ms < WEIGH_MS)
        return;
    worker->weighed_ms = now_of(worker);
    router_link_memory_weigh(&worker->host);
}

static void measure_queues(struct worker *worker)
{
    size_t longest = 0;

    for (unsigned i = 0; i < worker->unit_count; i++) {
        const struct list *links = &worker->units[i].links;

        for (const struct list *at = links->next; at != links; at = at->next) {
            const struct peer_link *link = container_of(at, struct peer_link, link);
            size_t queued = link->is_up ? stream_queued_bytes(&link->router_link.stream) : 0;

            longest = queued > longest ? queued : longest;
        }
    }
    metric_set(&worker->link_queue_bytes, longest);
}

static void on_tick(struct waiter *waiter)
{
    struct worker *worker = container_of(waiter, struct worker, tick);

    for (unsigned i = 0; i < worker->unit_count; i++)
        shard_tick(&worker->units[i].shard, now_of(worker));
    weigh_links(worker);
    measure_queues(worker);
    report_if_left(worker);
    loop_wait(&worker->loop, &worker->tick, TICK_MS);
}

static void before_flush(struct router_link_host *host)
{
    struct worker *worker = container_of(host, struct worker, host);

    for (unsigned i = 0; i < worker->unit_count; i++)
        shard_flush(&worker->units[i].shard);
}

/* Describing. */

static void add_place(void *context, const struct shard_place_view *view)
{
    char node[17] = "";

    if (view->mirror)
        snprintf(node, sizeof(node), "%016llx", (unsigned long long)view->mirror);
    json_array_append_new(
        context, json_pack("{s:s%, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "channel", view->channel,
                           view->channel_size, "role", view->role, "epoch", view->epoch, "offset",
                           (json_int_t)view->offset, "committed", (json_int_t)view->committed,
                           "history", (json_int_t)view->history, "subscribers",
                           (json_int_t)view->subscribers, "mirror", node));
}

static json_t *describe_links(const struct unit *unit)
{
    json_t *links = json_array();

    for (struct list *at = unit->links.next; at != &unit->links; at = at->next) {
        const struct peer_link *link = container_of(at, struct peer_link, link);
        const struct router_peer *peer = &link->router_link.peer;
        char node[17];

        if (!link->is_up)
            continue;
        snprintf(node, sizeof(node), "%016llx", (unsigned long long)peer->node);
        json_array_append_new(
            links,
            json_pack("{s:s, s:s, s:s, s:s, s:I}", "role", role_name(&link->router_link), "node",
                      node, "name", peer->name, "address", peer->address, "queued_bytes",
                      (json_int_t)stream_queued_bytes(&link->router_link.stream)));
    }
    return links;
}

static void add_missing(void *context, const struct router_dialer_missing *missing)
{
    json_array_append_new(context, json_pack("{s:s, s:s, s:I, s:s}", "address", missing->address,
                                             "host", missing->host, "missing_ms",
                                             (json_int_t)missing->for_ms, "error", missing->error));
}

static json_t *describe_missing(struct unit *unit)
{
    json_t *missing = json_array();

    router_dialer_each_missing(&unit->dialer, add_missing, missing);
    return missing;
}

static void describe(struct worker *worker, struct worker_state *state)
{
    for (unsigned i = 0; i < worker->unit_count; i++) {
        struct unit *unit = &worker->units[i];
        json_t *places = json_array();

        shard_each_place(&unit->shard, state->channel_limit, add_place, places);
        json_array_append_new(
            state->json,
            json_pack("{s:I, s:b, s:I, s:o, s:o, s:o}", "shard", (json_int_t)unit->number,
                      "leaving", (int)unit->shard.is_leaving, "channel_count",
                      (json_int_t)metric_read(&unit->shard.stats.places), "links",
                      describe_links(unit), "missing", describe_missing(unit), "channels", places));
    }
    uv_sem_post(&state->done);
}

/* The end. */

static void finish_if_closed(struct worker *worker)
{
    if (worker->closing > 0)
        return;
    router_link_host_close(&worker->host);
    inbox_close(&worker->inbox);
}

static void on_dialer_closed(struct router_dialer *dialer)
{
    struct worker *worker = unit_of(dialer)->worker;

    worker->closing--;
    finish_if_closed(worker);
}

static void close_all(struct list *links)
{
    for (struct list *at = links->next; at != links; at = at->next)
        router_link_close(&container_of(at, struct peer_link, link)->router_link,
                          "the router stops");
}

/* Links first: as long as the port accepts, nobody takes this process for dead. */
static void stop(struct worker *worker)
{
    worker->is_stopping = true;
    loop_cancel(&worker->loop, &worker->tick);
    loop_cancel(&worker->loop, &worker->opening);
    lag_meter_stop(&worker->lag_meter);
    worker->closing = worker->unit_count;
    close_all(&worker->greeting);
    for (unsigned i = 0; i < worker->unit_count; i++)
        close_all(&worker->units[i].links);
    listener_close(&worker->listener, NULL);
    for (unsigned i = 0; i < worker->unit_count; i++)
        router_dialer_close(&worker->units[i].dialer);
}

static void leave(struct worker *worker)
{
    worker->is_leaving = true;
    for (unsigned i = 0; i < worker->unit_count; i++)
        shard_leave(&worker->units[i].shard, now_of(worker));
    report_if_left(worker);
}

static void renew_tls(struct worker *worker, const struct worker_tls *renewed)
{
    drop_tls(worker);
    worker->host.dial_tls = renewed->dial;
    worker->host.accept_tls = renewed->accept;
}

static void receive(struct inbox *inbox, struct inbox_item *inbox_item)
{
    struct worker *worker = container_of(inbox, struct worker, inbox);
    struct worker_item *item = container_of(inbox_item, struct worker_item, item);

    switch (item->command) {
    case WORKER_TAKE: {
        struct worker_take *take = container_of(item, struct worker_take, item);

        if (worker->is_stopping)
            router_arrival_deinit(&take->arrival);
        else
            accept_link(worker, &take->arrival);
        break;
    }
    case WORKER_TLS:
        renew_tls(worker, container_of(item, struct worker_tls, item));
        break;
    case WORKER_STATE:
        describe(worker, container_of(item, struct worker_state, item));
        return;
    case WORKER_LEAVE:
        leave(worker);
        break;
    case WORKER_STOP:
        stop(worker);
        break;
    case WORKER_HAS_LEFT:
        abort(); /* meant for the main loop */
    }
    memory_free(item);
}

static void run(void *argument)
{
    struct worker *worker = argument;

    uv_run(&worker->loop.uv, UV_RUN_DEFAULT);
}

static void prepare_unit(struct worker *worker, struct unit *unit, uint32_t number)
{
    const struct config *config = worker->config;
    const struct budget *budget = worker->budget;
    struct shard_settings settings = {
        .node = worker->identity->node,
        .name = worker->identity->name,
        .address = worker->identity->address,
        .history = {.message_limit = config->history_size,
                    .ttl_ms = config->history_ttl_ms,
                    .memory_limit = budget->history / config->shards},
        .waiting_limit_bytes = budget->waiting / config->shards,
        .place_limit = config->max_channels / config->shards + 1,
        .place_limit_bytes = budget->channels / config->shards,
        .presence_limit_bytes = budget->presence / config->shards,
        .random = fresh_number,
    };

    unit->worker = worker;
    unit->number = number;
    list_init(&unit->links);
    shard_init(&unit->shard, &settings, &shard_output, unit, now_of(worker));
    router_dialer_start(&unit->dialer, &worker->host, number, &config->peers, &dialer_events);
}

int worker_prepare(struct worker *worker, int socket, const struct worker_tls *tls)
{
    uint32_t shards = worker->identity->shards;
    int error = loop_init(&worker->loop);

    if (!error)
        error = inbox_init(&worker->inbox, &worker->loop.uv, receive);
    if (!error)
        error = lag_meter_start(&worker->lag_meter, &worker->loop.uv);
    if (!error)
        error = router_link_host_init(&worker->host, &worker->loop, worker->identity);
    if (error)
        return error;
    worker->host.before_flush = before_flush;
    if (worker->config->tls_server_name[0] != '\0')
        worker->host.tls_server_name = worker->config->tls_server_name;
    worker->host.dial_tls = tls ? tls_context_ref(tls->dial) : NULL;
    worker->host.accept_tls = tls ? tls_context_ref(tls->accept) : NULL;
    list_init(&worker->greeting);
    waiter_init(&worker->tick, on_tick);
    waiter_init(&worker->opening, on_opening_limit);
    loop_wait(&worker->loop, &worker->tick, TICK_MS);
    loop_wait(&worker->loop, &worker->opening, OPEN_LIMIT_MS);
    worker->unit_count = (shards - worker->index + worker->worker_count - 1) / worker->worker_count;
    worker->units = memory_zeroed(worker->unit_count, sizeof(*worker->units));
    for (unsigned i = 0; i < worker->unit_count; i++)
        prepare_unit(worker, &worker->units[i], worker->index + i * worker->worker_count);
    return listener_start(&worker->listener, &worker->loop, socket, LISTEN_BACKLOG, on_accepted);
}

int worker_start(struct worker *worker)
{
    return uv_thread_create(&worker->thread, run, worker);
}

void worker_signal(struct worker *worker, enum worker_command command)
{
    struct worker_item *item = memory_zeroed(1, sizeof(*item));

    item->command = command;
    inbox_post(&worker->inbox, &item->item);
}

void worker_join(struct worker *worker)
{
    uv_thread_join(&worker->thread);
    for (unsigned i = 0; i < worker->unit_count; i++)
        shard_deinit(&worker->units[i].shard);
    drop_tls(worker);
    loop_deinit(&worker->loop);
    memory_free(worker->units);
}
