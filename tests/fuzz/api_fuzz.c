/*
 * Bodies of the server API over a local bus, whatever method the first byte chooses: each is
 * answered, and with JSON where the status says that it was a command.
 */
#include <jansson.h>

#include "../unit/api_fixture.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

static const char *const paths[] = {
    "/api",
    "/api/batch",
    "/api/publish",
    "/api/broadcast",
    "/api/subscribe",
    "/api/unsubscribe",
    "/api/disconnect",
    "/api/refresh",
    "/api/presence",
    "/api/presence_stats",
    "/api/history",
    "/api/history_remove",
    "/api/info",
    "/api/rpc",
};

static void check_lines(const char *text, size_t size)
{
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t line = end ? (size_t)(end - text) : size;
        json_t *json = json_loadb(text, line, 0, NULL);

        require(json_is_object(json));
        json_decref(json);
        size -= end ? line + 1 : line;
        text += end ? line + 1 : line;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct api_fixture fixture;
    static bool is_ready;
    struct buffer *output = &fixture.exchange.output;
    const char *body;

    if (size == 0)
        return 0;
    if (!is_ready) {
        api_fixture_begin(&fixture);
        is_ready = true;
    }
    api_fixture_post(&fixture, paths[data[0] % (sizeof(paths) / sizeof(paths[0]))], data + 1,
                     size - 1);
    while (fixture.exchange.pending)
        uv_run(&fixture.loop.uv, UV_RUN_ONCE);
    buffer_append(output, "", 1);
    body = strstr((const char *)output->data, "\r\n\r\n");
    require(body != NULL);
    body += 4;
    if (strncmp((const char *)output->data, "HTTP/1.1 200", 12) == 0)
        check_lines(body, strlen(body));
    else
        require(strncmp((const char *)output->data, "HTTP/1.1 400", 12) == 0);
    buffer_clear(output, 4096);
    return 0;
}
