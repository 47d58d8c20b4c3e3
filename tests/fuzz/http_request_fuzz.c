/*
 * The bytes of one connection, read in one piece, byte by byte, and in pieces cut at places that
 * the input itself chooses: all three must tell the same story. A small limit keeps 414 and 431 in
 * reach.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/http_request.h"

#define LIMIT_BYTES 600
#define BODY_LIMIT  40

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_request(const struct http_request *request)
{
    require(request->path[0] == '/');
    for (const char *at = request->path; *at; at++)
        require((unsigned char)*at >= 0x20 && *at != 0x7f);
    require(strlen(request->path) <= strlen(request->target) + 1);
    require(request->minor_version == 0 || request->minor_version == 1);
    require(request->header_count <= HTTP_HEADER_COUNT_LIMIT);
    for (size_t i = 0; i < request->header_count; i++) {
        const char *value = request->headers[i].value;
        size_t size = strlen(value);

        require(request->headers[i].name[0] != '\0');
        require(!strpbrk(request->headers[i].name, " \t\r\n:"));
        require(!strpbrk(value, "\r\n"));
        require(size == 0 || (!strchr(" \t", value[0]) && !strchr(" \t", value[size - 1])));
        require(http_request_header_count(request, request->headers[i].name) > 0);
        http_request_header_has_token(request, request->headers[i].name, "upgrade");
    }
}

/* Bodies are for paths that begin so, and refused elsewhere. */
static size_t limit_of(void *context, const struct http_request *request)
{
    (void)context;
    return strncmp(request->path, "/b", 2) == 0 ? BODY_LIMIT : 0;
}

static void tell_request(struct buffer *story, const struct http_request *request)
{
    char value[16];

    check_request(request);
    buffer_printf(story, "%s|%s|%s|%s|%d%d%d\n", request->method, request->target, request->path,
                  request->query, request->minor_version, request->keep_alive, request->is_upgrade);
    for (size_t i = 0; i < request->header_count; i++)
        buffer_printf(story, "%s|%s\n", request->headers[i].name, request->headers[i].value);
    require(request->body.size <= BODY_LIMIT);
    if (request->body.size > 0)
        buffer_append(story, request->body.data, request->body.size);
    buffer_printf(story, "%d\n", http_query_value(request->query, "a", value, sizeof(value) - 1));
}

/* `step` 0: pieces as long as their first byte says. */
static void tell(struct buffer *story, const uint8_t *data, size_t size, size_t step)
{
    struct http_request_reader *reader = http_request_reader_create(LIMIT_BYTES);
    enum http_read outcome = HTTP_MORE;
    size_t at = 0;

    http_request_reader_allow_bodies(reader, limit_of, NULL);
    while (at < size && outcome != HTTP_ERROR) {
        const struct http_request *request = NULL;
        size_t piece = step > 0 ? step : (size_t)data[at] % 32 + 1;
        size_t consumed;
        int status = 0;

        if (piece > size - at)
            piece = size - at;
        outcome = http_request_read(reader, data + at, piece, &consumed, &request, &status);
        require(consumed <= piece && (outcome != HTTP_MORE || consumed == piece));
        require(outcome != HTTP_REQUEST || consumed > 0);
        at += consumed;
        if (outcome == HTTP_ERROR)
            buffer_printf(story, "error %d\n", status);
        if (outcome != HTTP_REQUEST)
            continue;
        tell_request(story, request);
        buffer_printf(story, "up to %zu\n", at);
        if (request->is_upgrade)
            break;
    }
    buffer_printf(story, "idle %d\n", http_request_reader_is_idle(reader));
    http_request_reader_destroy(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t steps[] = {1, 0};
    struct buffer whole = {0};

    tell(&whole, data, size, SIZE_MAX);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct buffer pieces = {0};

        tell(&pieces, data, size, steps[i]);
        require(pieces.size == whole.size && memcmp(pieces.data, whole.data, whole.size) == 0);
        buffer_deinit(&pieces);
    }
    buffer_deinit(&whole);
    return 0;
}
