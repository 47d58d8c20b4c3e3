/*
 * A connection: a socket that speaks HTTP until it is upgraded, and WebSocket from then on, over
 * TLS or without. It owns the stream, the frame reader, the deadlines and the session; it knows
 * frames and no channels.
 *
 * Created by the accepting worker, it lives on that worker's loop until its stream is closed and
 * its session has no publish under way; then it frees itself.
 */
#ifndef GATEWAY_CONNECTION_H
#define GATEWAY_CONNECTION_H

#include "common/loop.h"
#include "common/slab.h"
#include "common/stream.h"
#include "gateway/admission.h"
#include "gateway/session.h"
#include "gateway/site.h"
#include "gateway/slow_clients.h"

struct connection;

/* What the connections of a worker share; embedded in the worker. */
struct connection_host {
    struct session_host sessions;
    struct admission *admission;
    const struct status *status;
    struct list connections; /* all that are not being sent away */
    struct list held;        /* those that are not read because the hub is behind */
    struct list leaving;     /* those whose turn to be sent away has come */
    struct list waiting;     /* those that have asked for a TLS handshake, the first one first */
    struct list shaking;     /* those that have sent something for one that has begun */
    struct tls_context *tls; /* for connections that come from now on; NULL: there are none */
    struct slab memory;      /* of connections; it counts them */
    uint64_t next_id;
    struct slow_clients slow;
    /* A connection was put on `leaving`. */
    void (*left)(struct connection_host *host);
    /* One that waits can begin its handshake: connections_shake_hands is to be called soon. */
    void (*unblocked)(struct connection_host *host);
    /* A connection was freed. */
    void (*freed)(struct connection_host *host);
};

extern const struct session_events connection_session_events;

/* Prepares a host without connections, whose other members its owner sets; the end of one. */
void connections_init(struct connection_host *host);
void connections_deinit(struct connection_host *host);

/* Takes over the socket of a connection that a listener accepted. */
void connection_accept(struct connection_host *host, int socket,
                       const struct sockaddr_storage *peer, bool is_tls);

/* Goes on with TLS handshakes, in turn, for a moment; true where some are left for the next
 * iteration. To be called once those are served who are in already. */
bool connections_shake_hands(struct connection_host *host);

/* Ends those that still speak HTTP and gives each of the others a moment within `time_ms`, spread
 * evenly and jittered, at which it stops reading and joins `leaving`. */
void connections_drain(struct connection_host *host, uint64_t time_ms);

/* Sends a close frame (1001) to each connection of a list. */
void connections_dismiss(struct connection_host *host, struct list *list);

/* Reads those again that were held, the longest first and each once, before any other is read;
 * stops when the hub is behind again. So one that floods does not keep the others waiting. */
void connections_go_on(struct connection_host *host);

/* Closes (1012) all WebSockets: any of them may have missed messages. */
void connections_restart(struct connection_host *host);

/* Closes every socket at once, without a word. */
void connections_abort(struct connection_host *host);

#endif
