#include "gateway/connection.h"

#include <assert.h>
#include <string.h>

#include "common/address.h"
#include "common/http_exchange.h"
#include "common/http_response.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "gateway/handshake.h"
#include "gateway/websocket.h"

/*
 * States and the only ways between them:
 *
 *   HTTP ──upgrade──► JOINING ──channel open──► OPEN ──drain──► LEAVING
 *     │                  │                        │                │
 *     │                  │                        └──── CLOSING ◄──┘   we sent a close frame
 *     └────── LINGERING ◄┴────────────────────────────────┘            all is said: FIN sent
 *   any ──stream closed──► CLOSED
 *
 * JOINING exists so that "open" means "in": the 101 goes out when the channel is in effect on the
 * bus, and whatever is published after a client saw `onopen` reaches it.
 *
 * LINGERING sends FIN and throws away what still comes, because closing a socket with unread bytes
 * sends RST, which may destroy the answer or the close frame on its way (RFC 9112 §9.6).
 */
enum connection_state { HTTP, JOINING, OPEN, LEAVING, CLOSING, LINGERING, CLOSED };

/* What a connection needs only before it is a WebSocket. */
struct http_phase {
    struct http_exchange exchange;
    struct buffer accept; /* the 101 response, ready */
    struct buffer early;  /* frames that came with the handshake */
    size_t channel_size;
    char channel[MESSAGE_CHANNEL_LIMIT + 1];
};

struct connection {
    struct stream stream;
    struct waiter waiter;
    struct connection_host *host;
    struct list link;
    struct session session;
    struct websocket_reader reader;
    struct http_phase *http; /* NULL once it is a WebSocket */
    struct admission_address *address;
    uint64_t id;
    uint32_t heard_ms; /* loop time of the last whole frame, wrapping */
    uint8_t state;     /* enum connection_state */
    bool is_pinged;    /* a ping waits for any whole frame in answer */
};

static struct connection *of_stream(struct stream *stream)
{
    return container_of(stream, struct connection, stream);
}

static struct connection *of_session(struct session *session)
{
    return container_of(session, struct connection, session);
}

static struct loop *loop_of(const struct connection *connection)
{
    return connection->host->sessions.loop;
}

static struct worker_stats *stats_of(const struct connection *connection)
{
    return connection->host->sessions.stats;
}

static const struct config *config_of(const struct connection *connection)
{
    return &connection->host->sessions.settings->config;
}

static bool is_open(const struct connection *connection)
{
    return connection->state == OPEN || connection->state == LEAVING;
}

static void set_state(struct connection *connection, enum connection_state state)
{
    enum connection_state old = connection->state;

    assert(state > old || (state == OPEN && old == JOINING));
    if (state >= CLOSING && (old == OPEN || old == LEAVING))
        stats_lower(&stats_of(connection)->websockets);
    connection->state = (uint8_t)state;
}

static void wait_for(struct connection *connection, uint64_t delay_ms)
{
    loop_wait(loop_of(connection), &connection->waiter, delay_ms);
}

static void log_connection(const struct connection *connection, const char *event,
                           const char *reason, int64_t number)
{
    log_event(LOG_DEBUG, log_name(event), log_number("connection", (int64_t)connection->id),
              log_text("reason", reason), log_number("code", number));
}

static void http_phase_destroy(struct connection *connection)
{
    struct http_phase *http = connection->http;

    if (!http)
        return;
    connection->http = NULL;
    http_exchange_deinit(&http->exchange);
    buffer_deinit(&http->accept);
    buffer_deinit(&http->early);
    memory_free(http);
}

static void free_if_done(struct connection *connection)
{
    struct connection_host *host = connection->host;

    if (connection->state != CLOSED || connection->session.pending > 0 ||
        !stream_is_closed(&connection->stream))
        return;
    memory_free(connection);
    host->count--;
    host->freed(host);
}

