/*
 * TLS handshakes cost a thousand times what a message does, and whoever is in already must not wait
 * for those who want in. So what comes for a handshake is left with the kernel at first, and its
 * connection put in a queue; the queue is worked off after the fan-out of each iteration of the
 * loop, as long as SLICE_NS lasts. In a storm of handshakes an iteration grows by that and one
 * step, and the storm waits in the sockets. Where nothing else is to do, one iteration follows the
 * other, and handshakes get all there is.
 *
 * A handshake that has begun costs memory until the peer has said the rest, so only so many are
 * begun at a time (--tls-handshakes), and those go before others. Who waits for his turn has all
 * his time before him; but peers that begin and do not go on could take all turns with few
 * connections, and so have less of it where others wait for one: CROWDED_MS is enough for honest
 * ones, whose packet may get lost once.
 */
#include "common/http_response.h"
#include "common/tls_context.h"
#include "common/tls_session.h"
#include "gateway/connection_inside.h"
#include "gateway/peer_log.h"

#define SLICE_NS   2000000u
#define TURN_BYTES ((size_t)16 * 1024)
#define CROWDED_MS 2000u

void connection_begin_tls(struct connection *connection)
{
    connection_set_state(connection, TLS_HANDSHAKE);
    connection_wait(connection, config_of(connection)->handshake_timeout_ms);
}

static void set_turn(struct connection *connection, enum tls_turn turn)
{
    struct worker_stats *stats = stats_of(connection);

    if (connection->tls_turn == TLS_WAITING)
        stats_lower(&stats->tls_waiting);
    else if (connection->tls_turn == TLS_RUNNING)
        stats_lower(&stats->tls_running);
    if (turn == TLS_WAITING)
        metric_add(&stats->tls_waiting, 1);
    else if (turn == TLS_RUNNING)
        metric_add(&stats->tls_running, 1);
    connection->tls_turn = (uint8_t)turn;
}

void connection_await_turn(struct connection *connection)
{
    struct connection_host *host = host_of(connection);
    bool is_running = connection->tls_turn == TLS_RUNNING;

    list_remove(&connection->link);
    list_append(is_running ? &host->shaking : &host->waiting, &connection->link);
    loop_cancel(loop_of(connection), &connection->waiter);
    if (!is_running)
        set_turn(connection, TLS_WAITING);
}

void connection_give_turn(struct connection *connection)
{
    struct connection_host *host = host_of(connection);
    bool was_running = connection->tls_turn == TLS_RUNNING;

    set_turn(connection, TLS_SILENT);
    if (was_running && !list_is_empty(&host->waiting))
        host->unblocked(host);
}

static uint32_t time_left_ms(const struct connection *connection)
{
    uint64_t time_ms = config_of(connection)->handshake_timeout_ms;
    uint32_t passed_ms = now_ms(connection) - connection->begun_ms;

    return passed_ms < time_ms ? (uint32_t)time_ms - passed_ms : 0;
}

/* Until the next look, whether it is in the way of others. */
static void wait_for_peer(struct connection *connection)
{
    uint32_t left_ms = time_left_ms(connection);

    connection_wait(connection, left_ms < CROWDED_MS ? left_ms : CROWDED_MS);
}

/* OpenSSL's part is made no sooner than the client has said something. */
static void begin_handshake(struct connection *connection)
{
    set_turn(connection, TLS_RUNNING);
    connection->begun_ms = now_ms(connection);
    stream_secure(&connection->stream, host_of(connection)->tls, NULL);
}

/* What came with a PROXY header; it may end the connection. */
static void read_early(struct connection *connection)
{
    struct buffer bytes;

    if (!connection->early)
        return;
    bytes = connection->early->bytes;
    connection->early->bytes = (struct buffer){0};
    if (bytes.size > 0)
        stream_read_early(&connection->stream, bytes.data, bytes.size);
    buffer_deinit(&bytes);
}

