/*
 * The HTTP side of a connection as bytes in, bytes out: requests are read one after another, each
 * is answered by a function of the owner, and the answers gather in one output buffer in the order
 * of the requests. No I/O, no loop; the public listener and the admin listener both stand on it.
 *
 * An answer may come later (HTTP_PENDING). Requests behind it wait their turn until then, so there
 * is one such answer at a time.
 */
#ifndef COMMON_HTTP_EXCHANGE_H
#define COMMON_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/http_request.h"

/* Bytes that may come while an answer is pending; the owner then reads no more. */
#define HTTP_WAITING_LIMIT_BYTES ((size_t)64 * 1024)

struct http_response;

enum http_verdict {
    HTTP_ANSWERED, /* the response is in the output */
    HTTP_TAKEN,    /* an upgrade: no response yet, the bytes after the request are the owner's */
    HTTP_PENDING,  /* http_pending_begin was called; the response comes later, or came already */
};

struct http_exchange;

/* An answer that comes later; embedded in the object of whoever gives it, and in use until it was
 * given or `abandoned`. */
struct http_pending {
    struct http_exchange *exchange; /* NULL: not in use */
    bool is_head;
    bool keep_alive;
    /* The connection has gone, and no answer is wanted any more. */
    void (*abandoned)(struct http_pending *pending);
};

struct http_exchange {
    struct http_request_reader *reader;
    struct buffer output; /* what to send; the owner empties it */
    bool must_end;        /* after the output has been sent, the connection must end */
    struct http_pending *pending;
    const char *refusal_headers; /* lines for the answer to what cannot be read; NULL: none */
    struct buffer waiting;       /* what came behind the request whose answer is pending */
    bool is_feeding;
    /* The pending answer is in the output, and http_exchange_feed (of nothing more) goes on with
     * what waits. Not called for one that is given while http_exchange_feed is running. NULL: no
     * answer of this owner's is ever pending. */
    void (*resumed)(struct http_exchange *exchange);
};

/* `resumed` and, for requests with a body, http_request_reader_allow_bodies are the owner's to set
 * afterwards. */
void http_exchange_init(struct http_exchange *exchange, size_t header_limit_bytes);

/* Abandons what is pending. */
void http_exchange_deinit(struct http_exchange *exchange);

/*
 * Reads on and answers every whole request with `respond`. Returns the bytes used: all of them,
 * unless the exchange must end (the rest is to be thrown away) or a request was taken (the rest
 * belongs to the new protocol, behind what is in `waiting`; `*taken` is then true). The exchange
 * ends after a request that it cannot read, after one that is the connection's last, when `respond`
 * sets `must_end`, and when requests go on while 256 KiB of answers lie in the output already.
 * While an answer is pending it keeps what comes.
 */
size_t http_exchange_feed(struct http_exchange *exchange, const unsigned char *data, size_t size,
                          enum http_verdict (*respond)(void *context,
                                                       const struct http_request *request,
                                                       struct buffer *output),
                          void *context, bool *taken);

/* True while so much waits for a pending answer that nothing more should be read. */
bool http_exchange_is_full(const struct http_exchange *exchange);

/* Appends the answer to a client that took too long: 408 where it had begun a request (true), none
 * where it had not or has been refused already. The exchange must end. Not while an answer is
 * pending: then it is not the client that takes long. */
bool http_exchange_time_out(struct http_exchange *exchange);

/* In `respond`, which returns HTTP_PENDING then. */
void http_pending_begin(struct http_pending *pending, const struct http_request *request,
                        void (*abandoned)(struct http_pending *pending));

/* Gives the answer, once; `is_head` and `keep_alive` of the response are set here. `pending` may be
 * freed afterwards. */
void http_pending_answer(struct http_pending *pending, const struct http_response *response);

/* The same with a line of text that says what is wrong. */
void http_pending_answer_error(struct http_pending *pending, int status, const char *message);

#endif
