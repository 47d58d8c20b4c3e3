/* HTTP/1.1 responses as bytes: no I/O. */
#ifndef COMMON_HTTP_RESPONSE_H
#define COMMON_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"

/* "Not Found" for 404; "Unknown" for a number that has no phrase here. */
const char *http_reason(int status);

struct http_response {
    int status;
    const char *content_type; /* NULL: none */
    const char *headers;      /* further lines, each ending in CRLF; NULL: none */
    const void *body;
    size_t body_size;
    bool is_stream;  /* the body follows, until the connection ends: no Content-Length */
    bool is_head;    /* send the headers of the body, not the body (HEAD) */
    bool keep_alive; /* otherwise `Connection: close` */
};

/* Appends the whole response: status line, Date, Server, X-Content-Type-Options: nosniff,
 * Connection, Content-Type, Content-Length, the given headers, the body. 1xx, 204 and 304 get
 * neither body nor Content-Type nor Content-Length; 1xx get no Connection either: it is among
 * `headers`. */
void http_response_append(struct buffer *output, const struct http_response *response);

/* Adds a line, ending in CRLF, to the headers of the response that begins at `start`. */
void http_response_insert(struct buffer *output, size_t start, const void *line, size_t size);

/* A response whose body is one line of plain text that says what is wrong. */
void http_response_append_error(struct buffer *output, int status, const char *headers,
                                const char *message, bool is_head, bool keep_alive);

#endif
