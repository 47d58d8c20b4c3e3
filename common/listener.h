/*
 * A listener accepts the connections of one listening socket, on one loop. It takes a limited
 * number in one iteration, so that a crowd at the door keeps nobody waiting who is in already; and
 * when there is no descriptor or no memory for one more, it rests a moment, while they wait in the
 * kernel's queue.
 *
 * Embedded in whatever serves the connections. Its life: `listener_start`, any number of
 * `accepted`, `listener_close`, and then the `closed` event, after which the memory may be freed.
 */
#ifndef COMMON_LISTENER_H
#define COMMON_LISTENER_H

#include <sys/socket.h>
#include <uv.h>

#include "common/loop.h"
#include "common/metrics.h"

#define LISTENER_BATCH 64 /* connections in one iteration of the loop */

struct listener {
    uv_poll_t poll;
    struct waiter rest;
    struct loop *loop;
    int socket;
    int singles;          /* wake-ups that take one connection and look for no other */
    int patience;         /* how many the last search for another one led to, in vain */
    struct metric errors; /* times that accept failed and it rested */
    void (*accepted)(struct listener *listener, int socket, const struct sockaddr_storage *peer);
    void (*closed)(struct listener *listener);
};

/*
 * Listens on `socket` (bound, the listener's own from here on, after an error too) with room for
 * `backlog` connections that wait. `accepted` is handed each connection, non-blocking and without
 * Nagle's delay, and owns it; it may close the listener. 0 or a libuv error, after which there is
 * nothing to close.
 */
int listener_start(struct listener *listener, struct loop *loop, int socket, int backlog,
                   void (*accepted)(struct listener *listener, int socket,
                                    const struct sockaddr_storage *peer));

/* Closes the socket at once, and calls `closed`, which may be NULL, from the loop. Harmless if it
 * is closing already. */
void listener_close(struct listener *listener, void (*closed)(struct listener *listener));

#endif
