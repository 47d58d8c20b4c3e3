/*
 * Time passes for the shards of a thread, connections come in, and commands of the main thread.
 */
#include "router/worker.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/memory.h"
#include "common/router_link_memory.h"
#include "common/tls_context.h"
#include "router/peer_link.h"
#include "router/unit.h"

#define LISTEN_BACKLOG 1024
#define TICK_MS        50
#define OPEN_LIMIT_MS  2000
#define WEIGH_MS       1000

uint64_t worker_now_ms(const struct worker *worker)
{
    return loop_now_ms(&worker->loop);
}

static void on_accepted(struct listener *listener, int socket, const struct sockaddr_storage *peer)
{
    (void)peer;
    peer_link_accept(container_of(listener, struct worker, listener),
                     &(struct router_arrival){.socket = socket});
}

/* Time. */

static void on_opening_limit(struct waiter *waiter)
{
    struct worker *worker = container_of(waiter, struct worker, opening);

    for (unsigned i = 0; i < worker->unit_count; i++)
        unit_open(&worker->units[i]);
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
    if (worker_now_ms(worker) - worker->weighed_ms < WEIGH_MS)
        return;
    worker->weighed_ms = worker_now_ms(worker);
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

    for (unsigned i = 0; i < worker->unit_count; i++) {
        shard_tick(&worker->units[i].shard, worker_now_ms(worker));
        unit_log_unmirrored(&worker->units[i]);
    }
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

static void describe(struct worker *worker, struct worker_state *state)
{
    for (unsigned i = 0; i < worker->unit_count; i++)
        json_array_append_new(state->json, unit_describe(&worker->units[i], state->channel_limit));
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

void worker_dialer_closed(struct worker *worker)
{
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
        shard_leave(&worker->units[i].shard, worker_now_ms(worker));
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
            peer_link_accept(worker, &take->arrival);
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
        unit_prepare(worker, &worker->units[i], worker->index + i * worker->worker_count);
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
}

void worker_destroy(struct worker *worker)
{
    inbox_drain(&worker->inbox); /* connections that were handed to it too late */
    for (unsigned i = 0; i < worker->unit_count; i++)
        shard_deinit(&worker->units[i].shard);
    drop_tls(worker);
    loop_deinit(&worker->loop);
    memory_free(worker->units);
}
