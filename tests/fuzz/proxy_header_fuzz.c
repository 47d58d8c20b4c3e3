/*
 * The first bytes of a connection, cut anywhere: before a header is whole nothing is said of it, or
 * the same as in the end, and one that is taken takes no more than its limit and gives an address
 * of IP or none.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include <uv.h>

#include "gateway/proxy_header.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_storage source;
    int result = proxy_header_read(data, size, &source);

    require(result == UV_EPROTO || result == UV_E2BIG ||
            (result >= 0 && result <= PROXY_HEADER_LIMIT && (size_t)result <= size));
    require(size < PROXY_HEADER_LIMIT || result != 0);
    if (result > 0)
        require(source.ss_family == AF_UNSPEC || source.ss_family == AF_INET ||
                source.ss_family == AF_INET6);
    for (size_t cut = 0; cut < size && cut < 300; cut++) {
        int early = proxy_header_read(data, cut, &source);

        require(early == 0 || early == result);
        require(early <= 0 || (size_t)early <= cut);
    }
    return 0;
}
