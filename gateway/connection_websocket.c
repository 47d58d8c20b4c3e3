/*
 * WebSocket over the socket: frames in are messages for the session or control frames for us, and
 * whatever goes out to an open connection goes through has_room.
 */
#include <string.h>

#include "gateway/connection_inside.h"
#include "gateway/peer_log.h"

#define FETCHED_AHEAD 4 /* connections that are to be sent something */

/* Forgets the channel; what the peer still says no longer counts. */
static void begin_close(struct connection *connection, uint16_t code)
{
    session_close(&connection->session);
    connection_set_state(connection, CLOSING);
    connection->closing_ms = now_ms(connection);
    metric_add(stats_close(stats_of(connection), code), 1);
}

static void send_close(struct connection *connection, uint16_t code, const char *reason)
{
    unsigned char frame[2 + WEBSOCKET_CONTROL_LIMIT];

    connection_send(connection, frame, websocket_write_close(frame, code, reason));
}

/* Sends the first close frame of the two. */
static void dismiss(struct connection *connection, uint16_t code, const char *reason)
{
    peer_log_closing(connection_peer(connection), code, reason, loop_now_ms(loop_of(connection)));
    begin_close(connection, code);
    stream_set_mark(&connection->stream, &connection->mark);
    connection_wait(connection, config_of(connection)->close_timeout_ms);
    send_close(connection, code, reason);
}

/* What the client has been answered goes out before we close, or it would take for undone what was
 * done. That may find out that it is too slow a reader, or gone. */
static void flush(struct connection *connection)
{
    if (is_open(connection) && connection->session.protocol->flush)
        connection->session.protocol->flush(&connection->session);
}

static void close_open(struct connection *connection, uint16_t code, const char *reason)
{
    const struct session_protocol *protocol = connection->session.protocol;

    if (!is_open(connection))
        return;
    if (protocol->close_code)
        code = protocol->close_code(code, &reason);
    if (connection->is_stream) {
        connection_close_stream(connection, code, reason);
        return;
    }
    dismiss(connection, code, reason);
    if (connection->state == CLOSING && stream_start(&connection->stream))
        connection_end(connection);
}

void connection_close(struct connection *connection, uint16_t code, const char *reason)
{
    flush(connection);
    close_open(connection, code, reason);
}

/* After a protocol error nothing that follows can be understood, so no answer is waited for. */
static void fail(struct connection *connection, uint16_t code, const char *reason)
{
    flush(connection);
    if (is_open(connection))
        dismiss(connection, code, reason);
    if (connection->state == CLOSING)
        connection_linger(connection);
}

static void note_slow(struct connection *connection, size_t queued_bytes, bool is_closed)
{
    struct slow_client *place;

    metric_add(&stats_of(connection)->queues_high, 1);
    if (slow_clients_note(&host_of(connection)->slow, connection->id, queued_bytes, is_closed,
                          loop_now_ms(loop_of(connection)), &place))
        peer_address(connection_peer(connection), place->address);
}

/*
 * Whether more may be sent to an open connection; a client too slow for that is closed. What is
 * sent may pass the limit, because also who reads at once may be sent two of the largest messages
 * in a row, but nothing is put on top of so much. So a queue holds the limit and one tick at most.
 */
static bool has_room(struct connection *connection)
{
    size_t queued_bytes = stream_queued_bytes(&connection->stream);
    uint64_t limit_bytes = config_of(connection)->send_queue_limit;

    if (queued_bytes > limit_bytes / 2)
        note_slow(connection, queued_bytes, queued_bytes > limit_bytes);
    if (queued_bytes <= limit_bytes)
        return true;
    metric_add(&stats_of(connection)->slow_consumers, 1);
    stream_drop_queued(&connection->stream);
    close_open(connection, WEBSOCKET_CLOSE_TRY_LATER, "too slow a reader");
    return false;
}

static void send_pong(struct connection *connection, const unsigned char *frame, size_t size)
{
    if (!has_room(connection))
        return;
    connection_send(connection, frame, size);
    if (connection->state == CLOSED)
        return;
    if (stream_queued_bytes(&connection->stream) == 0) {
        connection_forget_pong(connection);
        return;
    }
    if (!connection->pong)
        connection->pong = memory_allocate(sizeof(*connection->pong));
    connection->pong->position = connection->stream.written_bytes;
    connection->pong->size = 0;
}

