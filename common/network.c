#include "common/network.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/address.h"
#include "common/memory.h"

#define MAPPED_BITS 96 /* ::ffff:0:0/96 holds IPv4 */

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_mapped(const unsigned char bytes[16])
{
    return memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

/* False for an address of another family. */
static bool take_bytes(const struct sockaddr *address, unsigned char bytes[16])
{
    if (address->sa_family == AF_INET6) {
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr, 16);
        return true;
    }
    if (address->sa_family != AF_INET)
        return false;
    memcpy(bytes, mapped_prefix, sizeof(mapped_prefix));
    memcpy(bytes + sizeof(mapped_prefix),
           &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    return true;
}

static int parse_address(const char *text, unsigned char bytes[16])
{
    struct sockaddr_storage address;

    if (address_parse_host(text, 0, &address))
        return UV_EINVAL;
    take_bytes((const struct sockaddr *)&address, bytes);
    return 0;
}

static int parse_bits(const char *text, unsigned limit, unsigned *bits)
{
    size_t size = strlen(text);

    if (size == 0 || size > 3 || strspn(text, "0123456789") != size)
        return UV_EINVAL;
    *bits = (unsigned)strtoul(text, NULL, 10);
    return *bits <= limit ? 0 : UV_EINVAL;
}

static bool is_set(const unsigned char bytes[16], unsigned bit)
{
    return bytes[bit / 8] & (0x80 >> bit % 8);
}

int network_parse(const char *text, struct network *network)
{
    const char *slash = strchr(text, '/');
    size_t size = slash ? (size_t)(slash - text) : strlen(text);
    char address[INET6_ADDRSTRLEN];

    if (size >= sizeof(address))
        return UV_EINVAL;
    memcpy(address, text, size);
    address[size] = '\0';
    if (parse_address(address, network->prefix))
        return UV_EINVAL;

    unsigned base = strchr(address, ':') ? 0 : MAPPED_BITS;
    unsigned bits = 128 - base;

    if (slash && parse_bits(slash + 1, 128 - base, &bits))
        return UV_EINVAL;
    network->bits = base + bits;
    for (unsigned bit = network->bits; bit < 128; bit++) {
        if (is_set(network->prefix, bit))
            return UV_EINVAL;
    }
    return 0;
}

bool network_contains(const struct network *network, const struct sockaddr *address)
{
    unsigned char bytes[16];

    if (!take_bytes(address, bytes))
        return false;
    if (network->bits < MAPPED_BITS && is_mapped(bytes)) /* ::/0 is all of IPv6, not of IPv4 */
        return false;
    if (memcmp(bytes, network->prefix, network->bits / 8) != 0)
        return false;
    for (unsigned bit = network->bits / 8 * 8; bit < network->bits; bit++) {
        if (is_set(bytes, bit) != is_set(network->prefix, bit))
            return false;
    }
    return true;
}

void networks_init(struct networks *networks, const char *const *texts, size_t count)
{
    *networks = (struct networks){.count = count};
    if (count > 0)
        networks->items = memory_zeroed(count, sizeof(*networks->items));
    for (size_t i = 0; i < count; i++)
        (void)network_parse(texts[i], &networks->items[i]);
}

void networks_deinit(struct networks *networks)
{
    memory_free(networks->items);
    *networks = (struct networks){0};
}

bool networks_contain(const struct networks *networks, const struct sockaddr *address)
{
    for (size_t i = 0; i < networks->count; i++) {
        if (network_contains(&networks->items[i], address))
            return true;
    }
    return false;
}
