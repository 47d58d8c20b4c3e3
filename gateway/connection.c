/*
 * States and the only ways between them:
 *
 *   ACCEPTED ──► TLS_HANDSHAKE
 *      │            │
 *      └───────────►├──► HTTP ──upgrade──► JOINING ──channel open──► OPEN ──drain──► LEAVING
 *                   │      │                  │                        │                │
 *                   │      │                  │                        └──── CLOSING ◄──┘  close
 *                   └──────┴─── LINGERING ◄───┴────────────────────────────────┘  FIN sent
 *   any ──stream closed──► CLOSED
 *
 * A connection stays ACCEPTED only while a PROXY header has to come. A stream of HTTP is OPEN in
 * the same way; it has no close frame to wait for, and so is LINGERING at once.
 *
 * JOINING exists so that "open" means "in": the 101 goes out when the channel is in effect on the
 * bus, and whatever is published after a client saw `onopen` reaches it.
 *
 * LINGERING sends FIN and throws away what still comes, because closing a socket with unread bytes
 * sends RST, which may destroy the answer or the close frame on its way (RFC 9112 §9.6).
 */
#include <assert.h>

#include "common/http_response.h"
#include "common/random.h"
#include "gateway/connection_inside.h"

#define RETRY_SPREAD_S 10 /* a crowd that is refused together does not come back together */

static struct connection *of_stream(struct stream *stream)
{
    return container_of(stream, struct connection, stream);
}

static void leave_http(struct connection *connection)
{
    http_phase_destroy(connection->http);
    connection->http = NULL;
}

void connection_set_state(struct connection *connection, enum connection_state state)
{
    enum connection_state old = connection->state;

    assert(state > old || (state == OPEN && old == JOINING));
    if (state >= CLOSING && (old == OPEN || old == LEAVING))
        stats_lower(connection->is_stream ? &stats_of(connection)->streams
                                          : &stats_of(connection)->websockets);
    if (old == TLS_HANDSHAKE)
        connection_give_turn(connection);
    if (old < HTTP && state >= HTTP)
        connection_forget_early(connection);
    else if (old < OPEN && state >= OPEN)
        leave_http(connection);
    connection->state = (uint8_t)state;
}

void connection_wait(struct connection *connection, uint64_t delay_ms)
{
    loop_wait(loop_of(connection), &connection->waiter, delay_ms);
}

void connection_forget_pong(struct connection *connection)
{
    memory_free(connection->pong);
    connection->pong = NULL;
}

void connection_free_if_done(struct connection *connection)
{
    struct connection_host *host = host_of(connection);

    if (connection->state != CLOSED || connection->session.pending > 0 ||
        !stream_is_closed(&connection->stream))
        return;
    memory_free(connection->client);
    slab_give(&host->memory, connection);
    host->freed(host);
}

static void on_closed(struct stream *stream)
{
    struct connection *connection = of_stream(stream);

    stats_lower(&stats_of(connection)->connections);
    admission_leave(host_of(connection)->admission, connection->address);
    connection_free_if_done(connection);
}

void connection_end(struct connection *connection)
{
    if (connection->state == CLOSED)
        return;
    if (is_open(connection) && !connection->is_stream) /* the clients of those have no other end */
        metric_add(stats_close(stats_of(connection), STATS_CLOSE_BROKEN), 1);
    connection_set_state(connection, CLOSED);
    session_close(&connection->session);
    websocket_reader_deinit(&connection->reader);
    connection_forget_pong(connection);
    loop_cancel(loop_of(connection), &connection->waiter);
    list_remove(&connection->link);
    stream_close(&connection->stream);
}

void connection_lose(struct connection *connection, const char *reason)
{
    peer_log_ended(connection_peer(connection), reason);
    connection_end(connection);
}

void connection_linger(struct connection *connection)
{
    if (connection->state < CLOSING)
        connection->closing_ms = now_ms(connection);
    connection_set_state(connection, LINGERING);
    websocket_reader_deinit(&connection->reader);
    if (stream_shutdown(&connection->stream) || stream_start(&connection->stream)) {
        connection_end(connection);
        return;
    }
    connection_wait(connection, config_of(connection)->close_timeout_ms);
}

