/*
 * Requests as they come off a connection, checked as handshakes: every verdict is one of the
 * header's, and what passes really has each part that RFC 6455 §4.2.1 asks for, and an origin that
 * a much simpler reading of the patterns allows, too.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/http_request.h"
#include "gateway/handshake.h"

#define LIMIT_BYTES 2048

static void require(bool condition)
{
    if (!condition)
        abort();
}

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text);
    size_t end_size = strlen(end);

    return size >= end_size && strcasecmp(text + size - end_size, end) == 0;
}

static void check_origin(const struct http_request *request)
{
    const char *origin = http_request_header(request, "origin");

    if (http_request_header_count(request, "origin") == 0)
        return;
    require(origin != NULL);
    if (strcasecmp(origin, "http://localhost:3000") == 0)
        return;
    require(strncasecmp(origin, "https://", 8) == 0 && !strpbrk(origin + 8, "/@?#"));
    require(ends_with(origin, ".example.org") || ends_with(origin, ".example.org:443"));
}

static void check_accepted(const struct http_request *request)
{
    const char *key = http_request_header(request, "sec-websocket-key");
    struct buffer output = {0};

    require(strcmp(request->method, "GET") == 0 && request->minor_version == 1);
    require(http_request_header(request, "host") != NULL);
    require(key && strlen(key) == 24);
    require(strcmp(http_request_header(request, "sec-websocket-version"), "13") == 0);
    require(http_request_header_has_token(request, "connection", "upgrade"));
    require(http_request_header_has_token(request, "upgrade", "websocket"));
    check_origin(request);
    handshake_append_accept(request, NULL, "", &output);
    require(output.size > 32 && memcmp(output.data + output.size - 5, "=\r\n\r\n", 5) == 0);
    buffer_deinit(&output);
}

static void check_request(const struct http_request *request)
{
    const char *patterns[] = {"http://localhost:3000", "https://*.example.org"};
    const char *same[] = {"same"};
    const struct option_list allowed = {2, patterns};
    const struct option_list only_same = {1, same};
    const char *message = NULL;
    int status = handshake_check(request, &only_same, NULL, false, &message);

    require(status == 101 || message);
    /* Over TLS nobody more is of the same origin. */
    require(handshake_check(request, &only_same, NULL, true, &message) != 101 || status == 101);
    status = handshake_check(request, &allowed, NULL, false, &message);
    if (status == 101) {
        check_accepted(request);
        return;
    }
    require(status == 400 || status == 403 || status == 405 || status == 426);

    struct buffer output = {0};

    handshake_append_refusal(request, status, message, &output);
    require(output.size > 0);
    buffer_deinit(&output);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_request_reader *reader = http_request_reader_create(LIMIT_BYTES);
    const struct http_request *request;
    size_t consumed;
    int status;

    while (http_request_read(reader, data, size, &consumed, &request, &status) == HTTP_REQUEST) {
        check_request(request);
        data += consumed;
        size -= consumed;
        if (request->is_upgrade)
            break;
    }
    http_request_reader_destroy(reader);
    return 0;
}
