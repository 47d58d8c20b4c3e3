/*
 * Why not uv_listen: it accepts for as long as somebody waits, however long that keeps the rest of
 * the loop. And when accept fails for want of a descriptor, the kernel leaves the connection where
 * it is. libuv 1.44 then gives up a spare descriptor of the loop's to accept and close whoever
 * waits; where another thread takes that one first, it calls back with the error again and again
 * and never returns to the loop. Later versions return, and are woken again at once. Neither has a
 * way to pause.
 *
 * With our own accept on a polled socket, pausing is not polling. No spare descriptor is needed:
 * the process keeps enough for a refusal (gateway/descriptors.h), and whoever finds none after all
 * only waits.
 */
#include "common/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"

#define REST_MS      100
#define LOG_EVERY_NS 1000000000u
#define PATIENCE     15 /* wake-ups */

static void on_ready(uv_poll_t *poll, int status, int events);

/* One line a second for the whole process: listeners run out together. */
static bool may_log(void)
{
    static _Atomic uint64_t logged_ns;
    uint64_t last = atomic_load(&logged_ns);
    uint64_t now = uv_hrtime();

    return (last == 0 || now - last >= LOG_EVERY_NS) &&
           atomic_compare_exchange_strong(&logged_ns, &last, now);
}

static void rest(struct listener *listener, int error)
{
    metric_add(&listener->errors, 1);
    if (may_log())
        log_event(LOG_WARNING, log_name("cannot accept"), log_text("error", uv_strerror(error)));
    uv_poll_stop(&listener->poll);
    loop_wait(listener->loop, &listener->rest, REST_MS);
}

static void on_rested(struct waiter *waiter)
{
    uv_poll_start(&container_of(waiter, struct listener, rest)->poll, UV_READABLE, on_ready);
}

/* Takes the next connection. False where there is none to be had at present. */
static bool take(struct listener *listener)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);
    int socket =
        accept4(listener->socket, (struct sockaddr *)&peer, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (socket >= 0) {
        listener->accepted(listener, socket, &peer);
        return true;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return false;
    if (errno == ECONNABORTED || errno == EINTR)
        return true; /* somebody who has gone, or nothing at all: the next one may be there */
    rest(listener, uv_translate_sys_error(errno));
    return false;
}

/* Whether somebody else is at the door costs another accept to know. Where there was nobody, the
 * next few wake-ups do not ask: the next iteration is told of whoever has come after all. */
static void note_crowd(struct listener *listener, int most, int count)
{
    if (most == 1) {
        listener->singles--;
    } else if (count > 1) {
        listener->patience = 0;
    } else {
        listener->patience = listener->patience < PATIENCE ? 2 * listener->patience + 1 : PATIENCE;
        listener->singles = listener->patience;
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = container_of(poll, struct listener, poll);
    int most = listener->singles > 0 ? 1 : LISTENER_BATCH;
    int count = 0;

    (void)events;
    if (status) {
        rest(listener, status);
        return;
    }
    while (count < most && !uv_is_closing((uv_handle_t *)poll) && take(listener))
        count++;
    note_crowd(listener, most, count);
}

/* What is accepted from a socket has its options, on Linux. */
static int begin_listening(int socket, int backlog)
{
    static const int on = 1;

    if (setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) || listen(socket, backlog))
        return uv_translate_sys_error(errno);
    return 0;
}

int listener_start(struct listener *listener, struct loop *loop, int socket, int backlog,
                   void (*accepted)(struct listener *listener, int socket,
                                    const struct sockaddr_storage *peer))
{
    *listener = (struct listener){.loop = loop, .socket = socket, .accepted = accepted};
    waiter_init(&listener->rest, on_rested);

    int error = begin_listening(socket, backlog);

    if (!error)
        error = uv_poll_init_socket(&loop->uv, &listener->poll, socket);
    if (error) {
        close(socket);
        return error;
    }
    uv_poll_start(&listener->poll, UV_READABLE, on_ready); /* cannot fail once it is initialized */
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = container_of((uv_poll_t *)handle, struct listener, poll);

    if (listener->closed)
        listener->closed(listener);
}

void listener_close(struct listener *listener, void (*closed)(struct listener *listener))
{
    if (uv_is_closing((uv_handle_t *)&listener->poll))
        return;
    listener->closed = closed;
    loop_cancel(listener->loop, &listener->rest);
    uv_close((uv_handle_t *)&listener->poll, on_closed);
    close(listener->socket); /* polled no more since uv_close */
}
