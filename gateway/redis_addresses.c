#include "gateway/redis_addresses.h"

#include <stdio.h>

#include "common/memory.h"

const struct sockaddr *redis_addresses_next(struct redis_addresses *addresses)
{
    addresses->current = addresses->current ? addresses->current->ai_next : addresses->all;
    return addresses->current ? addresses->current->ai_addr : NULL;
}

static void on_resolved(uv_getaddrinfo_t *request, int error, struct addrinfo *found)
{
    struct redis_addresses *addresses = container_of(request, struct redis_addresses, request);

    addresses->all = found;
    if (!error && !found)
        error = UV_EAI_NONAME;
    else if (error == UV_EAI_CANCELED) /* as libuv calls it here alone */
        error = UV_ECANCELED;
    addresses->resolved(addresses, error);
}

int redis_addresses_resolve(struct redis_addresses *addresses, struct loop *loop,
                            const struct redis_url *url, redis_resolved *resolved)
{
    static const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    char port[8];

    redis_addresses_forget(addresses);
    snprintf(port, sizeof(port), "%u", url->port);
    addresses->resolved = resolved;
    return uv_getaddrinfo(&loop->uv, &addresses->request, on_resolved, url->host, port, &hints);
}

void redis_addresses_cancel(struct redis_addresses *addresses)
{
    uv_cancel((uv_req_t *)&addresses->request); /* where it fails, its callback still comes */
}

void redis_addresses_forget(struct redis_addresses *addresses)
{
    if (addresses->all)
        uv_freeaddrinfo(addresses->all);
    addresses->all = NULL;
    addresses->current = NULL;
}