static void answer_ping(struct connection *connection, const struct websocket_frame *ping)
{
    struct late_pong *late = connection->pong;
    bool is_late = late && stream_sent_bytes(&connection->stream) < late->position;
    unsigned char own[sizeof(late->frame)];
    unsigned char *frame = is_late ? late->frame : own;

    frame[0] = 0x80 | WEBSOCKET_PONG;
    frame[1] = (unsigned char)ping->size;
    if (ping->size > 0)
        memcpy(frame + 2, ping->data, ping->size);
    if (is_late)
        late->size = 2 + ping->size;
    else
        send_pong(connection, frame, 2 + ping->size);
}

void connection_send_late_pong(struct connection *connection)
{
    struct late_pong *late = connection->pong;

    connection->pong = NULL;
    if (late && late->size > 0)
        send_pong(connection, late->frame, late->size);
    memory_free(late);
}

/*
 * After its close frame a peer sends nothing more (RFC 6455 §5.5.1), and both close (§7.1.1): the
 * kernel sends what is under way, and then FIN, for a socket that is closed, too. It only may not
 * have bytes that nobody read, for then it sends RST; so we wait for the end of a peer who has said
 * more, or has TLS, whose own farewell may still come.
 */
static bool may_end_at_once(const struct connection *connection, size_t bytes_behind)
{
    return bytes_behind == 0 && !connection->is_tls &&
           stream_queued_bytes(&connection->stream) == 0;
}

static void on_close_frame(struct connection *connection, uint16_t code, size_t bytes_behind)
{
    if (is_open(connection)) {
        peer_log_ended(connection_peer(connection), "closed by the peer");
        begin_close(connection, code);
        send_close(connection, code, "");
    }
    if (connection->state != CLOSING)
        return;
    if (may_end_at_once(connection, bytes_behind)) {
        connection_end(connection);
        return;
    }
    stream_set_mark(&connection->stream, &connection->mark);
    connection_linger(connection);
}

static void on_control(struct connection *connection, const struct websocket_frame *frame,
                       size_t bytes_behind)
{
    switch (frame->opcode) {
    case WEBSOCKET_PING:
        if (is_open(connection) && session_charge(&connection->session))
            answer_ping(connection, frame);
        return;
    case WEBSOCKET_CLOSE:
        on_close_frame(connection, frame->close_code, bytes_behind);
        return;
    default: /* a pong: it counted as a sign of life */
        if (is_open(connection))
            session_charge(&connection->session);
        return;
    }
}

/* A protocol with pings of its own has them at even times, as its clients expect. */
static void note_life(struct connection *connection)
{
    if (connection->session.protocol->ping)
        connection->life.is_asked = false;
    else
        life_sign(&connection->life, now_ms(connection));
}

void connection_read_frames(struct connection *connection, unsigned char *data, size_t size)
{
    struct inflater *inflater = &host_of(connection)->sessions.inflater;
    struct websocket_frame frame;

    while (is_open(connection) || connection->state == CLOSING) {
        enum websocket_event event = websocket_read(
            &connection->reader, &data, &size, config_of(connection)->max_message_size,
            connection->may_compress ? inflater : NULL, &frame);

        if (event == WEBSOCKET_MORE) {
            websocket_reader_note(&connection->reader, now_ms(connection));
            return;
        }
        if (is_open(connection))
            note_life(connection);
        if (event == WEBSOCKET_ERROR)
            fail(connection, frame.close_code, frame.reason);
        else if (event == WEBSOCKET_CONTROL)
            on_control(connection, &frame, size);
        else if (is_open(connection))
            session_message(&connection->session, frame.opcode, frame.data, frame.size);
    }
}

