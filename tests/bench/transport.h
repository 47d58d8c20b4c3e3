/*
 * The bytes of one client's connection, as they are or through TLS, and what epoll has to tell of
 * it. -EAGAIN means to come back when epoll has told.
 */
#ifndef BENCH_TRANSPORT_H
#define BENCH_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tests/bench/tls.h"

#define TRANSPORT_REASON_LIMIT TLS_REASON_LIMIT

struct transport {
    int epoll;
    int fd;
    SSL *tls; /* NULL: as they are */
    bool waits_for_room;
    void *subject; /* whom epoll's events name */
};

/* Takes over a socket that connects; the next event is that it has, or has not. 0 or a negative
 * errno, and then the socket is closed. */
int transport_open(struct transport *transport, int epoll, int fd, void *subject);

void transport_close(struct transport *transport);

/* What became of connecting. */
int transport_finish_connect(struct transport *transport);

/* Has all further bytes go through TLS. 0 or -EPROTO. */
int transport_secure(struct transport *transport, SSL_CTX *context, const char *host);

/* 0 once TLS is ready, or a negative errno. */
int transport_handshake(struct transport *transport);

/* Bytes, 0 at the end, or a negative errno. At least 16 KiB, a whole record of TLS, must have room.
 */
ssize_t transport_receive(struct transport *transport, void *data, size_t capacity);

/* Bytes, or a negative errno. */
ssize_t transport_send(struct transport *transport, const void *data, size_t size);

/* Whether there is more to send than the socket took. */
void transport_wait_for_room(struct transport *transport, bool waits);

/* Says in a few words why the last call failed with `error`. */
void transport_explain(const struct transport *transport, int error,
                       char reason[TRANSPORT_REASON_LIMIT]);

#endif
