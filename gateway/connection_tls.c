/*
 * TLS handshakes cost a thousand times what a message does, and whoever is in already must not wait
 * for those who want in. So what comes for a handshake is left with the kernel at first, and its
 * connection put in a queue; the queue is worked off after the fan-out of each iteration of the
 * loop, as long as SLICE_NS lasts. In a storm of handshakes an iteration grows by that and one
 * step, and the storm waits in the sockets. Where nothing else is to do, one iteration follows the
 * other, and handshakes get all there is.
 */
#include "common/http_response.h"
#include "common/tls_session.h"
#include "gateway/connection_inside.h"
#include "gateway/peer_log.h"

#define SLICE_NS   2000000u
#define TURN_BYTES ((size_t)16 * 1024)

void connection_begin_tls(struct connection *connection)
{
    connection_set_state(connection, TLS_HANDSHAKE);
    connection_wait(connection, config_of(connection)->handshake_timeout_ms);
}

void connection_await_turn(struct connection *connection)
{
    list_remove(&connection->link);
    list_append(&connection->host->shaking, &connection->link);
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

/* OpenSSL's part is made no sooner than the client has said something. */
static void take_turn(struct connection *connection)
{
    struct connection_host *host = connection->host;

    list_remove(&connection->link);
    list_append(&host->connections, &connection->link);
    if (!stream_tls_session(&connection->stream))
        stream_secure(&connection->stream, host->tls, NULL);
    read_early(connection);
    if (connection->state == TLS_HANDSHAKE)
        stream_read_once(&connection->stream, TURN_BYTES);
    if (connection->state <= HTTP && stream_start(&connection->stream))
        connection_end(connection);
}

bool connections_shake_hands(struct connection_host *host)
{
    uint64_t start = uv_hrtime();

    while (!list_is_empty(&host->shaking)) {
        take_turn(container_of(host->shaking.next, struct connection, link));
        if (uv_hrtime() - start >= SLICE_NS)
            break;
    }
    return !list_is_empty(&host->shaking);
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
    if (connection->early)
        peer = connection->early->peer;
    else
        error = find_peer(connection, &peer);
    if (error)
        connection_lose(connection, uv_err_name(error));
    else
        connection_begin_http(connection, &peer);
}

void connection_time_out_tls(struct connection *connection)
{
    metric_add(&stats_of(connection)->tls_timeouts, 1);
    peer_log_tls(connection_peer(connection), "the handshake took too long",
                 loop_now_ms(loop_of(connection)));
    connection_end(connection);
}
