/*
 * Where the parts of an HTTP head lie in its bytes, as offsets, so that those may move while they
 * gather. And a short way for the heads that nearly all clients send, which finds the parts in one
 * walk over a head that has come whole.
 */
#ifndef COMMON_HTTP_HEAD_H
#define COMMON_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEADER_COUNT_LIMIT 100

struct http_span {
    size_t start;
    size_t end; /* 0: there is nothing */
};

struct http_field {
    struct http_span name;
    struct http_span value; /* white space behind it may be in it */
};

struct http_head {
    struct http_span target;
    struct http_field *fields;
    size_t field_count; /* HTTP_HEADER_COUNT_LIMIT + 1: too many, and not noted */
    size_t field_capacity;
    int minor_version; /* set by http_head_scan alone */
};

/* Forgets the parts, and keeps the memory for the next ones. A head of zeros is one without. */
void http_head_clear(struct http_head *head);
void http_head_deinit(struct http_head *head);

/* An empty field more; NULL beyond the limit. */
struct http_field *http_head_add_field(struct http_head *head);

/* NULL where there is none, or there were too many. */
struct http_field *http_head_last_field(struct http_head *head);

/*
 * Finds the parts if `text` is a whole head, nothing behind it, of the usual kind: GET, a path of
 * printable ASCII, HTTP/1.0 or 1.1, headers as RFC 9112 wants them and none about a body. False,
 * with any parts noted, for all else, which may be as valid.
 */
bool http_head_scan(struct http_head *head, const unsigned char *text, size_t size);

#endif
