/*
 * The key is the example of RFC 6455 §1.3, and so is the answer to expect: the server's arithmetic
 * is checked without any here.
 */
#include "tests/bench/upgrade.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KEY          "dGhlIHNhbXBsZSBub25jZQ=="
#define ACCEPT       "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
#define ANSWER_LIMIT 8192

void upgrade_append_request(struct buffer *output, const struct server_url *url)
{
    buffer_printf(output,
                  "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n",
                  url->path, url->authority);
}

static bool has_accept_header(char *head)
{
    char *rest;

    for (char *line = strtok_r(head, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if (strncasecmp(line, "sec-websocket-accept:", 21) != 0)
            continue;
        return strcmp(line + 21 + strspn(line + 21, " \t"), ACCEPT) == 0;
    }
    return false;
}

ssize_t upgrade_read_answer(const unsigned char *data, size_t size,
                            char reason[UPGRADE_REASON_LIMIT])
{
    char head[ANSWER_LIMIT + 1];
    const unsigned char *end = memmem(data, size, "\r\n\r\n", 4);
    size_t head_size = end ? (size_t)(end - data) : size;

    if (head_size > ANSWER_LIMIT) {
        snprintf(reason, UPGRADE_REASON_LIMIT, "answered the handshake with too long a header");
        return -EPROTO;
    }
    if (!end)
        return 0;
    memcpy(head, data, head_size);
    head[head_size] = '\0';
    if (strncmp(head, "HTTP/1.1 101", 12) != 0) {
        snprintf(reason, UPGRADE_REASON_LIMIT, "answered the handshake with %.*s",
                 (int)strcspn(head, "\r\n"), head);
        return -EPROTO;
    }
    if (!has_accept_header(head)) {
        snprintf(reason, UPGRADE_REASON_LIMIT,
                 "answered the handshake with a wrong Sec-WebSocket-Accept");
        return -EPROTO;
    }
    return (ssize_t)head_size + 4;
}