static void on_closed(struct stream *stream)
{
    struct connection *connection = of_stream(stream);

    stats_lower(&stats_of(connection)->connections);
    admission_leave(connection->host->admission, connection->address);
    free_if_done(connection);
}

/* The end, from any state: the socket goes, and with it whatever was queued. */
static void end(struct connection *connection)
{
    if (connection->state == CLOSED)
        return;
    if (is_open(connection))
        metric_add(stats_close(stats_of(connection), STATS_CLOSE_BROKEN), 1);
    set_state(connection, CLOSED);
    session_close(&connection->session);
    websocket_reader_deinit(&connection->reader);
    http_phase_destroy(connection);
    loop_cancel(loop_of(connection), &connection->waiter);
    list_remove(&connection->link);
    stream_close(&connection->stream);
}

static void linger(struct connection *connection)
{
    set_state(connection, LINGERING);
    http_phase_destroy(connection);
    websocket_reader_deinit(&connection->reader);
    if (stream_shutdown(&connection->stream) || stream_start(&connection->stream)) {
        end(connection);
        return;
    }
    wait_for(connection, config_of(connection)->close_timeout_ms);
}

static void send_bytes(struct connection *connection, const void *data, size_t size)
{
    metric_add(&stats_of(connection)->bytes_sent, size);
    if (stream_write_bytes(&connection->stream, data, size))
        end(connection);
}

/* Sends a close frame and forgets the channel; what the peer still says no longer counts. */
static void send_close(struct connection *connection, uint16_t code, const char *reason)
{
    unsigned char frame[2 + WEBSOCKET_CONTROL_LIMIT];
    size_t size = websocket_write_close(frame, code, reason);

    session_close(&connection->session);
    set_state(connection, CLOSING);
    metric_add(stats_close(stats_of(connection), code), 1);
    log_connection(connection, "closing", reason, code);
    wait_for(connection, config_of(connection)->close_timeout_ms);
    send_bytes(connection, frame, size);
}

static void close_with(struct connection *connection, uint16_t code, const char *reason)
{
    if (!is_open(connection))
        return;
    send_close(connection, code, reason);
    if (connection->state == CLOSING && stream_start(&connection->stream))
        end(connection);
}

/* After a protocol error nothing that follows can be understood, so no answer is waited for. */
static void fail(struct connection *connection, uint16_t code, const char *reason)
{
    if (is_open(connection))
        send_close(connection, code, reason);
    if (connection->state == CLOSING)
        linger(connection);
}

static void on_control(struct connection *connection, const struct websocket_frame *frame)
{
    unsigned char pong[2 + WEBSOCKET_CONTROL_LIMIT];

    switch (frame->opcode) {
    case WEBSOCKET_PING:
        if (!is_open(connection) || !session_charge(&connection->session))
            return;
        pong[0] = 0x80 | WEBSOCKET_PONG;
        pong[1] = (unsigned char)frame->size;
        if (frame->size > 0)
            memcpy(pong + 2, frame->data, frame->size);
        send_bytes(connection, pong, 2 + frame->size);
        return;
    case WEBSOCKET_CLOSE:
        if (is_open(connection))
            send_close(connection, frame->close_code, "");
        if (connection->state == CLOSING)
            linger(connection);
        return;
    default: /* a pong: it counted as a sign of life */
        if (is_open(connection))
            session_charge(&connection->session);
        return;
    }
}

static void read_frames(struct connection *connection, unsigned char *data, size_t size)
{
    struct websocket_frame frame;

    while (is_open(connection) || connection->state == CLOSING) {
        enum websocket_event event =
            websocket_read(&connection->reader, &data, &size,
                           config_of(connection)->max_message_size, &frame);

        if (event == WEBSOCKET_MORE)
            return;
        connection->heard_ms = (uint32_t)loop_now_ms(loop_of(connection));
        connection->is_pinged = false;
        if (event == WEBSOCKET_ERROR)
            fail(connection, frame.close_code, frame.reason);
        else if (event == WEBSOCKET_CONTROL)
            on_control(connection, &frame);
        else if (is_open(connection))
            session_message(&connection->session, frame.opcode, frame.data, frame.size);
    }
}

