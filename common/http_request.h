/*
 * HTTP/1.1 requests out of bytes (RFC 9112), by http-parser with stricter rules on top: no I/O, no
 * loop. A reader is made for the time in which a connection speaks HTTP and thrown away with it;
 * requests come one after another from the same reader (keep-alive, pipelining). The pieces in
 * which bytes arrive make no difference to the result.
 *
 * A request with a body is refused (413), unless the owner allows it for such a request; then it is
 * gathered, and the request comes when it is whole.
 */
#ifndef COMMON_HTTP_REQUEST_H
#define COMMON_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

#include "common/http_head.h"
#include "common/text.h"

struct http_exchange;

struct http_header {
    const char *name;  /* zero-terminated, as sent */
    const char *value; /* zero-terminated, white space around it removed */
};

struct http_request {
    const char *method; /* "GET" */
    const char *target; /* as sent: origin-form or absolute-form */
    const char *path;   /* percent-decoded; starts with '/' */
    const char *query;  /* after the '?', still encoded; "" where there is none */
    int minor_version;  /* HTTP/1.x */
    bool keep_alive;    /* the connection may carry another request afterwards */
    bool is_upgrade; /* Connection: upgrade with an Upgrade header; bytes after it are not HTTP */
    size_t header_count;
    const struct http_header *headers;
    struct text body;               /* without its chunks; empty where there is none */
    struct http_exchange *exchange; /* whose it is, see http_exchange.h; NULL: of none */
};

enum http_read { HTTP_MORE, HTTP_REQUEST, HTTP_ERROR };

struct http_request_reader;

/* A reader that refuses a request line plus headers of more than `limit_bytes`, counting every byte
 * up to the end of the empty line (431; 414 where the request line alone is longer). */
struct http_request_reader *http_request_reader_create(size_t limit_bytes);
void http_request_reader_destroy(struct http_request_reader *reader);

/* `limit` says how many bytes of body the request may have whose head is whole; 0: none (413). Not
 * asked where there is no body. Transfer codings other than "chunked" are answered with 501. */
void http_request_reader_allow_bodies(struct http_request_reader *reader,
                                      size_t (*limit)(void *context,
                                                      const struct http_request *request),
                                      void *context);

/* True once, where the client waits to be told that it may send the body (RFC 9110 §10.1.1). */
bool http_request_reader_wants_continue(struct http_request_reader *reader);

/*
 * Takes bytes up to the end of one request. Sets `consumed`; bytes beyond belong to what follows.
 * HTTP_REQUEST: `*request` is valid until the next call. HTTP_ERROR: `*status` is the answer to
 * send (400, 413, 414, 431, 501, 505), and the connection must end: any further call says the same.
 */
enum http_read http_request_read(struct http_request_reader *reader, const unsigned char *data,
                                 size_t size, size_t *consumed, const struct http_request **request,
                                 int *status);

/* True if not a single byte of a next request has arrived, and there was no error. */
bool http_request_reader_is_idle(const struct http_request_reader *reader);

/* True for a header of this name (any case). Most names differ in their first letter already. */
static inline bool http_header_is(const struct http_header *header, const char *name)
{
    return ((header->name[0] ^ name[0]) & ~0x20) == 0 && strcasecmp(header->name, name) == 0;
}

/* True if the comma-separated list has `token` (any case; RFC 9110 §5.6.1). */
bool http_list_has_token(const char *list, const char *token);

/* The value of the only header with this name (any case), NULL if there is none or several. */
const char *http_request_header(const struct http_request *request, const char *name);

/* How many headers have this name (any case). */
size_t http_request_header_count(const struct http_request *request, const char *name);

/* False for a request that has to be answered with 400 for its Host (RFC 9112 §3.2): one of
 * HTTP/1.1 that has none, and any that has several. */
bool http_request_names_host(const struct http_request *request);

/* True for HEAD: the answer is that of GET without the body. */
bool http_request_is_head(const struct http_request *request);

/* True if any header of this name has `token` in its comma-separated list (any case). */
bool http_request_header_has_token(const struct http_request *request, const char *name,
                                   const char *token);

/*
 * The percent-decoded value of the first `name=` in the query ('+' means a space). Returns its size
 * and writes at most `limit` bytes plus a zero; UV_ENOENT where there is none, UV_E2BIG where it is
 * longer, UV_EINVAL where an escape is broken or yields a zero byte.
 */
int http_query_value(const char *query, const char *name, char *value, size_t limit);

#endif
