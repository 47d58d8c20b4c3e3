/*
 * The address that clients connect to. A host may have several addresses, such as ::1 and 127.0.0.1
 * for localhost, and a server need not listen on all: the first connection tries them in turn, and
 * the one that took it is that of all others.
 */
#ifndef BENCH_ENDPOINT_H
#define BENCH_ENDPOINT_H

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>

struct endpoint {
    struct addrinfo *addresses;
    const struct addrinfo *address; /* the one in use */
    bool is_reached;                /* somebody connected to it */
};

/* Looks the host up. 0, or what gai_strerror prints. */
int endpoint_resolve(struct endpoint *endpoint, const char *host, const char *port);
void endpoint_deinit(struct endpoint *endpoint);

/* Goes on to the host's next address. False if there is none, or if the present one was reached. */
bool endpoint_advance(struct endpoint *endpoint);

/* Starts to connect. Returns the socket, which does not block, or a negative errno. On loopback,
 * every 25,000 of the numbers in `index` share a source address. */
int endpoint_connect(const struct endpoint *endpoint, uint32_t index);

#endif
