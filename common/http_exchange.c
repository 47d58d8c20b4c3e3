#include "common/http_exchange.h"

#include "common/http_response.h"

#define OUTPUT_LIMIT_BYTES ((size_t)256 * 1024)

void http_exchange_init(struct http_exchange *exchange, size_t header_limit_bytes)
{
    *exchange = (struct http_exchange){.reader = http_request_reader_create(header_limit_bytes)};
}

void http_exchange_deinit(struct http_exchange *exchange)
{
    struct http_pending *pending = exchange->pending;

    if (pending) {
        exchange->pending = NULL;
        pending->exchange = NULL;
        pending->abandoned(pending);
    }
    http_request_reader_destroy(exchange->reader);
    buffer_deinit(&exchange->output);
    buffer_deinit(&exchange->waiting);
}

static void refuse(struct http_exchange *exchange, int status, const char *message)
{
    http_response_append_error(&exchange->output, status, exchange->refusal_headers, message, false,
                               false);
    exchange->must_end = true;
}

/* Answers one request; true where the exchange goes on with the next. */
static bool answer(struct http_exchange *exchange, const struct http_request *request,
                   enum http_verdict (*respond)(void *context, const struct http_request *request,
                                                struct buffer *output),
                   void *context, bool *taken)
{
    struct http_request own = *request;
    enum http_verdict verdict;

    own.exchange = exchange;
    verdict = respond(context, &own, &exchange->output);
    *taken = verdict == HTTP_TAKEN;
    if (verdict == HTTP_ANSWERED)
        exchange->must_end |= !request->keep_alive;
    return !*taken && !exchange->pending;
}

static size_t read_on(struct http_exchange *exchange, const unsigned char *data, size_t size,
                      enum http_verdict (*respond)(void *context,
                                                   const struct http_request *request,
                                                   struct buffer *output),
                      void *context, bool *taken)
{
    size_t used = 0;

    while (used < size && !exchange->must_end) {
        const struct http_request *request;
        size_t consumed;
        int status;

        switch (http_request_read(exchange->reader, data + used, size - used, &consumed, &request,
                                  &status)) {
        case HTTP_MORE:
            if (http_request_reader_wants_continue(exchange->reader))
                buffer_append_text(&exchange->output, "HTTP/1.1 100 Continue\r\n\r\n");
            return size;
        case HTTP_ERROR:
            refuse(exchange, status, "the request is not one that this server can read");
            return size;
        case HTTP_REQUEST:
            break;
        }
        used += consumed;
        if (!answer(exchange, request, respond, context, taken))
            return used;
        /* Short requests for long answers, thousands in one packet, must not fill the memory. Who
         * pipelines has to ask again on a new connection (RFC 9112 §9.3.2). */
        if (used < size && exchange->output.size > OUTPUT_LIMIT_BYTES)
            exchange->must_end = true;
    }
    return used;
}

/* What waited, and what comes now, as one. */
static size_t read_waiting(struct http_exchange *exchange, size_t size,
                           enum http_verdict (*respond)(void *context,
                                                        const struct http_request *request,
                                                        struct buffer *output),
                           void *context, bool *taken)
{
    struct buffer bytes = exchange->waiting;
    size_t before = bytes.size - size;
    size_t used;

    exchange->waiting = (struct buffer){0};
    used = read_on(exchange, bytes.data, bytes.size, respond, context, taken);
    if (exchange->pending || (*taken && used < before)) {
        buffer_append(&exchange->waiting, bytes.data + used, bytes.size - used);
        used = bytes.size;
    }
    buffer_deinit(&bytes);
    return used > before ? used - before : 0;
}

size_t http_exchange_feed(struct http_exchange *exchange, const unsigned char *data, size_t size,
                          enum http_verdict (*respond)(void *context,
                                                       const struct http_request *request,
                                                       struct buffer *output),
                          void *context, bool *taken)
{
    size_t used;

    *taken = false;
    if (exchange->pending) {
        buffer_append(&exchange->waiting, data, size);
        return size;
    }
    exchange->is_feeding = true;
    if (exchange->waiting.size > 0) {
        buffer_append(&exchange->waiting, data, size);
        used = read_waiting(exchange, size, respond, context, taken);
    } else {
        used = read_on(exchange, data, size, respond, context, taken);
        if (exchange->pending) {
            buffer_append(&exchange->waiting, data + used, size - used);
            used = size;
        }
    }
    exchange->is_feeding = false;
    return used;
}

bool http_exchange_is_full(const struct http_exchange *exchange)
{
    return exchange->pending && exchange->waiting.size >= HTTP_WAITING_LIMIT_BYTES;
}

bool http_exchange_time_out(struct http_exchange *exchange)
{
    bool has_begun = !exchange->must_end && !http_request_reader_is_idle(exchange->reader);

    if (has_begun)
        refuse(exchange, 408, "the request took too long to arrive");
    exchange->must_end = true;
    return has_begun;
}

void http_pending_begin(struct http_pending *pending, const struct http_request *request,
                        void (*abandoned)(struct http_pending *pending))
{
    *pending = (struct http_pending){
        .exchange = request->exchange,
        .is_head = http_request_is_head(request),
        .keep_alive = request->keep_alive,
        .abandoned = abandoned,
    };
    request->exchange->pending = pending;
}

/* The answer is in the output. */
static void end(struct http_pending *pending)
{
    struct http_exchange *exchange = pending->exchange;

    exchange->must_end |= !pending->keep_alive;
    exchange->pending = NULL;
    pending->exchange = NULL;
    if (!exchange->is_feeding)
        exchange->resumed(exchange);
}

void http_pending_answer(struct http_pending *pending, const struct http_response *response)
{
    struct http_response own = *response;

    own.is_head = pending->is_head;
    own.keep_alive = pending->keep_alive;
    http_response_append(&pending->exchange->output, &own);
    end(pending);
}

void http_pending_answer_error(struct http_pending *pending, int status, const char *message)
{
    http_response_append_error(&pending->exchange->output, status, NULL, message, pending->is_head,
                               pending->keep_alive);
    end(pending);
}
