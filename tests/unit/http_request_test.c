#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/http_request.h"

#define LIMIT ((size_t)1024)

static struct http_request_reader *reader;

static int make_reader(void **state)
{
    (void)state;
    reader = http_request_reader_create(LIMIT);
    return 0;
}

static int destroy_reader(void **state)
{
    (void)state;
    http_request_reader_destroy(reader);
    return 0;
}

static enum http_read feed(const char *text, size_t size, size_t *consumed,
                           const struct http_request **request, int *status)
{
    return http_request_read(reader, (const unsigned char *)text, size, consumed, request, status);
}

/* The one request that `text` is, read in one piece by the fixture's reader. */
static const struct http_request *read_whole(const char *text)
{
    const struct http_request *request = NULL;
    size_t consumed;
    int status = 0;

    if (feed(text, strlen(text), &consumed, &request, &status) != HTTP_REQUEST)
        fail_msg("not a request (%d): %s", status, text);
    assert_int_equal(consumed, strlen(text));
    return request;
}

/* What a new reader answers to these bytes: 0 where it waits for more, 200 for a request. */
static int status_in_pieces(const char *text, size_t size, size_t limit, size_t piece_size)
{
    struct http_request_reader *fresh = http_request_reader_create(limit);
    int answer = 0;

    for (size_t at = 0; at < size && answer == 0;) {
        const struct http_request *request;
        size_t piece = size - at < piece_size ? size - at : piece_size;
        size_t consumed;
        int status = -1;

        switch (http_request_read(fresh, (const unsigned char *)text + at, piece, &consumed,
                                  &request, &status)) {
        case HTTP_MORE:
            assert_int_equal(consumed, piece);
            break;
        case HTTP_REQUEST:
            answer = 200;
            break;
        case HTTP_ERROR:
            answer = status;
            break;
        }
        at += consumed;
    }
    http_request_reader_destroy(fresh);
    return answer;
}

static int status_of_bytes(const char *text, size_t size)
{
    int status = status_in_pieces(text, size, LIMIT, SIZE_MAX);

    assert_int_equal(status_in_pieces(text, size, LIMIT, 1), status);
    return status;
}

static int status_of(const char *text)
{
    return status_of_bytes(text, strlen(text));
}

static void expect_statuses(const char *const *texts, size_t count, int expected)
{
    for (size_t i = 0; i < count; i++) {
        int status = status_of(texts[i]);

        if (status != expected)
            fail_msg("%d instead of %d for: %s", status, expected, texts[i]);
    }
}

#define EXPECT_EACH(expected, ...)                                                                 \
    do {                                                                                           \
        static const char *const texts[] = {__VA_ARGS__};                                          \
        expect_statuses(texts, sizeof(texts) / sizeof(texts[0]), expected);                        \
    } while (0)

static const char handshake[] = "GET /ws?channel=a%20b HTTP/1.1\r\n"
                                "Host: example.org:8000\r\n"
                                "Connection: keep-alive, Upgrade\r\n"
                                "Upgrade: websocket\r\n"
                                "X-Empty:\r\n"
                                "X-Blank: \t \r\n"
                                "X-Padded: \t a b \t\r\n"
                                "\r\n";

static void check_handshake(const struct http_request *request)
{
    assert_string_equal(request->method, "GET");
    assert_string_equal(request->target, "/ws?channel=a%20b");
    assert_string_equal(request->path, "/ws");
    assert_string_equal(request->query, "channel=a%20b");
    assert_int_equal(request->minor_version, 1);
    assert_true(request->keep_alive);
    assert_true(request->is_upgrade);
    assert_int_equal(request->header_count, 6);
    assert_string_equal(request->headers[0].name, "Host");
    assert_string_equal(request->headers[0].value, "example.org:8000");
    assert_string_equal(request->headers[3].value, "");
    assert_string_equal(request->headers[4].value, "");
    assert_string_equal(request->headers[5].value, "a b");
}

static void request_has_its_parts(void **state)
{
    (void)state;
    check_handshake(read_whole(handshake));
}

