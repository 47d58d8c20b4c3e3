/*
 * A stream of HTTP over the socket, for a client that gets no WebSocket through: what goes out is
 * the body of an answer, and nothing comes in any more. Whether the peer is there is told by its
 * host, which acknowledges what was sent: its client answers no pings.
 */
#include "gateway/connection_inside.h"
#include "gateway/peer_log.h"

void connection_close_stream(struct connection *connection, uint16_t code, const char *reason)
{
    struct buffer farewell = {0};

    peer_log_closing(connection_peer(connection), code, reason, loop_now_ms(loop_of(connection)));
    metric_add(stats_close(stats_of(connection), code), 1);
    connection->session.protocol->say_farewell(&connection->session, code, reason, &farewell);
    session_close(&connection->session);
    stream_set_mark(&connection->stream, &connection->mark);
    connection_send(connection, farewell.data, farewell.size);
    buffer_deinit(&farewell);
    if (connection->state != CLOSED)
        connection_linger(connection);
}

void connection_check_stream(struct connection *connection)
{
    struct life *life = &connection->life;
    bool has_moved = life->is_asked && stream_has_moved(&connection->stream, &connection->mark);
    uint64_t wait_ms;

    /* The next question comes at its time, as clients expect. */
    if (life->is_asked && connection->mark.next_byte == 0)
        life->is_asked = false;
    switch (life_check(life, now_ms(connection), has_moved, config_of(connection), &wait_ms)) {
    case LIFE_OVER:
        metric_add(&stats_of(connection)->dead_peers, 1);
        connection_lose(connection, "it took nothing of what it was sent");
        return;
    case LIFE_ASK:
        connection_wait(connection, wait_ms);
        connection_ping(connection);
        if (is_open(connection))
            stream_set_mark(&connection->stream, &connection->mark);
        return;
    case LIFE_WAIT:
    default:
        connection_wait(connection, wait_ms);
    }
}
