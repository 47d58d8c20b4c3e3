/*
 * A connection is in one list of its host: among `connections`, unless it is held because the hub
 * is behind, its turn to be sent away has come, or it waits for its turn in a TLS handshake. Those
 * that are held are read in the order in which they came to be, each a little, so that one that
 * floods cannot keep the others waiting: the kernel reports the same sockets first every time.
 */
#include "common/random.h"
#include "gateway/connection_inside.h"

#define TURN_BYTES ((size_t)16 * 1024) /* for one that was held, when its turn comes */

/* Calls `act` for each connection of the list; it may end that one, and no other. */
static void each(struct list *list, void (*act)(struct connection *connection, void *context),
                 void *context)
{
    for (struct list *link = list->next, *next; link != list; link = next) {
        next = link->next;
        act(container_of(link, struct connection, link), context);
    }
}

void connections_init(struct connection_host *host)
{
    list_init(&host->connections);
    list_init(&host->leaving);
    list_init(&host->held);
    list_init(&host->waiting);
    list_init(&host->shaking);
    slab_init(&host->memory, sizeof(struct connection));
}

void connections_deinit(struct connection_host *host)
{
    slab_deinit(&host->memory);
}

static void each_of_all(struct connection_host *host,
                        void (*act)(struct connection *connection, void *context))
{
    each(&host->leaving, act, NULL);
    each(&host->held, act, NULL);
    each(&host->waiting, act, NULL);
    each(&host->shaking, act, NULL);
    each(&host->connections, act, NULL);
}

struct drain {
    uint64_t time_ms;
    size_t index;
    size_t count;
};

static void schedule_leave(struct connection *connection, void *context)
{
    struct drain *drain = context;

    if (connection->state == OPEN) {
        connection_set_state(connection, LEAVING);
        /* Its own share of the time, anywhere within it. */
        connection_wait(connection,
                        (drain->time_ms * drain->index + random_below(drain->time_ms + 1)) /
                            drain->count);
    } else if (connection->state == HTTP && connection->http &&
               connection->http->exchange.pending) {
        connection->http->exchange.must_end = true; /* after the answer that is on its way */
    } else if (connection->state <= JOINING) {
        connection_end(connection);
    }
    drain->index++;
}

void connections_drain(struct connection_host *host, uint64_t time_ms)
{
    struct drain drain = {time_ms, 0, host->memory.count ? host->memory.count : 1};

    each(&host->connections, schedule_leave, &drain);
    each(&host->held, schedule_leave, &drain);
    each(&host->waiting, schedule_leave, &drain);
    each(&host->shaking, schedule_leave, &drain);
}

static void send_away(struct connection *connection, void *context)
{
    struct connection_host *host = context;

    list_remove(&connection->link);
    list_append(&host->connections, &connection->link);
    connection_close(connection, WEBSOCKET_CLOSE_GOING_AWAY, "the server is going away");
}

void connections_dismiss(struct connection_host *host, struct list *list)
{
    each(list, send_away, host);
}

static void abort_connection(struct connection *connection, void *context)
{
    (void)context;
    connection_end(connection);
}

void connections_abort(struct connection_host *host)
{
    each_of_all(host, abort_connection);
}

/* Its turn to be read has come. */
static void go_on(struct connection *connection)
{
    struct connection_host *host = host_of(connection);

    list_remove(&connection->link);
    list_append(&host->connections, &connection->link);
    connection->session.is_held = false;
    if (connection->state == OPEN) {
        /* What it said meanwhile has to be heard before its life is judged. */
        connection->life.since_ms = now_ms(connection);
        connection_wait(connection, config_of(connection)->ping_interval_ms);
    }
    if (is_open(connection))
        stream_read_once(&connection->stream, TURN_BYTES);
    if (connection->state != CLOSED && stream_start(&connection->stream))
        connection_end(connection);
}

void connections_go_on(struct connection_host *host)
{
    while (!list_is_empty(&host->held)) {
        struct connection *next = container_of(host->held.next, struct connection, link);

        if (!session_may_publish(&next->session))
            return;
        go_on(next);
    }
}

static void restart(struct connection *connection)
{
    connection_close(connection, WEBSOCKET_CLOSE_RESTART, "messages of the channel were lost");
}

static void restart_each(struct connection *connection, void *context)
{
    (void)context;
    restart(connection);
}

void connections_restart(struct connection_host *host)
{
    each_of_all(host, restart_each);
}
