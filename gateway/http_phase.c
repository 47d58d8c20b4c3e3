#include "gateway/http_phase.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/http_response.h"
#include "common/memory.h"
#include "gateway/base_path.h"
#include "gateway/client.h"
#include "gateway/deflate_offer.h"
#include "gateway/handshake.h"
#include "gateway/http_fallback.h"
#include "gateway/plain.h"

#define OUTSIDE "" /* a path that nothing lies at */

static size_t body_limit(void *context, const struct http_request *request);

struct http_phase *http_phase_create(struct session_host *sessions, const struct status *status,
                                     bool is_tls, const struct sockaddr_storage *proxy,
                                     void (*resumed)(struct http_exchange *exchange), void *owner)
{
    struct http_phase *http = memory_zeroed(1, sizeof(*http));

    http->sessions = sessions;
    http->status = status;
    http->is_tls = is_tls;
    http->is_secure = is_tls;
    if (proxy) {
        http->proxied = memory_zeroed(1, sizeof(*http->proxied));
        http->proxied->peer = *proxy;
    }
    http->owner = owner;
    http_exchange_init(&http->exchange, sessions->settings->config.max_header_size);
    http->exchange.resumed = resumed;
    http_request_reader_allow_bodies(http->exchange.reader, body_limit, http);
    return http;
}

void http_phase_destroy(struct http_phase *http)
{
    if (!http)
        return;
    http_exchange_deinit(&http->exchange);
    buffer_deinit(&http->accept);
    buffer_deinit(&http->early);
    buffer_deinit(&http->connect);
    buffer_deinit(&http->allowed);
    buffer_deinit(&http->kept);
    memory_free(http->proxied);
    memory_free(http);
}

static enum http_verdict refuse(struct http_phase *http, const struct http_request *request,
                                int status, const char *message, struct buffer *output)
{
    metric_add(&http->sessions->stats->handshakes_refused, 1);
    handshake_append_refusal(request, status, message, output);
    http->refusal = message;
    http->refused_status = status;
    http->exchange.must_end = true;
    return HTTP_ANSWERED;
}

/* NULL where there is no proxy who could say anything. */
static struct forwarded *read_forwarded(struct http_phase *http, const struct http_request *request)
{
    const struct settings *settings = http->sessions->settings;

    if (!http->proxied)
        return NULL;
    forwarded_read(request, &settings->trusted,
                   (enum forwarded_family)settings->config.forwarded_header,
                   (const struct sockaddr *)&http->proxied->peer, &http->proxied->forwarded);
    return &http->proxied->forwarded;
}

static size_t body_limit(void *context, const struct http_request *request)
{
    struct http_phase *http = context;
    const struct config *config = &http->sessions->settings->config;
    const char *path = base_path_strip(config->base_path, request->path);

    if (path && http_fallback_serves(path))
        http_fallback_meet(http, request, read_forwarded(http, request));
    return path ? http_fallback_body_limit(config, path) : 0;
}

static bool is_named(const struct option_list *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcasecmp(names->items[i], name) == 0)
            return true;
    }
    return false;
}

void http_phase_keep_headers(struct http_phase *http, const struct http_request *request)
{
    const struct option_list *names = &http->sessions->settings->config.proxy_header;

    for (size_t i = 0; names->count > 0 && i < request->header_count; i++) {
        const struct http_header *header = &request->headers[i];

        if (header->value[0] == '\0' || !is_named(names, header->name))
            continue;
        buffer_printf(&http->kept, "%s: %s", header->name, header->value);
        buffer_append(&http->kept, "", 1);
    }
    if (http->kept.size > 0)
        buffer_append(&http->kept, "", 1);
}

/* The format is asked for by a subprotocol, or where that cannot be, in the address. */
static void accept_client(struct http_phase *http, const struct http_request *request,
                          const char *extensions)
{
    char format[16];
    bool is_subprotocol =
        http_request_header_has_token(request, "sec-websocket-protocol", CLIENT_SUBPROTOCOL);
    bool is_protobuf = is_subprotocol ||
                       (http_query_value(request->query, "format", format, sizeof(format)) >= 0 &&
                        strcmp(format, "protobuf") == 0);

    http_phase_keep_headers(http, request);
    http->is_client = true;
    http->transport =
        transport_of_websocket(is_protobuf ? CLIENT_PROTOBUF : CLIENT_JSON, http->window);
    handshake_append_accept(request, is_subprotocol ? CLIENT_SUBPROTOCOL : NULL, extensions,
                            &http->accept);
}

/* The extensions of a handshake; false where what it offers is no list of them. */
static bool negotiate(struct http_phase *http, const struct http_request *request,
                      char extensions[DEFLATE_ANSWER_LIMIT])
{
    if (deflate_negotiate(request, &http->window, extensions))
        return false;
    if (http->sessions->settings->config.compress_min == 0) {
        http->window = DEFLATE_OFF;
        extensions[0] = '\0';
    }
    return true;
}