void connection_send(struct connection *connection, const void *data, size_t size)
{
    int error = stream_write_bytes(&connection->stream, data, size);

    metric_add(&stats_of(connection)->bytes_sent, size);
    if (error)
        connection_lose(connection, uv_err_name(error));
}

/* What is known of a client from its request; NULL where there is none. */
static const struct http_phase *request_of(const struct connection *connection)
{
    return connection->state == HTTP || connection->state == JOINING ? connection->http : NULL;
}

void connection_refuse(struct connection *connection, const char *message)
{
    const struct http_phase *http = request_of(connection);
    const char *allowed = http ? http->exchange.refusal_headers : NULL;
    struct buffer output = {0};
    struct buffer headers = {0};

    peer_log_refused(connection_peer(connection), 503, message, now_ms(connection));
    buffer_printf(&headers, "Retry-After: %u\r\n%s", 1 + (unsigned)random_below(RETRY_SPREAD_S),
                  allowed ? allowed : "");
    buffer_append(&headers, "", 1);
    http_response_append_error(&output, 503, (const char *)headers.data, message, false, false);
    buffer_deinit(&headers);
    if (http ? http->is_secure : connection->is_tls) /* where a proxy has sent it, that says so */
        http_phase_demand_tls(&output, 0, config_of(connection)->hsts_ms);
    connection_send(connection, output.data, output.size);
    buffer_deinit(&output);
    if (connection->state != CLOSED)
        connection_linger(connection);
}

/* Messages stay with the kernel, and so with their senders, while the hub is behind. */
static bool may_read(struct stream *stream)
{
    struct connection *connection = of_stream(stream);

    if (connection->state == TLS_HANDSHAKE) {
        connection_await_turn(connection);
        return false;
    }
    if (!is_open(connection) || connection->is_stream || session_may_publish(&connection->session))
        return true;
    metric_add(&stats_of(connection)->holds, 1);
    connection->session.is_held = true;
    list_remove(&connection->link);
    list_append(&host_of(connection)->held, &connection->link);
    return false;
}

static void on_read(struct stream *stream, unsigned char *data, size_t size)
{
    struct connection *connection = of_stream(stream);

    metric_add(&stats_of(connection)->bytes_received, size);
    switch ((enum connection_state)connection->state) {
    case ACCEPTED:
        connection_read_proxy_header(connection, data, size);
        return;
    case HTTP:
        connection_read_http(connection, data, size);
        return;
    case OPEN:
    case LEAVING:
    case CLOSING:
        if (!connection->is_stream) /* whose client has said all that it may */
            connection_read_frames(connection, data, size);
        return;
    case TLS_HANDSHAKE:
    case JOINING:
    case LINGERING:
    case CLOSED:
        return;
    }
}

static void on_connected(struct stream *stream, int error)
{
    connection_secured(of_stream(stream), error);
}

static void on_drained(struct stream *stream)
{
    struct connection *connection = of_stream(stream);

    if (connection->state == HTTP)
        connection_answered(connection);
    else if (is_open(connection))
        connection_send_late_pong(connection);
}

static void on_ended(struct stream *stream, int error)
{
    struct connection *connection = of_stream(stream);

    connection_lose(connection, uv_err_name(error));
}

static const struct stream_events stream_events = {
    .may_read = may_read,
    .read = on_read,
    .ended = on_ended,
    .connected = on_connected,
    .drained = on_drained,
    .closed = on_closed,
};

/* A peer may take its time for what it was sent, within bounds, as long as it takes some of it. */
static void check_end(struct connection *connection)
{
    const struct config *config = config_of(connection);
    uint64_t passed_ms = now_ms(connection) - connection->closing_ms;
    uint64_t left_ms = config->flush_timeout_ms - passed_ms;

    if (passed_ms < config->flush_timeout_ms &&
        stream_has_moved(&connection->stream, &connection->mark))
        connection_wait(connection,
                        left_ms < config->close_timeout_ms ? left_ms : config->close_timeout_ms);
    else
        connection_lose(connection, "it did not end in time");
}

