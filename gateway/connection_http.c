/*
 * HTTP over the socket: answers go out as they come, requests have their time to arrive, and a
 * client that is slow to take an answer has more of it.
 *
 * What HTTP takes is made when the first byte comes: of a crowd that is let in at once each is then
 * served in the same memory, which the cache still has, and who says nothing costs none.
 */
#include "gateway/client.h"
#include "gateway/connection_inside.h"
#include "gateway/peer_log.h"
#include "gateway/plain.h"

/* Longer than proxies keep a connection for the next request (nginx: 60 s), who would otherwise
 * have sent one that we do not read any more. */
#define PROXY_IDLE_MS 75000

void connection_make_http(struct connection *connection, const struct sockaddr_storage *proxy)
{
    struct connection_host *host = host_of(connection);

    connection->http = http_phase_create(&host->sessions, host->status, connection->is_tls, proxy,
                                         connection_resume_http, connection);
}

static void await_request(struct connection *connection)
{
    connection_wait(connection, connection->http->proxied
                                    ? PROXY_IDLE_MS
                                    : config_of(connection)->handshake_timeout_ms);
}

static void send_http_output(struct connection *connection)
{
    struct buffer *output = &connection->http->exchange.output;
    bool must_end = connection->http->exchange.must_end;

    if (output->size > 0) {
        /* One answer may be larger than the limit, but none is put on top of so much. */
        if (stream_queued_bytes(&connection->stream) > config_of(connection)->send_queue_limit) {
            connection_end(connection);
            return;
        }
        connection_send(connection, output->data, output->size);
        if (connection->state == CLOSED)
            return;
        buffer_deinit(output);
        stream_set_mark(&connection->stream, &connection->mark);
        await_request(connection);
    }
    if (!must_end)
        return;
    if (stream_queued_bytes(&connection->stream) > 0)
        stream_stop(&connection->stream); /* connection_answered goes on */
    else
        connection_linger(connection);
}

void connection_answered(struct connection *connection)
{
    if (!connection->http) /* it was TLS that had something to send */
        return;
    if (connection->http->exchange.must_end)
        connection_linger(connection);
    else
        await_request(connection);
}

void connection_check_request(struct connection *connection)
{
    if (!connection->http) {
        connection_linger(connection);
        return;
    }
    if (connection->http->exchange.pending) { /* it is not the client that takes long */
        connection_wait(connection, config_of(connection)->handshake_timeout_ms);
        return;
    }
    if (stream_queued_bytes(&connection->stream) > 0 &&
        stream_has_moved(&connection->stream, &connection->mark)) {
        connection_wait(connection, config_of(connection)->handshake_timeout_ms);
        return;
    }
    if (http_exchange_time_out(&connection->http->exchange)) {
        metric_add(&stats_of(connection)->timeouts, 1);
        peer_log_ended(connection_peer(connection), "the request took too long to arrive");
    }
    send_http_output(connection);
    if (connection->state == HTTP)
        connection_linger(connection);
}

/* A handshake record of some version 3.x, where a request should begin. */
static bool looks_like_tls(const struct connection *connection, const unsigned char *data,
                           size_t size)
{
    return size >= 3 && data[0] == 0x16 && data[1] == 3 &&
           http_request_reader_is_idle(connection->http->exchange.reader);
}

/* It is the handshake that has to wait its turn, and not the connection: health is told and the
 * page is served whatever crowd comes back. */
static bool takes_turn(struct connection *connection)
{
    struct worker_stats *stats = stats_of(connection);

    if (admission_take_turn(host_of(connection)->admission, loop_now_ms(loop_of(connection))))
        return true;
    metric_add(&stats->refused_rate, 1);
    metric_add(&stats->handshakes_refused, 1);
    connection_refuse(connection, "too many clients come at once");
    return false;
}

void connection_read_http(struct connection *connection, const unsigned char *data, size_t size)
{
    if (!connection->http)
        connection_make_http(connection, NULL);

    struct http_phase *http = connection->http;

    if (looks_like_tls(connection, data, size))
        peer_log_stray_tls(connection_peer(connection), loop_now_ms(loop_of(connection)));

    bool is_taken = http_phase_feed(http, data, size);

    if (http->refusal)
        peer_log_refused(connection_peer(connection), http->refused_status, http->refusal,
                         loop_now_ms(loop_of(connection)));
    send_http_output(connection);
    if (connection->state != HTTP)
        return;
    if (!is_taken && http_exchange_is_full(&http->exchange)) {
        http->is_held = true;
        stream_stop(&connection->stream);
    }
    if (!is_taken || !connection_admit_client(connection) || !takes_turn(connection))
        return;
    connection_set_state(connection, JOINING);
    if (http->is_client)
        client_open(&connection->session, &host_of(connection)->sessions, http->transport,
                    &http->kept);
    else
        plain_open(&connection->session, &host_of(connection)->sessions, http->channel,
                   http->channel_size, http->window);
    /* Most are open by now: for them to stop and start would cost two calls of epoll_ctl. */
    if (connection->state == JOINING)
        stream_stop(&connection->stream);
}

void connection_resume_http(struct http_exchange *exchange)
{
    struct http_phase *http = container_of(exchange, struct http_phase, exchange);
    struct connection *connection = http->owner;

    if (connection->state != HTTP)
        return;
    if (http->is_held) {
        http->is_held = false;
        if (stream_start(&connection->stream)) {
            connection_end(connection);
            return;
        }
    }
    connection_read_http(connection, (const unsigned char *)"", 0);
}
