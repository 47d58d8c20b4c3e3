/*
 * The HTTP side of a connection as bytes in, bytes out: requests are read one after another, each
 * is answered by a function of the owner, and the answers gather in one output buffer in the order
 * of the requests. No I/O, no loop; the public listener and the admin listener both stand on it.
 */
#ifndef COMMON_HTTP_EXCHANGE_H
#define COMMON_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/http_request.h"

enum http_verdict {
    HTTP_ANSWERED, /* the response is in the output */
    HTTP_TAKEN,    /* an upgrade: no response yet, the bytes after the request are the owner's */
};

struct http_exchange {
    struct http_request_reader *reader;
    struct buffer output; /* what to send; the owner empties it */
    bool must_end;        /* after the output has been sent, the connection must end */
};

void http_exchange_init(struct http_exchange *exchange, size_t header_limit_bytes);
void http_exchange_deinit(struct http_exchange *exchange);

/*
 * Reads on and answers every whole request with `respond`. Returns the bytes used: all of them,
 * unless the exchange must end (the rest is to be thrown away) or a request was taken (the rest
 * belongs to the new protocol; `*taken` is then true). The exchange ends after a request that it
 * cannot read, after one that is the connection's last, when `respond` sets `must_end`, and when
 * requests go on while 256 KiB of answers lie in the output already.
 */
size_t http_exchange_feed(struct http_exchange *exchange, const unsigned char *data, size_t size,
                          enum http_verdict (*respond)(void *context,
                                                       const struct http_request *request,
                                                       struct buffer *output),
                          void *context, bool *taken);

/* Appends the answer to a client that took too long: 408 where it had begun a request (true), none
 * where it had not or has been refused already. The exchange must end. */
bool http_exchange_time_out(struct http_exchange *exchange);

#endif