static enum http_verdict refuse_handshake(struct connection *connection, int status,
                                          const char *message, struct buffer *output)
{
    metric_add(&stats_of(connection)->handshakes_refused, 1);
    handshake_append_refusal(status, message, output);
    connection->http->exchange.must_end = true;
    return HTTP_ANSWERED;
}

static enum http_verdict respond(void *context, const struct http_request *request,
                                 struct buffer *output)
{
    struct connection *connection = context;
    struct connection_host *host = connection->host;
    struct http_phase *http = connection->http;
    const char *message = NULL;
    bool wants_upgrade = http_request_header_has_token(request, "upgrade", "websocket");

    if (!wants_upgrade && strcmp(request->path, "/ws") != 0) {
        metric_add(&stats_of(connection)->http_requests, 1);
        site_respond(host->sessions.settings, host->status, request, output);
        return HTTP_ANSWERED;
    }
    if (!session_serves(request->path))
        return refuse_handshake(connection, 404, "there is no WebSocket at this path", output);

    int status = handshake_check(request, &config_of(connection)->allow_origin, &message);

    if (status != 101)
        return refuse_handshake(connection, status, message, output);
    status = session_channel(request, host->sessions.settings, http->channel,
                             &http->channel_size, &message);
    if (status)
        return refuse_handshake(connection, status, message, output);
    handshake_append_accept(request, NULL, &http->accept);
    return HTTP_TAKEN;
}

static void send_http_output(struct connection *connection)
{
    struct buffer *output = &connection->http->exchange.output;
    bool must_end = connection->http->exchange.must_end;

    if (output->size > 0) {
        send_bytes(connection, output->data, output->size);
        if (connection->state == CLOSED)
            return;
        buffer_deinit(output);
        wait_for(connection, config_of(connection)->handshake_timeout_ms);
        if (stream_queued_bytes(&connection->stream) > config_of(connection)->send_queue_limit) {
            end(connection);
            return;
        }
    }
    if (must_end)
        linger(connection);
}

static void read_http(struct connection *connection, const unsigned char *data, size_t size)
{
    struct http_phase *http = connection->http;
    bool taken;
    size_t used =
        http_exchange_feed(&http->exchange, data, size, respond, connection, &taken);

    send_http_output(connection);
    if (!taken || connection->state != HTTP)
        return;
    buffer_append(&http->early, data + used, size - used);
    set_state(connection, JOINING);
    stream_stop(&connection->stream);
    session_open(&connection->session, &connection->host->sessions, http->channel,
                 http->channel_size);
}

static void on_read(struct stream *stream, unsigned char *data, size_t size)
{
    struct connection *connection = of_stream(stream);

    metric_add(&stats_of(connection)->bytes_received, size);
    switch ((enum connection_state)connection->state) {
    case HTTP:
        read_http(connection, data, size);
        return;
    case OPEN:
    case LEAVING:
    case CLOSING:
        read_frames(connection, data, size);
        return;
    case JOINING:
    case LINGERING:
    case CLOSED:
        return;
    }
}

static void on_ended(struct stream *stream, int error)
{
    struct connection *connection = of_stream(stream);

    log_connection(connection, "connection ended", uv_err_name(error), 0);
    end(connection);
}

static const struct stream_events stream_events = {
    .read = on_read,
    .ended = on_ended,
    .closed = on_closed,
};

static void refuse_channel(struct connection *connection)
{
    struct buffer output = {0};

    metric_add(&stats_of(connection)->handshakes_refused, 1);
    http_response_append_error(&output, 503, "Retry-After: 5\r\n",
                               "this gateway takes no more channels at present", false, false);
    send_bytes(connection, output.data, output.size);
    buffer_deinit(&output);
    if (connection->state != CLOSED)
        linger(connection);
}

