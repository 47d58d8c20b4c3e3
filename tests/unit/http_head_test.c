#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buffer.h"
#include "common/http_head.h"
#include "common/http_request.h"
#include "common/memory.h"

#define LIMIT ((size_t)1024)

static const char usual[] = "GET /ws?channel=a%20b HTTP/1.1\r\nHost: a:80\r\nUpgrade:websocket\r\n"
                            "Connection: \t keep-alive, Upgrade \r\nX-Empty:\r\nX-Blank: \t\r\n"
                            "X-Odd: tab\tand \xc3\xa4\r\n\r\n";

static bool is_scanned(const char *text, size_t size)
{
    struct http_head head = {0};
    unsigned char *exact = memory_allocate(size); /* for the address sanitizer */
    bool result;

    memcpy(exact, text, size);
    result = http_head_scan(&head, exact, size);
    http_head_deinit(&head);
    memory_free(exact);
    return result;
}

static void usual_heads_are_scanned(void **state)
{
    static const char *const heads[] = {
        usual,
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "GET /!~?a=/?&b HTTP/1.1\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        if (!is_scanned(heads[i], strlen(heads[i])))
            fail_msg("not scanned: %s", heads[i]);
}

static void parts_are_where_they_lie(void **state)
{
    static const char text[] = "GET /a HTTP/1.0\r\nHost:  b \r\nNone:\r\n\r\n";
    struct http_head head = {0};

    (void)state;
    assert_true(http_head_scan(&head, (const unsigned char *)text, strlen(text)));
    assert_int_equal(head.minor_version, 0);
    assert_int_equal(head.target.start, 4);
    assert_int_equal(head.target.end, 6);
    assert_int_equal(head.field_count, 2);
    assert_int_equal(head.fields[0].name.start, 17);
    assert_int_equal(head.fields[0].name.end, 21);
    assert_int_equal(head.fields[0].value.start, 24);
    assert_int_equal(head.fields[0].value.end, 26);
    assert_int_equal(head.fields[1].value.end, 0);
    http_head_deinit(&head);
}

static void all_else_is_left_to_the_parser(void **state)
{
    static const char *const heads[] = {
        "",
        "\r\n\r\n",
        "GET /",
        "GET / HTTP/1.1\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET",
        "GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\n\r\n",
        "POST / HTTP/1.1\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\n\r\n",
        "GET * HTTP/1.1\r\n\r\n",
        "GET /#a HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.2\r\n\r\n",
        "GET / HTTP/2.0\r\n\r\n",
        "GET  / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1 \r\n\r\n",
        "GET /\r\n\r\n",
        "GET / HTTP/1.1\r\n: a\r\n\r\n",
        "GET / HTTP/1.1\r\nA : a\r\n\r\n",
        "GET / HTTP/1.1\r\nA\r\n\r\n",
        "GET / HTTP/1.1\r\n A: a\r\n\r\n",
        "GET / HTTP/1.1\r\nA: a\r\n b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: a\nB: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: a\rB: b\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
        "GET / HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
        "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        if (is_scanned(heads[i], strlen(heads[i])))
            fail_msg("scanned: %s", heads[i]);
}

/* What a reader makes of the bytes that it gets in two pieces, or in one. */
static void tell(struct buffer *story, const char *text, size_t size, size_t first)
{
    struct http_request_reader *reader = http_request_reader_create(LIMIT);
    enum http_read outcome = HTTP_MORE;
    size_t at = 0;

    for (size_t end = first; at < size && outcome == HTTP_MORE; end = size) {
        const struct http_request *request = NULL;
        size_t consumed;
        int status = 0;

        outcome = http_request_read(reader, (const unsigned char *)text + at, end - at, &consumed,
                                    &request, &status);
        at += consumed;
        if (outcome == HTTP_ERROR)
            buffer_printf(story, "error %d\n", status);
        if (!request)
            continue;
        buffer_printf(story, "%s %s %s?%s %d%d%d, %zu bytes\n", request->method, request->target,
                      request->path, request->query, request->minor_version, request->keep_alive,
                      request->is_upgrade, at);
        for (size_t i = 0; i < request->header_count; i++)
            buffer_printf(story, "%s=%s\n", request->headers[i].name, request->headers[i].value);
    }
    http_request_reader_destroy(reader);
}

/* In one piece a head may be scanned, in two it is parsed. */
static void check_alike(const char *text, size_t size)
{
    struct buffer whole = {0};
    struct buffer pieces = {0};

    tell(&whole, text, size, size);
    tell(&pieces, text, size, 1);
    if (whole.size != pieces.size ||
        (whole.size > 0 && memcmp(whole.data, pieces.data, whole.size) != 0))
        fail_msg("%.*s\nin one piece: %.*s\nin two: %.*s", (int)size, text, (int)whole.size,
                 (const char *)whole.data, (int)pieces.size, (const char *)pieces.data);
    buffer_deinit(&whole);
    buffer_deinit(&pieces);
}

static void scan_and_parser_read_any_byte_at_any_place_alike(void **state)
{
    char text[sizeof(usual)];
    size_t size = sizeof(usual) - 1;

    (void)state;
    for (size_t at = 0; at < size; at++) {
        memcpy(text, usual, size);
        for (int byte = 0; byte < 256; byte++) {
            text[at] = (char)byte;
            check_alike(text, size);
        }
    }
}

static void scan_and_parser_read_heads_with_a_byte_more_or_less_alike(void **state)
{
    static const char more[] = " \t\r\n:,;/?#%a0\x7f\x80";
    char text[sizeof(usual)];
    size_t size = sizeof(usual) - 1;

    (void)state;
    for (size_t at = 0; at < size; at++) {
        memcpy(text, usual, at);
        memcpy(text + at, usual + at + 1, size - at - 1);
        check_alike(text, size - 1);
        memcpy(text + at + 1, usual + at, size - at);
        for (size_t i = 0; i < sizeof(more); i++) {
            text[at] = more[i];
            check_alike(text, size + 1);
        }
    }
}

static void too_many_headers_are_refused_alike(void **state)
{
    (void)state;
    for (int count = HTTP_HEADER_COUNT_LIMIT - 1; count <= HTTP_HEADER_COUNT_LIMIT + 1; count++) {
        struct buffer text = {0};

        buffer_append_text(&text, "GET / HTTP/1.1\r\n");
        for (int i = 0; i < count; i++)
            buffer_append_text(&text, "a: b\r\n");
        buffer_append_text(&text, "\r\n");
        assert_true(text.size < LIMIT);
        check_alike((const char *)text.data, text.size);
        buffer_deinit(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usual_heads_are_scanned),
        cmocka_unit_test(parts_are_where_they_lie),
        cmocka_unit_test(all_else_is_left_to_the_parser),
        cmocka_unit_test(scan_and_parser_read_any_byte_at_any_place_alike),
        cmocka_unit_test(scan_and_parser_read_heads_with_a_byte_more_or_less_alike),
        cmocka_unit_test(too_many_headers_are_refused_alike),
    };

    return cmocka_run_group_tests_name("http head", tests, NULL, NULL);
}