static void take_turn(struct connection *connection)
{
    struct connection_host *host = host_of(connection);

    list_remove(&connection->link);
    list_append(&host->connections, &connection->link);
    if (connection->tls_turn == TLS_WAITING)
        begin_handshake(connection);
    read_early(connection);
    if (connection->state == TLS_HANDSHAKE)
        stream_read_once(&connection->stream, TURN_BYTES);
    if (connection->state == TLS_HANDSHAKE)
        wait_for_peer(connection);
    if (connection->state <= HTTP && stream_start(&connection->stream))
        connection_end(connection);
}

static bool all_turns_are_taken(const struct connection_host *host)
{
    return metric_read(&host->sessions.stats->tls_running) >=
           host->sessions.settings->config.tls_handshakes;
}

/* NULL: nobody can go on at present. */
static struct connection *next_to_turn(const struct connection_host *host)
{
    const struct list *next = &host->shaking;

    if (list_is_empty(next) && !all_turns_are_taken(host))
        next = &host->waiting;
    return list_is_empty(next) ? NULL : container_of(next->next, struct connection, link);
}

bool connections_shake_hands(struct connection_host *host)
{
    uint64_t start = uv_hrtime();
    struct connection *next;

    while ((next = next_to_turn(host)) != NULL) {
        take_turn(next);
        if (uv_hrtime() - start >= SLICE_NS)
            break;
    }
    return next_to_turn(host) != NULL;
}

/* Who sent plain HTTP can be told so (RFC 2817 is not for him). */
static void answer_http(struct connection *connection)
{
    struct buffer output = {0};

    stream_unsecure(&connection->stream);
    http_response_append_error(&output, 400, NULL, "this port speaks TLS: use https:// or wss://",
                               false, false);
    connection_send(connection, output.data, output.size);
    buffer_deinit(&output);
    if (connection->state != CLOSED)
        connection_linger(connection);
}

static void fail(struct connection *connection, int error)
{
    struct tls_session *session = stream_tls_session(&connection->stream);

    metric_add(&stats_of(connection)->tls_failed, 1);
    peer_log_tls(connection_peer(connection), stream_explain(&connection->stream, error),
                 loop_now_ms(loop_of(connection)));
    if (error == UV_EPROTO && tls_session_met_http(session))
        answer_http(connection);
    else
        connection_end(connection);
}

static void note_offload(struct connection *connection)
{
    struct worker_stats *stats = stats_of(connection);

    if (stream_is_offloaded(&connection->stream))
        metric_add(&stats->tls_offloaded, 1);
    else if (tls_context_may_offload(host_of(connection)->tls))
        metric_add(&stats->tls_not_offloaded, 1);
}

void connection_secured(struct connection *connection, int error)
{
    struct worker_stats *stats = stats_of(connection);
    struct sockaddr_storage peer = {0};

    if (error) {
        fail(connection, error);
        return;
    }
    if (tls_session_was_resumed(stream_tls_session(&connection->stream)))
        metric_add(&stats->tls_resumed, 1);
    else
        metric_add(&stats->tls_full, 1);
    note_offload(connection);
    if (connection->early)
        peer = connection->early->peer;
    else
        error = find_peer(connection, &peer);
    if (error)
        connection_lose(connection, uv_err_name(error));
    else
        connection_begin_http(connection, &peer);
}

static void time_out(struct connection *connection)
{
    metric_add(&stats_of(connection)->tls_timeouts, 1);
    peer_log_tls(connection_peer(connection), "the handshake took too long",
                 loop_now_ms(loop_of(connection)));
    connection_end(connection);
}

void connection_check_tls(struct connection *connection)
{
    bool is_running = connection->tls_turn == TLS_RUNNING;
    bool is_in_the_way =
        !list_is_empty(&host_of(connection)->waiting) && all_turns_are_taken(host_of(connection));

    if (is_running && !is_in_the_way && time_left_ms(connection) > 0)
        wait_for_peer(connection);
    else
        time_out(connection);
}
