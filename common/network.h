/*
 * Networks as users write them (CIDR, RFC 4632, RFC 4291 §2.3): `10.0.0.0/8`, `2001:db8::/32`, and
 * an address alone for a network of one. An IPv4 address is the same whether a socket shows it as
 * IPv4 or mapped into IPv6. Plain data, no I/O.
 */
#ifndef COMMON_NETWORK_H
#define COMMON_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct network {
    unsigned char prefix[16]; /* IPv4 mapped into IPv6 */
    unsigned bits;            /* of the prefix; from 96 on for IPv4 */
};

struct networks {
    struct network *items;
    size_t count;
};

/* Returns 0, or UV_EINVAL for what is no network, one with bits set behind its prefix included. */
int network_parse(const char *text, struct network *network);

bool network_contains(const struct network *network, const struct sockaddr *address);

/* Fills a list from `count` texts, all of which network_parse takes. */
void networks_init(struct networks *networks, const char *const *texts, size_t count);
void networks_deinit(struct networks *networks);

/* True if any of them contains the address. */
bool networks_contain(const struct networks *networks, const struct sockaddr *address);

#endif
