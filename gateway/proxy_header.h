/*
 * The header of the PROXY protocol, by which a proxy that passes bytes on says whose they are:
 * version 1 (a line) and version 2 (binary), as HAProxy's proxy-protocol.txt has them. Bytes in, no
 * I/O. It comes once, before anything else of the connection, TLS included.
 */
#ifndef GATEWAY_PROXY_HEADER_H
#define GATEWAY_PROXY_HEADER_H

#include <stddef.h>
#include <sys/socket.h>

/* Of a whole header. A longer one has more behind the addresses than any proxy sends. */
#define PROXY_HEADER_LIMIT 4096

/*
 * Reads a header from the first bytes of a connection. Returns the bytes that it takes; 0 while it
 * is incomplete; UV_EPROTO for what is no header, as soon as that is sure, whatever pieces it came
 * in; UV_E2BIG for one over the limit.
 *
 * `source` receives the client's address and port. It is of family AF_UNSPEC where the header gives
 * none: the proxy speaks for itself (LOCAL), does not know (UNKNOWN), or was reached over a Unix
 * socket. What version 2 has behind the addresses (TLVs) is skipped.
 */
int proxy_header_read(const unsigned char *data, size_t size, struct sockaddr_storage *source);

#endif
