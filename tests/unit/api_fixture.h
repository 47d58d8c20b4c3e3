/* The server API over a local bus, asked in bytes; for unit tests and the fuzzer. */
#ifndef TESTS_API_FIXTURE_H
#define TESTS_API_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/http_exchange.h"
#include "common/memory.h"
#include "gateway/api.h"

#define API_FIXTURE_KEY "0123456789abcdef"

struct api_fixture {
    struct loop loop;
    struct hub hub;
    struct status status;
    struct settings *settings;
    struct api *api;
    struct http_exchange exchange;
    bool is_closed;
    unsigned resumed;
};

static enum http_verdict api_fixture_respond(void *context, const struct http_request *request,
                                             struct buffer *output)
{
    struct api_fixture *fixture = context;

    return api_respond(fixture->api, request, output);
}

static size_t api_fixture_limit(void *context, const struct http_request *request)
{
    struct api_fixture *fixture = context;

    return api_body_limit(fixture->api, request);
}

static void api_fixture_feed(struct api_fixture *fixture, const void *data, size_t size)
{
    bool taken;

    http_exchange_feed(&fixture->exchange, data, size, api_fixture_respond, fixture, &taken);
}

static void api_fixture_resumed(struct http_exchange *exchange)
{
    struct api_fixture *fixture = container_of(exchange, struct api_fixture, exchange);

    fixture->resumed++;
    api_fixture_feed(fixture, NULL, 0);
}

static void api_fixture_open(struct api_fixture *fixture)
{
    http_exchange_init(&fixture->exchange, 8192);
    fixture->exchange.resumed = api_fixture_resumed;
    http_request_reader_allow_bodies(fixture->exchange.reader, api_fixture_limit, fixture);
}

/* Settings with a key, from a file that is gone afterwards. */
static struct settings *api_fixture_settings(void)
{
    char path[] = "/tmp/carillon-api-XXXXXX";
    char *arguments[] = {"test", "--api-key-file", path, "--web-root", "", NULL};
    char *environment[] = {NULL};
    char error[OPTION_ERROR_LIMIT] = "";
    struct settings *settings = NULL;
    int file = mkstemp(path);

    if (file < 0 || write(file, API_FIXTURE_KEY "\n", 17) != 17 || close(file) ||
        settings_load(&settings, NULL, 5, arguments, environment, error) != OPTION_RUN) {
        fprintf(stderr, "no settings: %s\n", error);
        abort();
    }
    unlink(path);
    return settings;
}

static void api_fixture_begin(struct api_fixture *fixture)
{
    struct bus_settings settings = {.node_id = 1,
                                    .history_size = 100,
                                    .history_ttl_ms = 60000,
                                    .history_memory_bytes = (uint64_t)16 * 1024 * 1024,
                                    .message_limit_bytes = 65536};
    char error[256];

    memset(fixture, 0, sizeof(*fixture));
    fixture->settings = api_fixture_settings();
    if (loop_init(&fixture->loop) ||
        hub_init(&fixture->hub, &fixture->loop, 100, &fixture->status) ||
        bus_open(&fixture->hub.bus, &fixture->loop, "local", &settings, &hub_bus_events,
                 &fixture->hub, error))
        abort();
    control_start(&fixture->hub.control, &fixture->hub, 1, "test");
    fixture->api = api_create(&fixture->hub, fixture->settings);
    while (bus_state(fixture->hub.bus) != BUS_UP)
        uv_run(&fixture->loop.uv, UV_RUN_ONCE);
    api_fixture_open(fixture);
}

static void api_fixture_closed(void *context)
{
    struct api_fixture *fixture = context;

    fixture->is_closed = true;
}

static inline void api_fixture_end(struct api_fixture *fixture)
{
    http_exchange_deinit(&fixture->exchange);
    hub_close_bus(&fixture->hub, api_fixture_closed, fixture);
    while (!fixture->is_closed)
        uv_run(&fixture->loop.uv, UV_RUN_ONCE);
    hub_close(&fixture->hub);
    uv_run(&fixture->loop.uv, UV_RUN_DEFAULT);
    api_destroy(fixture->api);
    hub_deinit(&fixture->hub);
    loop_deinit(&fixture->loop);
    settings_unref(fixture->settings);
}

/* A POST of that body with the key; answered at once, or on the loop. */
static inline void api_fixture_post(struct api_fixture *fixture, const char *path, const void *body,
                                    size_t size)
{
    struct buffer request = {0};

    buffer_printf(&request,
                  "POST %s HTTP/1.1\r\nHost: x\r\nX-API-Key: " API_FIXTURE_KEY
                  "\r\nContent-Length: %zu\r\n\r\n",
                  path, size);
    buffer_append(&request, body, size);
    api_fixture_feed(fixture, request.data, request.size);
    buffer_deinit(&request);
}

#endif
