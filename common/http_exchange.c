#include "common/http_exchange.h"

#include "common/http_response.h"

#define OUTPUT_LIMIT_BYTES ((size_t)256 * 1024)

void http_exchange_init(struct http_exchange *exchange, size_t header_limit_bytes)
{
    *exchange = (struct http_exchange){.reader = http_request_reader_create(header_limit_bytes)};
}

void http_exchange_deinit(struct http_exchange *exchange)
{
    http_request_reader_destroy(exchange->reader);
    buffer_deinit(&exchange->output);
}

static void refuse(struct http_exchange *exchange, int status, const char *message)
{
    http_response_append_error(&exchange->output, status, NULL, message, false, false);
    exchange->must_end = true;
}

size_t http_exchange_feed(struct http_exchange *exchange, const unsigned char *data, size_t size,
                          enum http_verdict (*respond)(void *context,
                                                       const struct http_request *request,
                                                       struct buffer *output),
                          void *context, bool *taken)
{
    size_t used = 0;

    *taken = false;
    while (used < size && !exchange->must_end) {
        const struct http_request *request;
        size_t consumed;
        int status;

        switch (http_request_read(exchange->reader, data + used, size - used, &consumed, &request,
                                  &status)) {
        case HTTP_MORE:
            return size;
        case HTTP_ERROR:
            refuse(exchange, status, "the request is not one that this server can read");
            return size;
        case HTTP_REQUEST:
            break;
        }
        used += consumed;
        if (respond(context, request, &exchange->output) == HTTP_TAKEN) {
            *taken = true;
            return used;
        }
        exchange->must_end |= !request->keep_alive;
        /* Short requests for long answers, thousands in one packet, must not fill the memory. Who
         * pipelines has to ask again on a new connection (RFC 9112 §9.3.2). */
        if (used < size && exchange->output.size > OUTPUT_LIMIT_BYTES)
            exchange->must_end = true;
    }
    return used;
}

bool http_exchange_time_out(struct http_exchange *exchange)
{
    bool has_begun = !exchange->must_end && !http_request_reader_is_idle(exchange->reader);

    if (has_begun)
        refuse(exchange, 408, "the request took too long to arrive");
    exchange->must_end = true;
    return has_begun;
}