static void request_in_pieces_of_any_size_is_the_same(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < sizeof(handshake); piece++) {
        const struct http_request *request = NULL;
        size_t consumed;
        int status;

        for (size_t at = 0; at < sizeof(handshake) - 1; at += consumed) {
            size_t left = sizeof(handshake) - 1 - at;

            assert_null(request);
            feed(handshake + at, left < piece ? left : piece, &consumed, &request, &status);
        }
        assert_non_null(request);
        check_handshake(request);
    }
}

static void bytes_after_an_upgrade_are_not_consumed(void **state)
{
    (void)state;
    char text[sizeof(handshake) + 8];
    const struct http_request *request;
    size_t consumed;
    int status;
    int size = snprintf(text, sizeof(text), "%s%s", handshake, "\x81\x01x");

    assert_int_equal(feed(text, (size_t)size, &consumed, &request, &status), HTTP_REQUEST);
    assert_int_equal(consumed, sizeof(handshake) - 1);
    check_handshake(request);
}

static void pipelined_requests_come_one_by_one(void **state)
{
    (void)state;
    static const char text[] =
        "GET /1 HTTP/1.1\r\nA: b\r\n\r\nHEAD /2 HTTP/1.1\r\n\r\n\r\nGET /3?x HTTP/1.0\r\n\r\n";
    static const char *const paths[] = {"/1", "/2", "/3"};
    static const size_t counts[] = {1, 0, 0};
    size_t at = 0;

    for (size_t i = 0; i < 3; i++) {
        const struct http_request *request;
        size_t consumed;
        int status;

        assert_int_equal(feed(text + at, sizeof(text) - 1 - at, &consumed, &request, &status),
                         HTTP_REQUEST);
        assert_string_equal(request->path, paths[i]);
        assert_int_equal(request->header_count, counts[i]);
        at += consumed;
    }
    assert_int_equal(at, sizeof(text) - 1);
}

static void reader_is_idle_between_requests_only(void **state)
{
    (void)state;
    const struct http_request *request;
    size_t consumed;
    int status;

    assert_true(http_request_reader_is_idle(reader));
    assert_int_equal(feed("", 0, &consumed, &request, &status), HTTP_MORE);
    assert_int_equal(consumed, 0);
    assert_true(http_request_reader_is_idle(reader));
    assert_int_equal(feed("G", 1, &consumed, &request, &status), HTTP_MORE);
    assert_false(http_request_reader_is_idle(reader));
    read_whole("ET / HTTP/1.1\r\n\r\n");
    assert_true(http_request_reader_is_idle(reader));
}

static void failed_reader_stays_failed(void **state)
{
    (void)state;
    const struct http_request *request;
    size_t consumed;
    int status = 0;

    assert_int_equal(feed("\x16\x03\x01", 3, &consumed, &request, &status), HTTP_ERROR);
    assert_int_equal(status, 400);
    assert_false(http_request_reader_is_idle(reader));
    status = 0;
    assert_int_equal(feed("GET / HTTP/1.1\r\n\r\n", 18, &consumed, &request, &status), HTTP_ERROR);
    assert_int_equal(status, 400);
}