static enum http_verdict respond_below(struct http_phase *http, const struct http_request *request,
                                       bool wants_upgrade, struct buffer *output)
{
    const struct settings *settings = http->sessions->settings;
    char extensions[DEFLATE_ANSWER_LIMIT];
    const char *message = NULL;

    if (!wants_upgrade && http_fallback_serves(request->path)) {
        metric_add(&http->sessions->stats->http_requests, 1);
        return http_fallback_respond(http, request, read_forwarded(http, request), output);
    }
    if (!wants_upgrade && strcmp(request->path, "/ws") != 0) {
        metric_add(&http->sessions->stats->http_requests, 1);
        site_respond(settings, http->status, request, output);
        return HTTP_ANSWERED;
    }
    if (!plain_serves(request->path) && !client_serves(request->path) &&
        http_request_names_host(request))
        return refuse(http, request, 404, "there is no WebSocket at this path", output);

    struct forwarded *forwarded = read_forwarded(http, request);
    int status =
        handshake_check(request, &settings->config.allow_origin, forwarded, http->is_tls, &message);

    if (status != 101)
        return refuse(http, request, status, message, output);
    if (!negotiate(http, request, extensions))
        return refuse(http, request, 400, "Sec-WebSocket-Extensions is no list of extensions",
                      output);
    if (client_serves(request->path)) {
        accept_client(http, request, extensions);
        return HTTP_TAKEN;
    }
    status = plain_channel(request, settings, http->channel, &http->channel_size, &message);
    if (status)
        return refuse(http, request, status, message, output);
    handshake_append_accept(request, NULL, extensions, &http->accept);
    return HTTP_TAKEN;
}

/* A page's relative addresses are below the base only where that ends in a slash. */
static void redirect_to_base(const struct http_phase *http, const struct http_request *request,
                             struct buffer *output)
{
    struct buffer headers = {0};

    buffer_printf(&headers, "Location: %s/%s%s\r\n", http->sessions->settings->config.base_path,
                  request->query[0] != '\0' ? "?" : "", request->query);
    buffer_append(&headers, "", 1);
    http_response_append_error(output, 308, (const char *)headers.data,
                               "the page is at the address with a slash at its end",
                               http_request_is_head(request), request->keep_alive);
    buffer_deinit(&headers);
}

static enum http_verdict answer(struct http_phase *http, const struct http_request *request,
                                struct buffer *output)
{
    const char *path = base_path_strip(http->sessions->settings->config.base_path, request->path);
    struct http_request below = *request;
    bool wants_upgrade = http_request_header_has_token(request, "upgrade", "websocket");

    if (path && path[0] == '\0' && !wants_upgrade && http_request_names_host(request)) {
        metric_add(&http->sessions->stats->http_requests, 1);
        redirect_to_base(http, request, output);
        return HTTP_ANSWERED;
    }
    below.path = !path ? OUTSIDE : path[0] == '\0' ? "/" : path;
    return respond_below(http, &below, wants_upgrade, output);
}

/* Whether the client sent it over TLS: to the proxy, where that says so, or else to us. */
static bool is_secure(struct http_phase *http, const struct http_request *request)
{
    const struct forwarded *forwarded = read_forwarded(http, request);

    if (forwarded && forwarded->scheme)
        return strcmp(forwarded->scheme, "https") == 0;
    return http->is_tls;
}

static size_t write_demand(char *line, size_t limit, uint64_t time_ms)
{
    return (size_t)snprintf(line, limit, "Strict-Transport-Security: max-age=%llu\r\n",
                            (unsigned long long)time_ms / 1000);
}

void http_phase_demand_tls(struct buffer *output, size_t start, uint64_t time_ms)
{
    char line[80];

    if (time_ms > 0)
        http_response_insert(output, start, line, write_demand(line, sizeof(line), time_ms));
}

void http_phase_append_demand(const struct http_phase *http, struct buffer *headers)
{
    uint64_t time_ms = http->sessions->settings->config.hsts_ms;
    char line[80];

    if (http->is_secure && time_ms > 0) {
        size_t size = write_demand(line, sizeof(line), time_ms);

        buffer_append(headers, line, size);
    }
}

static enum http_verdict respond(void *context, const struct http_request *request,
                                 struct buffer *output)
{
    struct http_phase *http = context;
    uint64_t hsts_ms = http->sessions->settings->config.hsts_ms;
    size_t start = output->size;

    http->is_secure = is_secure(http, request);

    enum http_verdict verdict = answer(http, request, output);

    if (http->is_secure && verdict == HTTP_TAKEN)
        http_phase_demand_tls(&http->accept, 0, hsts_ms);
    else if (http->is_secure && verdict == HTTP_ANSWERED)
        http_phase_demand_tls(output, start, hsts_ms);
    return verdict;
}

bool http_phase_feed(struct http_phase *http, const unsigned char *data, size_t size)
{
    bool taken;
    size_t used = http_exchange_feed(&http->exchange, data, size, respond, http, &taken);

    if (taken) {
        buffer_append(&http->early, http->exchange.waiting.data, http->exchange.waiting.size);
        buffer_append(&http->early, data + used, size - used);
    }
    return taken;
}