static void on_session_opened(struct session *session, int error)
{
    struct connection *connection = of_session(session);

    if (connection->state != JOINING)
        return;
    if (error) {
        metric_add(&stats_of(connection)->handshakes_refused, 1);
        connection_refuse(connection, "this gateway takes no more channels at present");
        return;
    }

    struct http_phase *http = connection->http;
    bool is_stream = http->connect.size > 0;

    connection->http = NULL;
    connection->is_stream = is_stream;
    connection->may_compress = http->window != DEFLATE_OFF;
    connection_set_state(connection, OPEN);
    peer_log_opened(connection_peer(connection));
    metric_add(&stats_of(connection)->handshakes, 1);
    metric_add(is_stream ? &stats_of(connection)->streams : &stats_of(connection)->websockets, 1);
    if (connection->may_compress)
        metric_add(&stats_of(connection)->handshakes_deflate, 1);
    connection_send(connection, http->accept.data, http->accept.size);
    if (connection->state == OPEN) {
        life_sign(&connection->life, now_ms(connection));
        connection_wait(connection, config_of(connection)->ping_interval_ms);
        if (stream_start(&connection->stream))
            connection_end(connection);
        else if (is_stream)
            session_message(&connection->session, WEBSOCKET_TEXT, http->connect.data,
                            http->connect.size);
        else
            connection_read_frames(connection, http->early.data, http->early.size);
    }
    http_phase_destroy(http);
}

/* The way of every delivery: of a client that has read so far it touches what is hot, and no more.
 * Returns whether there was somebody to send to. */
static bool send_frames(struct connection *connection, struct loop *loop, struct block *frames)
{
    bool is_idle = stream_is_idle(&connection->stream, loop);

    if (!is_open(connection) || (!is_idle && !has_room(connection)))
        return false;

    int error = stream_write_gathered(&connection->stream, loop, frames, 0);

    if (error)
        connection_lose(connection, uv_err_name(error));
    return true;
}

static void on_session_send(struct session_host *host, struct session *const *sessions,
                            size_t count, struct block *frames, size_t messages)
{
    size_t sent = 0;

    for (size_t i = 0; i < count; i++) {
        /* Its memory is on the way while the kernel has this one, or the gather the next ones. */
        if (i + FETCHED_AHEAD < count)
            __builtin_prefetch(of_session(sessions[i + FETCHED_AHEAD]), 1);
        sent += send_frames(of_session(sessions[i]), host->loop, frames);
    }
    metric_add(&host->stats->deliveries, sent * messages);
    metric_add(&host->stats->bytes_sent, sent * frames->size);
}

static void on_session_close(struct session *session, uint16_t code, const char *reason)
{
    connection_close(of_session(session), code, reason);
}

static void on_session_settled(struct session *session)
{
    connection_free_if_done(of_session(session));
}

const struct session_events connection_session_events = {
    .opened = on_session_opened,
    .send = on_session_send,
    .close = on_session_close,
    .settled = on_session_settled,
};

void connection_ping(struct connection *connection)
{
    static const unsigned char frame[2] = {0x80 | WEBSOCKET_PING, 0};

    if (!has_room(connection))
        return;
    stream_set_mark(&connection->stream, &connection->mark);
    if (connection->session.protocol->ping)
        connection->session.protocol->ping(&connection->session);
    else
        connection_send(connection, frame, sizeof(frame));
}

/* Who is only mute can be told why, where the protocol has a word for it. */
static void end_silent(struct connection *connection)
{
    uint16_t code = connection->session.protocol->silence_code;

    if (code)
        connection_close(connection, code, "no pong");
    else
        connection_lose(connection, "no answer to a ping");
}

void connection_check_life(struct connection *connection)
{
    static const char too_long[] = "the message took too long to arrive";
    const struct config *config = config_of(connection);
    uint64_t patience_ms = config->ping_interval_ms + config->pong_timeout_ms;
    uint64_t stalled_ms = websocket_reader_stalled_ms(&connection->reader, now_ms(connection));
    bool has_moved =
        connection->life.is_asked && stream_has_moved(&connection->stream, &connection->mark);
    uint64_t wait_ms;
    enum life_verdict verdict =
        life_check(&connection->life, now_ms(connection), has_moved, config, &wait_ms);

    if (stalled_ms >= patience_ms) {
        fail(connection, WEBSOCKET_CLOSE_POLICY, too_long);
    } else if (verdict == LIFE_OVER) {
        metric_add(&stats_of(connection)->dead_peers, 1);
        if (connection->reader.partial)
            fail(connection, WEBSOCKET_CLOSE_POLICY, too_long);
        else
            end_silent(connection);
    } else {
        connection_wait(connection,
                        wait_ms < patience_ms - stalled_ms ? wait_ms : patience_ms - stalled_ms);
        if (verdict == LIFE_ASK)
            connection_ping(connection);
    }
}
