/*
 * The addresses that the name of a Redis stands for, to be tried one after the other. Embedded in
 * its owner; belongs to the owner's loop. One of zero bytes has none.
 */
#ifndef GATEWAY_REDIS_ADDRESSES_H
#define GATEWAY_REDIS_ADDRESSES_H

#include <uv.h>

#include "common/loop.h"
#include "gateway/redis_url.h"

struct redis_addresses;

/* The name server has answered: 0, and there is an address, or a libuv error; UV_ECANCELED after
 * redis_addresses_cancel. */
typedef void redis_resolved(struct redis_addresses *addresses, int error);

struct redis_addresses {
    uv_getaddrinfo_t request;
    struct addrinfo *all;
    struct addrinfo *current; /* NULL: none was taken yet */
    redis_resolved *resolved;
};

/* The next one; NULL where all were taken, or there are none: the name is to be resolved then. */
const struct sockaddr *redis_addresses_next(struct redis_addresses *addresses);

/* Asks for the addresses of the URL's host, and forgets those that were there. Returns 0 where
 * `resolved` will come, and then the memory has to stay until it does; or a libuv error. */
int redis_addresses_resolve(struct redis_addresses *addresses, struct loop *loop,
                            const struct redis_url *url, redis_resolved *resolved);

/* Gives up what was asked; `resolved` still comes, soon where that is possible. */
void redis_addresses_cancel(struct redis_addresses *addresses);

/* Frees what is there. Not while a name is being resolved. */
void redis_addresses_forget(struct redis_addresses *addresses);

#endif