static void keep_alive_follows_version_and_connection_header(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool keep_alive;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", true},
        {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nConnection: keep-alive, Close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\nConnection: enclose\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(read_whole(cases[i].text)->keep_alive, cases[i].keep_alive);
}

static void upgrade_needs_both_headers(void **state)
{
    (void)state;
    assert_false(read_whole("GET / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")->is_upgrade);
    assert_false(read_whole("GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n")->is_upgrade);
    assert_true(
        read_whole("GET / HTTP/1.1\r\nconnection: UPGRADE\r\nupgrade: x\r\n\r\n")->is_upgrade);
}

static void path_is_decoded_and_query_is_not(void **state)
{
    (void)state;
    const struct http_request *request =
        read_whole("GET /%e2%9C%93/%2e%2e/a+b?c=%20?d HTTP/1.1\r\n\r\n");

    assert_string_equal(request->path, "/\xe2\x9c\x93/../a+b");
    assert_string_equal(request->query, "c=%20?d");
}

static void absolute_targets_give_their_path(void **state)
{
    (void)state;
    assert_string_equal(read_whole("GET http://a.b:80/c?d HTTP/1.1\r\n\r\n")->path, "/c");
    assert_string_equal(read_whole("GET HTTPS://a HTTP/1.1\r\n\r\n")->path, "/");

    const struct http_request *request = read_whole("GET ws://a?b=/c HTTP/1.1\r\n\r\n");

    assert_string_equal(request->target, "ws://a?b=/c");
    assert_string_equal(request->path, "/");
    assert_string_equal(request->query, "b=/c");
}

static void targets_that_name_no_path_here_are_refused(void **state)
{
    (void)state;
    EXPECT_EACH(400, "OPTIONS * HTTP/1.1\r\n\r\n", "CONNECT a.b:443 HTTP/1.1\r\n\r\n",
                "GET http:///x HTTP/1.1\r\n\r\n", "GET x HTTP/1.1\r\n\r\n",
                "GET /a#b HTTP/1.1\r\n\r\n", "GET *x HTTP/1.1\r\n\r\n");
}

static void bad_escapes_and_control_characters_in_the_path_are_refused(void **state)
{
    (void)state;
    EXPECT_EACH(400, "GET /% HTTP/1.1\r\n\r\n", "GET /%4 HTTP/1.1\r\n\r\n",
                "GET /%4g HTTP/1.1\r\n\r\n", "GET /%g4 HTTP/1.1\r\n\r\n",
                "GET /%00 HTTP/1.1\r\n\r\n", "GET /%0a HTTP/1.1\r\n\r\n",
                "GET /%7f HTTP/1.1\r\n\r\n", "GET /\x01 HTTP/1.1\r\n\r\n",
                "GET /\x80 HTTP/1.1\r\n\r\n", "GET /a\tb HTTP/1.1\r\n\r\n");
}

static void request_line_has_one_form(void **state)
{
    (void)state;
    EXPECT_EACH(400, "GET  / HTTP/1.1\r\n\r\n", "GET /  HTTP/1.1\r\n\r\n",
                "GET / HTTP/1.1 \r\n\r\n", "GET / HTTP/01.1\r\n\r\n", "GET / HTTP/1.10\r\n\r\n",
                "GET / HTTQ/1.1\r\n\r\n", "GET / http/1.1\r\n\r\n", "GET /a b HTTP/1.1\r\n\r\n",
                " GET / HTTP/1.1\r\n\r\n", "GET\t/ HTTP/1.1\r\n\r\n", "GE\r\nT / HTTP/1.1\r\n\r\n");
}

static void other_versions_are_505(void **state)
{
    (void)state;
    EXPECT_EACH(505, "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.2\r\n\r\n", "GET / HTTP/0.9\r\n\r\n",
                "GET /\r\n\r\n");
    assert_int_equal(read_whole("GET / HTTP/1.0\r\n\r\n")->minor_version, 0);
}

static void unknown_methods_are_501_and_noise_is_400(void **state)
{
    (void)state;
    EXPECT_EACH(501, "FOO / HTTP/1.1\r\n\r\n", "GETX / HTTP/1.1\r\n\r\n", "get / HTTP/1.1\r\n\r\n");
    EXPECT_EACH(400, "\x16\x03\x01", "\x81\x05hello", "{\"a\":1}");
    assert_string_equal(read_whole("DELETE / HTTP/1.1\r\n\r\n")->method, "DELETE");
    assert_string_equal(read_whole("M-SEARCH / HTTP/1.1\r\n\r\n")->method, "M-SEARCH");
}

static void noise_is_refused_at_its_first_bad_byte(void **state)
{
    (void)state;
    EXPECT_EACH(400, "\x16", "GET /\x01", "GET / HTTP/x", "GET / HTTP/1.1\r\n:");
}

static void header_syntax_is_strict(void **state)
{
    (void)state;
    EXPECT_EACH(400, "GET / HTTP/1.1\r\nA : b\r\n\r\n", "GET / HTTP/1.1\r\nA\t: b\r\n\r\n",
                "GET / HTTP/1.1\r\nA B: c\r\n\r\n", "GET / HTTP/1.1\r\n: b\r\n\r\n",
                "GET / HTTP/1.1\r\nA\r\n\r\n", "GET / HTTP/1.1\r\n A: b\r\n\r\n",
                "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n\t\r\n\r\n",
                "GET / HTTP/1.1\r\nA:\r\n b\r\n\r\n", "GET / HTTP/1.1\r\nA: b\x01\r\n\r\n",
                "GET / HTTP/1.1\r\nA: \x01\r\n\r\n", "GET / HTTP/1.1\r\nA: \x7f\r\n\r\n",
                "GET / HTTP/1.1\r\n\"A\": b\r\n\r\n", "GET / HTTP/1.1\r\n\xc3\xa4: b\r\n\r\n");
    assert_string_equal(read_whole("GET / HTTP/1.1\r\nA: \xc3\xa4\tb\r\n\r\n")->headers[0].value,
                        "\xc3\xa4\tb");
}

static void zero_bytes_are_refused_wherever_they_stand(void **state)
{
    (void)state;
    static const char text[] = "GET /a HTTP/1.1\r\nName: value\r\n\r\n";

    for (size_t at = 0; at < sizeof(text) - 1; at++) {
        char changed[sizeof(text)];

        memcpy(changed, text, sizeof(text));
        changed[at] = '\0';
        assert_int_equal(status_of_bytes(changed, sizeof(text) - 1), 400);
    }
}

static void lines_end_in_crlf_alone(void **state)
{
    (void)state;
    EXPECT_EACH(400, "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n",
                "GET / HTTP/1.1\r\nA: b\r\n\n", "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
                "GET / HTTP/1.1\r\nA: b\r\n\rx", "GET / HTTP/1.1\r\nA: b\r\r\n\r\n",
                "GET / HTTP/1.1\rA: b\r\n\r\n");
}

static void bodies_are_refused(void **state)
{
    (void)state;
    EXPECT_EACH(413, "GET / HTTP/1.1\r\nContent-Length: 1\r\n\r\n",
                "POST / HTTP/1.1\r\ncontent-length: 1844674407370955160\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n\r\n",
                "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: a\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EACH(200, "GET / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "POST / HTTP/1.1\r\n\r\n");
}

static void two_sayings_about_length_are_refused(void **state)
{
    (void)state;
    EXPECT_EACH(400, "GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
                "GET / HTTP/1.1\r\nContent-Length: 0, 0\r\n\r\n",
                "GET / HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
                "GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
                "GET / HTTP/1.1\r\nContent-Length: 1 1\r\n\r\n",
                "GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
                "GET / HTTP/1.1\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n",
                "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n",
                "GET / HTTP/1.1\r\nTransfer-Encoding: x\r\nContent-Length: 0\r\n\r\n",
                "GET / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n",
                "GET / HTTP/1.1\r\nContent-Length : 5\r\n\r\n");
}

/* Without a zero byte at the end. */
static void overwrite(char *target, const char *text)
{
    while (*text)
        *target++ = *text++;
}

static void limit_counts_every_byte(void **state)
{
    (void)state;
    static const char text[] = "GET / HTTP/1.1\r\nA: b\r\n\r\n";
    size_t size = sizeof(text) - 1;
    size_t line_size = strlen("GET / HTTP/1.1\r\n");

    for (size_t piece = 1; piece <= size; piece++) {
        assert_int_equal(status_in_pieces(text, size, size, piece), 200);
        assert_int_equal(status_in_pieces(text, size, size - 1, piece), 431);
        assert_int_equal(status_in_pieces(text, size, line_size, piece), 431);
        assert_int_equal(status_in_pieces(text, size, line_size - 1, piece), 414);
        assert_int_equal(status_in_pieces(text, size, 0, piece), 414);
        /* As many bytes as the limit allows are no error yet. */
        assert_int_equal(status_in_pieces(text, size - 1, size - 1, piece), 0);
    }
}

static void long_heads_are_refused_before_they_end(void **state)
{
    (void)state;
    char text[4096];

    memset(text, 'a', sizeof(text));
    overwrite(text, "GET /");
    assert_int_equal(status_of_bytes(text, sizeof(text)), 414);
    overwrite(text, "GET / HTTP/1.1\r\nA: ");
    assert_int_equal(status_of_bytes(text, sizeof(text)), 431);
    memset(text, '\n', sizeof(text));
    assert_int_equal(status_of_bytes(text, sizeof(text)), 414);
}

static int status_with_headers(size_t count)
{
    static char text[16384];
    size_t size = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\n");

    for (size_t i = 0; i < count; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "Name-%zu: %zu\r\n", i, i);
    size += (size_t)snprintf(text + size, sizeof(text) - size, "\r\n");

    int status = status_in_pieces(text, size, sizeof(text), SIZE_MAX);

    assert_int_equal(status_in_pieces(text, size, sizeof(text), 1), status);
    return status;
}

static void too_many_headers_are_431(void **state)
{
    (void)state;
    assert_int_equal(status_with_headers(HTTP_HEADER_COUNT_LIMIT), 200);
    assert_int_equal(status_with_headers(HTTP_HEADER_COUNT_LIMIT + 1), 431);
    assert_int_equal(status_with_headers((size_t)3 * HTTP_HEADER_COUNT_LIMIT), 431);
}

static void limit_may_be_above_that_of_the_library(void **state)
{
    (void)state;
    size_t size = (size_t)300 * 1024;
    char *text = malloc(size);

    assert_non_null(text);
    memset(text, 'a', size);
    overwrite(text, "GET / HTTP/1.1\r\nA: ");
    overwrite(text + size - 4, "\r\n\r\n");
    assert_int_equal(status_in_pieces(text, size, size, 4096), 200);
    assert_int_equal(status_in_pieces(text, size, size - 1, 4096), 431);
    free(text);
}

static void headers_are_found_in_any_case(void **state)
{
    (void)state;
    const struct http_request *request =
        read_whole("GET / HTTP/1.1\r\nHOST: a\r\nTwice: b\r\ntwicE: c\r\n\r\n");

    assert_string_equal(http_request_header(request, "host"), "a");
    assert_null(http_request_header(request, "Twice"));
    assert_null(http_request_header(request, "Hos"));
    assert_int_equal(http_request_header_count(request, "TWICE"), 2);
    assert_int_equal(http_request_header_count(request, "None"), 0);
}

static void host_is_named_once_or_the_client_is_old(void **state)
{
    (void)state;
    assert_true(http_request_names_host(read_whole("GET / HTTP/1.1\r\nhOST: a\r\n\r\n")));
    assert_true(http_request_names_host(read_whole("GET / HTTP/1.1\r\nHost:\r\n\r\n")));
    assert_true(http_request_names_host(read_whole("GET / HTTP/1.0\r\n\r\n")));
    assert_false(http_request_names_host(read_whole("GET / HTTP/1.1\r\n\r\n")));
    assert_false(
        http_request_names_host(read_whole("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n")));
    assert_false(
        http_request_names_host(read_whole("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n")));
}

static void head_is_told_from_get(void **state)
{
    (void)state;
    assert_true(http_request_is_head(read_whole("HEAD / HTTP/1.1\r\n\r\n")));
    assert_false(http_request_is_head(read_whole("GET / HTTP/1.1\r\n\r\n")));
}

static void tokens_are_found_in_lists_of_several_headers(void **state)
{
    (void)state;
    const struct http_request *request =
        read_whole("GET / HTTP/1.1\r\nList: ,a ,\tBc,, d e\r\nlist: last\r\nEmpty:\r\n\r\n");

    assert_true(http_request_header_has_token(request, "List", "a"));
    assert_true(http_request_header_has_token(request, "List", "bC"));
    assert_true(http_request_header_has_token(request, "List", "LAST"));
    assert_false(http_request_header_has_token(request, "List", "d"));
    assert_false(http_request_header_has_token(request, "List", "b"));
    assert_false(http_request_header_has_token(request, "List", "las"));
    assert_false(http_request_header_has_token(request, "Empty", "a"));
    assert_false(http_request_header_has_token(request, "None", "a"));
}

static void query_values_are_decoded(void **state)
{
    (void)state;
    char value[9];

    assert_int_equal(http_query_value("a=1&channel=%c3%A4+b%2B&channel=2", "channel", value, 8), 5);
    assert_string_equal(value, "\xc3\xa4 b+");
    assert_int_equal(http_query_value("a=b=c", "a", value, 8), 3);
    assert_string_equal(value, "b=c");
    assert_int_equal(http_query_value("a=&b", "a", value, 8), 0);
    assert_string_equal(value, "");
    assert_int_equal(http_query_value("a=12345678", "a", value, 8), 8);
    assert_string_equal(value, "12345678");
}

static void query_errors_are_told_apart(void **state)
{
    (void)state;
    char value[4];

    assert_int_equal(http_query_value("", "a", value, 3), UV_ENOENT);
    assert_int_equal(http_query_value("a&ba=1&a-=2", "a", value, 3), UV_ENOENT);
    assert_int_equal(http_query_value("a=1234", "a", value, 3), UV_E2BIG);
    assert_int_equal(http_query_value("a=1%2", "a", value, 3), UV_EINVAL);
    assert_int_equal(http_query_value("a=%", "a", value, 3), UV_EINVAL);
    assert_int_equal(http_query_value("a=%zz", "a", value, 3), UV_EINVAL);
    assert_int_equal(http_query_value("a=1%00", "a", value, 3), UV_EINVAL);
}

#define WITH_READER(test) cmocka_unit_test_setup_teardown(test, make_reader, destroy_reader)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_READER(request_has_its_parts),
        WITH_READER(request_in_pieces_of_any_size_is_the_same),
        WITH_READER(bytes_after_an_upgrade_are_not_consumed),
        WITH_READER(pipelined_requests_come_one_by_one),
        WITH_READER(reader_is_idle_between_requests_only),
        WITH_READER(failed_reader_stays_failed),
        WITH_READER(keep_alive_follows_version_and_connection_header),
        WITH_READER(upgrade_needs_both_headers),
        WITH_READER(path_is_decoded_and_query_is_not),
        WITH_READER(absolute_targets_give_their_path),
        cmocka_unit_test(targets_that_name_no_path_here_are_refused),
        cmocka_unit_test(bad_escapes_and_control_characters_in_the_path_are_refused),
        cmocka_unit_test(request_line_has_one_form),
        WITH_READER(other_versions_are_505),
        WITH_READER(unknown_methods_are_501_and_noise_is_400),
        cmocka_unit_test(noise_is_refused_at_its_first_bad_byte),
        WITH_READER(header_syntax_is_strict),
        cmocka_unit_test(zero_bytes_are_refused_wherever_they_stand),
        cmocka_unit_test(lines_end_in_crlf_alone),
        cmocka_unit_test(bodies_are_refused),
        cmocka_unit_test(two_sayings_about_length_are_refused),
        cmocka_unit_test(limit_counts_every_byte),
        cmocka_unit_test(long_heads_are_refused_before_they_end),
        cmocka_unit_test(too_many_headers_are_431),
        cmocka_unit_test(limit_may_be_above_that_of_the_library),
        WITH_READER(headers_are_found_in_any_case),
        WITH_READER(host_is_named_once_or_the_client_is_old),
        WITH_READER(head_is_told_from_get),
        WITH_READER(tokens_are_found_in_lists_of_several_headers),
        cmocka_unit_test(query_values_are_decoded),
        cmocka_unit_test(query_errors_are_told_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
