/*
 * What a connection is before it is a WebSocket: HTTP requests in, answers out, until one of them
 * is a handshake that may be accepted. Bytes and no socket; it is freed with the last byte of HTTP,
 * so that a WebSocket does not pay for it.
 */
#ifndef GATEWAY_HTTP_PHASE_H
#define GATEWAY_HTTP_PHASE_H

#include "common/http_exchange.h"
#include "gateway/forwarded.h"
#include "gateway/session.h"
#include "gateway/site.h"
#include "gateway/wires.h"

/* What is known of a client whose requests a proxy sends. In memory of its own: holes of this size
 * among the connections were measured to cost each of those 137 bytes. */
struct proxied {
    struct sockaddr_storage peer; /* the proxy */
    struct forwarded forwarded;   /* of the handshake: whose it is */
};

struct http_phase {
    struct http_exchange exchange; /* the owner sends and empties its output */
    void *owner;
    struct session_host *sessions;
    const struct status *status;
    struct proxied *proxied; /* NULL: the client itself sends the requests */
    struct buffer accept;    /* the 101 response, ready, or the head of a stream */
    struct buffer early;     /* frames that came with the handshake */
    struct buffer connect;   /* the command that a stream begins with */
    bool is_tls;
    bool is_secure;     /* the client sent the last request over TLS, to us or to the proxy */
    struct buffer kept; /* those of the handshake's headers that --proxy-header names, as in struct
                           backend_request */
    struct buffer allowed; /* exchange.refusal_headers, where there are any */
    const char *refusal;   /* why a handshake was refused, after which the phase ends; NULL */
    int refused_status;
    struct pace pace;           /* of posts beside a stream */
    bool is_held;               /* the owner does not read until an answer was given */
    bool is_client;             /* the handshake asks for the channel protocol, */
    enum transport transport;   /* over this one; else for the plain one, on `channel` */
    enum deflate_window window; /* how messages are compressed */
    size_t channel_size;
    char channel[MESSAGE_CHANNEL_LIMIT + 1];
};

/* The owner is told, as http_exchange says, when an answer that came later is in the output.
 * `proxy` is who sends the requests of its clients; NULL: they come from the client itself. */
struct http_phase *http_phase_create(struct session_host *sessions, const struct status *status,
                                     bool is_tls, const struct sockaddr_storage *proxy,
                                     void (*resumed)(struct http_exchange *exchange), void *owner);

/* NULL is allowed. */
void http_phase_destroy(struct http_phase *http);

/* Has the response that begins at `start` tell browsers to come over TLS alone for so long; 0:
 * leaves it as it is. For every answer over TLS, and none without (RFC 6797 §7). */
void http_phase_demand_tls(struct buffer *output, size_t start, uint64_t time_ms);

/* The same among the headers of an answer to this client that is yet to be made. */
void http_phase_append_demand(const struct http_phase *http, struct buffer *headers);

/* Keeps what --proxy-header names for the application's backend. */
void http_phase_keep_headers(struct http_phase *http, const struct http_request *request);

/* Reads on. True once a handshake may be accepted: what it asks for, `accept`, `early` and
 * `proxied` are filled in then, and nothing more may be fed. */
bool http_phase_feed(struct http_phase *http, const unsigned char *data, size_t size);

#endif
