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

void upgrade_append_request(struct buffer *output, const struct server_url *url,
                            const struct upgrade_wish *wish)
{
    buffer_printf(output,
                  "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                  "Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n",
                  url->path, url->authority);
    if (wish->subprotocol)
        buffer_printf(output, "Sec-WebSocket-Protocol: %s\r\n", wish->subprotocol);
    if (wish->is_deflated)
        buffer_append_text(output, "Sec-WebSocket-Extensions: permessage-deflate; "
                                   "server_no_context_takeover; client_no_context_takeover\r\n");
    buffer_append_text(output, "\r\n");
}

struct answer {
    bool is_accepted;
    const char *subprotocol; /* "" where there is none */
    const char *extensions;
};

/* The value if the line is that of this header, whose name ends with a colon. */
static const char *value_of(const char *line, const char *name)
{
    size_t size = strlen(name);

    return strncasecmp(line, name, size) == 0 ? line + size + strspn(line + size, " \t") : NULL;
}

/* `head` is cut into its lines. */
static void read_headers(char *head, struct answer *answer)
{
    const char *value;
    char *rest;

    *answer = (struct answer){.subprotocol = "", .extensions = ""};
    for (char *line = strtok_r(head, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest)) {
        if ((value = value_of(line, "sec-websocket-accept:")))
            answer->is_accepted = strcmp(value, ACCEPT) == 0;
        else if ((value = value_of(line, "sec-websocket-protocol:")))
            answer->subprotocol = value;
        else if ((value = value_of(line, "sec-websocket-extensions:")))
            answer->extensions = value;
    }
}

/* Why an answer is not a yes to what was asked for, or NULL. A server that answers without a
 * subprotocol may speak it all the same. */
static const char *find_fault(const struct answer *answer, const struct upgrade_wish *wish)
{
    if (!answer->is_accepted)
        return "answered the handshake with a wrong Sec-WebSocket-Accept";
    if (answer->subprotocol[0] != '\0' &&
        (!wish->subprotocol || strcmp(answer->subprotocol, wish->subprotocol) != 0))
        return "chose a subprotocol that was not asked for";
    if (!wish->is_deflated)
        return answer->extensions[0] == '\0' ? NULL : "chose an extension that was not asked for";
    if (strncmp(answer->extensions, "permessage-deflate", 18) != 0)
        return "does not compress";
    return strstr(answer->extensions, "server_no_context_takeover")
               ? NULL
               : "compresses only with a context that is kept";
}

ssize_t upgrade_read_answer(const unsigned char *data, size_t size, const struct upgrade_wish *wish,
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

    struct answer answer;

    read_headers(head, &answer);

    const char *fault = find_fault(&answer, wish);

    if (fault) {
        snprintf(reason, UPGRADE_REASON_LIMIT, "%s", fault);
        return -EPROTO;
    }
    return (ssize_t)head_size + 4;
}
