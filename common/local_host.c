#include "common/local_host.h"

#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "common/address.h"

#define HOST_LIMIT 255
#define LOCALHOST  ".localhost"

static bool is_name(const char *host, size_t size)
{
    size_t suffix = sizeof(LOCALHOST) - 1;

    if (size > 0 && host[size - 1] == '.') /* of the root */
        size--;
    if (size == 0)
        return false;
    return !memchr(host, '.', size) ||
           (size > suffix && strncasecmp(host + size - suffix, LOCALHOST, suffix) == 0);
}

static bool is_port(const char *text)
{
    return text[0] == '\0' || (text[0] == ':' && text[1 + strspn(text + 1, "0123456789")] == '\0');
}

bool local_host_is(const char *host)
{
    bool is_bracketed = host[0] == '[';
    size_t size = strcspn(host, is_bracketed ? "]" : ":");
    char name[HOST_LIMIT + 1];
    struct sockaddr_storage address;

    if (size > HOST_LIMIT || (is_bracketed && host[size] != ']') ||
        !is_port(host + size + is_bracketed))
        return false;
    memcpy(name, host + is_bracketed, size - is_bracketed);
    name[size - is_bracketed] = '\0';
    if (address_parse_host(name, 0, &address) == 0)
        return (address.ss_family == AF_INET6) == is_bracketed;
    return !is_bracketed && is_name(host, size);
}

bool local_host_is_loopback(const struct sockaddr *address)
{
    const struct sockaddr_in *four = (const void *)address;
    const struct sockaddr_in6 *six = (const void *)address;

    if (address->sa_family == AF_INET)
        return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return address->sa_family == AF_INET6 && (IN6_IS_ADDR_LOOPBACK(&six->sin6_addr) ||
                                              (IN6_IS_ADDR_V4MAPPED(&six->sin6_addr) &&
                                               six->sin6_addr.s6_addr[12] == IN_LOOPBACKNET));
}