static void on_deadline(struct waiter *waiter)
{
    struct connection *connection = container_of(waiter, struct connection, waiter);

    switch ((enum connection_state)connection->state) {
    case ACCEPTED:
        connection_miss_proxy_header(connection);
        return;
    case TLS_HANDSHAKE:
        connection_check_tls(connection);
        return;
    case HTTP:
        connection_check_request(connection);
        return;
    case OPEN:
        if (connection->is_stream)
            connection_check_stream(connection);
        else if (connection->session.is_held) /* whatever it says, we do not hear it */
            connection_wait(connection, config_of(connection)->ping_interval_ms);
        else
            connection_check_life(connection);
        return;
    case LEAVING:
        stream_stop(&connection->stream);
        connection->session.is_held = true; /* nor are commands taken that come beside it */
        list_remove(&connection->link);
        list_append(&host_of(connection)->leaving, &connection->link);
        host_of(connection)->left(host_of(connection));
        return;
    case JOINING: /* the bus answers, or goes down, which answers too */
    case CLOSED:
        return;
    case CLOSING:
    case LINGERING:
        check_end(connection);
        return;
    }
}

static void tell_refusal(struct connection *connection)
{
    connection_refuse(connection, connection->verdict == ADMISSION_ADDRESS_FULL
                                      ? "too many connections from this address"
                                      : "this gateway takes no more connections at present");
}

void connection_refuse_admission(struct connection *connection, enum admission_verdict verdict)
{
    struct worker_stats *stats = stats_of(connection);

    connection->verdict = (uint8_t)verdict;
    metric_add(verdict == ADMISSION_ADDRESS_FULL ? &stats->refused_address : &stats->refused_full,
               1);
    if (verdict == ADMISSION_OVERRUN)
        connection_lose(connection, "too many are being refused");
    else if (!connection->is_tls || connection->state >= HTTP)
        tell_refusal(connection);
}

void connection_begin_http(struct connection *connection, const struct sockaddr_storage *peer)
{
    connection_set_state(connection, HTTP);
    if (connection->verdict != ADMITTED) {
        tell_refusal(connection);
        return;
    }
    if (connection_of_proxy(connection, peer))
        connection_make_http(connection, peer);
    connection_wait(connection, config_of(connection)->handshake_timeout_ms);
}

void connection_begin(struct connection *connection, const struct sockaddr_storage *peer)
{
    if (connection->is_tls)
        connection_begin_tls(connection);
    else
        connection_begin_http(connection, peer);
}

void connection_accept(struct connection_host *host, int socket,
                       const struct sockaddr_storage *peer, bool is_tls)
{
    struct connection *connection = slab_take(&host->memory);

    connection->session.host = &host->sessions;
    connection->id = host->next_id++;
    connection->is_tls = is_tls;
    waiter_init(&connection->waiter, on_deadline);
    list_init(&connection->link);
    list_append(&host->connections, &connection->link);

    int error = stream_accept(&connection->stream, host->sessions.loop, socket, &stream_events);
    bool is_of_proxy = connection_of_proxy(connection, peer);
    enum admission_verdict verdict = admission_enter(
        host->admission, is_of_proxy ? NULL : (const struct sockaddr *)peer, &connection->address);

    metric_add(&host->sessions.stats->accepted, 1);
    metric_add(&host->sessions.stats->connections, 1);
    if (error) {
        connection_end(connection);
        return;
    }
    if (verdict != ADMITTED)
        connection_refuse_admission(connection, verdict);
    if (connection->state != ACCEPTED)
        return;
    if (is_of_proxy && config_of(connection)->proxy_protocol)
        connection_wait(connection, config_of(connection)->handshake_timeout_ms);
    else
        connection_begin(connection, peer);
    if (stream_start(&connection->stream))
        connection_end(connection);
}
