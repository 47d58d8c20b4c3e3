#include "gateway/http_fallback.h"

#include <string.h>
#include <strings.h>

#include "common/http_response.h"
#include "common/memory.h"
#include "gateway/emulation.h"
#include "gateway/handshake.h"

#define PATH_EVENTS    "/connection/sse"
#define PATH_STREAM    "/connection/http_stream"
#define PATH_EMULATION "/emulation"

#define STREAM_HEADERS                                                                             \
    "Cache-Control: no-cache, no-store, no-transform\r\n"                                          \
    "X-Accel-Buffering: no\r\n" /* nginx would gather it */

#define PREFLIGHT_HEADERS                                                                          \
    "Access-Control-Allow-Methods: GET, POST\r\n"                                                  \
    "Access-Control-Allow-Headers: Content-Type\r\n"                                               \
    "Access-Control-Max-Age: 3600\r\n"

#define NAMES_BYTES 4096 /* of a post, beside its commands */

bool http_fallback_serves(const char *path)
{
    return strcmp(path, PATH_EVENTS) == 0 || strcmp(path, PATH_STREAM) == 0 ||
           strcmp(path, PATH_EMULATION) == 0;
}

size_t http_fallback_body_limit(const struct config *config, const char *path)
{
    if (strcmp(path, PATH_STREAM) == 0)
        return config->max_message_size;
    if (strcmp(path, PATH_EMULATION) == 0)
        return 2 * config->max_message_size + NAMES_BYTES; /* quotes have a backslash each */
    return 0;
}

/* Lets the page that asks read the answer (fetch.spec.whatwg.org, CORS). */
static struct buffer allow_origin(const struct http_request *request, const char *more)
{
    const char *origin = http_request_header(request, "origin");
    struct buffer headers = {0};

    buffer_append_text(&headers, more);
    if (origin)
        buffer_printf(&headers, "Access-Control-Allow-Origin: %s\r\n", origin);
    buffer_append_text(&headers, "Vary: Origin\r\n");
    buffer_append(&headers, "", 1);
    return headers;
}

static bool is_allowed(const struct http_phase *http, const struct http_request *request,
                       const struct forwarded *forwarded)
{
    return handshake_allows_origin(request, &http->sessions->settings->config.allow_origin,
                                   forwarded, http->is_tls);
}

void http_fallback_meet(struct http_phase *http, const struct http_request *request,
                        const struct forwarded *forwarded)
{
    buffer_deinit(&http->allowed);
    http->exchange.refusal_headers = NULL;
    if (!is_allowed(http, request, forwarded))
        return;
    http->allowed = allow_origin(request, "");
    http->exchange.refusal_headers = (const char *)http->allowed.data;
}

static enum http_verdict note_refusal(struct http_phase *http, const struct http_request *request,
                                      int status, const char *message)
{
    struct worker_stats *stats = http->sessions->stats;

    metric_add(strcmp(request->path, PATH_EMULATION) == 0 ? &stats->posts_refused
                                                          : &stats->handshakes_refused,
               1);
    http->refusal = message;
    http->refused_status = status;
    http->exchange.must_end = true;
    return HTTP_ANSWERED;
}

static enum http_verdict refuse(struct http_phase *http, const struct http_request *request,
                                int status, const char *message, struct buffer *output)
{
    bool is_of_events = strcmp(request->path, PATH_EVENTS) == 0;
    struct buffer headers = allow_origin(request, status != 405  ? ""
                                                  : is_of_events ? "Allow: GET, OPTIONS\r\n"
                                                                 : "Allow: POST, OPTIONS\r\n");

    http_response_append_error(output, status, (const char *)headers.data, message,
                               http_request_is_head(request), false);
    buffer_deinit(&headers);
    return note_refusal(http, request, status, message);
}

/* The page may not read why. */
static enum http_verdict turn_away(struct http_phase *http, const struct http_request *request,
                                   struct buffer *output)
{
    static const char message[] = "this page's origin may not connect";

    http_response_append_error(output, 403, NULL, message, http_request_is_head(request), false);
    return note_refusal(http, request, 403, message);
}

static enum http_verdict allow_method(const struct http_request *request, struct buffer *output)
{
    struct buffer headers = allow_origin(request, PREFLIGHT_HEADERS);

    http_response_append(output, &(struct http_response){
                                     .status = 204,
                                     .headers = (const char *)headers.data,
                                     .keep_alive = request->keep_alive,
                                 });
    buffer_deinit(&headers);
    return HTTP_ANSWERED;
}

static enum client_format format_of(const struct http_request *request)
{
    static const char protobuf[] = "application/octet-stream";
    const char *type = http_request_header(request, "content-type");

    return type && strncasecmp(type, protobuf, sizeof(protobuf) - 1) == 0 ? CLIENT_PROTOBUF
                                                                          : CLIENT_JSON;
}

