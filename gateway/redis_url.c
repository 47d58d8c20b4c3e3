/*
 * An error names the part that is wrong and not what stands there: the line goes to a terminal and
 * a log, and the part next to it may be the password.
 */
#include "gateway/redis_url.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <uv.h>

#include "common/memory.h"

#define DEFAULT_PORT   6379
#define DATABASE_LIMIT 1000000

static int fail(char *error, const char *what)
{
    snprintf(error, REDIS_URL_ERROR_LIMIT, "%s", what);
    return UV_EINVAL;
}

static int hex_value(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    if (digit >= 'A' && digit <= 'F')
        return digit - 'A' + 10;
    return -1;
}

/* The text with its %XX escapes undone (RFC 3986 §2.1), or NULL where one is broken or is a zero.
 */
static char *unescape(const char *text, size_t size)
{
    char *plain = memory_allocate(size + 1);
    size_t written = 0;

    for (size_t i = 0; i < size; i++) {
        char byte = text[i];

        if (byte == '%') {
            int high = size - i > 2 ? hex_value(text[i + 1]) : -1;
            int low = size - i > 2 ? hex_value(text[i + 2]) : -1;

            if (high < 0 || low < 0 || (high == 0 && low == 0)) {
                memory_free(plain);
                return NULL;
            }
            byte = (char)(high * 16 + low);
            i += 2;
        }
        plain[written++] = byte;
    }
    plain[written] = '\0';
    return plain;
}

static bool parse_number(const char *text, size_t size, uint32_t limit, uint32_t *number)
{
    uint64_t value = 0;

    if (size == 0 || size > 9)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *number = (uint32_t)value;
    return value <= limit;
}

/* Takes `user:password@` off the front of `rest`, if it is there. */
static int parse_login(struct redis_url *url, const char **rest, char *error)
{
    /* The last @ of the authority ends the login, so that a raw @ in a password does no harm. */
    const char *end = *rest + strcspn(*rest, "/?#");
    const char *at = end;

    while (at > *rest && at[-1] != '@')
        at--;
    if (at == *rest)
        return 0;

    const char *colon = memchr(*rest, ':', (size_t)(at - *rest));

    if (!colon)
        return fail(error, "a Redis login is written user:password@, or :password@ alone");
    url->password = unescape(colon + 1, (size_t)(at - 1 - (colon + 1)));
    if (colon > *rest)
        url->user = unescape(*rest, (size_t)(colon - *rest));
    if (!url->password || (colon > *rest && !url->user))
        return fail(error, "the Redis login has a broken %XX escape");
    if (url->password[0] == '\0')
        return fail(error, "the Redis login has an empty password");
    *rest = at;
    return 0;
}

static int parse_tcp(struct redis_url *url, const char *rest, char *error)
{
    size_t authority = strcspn(rest, "/?#");
    size_t host_size = authority;
    const char *host = rest;
    const char *colon;
    uint32_t port = DEFAULT_PORT;

    if (rest[0] == '[') {
        const char *bracket = memchr(rest, ']', authority);

        if (!bracket)
            return fail(error, "the Redis host has no closing bracket");
        host = rest + 1;
        host_size = (size_t)(bracket - host);
        colon = bracket + 1;
        if (colon < rest + authority && *colon != ':')
            return fail(error, "a colon and a port must follow the bracket of the Redis host");
    } else {
        colon = memchr(rest, ':', authority);
        if (colon)
            host_size = (size_t)(colon - rest);
        else
            colon = rest + authority;
    }
    if (host_size == 0 || host_size > 255)
        return fail(error, "the Redis URL names no host");
    if (colon < rest + authority &&
        (!parse_number(colon + 1, (size_t)(rest + authority - colon - 1), UINT16_MAX, &port) ||
         port == 0))
        return fail(error, "the Redis port is not a number from 1 to 65535");
    url->host = memory_copy_text(host, host_size);
    url->port = (uint16_t)port;
    rest += authority;
    if (rest[0] == '/')
        rest++;
    if (rest[0] != '\0' && !parse_number(rest, strlen(rest), DATABASE_LIMIT, &url->database))
        return fail(error, "what follows the Redis host must be a database number");
    return 0;
}

static int parse_unix(struct redis_url *url, const char *rest, char *error)
{
    size_t size = strcspn(rest, "?");

    if (rest[0] != '/' || size < 2)
        return fail(error,
                    "redis+unix:// needs an absolute path, as in redis+unix:///run/redis.sock");
    url->path = unescape(rest, size);
    if (!url->path)
        return fail(error, "the Redis socket's path has a broken %XX escape");
    if (strlen(url->path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return fail(error, "the Redis socket's path is too long for a Unix socket");
    rest += size;
    if (rest[0] == '\0')
        return 0;
    if (strncmp(rest, "?db=", 4) != 0 ||
        !parse_number(rest + 4, strlen(rest + 4), DATABASE_LIMIT, &url->database))
        return fail(error, "what follows the Redis socket's path must be ?db=NUMBER");
    return 0;
}

static bool skip(const char **text, const char *prefix)
{
    size_t size = strlen(prefix);

    if (strncmp(*text, prefix, size) != 0)
        return false;
    *text += size;
    return true;
}

int redis_url_parse(struct redis_url *url, const char *text, char error[REDIS_URL_ERROR_LIMIT])
{
    bool is_unix = skip(&text, "redis+unix://");
    bool is_tls = !is_unix && skip(&text, "rediss://");
    int result;

    *url = (struct redis_url){.is_tls = is_tls};
    if (!is_unix && !is_tls && !skip(&text, "redis://"))
        return fail(error, "a Redis bus is redis://HOST, rediss://HOST or redis+unix:///PATH");
    result = parse_login(url, &text, error);
    if (!result)
        result = is_unix ? parse_unix(url, text, error) : parse_tcp(url, text, error);
    if (result)
        redis_url_deinit(url);
    return result;
}

void redis_url_name(const struct redis_url *url, char *text, size_t size)
{
    if (url->path)
        snprintf(text, size, "%s", url->path);
    else
        snprintf(text, size, strchr(url->host, ':') ? "[%s]:%u" : "%s:%u", url->host, url->port);
}

void redis_url_deinit(struct redis_url *url)
{
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    memory_free(url->host);
    memory_free(url->path);
    memory_free(url->user);
    memory_free(url->password);
    *url = (struct redis_url){0};
}
