#include "tests/bench/transport.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static int watch(const struct transport *transport, int operation, uint32_t epoll_events)
{
    struct epoll_event event = {.events = epoll_events, .data.ptr = transport->subject};

    return epoll_ctl(transport->epoll, operation, transport->fd, &event) < 0 ? -errno : 0;
}

int transport_open(struct transport *transport, int epoll, int fd, void *subject)
{
    *transport =
        (struct transport){.epoll = epoll, .fd = fd, .subject = subject, .waits_for_room = true};

    int error = watch(transport, EPOLL_CTL_ADD, EPOLLOUT);

    if (error)
        close(fd);
    return error;
}

void transport_close(struct transport *transport)
{
    tls_destroy(transport->tls);
    close(transport->fd);
}

int transport_finish_connect(struct transport *transport)
{
    int error = 0;
    socklen_t size = sizeof(error);

    getsockopt(transport->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    return -error;
}

int transport_secure(struct transport *transport, SSL_CTX *context, const char *host)
{
    transport->tls = tls_create(context, transport->fd, host);
    return transport->tls ? 0 : -EPROTO;
}

int transport_handshake(struct transport *transport)
{
    int error = tls_handshake(transport->tls);

    if (error == -EAGAIN)
        transport_wait_for_room(transport, tls_wants_room(transport->tls));
    return error;
}

static ssize_t bytes_or_error(ssize_t bytes)
{
    if (bytes >= 0)
        return bytes;
    return errno == EINTR ? -EAGAIN : -errno;
}

/* TLS gives one record for each call, and reads no further: what the socket still has, epoll tells.
 */
ssize_t transport_receive(struct transport *transport, void *data, size_t capacity)
{
    if (transport->tls)
        return tls_receive(transport->tls, data, capacity);
    return bytes_or_error(recv(transport->fd, data, capacity, 0));
}

ssize_t transport_send(struct transport *transport, const void *data, size_t size)
{
    if (transport->tls)
        return tls_send(transport->tls, data, size);
    return bytes_or_error(send(transport->fd, data, size, MSG_NOSIGNAL));
}

void transport_wait_for_room(struct transport *transport, bool waits)
{
    if (waits == transport->waits_for_room)
        return;
    transport->waits_for_room = waits;
    watch(transport, EPOLL_CTL_MOD, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void transport_explain(const struct transport *transport, int error,
                       char reason[TRANSPORT_REASON_LIMIT])
{
    if (transport->tls)
        tls_explain(transport->tls, error, reason);
    else
        snprintf(reason, TRANSPORT_REASON_LIMIT, "%s", strerror(-error));
}