static void on_session_opened(struct session *session, int error)
{
    struct connection *connection = of_session(session);

    if (connection->state != JOINING)
        return;
    if (error) {
        refuse_channel(connection);
        return;
    }

    struct buffer early = connection->http->early;

    connection->http->early = (struct buffer){0};
    set_state(connection, OPEN);
    metric_add(&stats_of(connection)->handshakes, 1);
    metric_add(&stats_of(connection)->websockets, 1);
    send_bytes(connection, connection->http->accept.data, connection->http->accept.size);
    if (connection->state == OPEN) {
        http_phase_destroy(connection);
        connection->heard_ms = (uint32_t)loop_now_ms(loop_of(connection));
        wait_for(connection, config_of(connection)->ping_interval_ms);
        if (stream_start(&connection->stream))
            end(connection);
        else
            read_frames(connection, early.data, early.size);
    }
    buffer_deinit(&early);
}

static void on_session_send(struct session *session, struct block *frames, size_t messages)
{
    struct connection *connection = of_session(session);

    if (!is_open(connection))
        return;
    metric_add(&stats_of(connection)->deliveries, messages);
    metric_add(&stats_of(connection)->bytes_sent, frames->size);
    if (stream_write(&connection->stream, frames, 0)) {
        end(connection);
        return;
    }
    if (stream_queued_bytes(&connection->stream) <= config_of(connection)->send_queue_limit)
        return;
    metric_add(&stats_of(connection)->slow_consumers, 1);
    log_event(LOG_INFO, log_name("slow consumer"),
              log_number("connection", (int64_t)connection->id),
              log_number("queued_bytes", (int64_t)stream_queued_bytes(&connection->stream)));
    stream_drop_queued(&connection->stream);
    close_with(connection, WEBSOCKET_CLOSE_TRY_LATER, "too slow a reader");
}

static void on_session_close(struct session *session, uint16_t code, const char *reason)
{
    close_with(of_session(session), code, reason);
}

static void on_session_settled(struct session *session)
{
    free_if_done(of_session(session));
}

const struct session_events connection_session_events = {
    .opened = on_session_opened,
    .send = on_session_send,
    .close = on_session_close,
    .settled = on_session_settled,
};

/* Nothing whole was heard for a while: ask once, then take the peer for dead. */
static void check_life(struct connection *connection)
{
    const struct config *config = config_of(connection);
    uint32_t silent_ms = (uint32_t)loop_now_ms(loop_of(connection)) - connection->heard_ms;
    static const unsigned char ping[2] = {0x80 | WEBSOCKET_PING, 0};

    if (!connection->is_pinged && silent_ms < config->ping_interval_ms) {
        wait_for(connection, config->ping_interval_ms - silent_ms);
        return;
    }
    if (!connection->is_pinged) {
        connection->is_pinged = true;
        wait_for(connection, config->pong_timeout_ms);
        send_bytes(connection, ping, sizeof(ping));
        return;
    }
    metric_add(&stats_of(connection)->dead_peers, 1);
    if (connection->reader.partial)
        fail(connection, WEBSOCKET_CLOSE_POLICY, "the message took too long to arrive");
    else
        end(connection);
}

static void on_deadline(struct waiter *waiter)
{
    struct connection *connection = container_of(waiter, struct connection, waiter);

    switch ((enum connection_state)connection->state) {
    case HTTP:
        metric_add(&stats_of(connection)->timeouts, 1);
        http_exchange_time_out(&connection->http->exchange);
        send_http_output(connection);
        return;
    case OPEN:
        check_life(connection);
        return;
    case LEAVING:
        stream_stop(&connection->stream);
        list_remove(&connection->link);
        list_append(&connection->host->leaving, &connection->link);
        connection->host->left(connection->host);
        return;
    case JOINING: /* the bus answers, or goes down, which answers too */
    case CLOSED:
        return;
    case CLOSING:
    case LINGERING:
        end(connection);
        return;
    }
}

