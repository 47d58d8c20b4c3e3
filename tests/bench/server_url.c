#include "tests/bench/server_url.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHANNEL "{channel}"

static const char expected_form[] = "expected ws://HOST[:PORT][/PATH][?QUERY], or wss://";

/* What would end the request line early or may not stand in it. */
static bool has_byte_of_no_url(const char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || *text == 0x7f || *text == '#')
            return true;
    }
    return false;
}

static const char *read_port(struct server_url *url, const char *text, size_t size)
{
    if (size == 0 || strspn(text, "0123456789") < size)
        return expected_form;

    unsigned long port = strtoul(text, NULL, 10);

    if (port < 1 || port > 65535)
        return "expected a port from 1 to 65535";
    snprintf(url->port, sizeof(url->port), "%lu", port);
    return NULL;
}

static const char *read_authority(struct server_url *url, const char *text, size_t size)
{
    bool has_brackets = text[0] == '[';
    const char *host = text + has_brackets;
    const char *host_end = memchr(host, has_brackets ? ']' : ':', size - (size_t)(host - text));
    const char *end = text + size;

    if ((has_brackets && !host_end) || memchr(text, '@', size))
        return expected_form;

    size_t host_size = (size_t)((host_end ? host_end : end) - host);
    const char *colon = host_end ? host_end + has_brackets : end;

    if (host_size == 0 || host_size >= sizeof(url->host))
        return expected_form;
    memcpy(url->authority, text, size);
    memcpy(url->host, host, host_size);
    if (colon == end)
        return NULL;
    return *colon == ':' ? read_port(url, colon + 1, (size_t)(end - colon) - 1) : expected_form;
}

static const char *read_all(struct server_url *url, const char *text)
{
    url->is_secure = strncmp(text, "wss://", 6) == 0;
    if ((!url->is_secure && strncmp(text, "ws://", 5) != 0) || has_byte_of_no_url(text))
        return expected_form;

    const char *authority = strstr(text, "://") + 3;
    size_t size = strcspn(authority, "/?");
    const char *path = authority + size;

    if (size == 0 || size >= sizeof(url->authority))
        return expected_form;
    if (1 + strlen(path) >= sizeof(url->path))
        return "the path is too long";
    snprintf(url->path, sizeof(url->path), "%s%s", path[0] == '/' ? "" : "/", path);
    snprintf(url->port, sizeof(url->port), url->is_secure ? "443" : "80");
    return read_authority(url, authority, size);
}

int server_url_parse(struct server_url *url, const char *text, const char **problem)
{
    *url = (struct server_url){.text = text};
    *problem = read_all(url, text);
    return *problem ? -EINVAL : 0;
}

bool server_url_has_channel(const struct server_url *url)
{
    return strstr(url->path, CHANNEL) != NULL;
}

/* The number is shorter than what it takes the place of. */
_Static_assert(sizeof("4294967295") <= sizeof(CHANNEL) + 1, "the path has room");

void server_url_fill(struct server_url *filled, const struct server_url *url, uint32_t channel)
{
    const char *place = strstr(url->path, CHANNEL);

    *filled = *url;
    if (place)
        snprintf(filled->path, sizeof(filled->path), "%.*s%u%s", (int)(place - url->path),
                 url->path, channel, place + strlen(CHANNEL));
}