/* Streams. */

static const char *content_type(enum transport transport)
{
    switch (transport) {
    case TRANSPORT_EVENTS:
        return "text/event-stream";
    case TRANSPORT_STREAM_PROTOBUF:
        return "application/octet-stream";
    default:
        return "application/x-ndjson";
    }
}

static enum http_verdict begin_stream(struct http_phase *http, const struct http_request *request,
                                      enum transport transport)
{
    struct buffer headers = allow_origin(request, STREAM_HEADERS);

    http_phase_keep_headers(http, request);
    http->is_client = true;
    http->transport = transport;
    http_response_append(&http->accept, &(struct http_response){
                                            .status = 200,
                                            .content_type = content_type(transport),
                                            .headers = (const char *)headers.data,
                                            .is_stream = true,
                                        });
    buffer_deinit(&headers);
    return HTTP_TAKEN;
}

static enum http_verdict open_stream(struct http_phase *http, const struct http_request *request,
                                     struct buffer *output)
{
    bool is_protobuf = format_of(request) == CLIENT_PROTOBUF;

    if (request->body.size == 0)
        return refuse(http, request, 400, "the body has to be the connect command", output);
    buffer_append(&http->connect, request->body.data, request->body.size);
    return begin_stream(http, request,
                        is_protobuf ? TRANSPORT_STREAM_PROTOBUF : TRANSPORT_STREAM_JSON);
}

static enum http_verdict open_events(struct http_phase *http, const struct http_request *request,
                                     struct buffer *output)
{
    size_t limit = strlen(request->query);
    char *command = (char *)buffer_reserve(&http->connect, limit + 1);
    int size = http_query_value(request->query, "cf_connect", command, limit);

    if (size <= 0)
        return refuse(http, request, 400, "?cf_connect= has to be the connect command", output);
    http->connect.size = (size_t)size;
    return begin_stream(http, request, TRANSPORT_EVENTS);
}

/* Posts. */

static enum http_verdict pass_on(struct http_phase *http, const struct http_request *request,
                                 struct buffer *output)
{
    const struct channel_rules *rules = &http->sessions->settings->config.rules;
    uint64_t limit = http->sessions->settings->config.max_message_size;
    struct emulation_request emulation;

    if (!pace_take(&http->pace, rules->message_rate, rules->message_burst,
                   (uint32_t)loop_now_ms(http->sessions->loop)))
        return refuse(http, request, 429, "too many posts a second", output);

    char *space = memory_allocate(request->body.size + 1);
    bool is_read = emulation_request_read(request->body, format_of(request), space, &emulation);
    bool is_short = is_read && emulation.data.size <= limit;

    if (is_short) {
        struct buffer headers = allow_origin(request, "");

        headers.size--; /* one line more, before its end */
        http_phase_append_demand(http, &headers);
        buffer_append(&headers, "", 1);
        emulation_send(http->sessions, &emulation, request, (char *)headers.data);
    }
    memory_free(space);
    if (is_short)
        return HTTP_PENDING;
    return is_read
               ? refuse(http, request, 413, "the commands are longer than a message may be", output)
               : refuse(http, request, 400, "the body needs a session, a node and data", output);
}

/*
 * A page of any site may have something fetched that it cannot read, and does not say whose it is
 * then. Browsers of today say as much (w3.org/TR/fetch-metadata), at least over TLS; for the others
 * a stream begins with nothing but its connect command.
 */
static bool is_of_anybody(const struct http_request *request)
{
    const char *site = http_request_header(request, "sec-fetch-site");
    const char *mode = http_request_header(request, "sec-fetch-mode");

    if (http_request_header_count(request, "origin") > 0)
        return false;
    return (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0) ||
           (mode && (strcmp(mode, "no-cors") == 0 || strcmp(mode, "navigate") == 0));
}

enum http_verdict http_fallback_respond(struct http_phase *http, const struct http_request *request,
                                        const struct forwarded *forwarded, struct buffer *output)
{
    bool is_events = strcmp(request->path, PATH_EVENTS) == 0;

    if (!http_request_names_host(request))
        return refuse(http, request, 400, "the request has to name one host", output);
    http_fallback_meet(http, request, forwarded);
    if (!http->exchange.refusal_headers || is_of_anybody(request))
        return turn_away(http, request, output);
    if (strcmp(request->method, "OPTIONS") == 0)
        return allow_method(request, output);
    if (strcmp(request->method, is_events ? "GET" : "POST") != 0)
        return refuse(http, request, 405,
                      is_events ? "Server-Sent Events are asked for with GET" : "this is a POST",
                      output);
    if (is_events)
        return open_events(http, request, output);
    return strcmp(request->path, PATH_STREAM) == 0 ? open_stream(http, request, output)
                                                   : pass_on(http, request, output);
}
