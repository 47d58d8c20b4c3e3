#include "common/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static int parse_port(const char *text, int *port)
{
    size_t size = strlen(text);

    if (size == 0 || size > 5 || strspn(text, "0123456789") != size)
        return UV_EINVAL;
    *port = (int)strtol(text, NULL, 10);
    return *port <= 65535 ? 0 : UV_EINVAL;
}

int address_parse(const char *text, struct sockaddr_storage *address)
{
    const char *colon = strrchr(text, ':');
    char host[INET6_ADDRSTRLEN];
    int port;

    if (!colon || parse_port(colon + 1, &port))
        return UV_EINVAL;

    size_t size = (size_t)(colon - text);

    if (size == 0 || (size == 1 && text[0] == '*'))
        return uv_ip6_addr("::", port, (struct sockaddr_in6 *)address);

    int is_bracketed = text[0] == '[';

    if (is_bracketed) {
        if (size < 2 || text[size - 1] != ']')
            return UV_EINVAL;
        text++;
        size -= 2;
    }
    if (size >= sizeof(host))
        return UV_EINVAL;
    memcpy(host, text, size);
    host[size] = '\0';

    int error = is_bracketed ? uv_ip6_addr(host, port, (struct sockaddr_in6 *)address)
                             : uv_ip4_addr(host, port, (struct sockaddr_in *)address);

    return error ? UV_EINVAL : 0;
}

int address_parse_host(const char *host, unsigned port, struct sockaddr_storage *address)
{
    struct sockaddr_in *in = (struct sockaddr_in *)address;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)address;

    *address = (struct sockaddr_storage){0};
    if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)port);
        return 0;
    }
    if (inet_pton(AF_INET6, host, &in6->sin6_addr) != 1)
        return UV_EINVAL;
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons((uint16_t)port);
    return 0;
}

static in_port_t host_text(const struct sockaddr *address, char host[INET6_ADDRSTRLEN])
{
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

        if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
            inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, INET6_ADDRSTRLEN);
        else
            inet_ntop(AF_INET6, &in6->sin6_addr, host, INET6_ADDRSTRLEN);
        return ntohs(in6->sin6_port);
    }
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

        inet_ntop(AF_INET, &in->sin_addr, host, INET6_ADDRSTRLEN);
        return ntohs(in->sin_port);
    }
    snprintf(host, INET6_ADDRSTRLEN, "unknown");
    return 0;
}

void address_format(const struct sockaddr *address, char text[ADDRESS_TEXT_LIMIT])
{
    char host[INET6_ADDRSTRLEN];
    unsigned port = host_text(address, host);

    snprintf(text, ADDRESS_TEXT_LIMIT, strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, port);
}

void address_format_host(const struct sockaddr *address, char text[ADDRESS_TEXT_LIMIT])
{
    char host[INET6_ADDRSTRLEN];

    host_text(address, host);
    snprintf(text, ADDRESS_TEXT_LIMIT, "%s", host);
}

unsigned address_port(const struct sockaddr *address)
{
    char host[INET6_ADDRSTRLEN];

    return host_text(address, host);
}