static void refuse_connection(struct connection *connection, enum admission_verdict verdict)
{
    struct worker_stats *stats = stats_of(connection);
    struct buffer output = {0};

    metric_add(verdict == ADMISSION_ADDRESS_FULL ? &stats->refused_address : &stats->refused_full,
               1);
    if (verdict == ADMISSION_OVERRUN) {
        end(connection);
        return;
    }
    http_response_append_error(&output, 503, "Retry-After: 5\r\n",
                               verdict == ADMISSION_FULL
                                   ? "this gateway takes no more connections at present"
                                   : "too many connections from this address",
                               false, false);
    send_bytes(connection, output.data, output.size);
    buffer_deinit(&output);
    if (connection->state != CLOSED)
        linger(connection);
}

void connection_accept(struct connection_host *host, uv_stream_t *listener)
{
    struct connection *connection = memory_zeroed(1, sizeof(*connection));
    struct sockaddr_storage peer = {0};
    int peer_size = sizeof(peer);

    connection->host = host;
    connection->id = host->next_id++;
    connection->session.host = NULL;
    waiter_init(&connection->waiter, on_deadline);
    list_init(&connection->link);
    list_append(&host->connections, &connection->link);
    host->count++;

    int error = stream_accept(&connection->stream, host->sessions.loop, listener, &stream_events);

    if (!error)
        error = uv_tcp_getpeername(&connection->stream.uv.tcp, (struct sockaddr *)&peer,
                                   &peer_size);

    const struct config *config = config_of(connection);
    enum admission_verdict verdict =
        admission_enter(host->admission, (const struct sockaddr *)&peer, config->max_connections,
                        config->max_connections_per_address, &connection->address);

    metric_add(&host->sessions.stats->accepted, 1);
    metric_add(&host->sessions.stats->connections, 1);
    if (error) {
        end(connection);
        return;
    }
    if (verdict != ADMITTED) {
        refuse_connection(connection, verdict);
        return;
    }
    connection->http = memory_zeroed(1, sizeof(*connection->http));
    http_exchange_init(&connection->http->exchange, config->max_header_size);
    wait_for(connection, config->handshake_timeout_ms);
    if (stream_start(&connection->stream))
        end(connection);
}

/* Calls `act` for each connection of the list; it may end that one, and no other. */
static void each(struct list *list, void (*act)(struct connection *connection, void *context),
                 void *context)
{
    for (struct list *link = list->next, *next; link != list; link = next) {
        next = link->next;
        act(container_of(link, struct connection, link), context);
    }
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
        set_state(connection, LEAVING);
        /* Its own share of the time, anywhere within it. */
        wait_for(connection, (drain->time_ms * drain->index + random_below(drain->time_ms + 1)) /
                                 drain->count);
    } else if (connection->state == HTTP || connection->state == JOINING) {
        end(connection);
    }
    drain->index++;
}

void connections_drain(struct connection_host *host, uint64_t time_ms)
{
    struct drain drain = {time_ms, 0, host->count ? host->count : 1};

    each(&host->connections, schedule_leave, &drain);
}

static void dismiss(struct connection *connection, void *context)
{
    struct connection_host *host = context;

    list_remove(&connection->link);
    list_append(&host->connections, &connection->link);
    close_with(connection, WEBSOCKET_CLOSE_GOING_AWAY, "the server is going away");
}

void connections_dismiss(struct connection_host *host, struct list *list)
{
    each(list, dismiss, host);
}

static void abort_connection(struct connection *connection, void *context)
{
    (void)context;
    end(connection);
}

void connections_abort(struct connection_host *host)
{
    each(&host->leaving, abort_connection, NULL);
    each(&host->connections, abort_connection, NULL);
}

void connection_restart(struct subscription *subscription, void *context)
{
    struct session *session = container_of(subscription, struct session, subscription);

    (void)context;
    close_with(of_session(session), WEBSOCKET_CLOSE_RESTART, "messages of the channel were lost");
}
