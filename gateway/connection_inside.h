/*
 * What the parts of a connection share: connection.c (its states, and what all of them have in
 * common), connection_proxy.c, connection_tls.c, connection_http.c, connection_websocket.c,
 * connection_stream.c and connections.c. Nobody else includes it.
 */
#ifndef GATEWAY_CONNECTION_INSIDE_H
#define GATEWAY_CONNECTION_INSIDE_H

#include <stdalign.h>

#include "common/memory.h"
#include "gateway/connection.h"
#include "gateway/http_phase.h"
#include "gateway/life.h"
#include "gateway/peer_log.h"
#include "gateway/websocket.h"

enum connection_state {
    ACCEPTED,
    TLS_HANDSHAKE,
    HTTP,
    JOINING,
    OPEN,
    LEAVING,
    CLOSING,
    LINGERING,
    CLOSED,
};

/* How far a connection with TLS is before its handshake is done. */
enum tls_turn {
    TLS_SILENT,  /* it has said nothing, and has its time for that */
    TLS_WAITING, /* it has: the handshake begins when its turn comes, and no time passes for it */
    TLS_RUNNING, /* the handshake has begun, and has its time from then on */
};

/* While a pong is queued for a client that does not read, only the latest ping is answered behind
 * it (RFC 6455 §5.5.3), so that pings cost the client more than us. */
struct late_pong {
    uint64_t position; /* of the stream, when the pong before it has gone */
    size_t size;       /* of the frame; 0: none */
    unsigned char frame[2 + WEBSOCKET_CONTROL_LIMIT];
};

/* What is known of a connection from its PROXY header, before there is HTTP. */
struct early {
    struct sockaddr_storage peer; /* whose it is, once the header is read */
    struct buffer bytes;          /* a header in pieces; then what came with its end */
};

#define CONNECTION_HOT_BYTES 32

/* What a delivery touches stands in one line of the cache: the states, and the stream's. */
struct connection {
    alignas(CONNECTION_HOT_BYTES) uint8_t state; /* enum connection_state */
    uint8_t tls_turn; /* enum tls_turn; TLS_SILENT but for TLS_HANDSHAKE */
    uint8_t verdict;  /* enum admission_verdict: where it is a refusal, TLS comes before the 503 */
    bool is_tls;
    bool is_stream;    /* from OPEN on: of HTTP, and no WebSocket */
    bool may_compress; /* from OPEN on: its client may send messages that are compressed */
    struct stream stream;
    struct waiter waiter;
    struct list link;
    struct session session; /* which has its host from the start on */
    struct websocket_reader reader;
    union {                      /* what it has in some states alone */
        struct early *early;     /* before HTTP; NULL where there is nothing to keep */
        struct http_phase *http; /* HTTP, JOINING; NULL before the first byte of a client's own */
        struct late_pong *pong;  /* from OPEN on; NULL unless one is queued */
    };
    const char *client; /* whose it is by the word of a proxy; NULL: the peer's own */
    struct admission_address *address;
    uint64_t id;
    struct stream_mark mark; /* how far the peer was when we last looked */
    union {
        uint32_t begun_ms;   /* during TLS_HANDSHAKE: loop time when it was TLS_RUNNING */
        struct life life;    /* while it is OPEN */
        uint32_t closing_ms; /* once it is CLOSING or LINGERING: loop time when that began */
    };
};

_Static_assert(offsetof(struct connection, stream) + STREAM_HOT_BYTES <= CONNECTION_HOT_BYTES,
               "what is hot lies together");

static inline struct connection *of_session(struct session *session)
{
    return container_of(session, struct connection, session);
}

static inline struct connection_host *host_of(const struct connection *connection)
{
    return container_of(connection->session.host, struct connection_host, sessions);
}

static inline struct loop *loop_of(const struct connection *connection)
{
    return connection->session.host->loop;
}

static inline struct worker_stats *stats_of(const struct connection *connection)
{
    return connection->session.host->stats;
}

static inline const struct config *config_of(const struct connection *connection)
{
    return &connection->session.host->settings->config;
}

static inline bool is_open(const struct connection *connection)
{
    return connection->state == OPEN || connection->state == LEAVING;
}

static inline uint32_t now_ms(const struct connection *connection)
{
    return (uint32_t)loop_now_ms(loop_of(connection));
}

