#include "tests/bench/endpoint.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define CLIENTS_PER_SOURCE 25000 /* Linux gives about 28,000 ports to each source address */

int endpoint_resolve(struct endpoint *endpoint, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int error = getaddrinfo(host, port, &hints, &endpoint->addresses);

    if (error)
        endpoint->addresses = NULL;
    endpoint->address = endpoint->addresses;
    endpoint->is_reached = false;
    return error;
}

void endpoint_deinit(struct endpoint *endpoint)
{
    if (endpoint->addresses)
        freeaddrinfo(endpoint->addresses);
}

bool endpoint_advance(struct endpoint *endpoint)
{
    if (endpoint->is_reached || !endpoint->address->ai_next)
        return false;
    endpoint->address = endpoint->address->ai_next;
    return true;
}

static bool is_ipv4_loopback(const struct sockaddr *address)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

    return address->sa_family == AF_INET && ntohl(in->sin_addr.s_addr) >> 24 == 127;
}

static int bind_source(int fd, uint32_t source)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(source)};
    int on = 1;

    /* The port is chosen when connecting, so that it need only be free for this server. */
    if (setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    return 0;
}

static int start_connect(int fd, const struct sockaddr *address, socklen_t size, uint32_t index)
{
    uint32_t more_sources = index / CLIENTS_PER_SOURCE;
    int on = 1;
    int error = 0;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (more_sources > 0 && is_ipv4_loopback(address))
        error = bind_source(fd, INADDR_LOOPBACK + more_sources);
    if (!error && connect(fd, address, size) < 0 && errno != EINPROGRESS)
        error = -errno;
    return error;
}

int endpoint_connect(const struct endpoint *endpoint, uint32_t index)
{
    const struct addrinfo *address = endpoint->address;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;

    int error = start_connect(fd, address->ai_addr, address->ai_addrlen, index);

    if (error) {
        close(fd);
        return error;
    }
    return fd;
}
