/*
 * Who a request is from, and what it asked for, by the word of the proxies in front of us: the
 * headers X-Forwarded-For, -Proto and -Host, or Forwarded (RFC 7239). A request in, an address out;
 * no I/O.
 *
 * Anybody can send such headers, and most proxies add to what they were sent. So each address is
 * believed only where a proxy that we trust has written it: from the peer of the socket, if that is
 * one, to who sent the request to it, and on from there for as long as that is one, too. The first
 * address that is not is the client's. What is no address ("unknown", nonsense, a header that does
 * not parse) ends the way: the client is then the last address before it, a proxy's, and never one
 * that the client could choose.
 *
 * Only one of the two families is read, because a proxy that writes one passes on what the client
 * wrote in the other.
 */
#ifndef GATEWAY_FORWARDED_H
#define GATEWAY_FORWARDED_H

#include <sys/socket.h>

#include "common/http_request.h"
#include "common/network.h"

#define FORWARDED_HOST_LIMIT 255

enum forwarded_family { FORWARDED_X, FORWARDED_STANDARD };

struct forwarded {
    struct sockaddr_storage address;     /* the client's; port 0 where it is not known */
    const char *scheme;                  /* "http" or "https"; NULL: nobody said who could know */
    char host[FORWARDED_HOST_LIMIT + 1]; /* host[:port] that was asked for; "": see Host */
};

/* `peer` is who has sent us the request. Where `trusted` does not contain it, no header is read. */
void forwarded_read(const struct http_request *request, const struct networks *trusted,
                    enum forwarded_family family, const struct sockaddr *peer,
                    struct forwarded *forwarded);

#endif