/* Who is at the other end of the socket. 0 or an error. */
static inline int find_peer(const struct connection *connection, struct sockaddr_storage *peer)
{
    int size = sizeof(*peer);

    return uv_tcp_getpeername(&connection->stream.uv.tcp, (struct sockaddr *)peer, &size);
}

/* For a line of the log. */
static inline struct peer connection_peer(const struct connection *connection)
{
    return (struct peer){&connection->stream, connection->id, connection->client};
}

/* connection.c */

void connection_set_state(struct connection *connection, enum connection_state state);

/* Looks at the time after so long, instead of whenever was set before. */
void connection_wait(struct connection *connection, uint64_t delay_ms);

/* The end, from any state: the socket goes, and with it whatever was queued. */
void connection_end(struct connection *connection);

/* Frees a connection that has ended, once nothing of it is under way. */
void connection_free_if_done(struct connection *connection);

/* A gentle end: FIN behind what is queued. */
void connection_linger(struct connection *connection);

/* The end for a reason of the peer or of the network, which the log is told. */
void connection_lose(struct connection *connection, const char *reason);

/* Sends few bytes; may end the connection. */
void connection_send(struct connection *connection, const void *data, size_t size);

/* There is no room for this client now: 503, and to come again some seconds later. */
void connection_refuse(struct connection *connection, const char *message);

/* It may not be admitted: 503, where there is room to say so, and as soon as the peer can read it,
 * which over TLS is after the handshake. */
void connection_refuse_admission(struct connection *connection, enum admission_verdict verdict);

/* From ACCEPTED: the next byte is the first one of `peer`. */
void connection_begin(struct connection *connection, const struct sockaddr_storage *peer);

/* Requests of `peer` are read from now on, or it is told why not. */
void connection_begin_http(struct connection *connection, const struct sockaddr_storage *peer);

void connection_forget_pong(struct connection *connection);

/* connection_proxy.c: the state ACCEPTED, and who the client of a proxy is. */

/* True for a peer whose word on its clients is believed. */
bool connection_of_proxy(const struct connection *connection, const struct sockaddr_storage *peer);

void connection_read_proxy_header(struct connection *connection, const unsigned char *data,
                                  size_t size);

/* The header has not come in its time. */
void connection_miss_proxy_header(struct connection *connection);

/* A handshake tells the client's address, if a proxy sent it. False, with the connection refused,
 * where that has its share of connections. */
bool connection_admit_client(struct connection *connection);

void connection_forget_early(struct connection *connection);

/* connection_tls.c: the state TLS_HANDSHAKE. */

void connection_begin_tls(struct connection *connection);

/* There is something to read: its turn will come. */
void connection_await_turn(struct connection *connection);

/* The handshake is over, or will never be: another one may begin. */
void connection_give_turn(struct connection *connection);

void connection_secured(struct connection *connection, int error);

/* The handshake has had some time: goes on, unless that was all of it. */
void connection_check_tls(struct connection *connection);

/* connection_http.c: the state HTTP. */

/* Prepares for requests; `proxy` as http_phase_create has it. */
void connection_make_http(struct connection *connection, const struct sockaddr_storage *proxy);

/* An answer that came later is there. */
void connection_resume_http(struct http_exchange *exchange);

void connection_read_http(struct connection *connection, const unsigned char *data, size_t size);

/* The answers have gone; the next request has its own time. */
void connection_answered(struct connection *connection);

/* A request has to come, but not before its client has read the answer to the last one. */
void connection_check_request(struct connection *connection);

/* connection_websocket.c: the states OPEN, LEAVING, CLOSING. */

void connection_read_frames(struct connection *connection, unsigned char *data, size_t size);

/* Closes an open connection for a reason of ours; harmless in other states. */
void connection_close(struct connection *connection, uint16_t code, const char *reason);

/* The queue is empty: now for the latest ping that came meanwhile. */
void connection_send_late_pong(struct connection *connection);

/* A peer has to be there, and a message that it has begun has to come. */
void connection_check_life(struct connection *connection);

/* Asks whether it is there. */
void connection_ping(struct connection *connection);

/* connection_stream.c: the same of a stream of HTTP. */

void connection_close_stream(struct connection *connection, uint16_t code, const char *reason);
void connection_check_stream(struct connection *connection);

#endif
