/*
 * Where a Redis server is and how to log in, as users write it:
 *
 *     redis://[user:password@]host[:port][/database]
 *     rediss://…, the same over TLS
 *     redis+unix://[user:password@]/path[?db=database]
 *
 * User, password and path may hold %XX escapes; a password without a user is `:password@`.
 */
#ifndef GATEWAY_REDIS_URL_H
#define GATEWAY_REDIS_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REDIS_URL_ERROR_LIMIT 256

struct redis_url {
    char *host;     /* without brackets; NULL for a Unix socket */
    char *path;     /* of the Unix socket; NULL for TCP */
    char *user;     /* NULL: the default user */
    char *password; /* NULL: no login */
    bool is_tls;
    uint32_t database;
    uint16_t port;
};

/* Reads a URL. Returns 0, or UV_EINVAL with one line in `error`, which never holds the password. */
int redis_url_parse(struct redis_url *url, const char *text, char error[REDIS_URL_ERROR_LIMIT]);

/* Writes the server as logs name it, without the login. */
void redis_url_name(const struct redis_url *url, char *text, size_t size);

/* Frees the strings; the password is wiped first. A zeroed `url` is allowed. */
void redis_url_deinit(struct redis_url *url);

#endif
