/*
 * Where the server under load is, as users write it (RFC 6455 §3):
 *
 *     ws://HOST[:PORT][/PATH][?QUERY]        wss:// with TLS
 *
 * HOST stands in brackets if it is an IPv6 address. A query without a path belongs to "/". The
 * first {channel} in path or query stands for the number of a channel, from 1 on.
 */
#ifndef BENCH_SERVER_URL_H
#define BENCH_SERVER_URL_H

#include <stdbool.h>
#include <stdint.h>

struct server_url {
    const char *text; /* as it was given */
    bool is_secure;
    char host[256];      /* without brackets */
    char port[6];        /* decimal, 1 to 65535 */
    char authority[272]; /* HOST[:PORT], for the Host header */
    char path[2048];     /* with the query; never empty */
};

/* Reads a URL, which must outlive `url`. Returns 0, or -EINVAL with what is wrong in `problem`, as
 * a phrase that can follow "URL: ". */
int server_url_parse(struct server_url *url, const char *text, const char **problem);

/* True where the URL leads to a different place for each channel. */
bool server_url_has_channel(const struct server_url *url);

/* Copies a URL with `channel` in the place of {channel}. */
void server_url_fill(struct server_url *filled, const struct server_url *url, uint32_t channel);

#endif
