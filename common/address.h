/* Network addresses as users write them: `127.0.0.1:8000`, `[::1]:8000`, `*:8000`, `:8000`. */
#ifndef COMMON_ADDRESS_H
#define COMMON_ADDRESS_H

#include <stddef.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_LIMIT 64 /* bytes that address_format needs at most, the zero included */

/*
 * Reads a numeric address with port (0 to 65535). `*` and an empty host mean every IPv6 and IPv4
 * address. Returns 0 or UV_EINVAL.
 */
int address_parse(const char *text, struct sockaddr_storage *address);

/* Reads a numeric host without brackets or a zone, IPv4 or IPv6, and gives it this port. Returns 0
 * or UV_EINVAL. */
int address_parse_host(const char *host, unsigned port, struct sockaddr_storage *address);

/* Writes `host:port`, or `[host]:port` for IPv6; an IPv4 address mapped into IPv6 prints as IPv4.
 */
void address_format(const struct sockaddr *address, char text[ADDRESS_TEXT_LIMIT]);

/* The same without the port: what limits per address and logs go by. */
void address_format_host(const struct sockaddr *address, char text[ADDRESS_TEXT_LIMIT]);

/* 0 where there is none. */
unsigned address_port(const struct sockaddr *address);

#endif
