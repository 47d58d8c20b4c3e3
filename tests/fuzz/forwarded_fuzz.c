/*
 * Requests as they come off a connection, with whatever they say of who sent them. A stranger is
 * never believed. What a proxy says gives an address of IP, a scheme that is one, a host without
 * anything that could end it; and whoever stands in front of a proxy that adds an honest item is
 * found by that, whatever the rest of the request says.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "gateway/forwarded.h"

#define LIMIT_BYTES 4096

static struct networks trusted;
static struct sockaddr_storage proxy;
static struct sockaddr_storage stranger;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void init(void)
{
    static const char *const networks[] = {"10.0.0.0/8", "2001:db8::/32"};

    if (trusted.count > 0)
        return;
    networks_init(&trusted, networks, 2);
    uv_ip4_addr("10.0.0.1", 1, (struct sockaddr_in *)&proxy);
    uv_ip4_addr("192.0.2.66", 2, (struct sockaddr_in *)&stranger);
}

static bool is_at(const struct forwarded *forwarded, const char *host)
{
    struct sockaddr_in expected;
    const struct sockaddr_in *address = (const struct sockaddr_in *)&forwarded->address;

    uv_ip4_addr(host, 0, &expected);
    return address->sin_family == AF_INET && address->sin_addr.s_addr == expected.sin_addr.s_addr;
}

static void check_sanity(const struct forwarded *forwarded)
{
    require(forwarded->address.ss_family == AF_INET || forwarded->address.ss_family == AF_INET6);
    require(!forwarded->scheme || strcmp(forwarded->scheme, "http") == 0 ||
            strcmp(forwarded->scheme, "https") == 0);
    require(!strpbrk(forwarded->host, "/@?#, \t\"\\"));
}

/* As the proxy's own line, behind those of the client. */
static void check_honest_line(const struct http_request *request, enum forwarded_family family,
                              const char *name, const char *value)
{
    struct http_header headers[HTTP_HEADER_COUNT_LIMIT + 1];
    struct http_request longer = *request;
    struct forwarded forwarded;

    memcpy(headers, request->headers, request->header_count * sizeof(headers[0]));
    headers[request->header_count] = (struct http_header){name, value};
    longer.headers = headers;
    longer.header_count++;
    forwarded_read(&longer, &trusted, family, (const struct sockaddr *)&proxy, &forwarded);
    require(is_at(&forwarded, "203.0.113.9"));
}

/* Added to the line that the client sent: found, or the proxy itself where the client has spoilt
 * the line, and never anybody else. */
static void check_honest_item(const struct http_request *request, const char *item)
{
    static char value[LIMIT_BYTES + 64];
    const struct http_header header = {"Forwarded", value};
    struct http_request single = *request;
    struct forwarded forwarded;

    for (size_t i = 0; i < request->header_count; i++) {
        snprintf(value, sizeof(value), "%s%s", request->headers[i].value, item);
        single.headers = &header;
        single.header_count = 1;
        forwarded_read(&single, &trusted, FORWARDED_STANDARD, (const struct sockaddr *)&proxy,
                       &forwarded);
        require(is_at(&forwarded, "203.0.113.9") || is_at(&forwarded, "10.0.0.1"));
    }
}

static void check_request(const struct http_request *request)
{
    for (int family = FORWARDED_X; family <= FORWARDED_STANDARD; family++) {
        struct forwarded forwarded;

        forwarded_read(request, &trusted, (enum forwarded_family)family,
                       (const struct sockaddr *)&stranger, &forwarded);
        require(is_at(&forwarded, "192.0.2.66") && !forwarded.scheme && !forwarded.host[0]);
        forwarded_read(request, &trusted, (enum forwarded_family)family,
                       (const struct sockaddr *)&proxy, &forwarded);
        check_sanity(&forwarded);
    }
    check_honest_line(request, FORWARDED_X, "x-forwarded-for", "203.0.113.9, 10.0.0.2");
    check_honest_line(request, FORWARDED_STANDARD, "forwarded", "for=\"203.0.113.9:1\"");
    check_honest_item(request, ", for=203.0.113.9");
    check_honest_item(request, ",for=\"203.0.113.9:80\";host=\"a:b\";proto=https");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request_reader *reader = http_request_reader_create(LIMIT_BYTES);
    const struct http_request *request;
    size_t consumed;
    int status;

    init();
    while (http_request_read(reader, data, size, &consumed, &request, &status) == HTTP_REQUEST) {
        check_request(request);
        data += consumed;
        size -= consumed;
    }
    http_request_reader_destroy(reader);
    return 0;
}
