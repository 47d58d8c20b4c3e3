#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/http_request.h"

#define LIMIT_BYTES ((size_t)1024)
#define BODY_LIMIT  ((size_t)16)

/* Bodies are for /body alone. */
static size_t limit_of(void *context, const struct http_request *request)
{
    assert_null(context);
    return strcmp(request->path, "/body") == 0 ? BODY_LIMIT : 0;
}

/* The status that a reader answers with; 0 where it waits for more, 200 for a request, whose body
 * then is in `body`. */
static int read_in_pieces(const char *text, size_t piece_size, char body[BODY_LIMIT + 1],
                          size_t *used)
{
    struct http_request_reader *reader = http_request_reader_create(LIMIT_BYTES);
    size_t size = strlen(text);
    int answer = 0;

    http_request_reader_allow_bodies(reader, limit_of, NULL);
    for (*used = 0; *used < size && answer == 0;) {
        const struct http_request *request = NULL;
        size_t piece = size - *used < piece_size ? size - *used : piece_size;
        size_t consumed;
        int status = 0;
        enum http_read outcome = http_request_read(reader, (const unsigned char *)text + *used,
                                                   piece, &consumed, &request, &status);

        *used += consumed;
        if (outcome == HTTP_ERROR)
            answer = status;
        if (outcome != HTTP_REQUEST)
            continue;
        answer = 200;
        assert_true(request->body.size <= BODY_LIMIT);
        snprintf(body, BODY_LIMIT + 1, "%.*s", (int)request->body.size,
                 request->body.size > 0 ? request->body.data : "");
    }
    http_request_reader_destroy(reader);
    return answer;
}

static int read_text(const char *text, char body[BODY_LIMIT + 1], size_t *used)
{
    char again[BODY_LIMIT + 1] = "";
    size_t used_again;
    int status = read_in_pieces(text, SIZE_MAX, body, used);

    assert_int_equal(read_in_pieces(text, 1, again, &used_again), status);
    if (status == 200) {
        assert_string_equal(again, body);
        assert_int_equal(used_again, *used);
    }
    return status;
}

static void expect_body(const char *text, const char *expected)
{
    char body[BODY_LIMIT + 1] = "";
    size_t used;
    int status = read_text(text, body, &used);

    if (status != 200)
        fail_msg("%d for: %s", status, text);
    assert_string_equal(body, expected);
    assert_int_equal(used, strlen(text));
}

static void expect_status(const char *text, int expected)
{
    char body[BODY_LIMIT + 1] = "";
    size_t used;
    int status = read_text(text, body, &used);

    if (status != expected)
        fail_msg("%d instead of %d for: %s", status, expected, text);
}

#define HEAD   "POST /body HTTP/1.1\r\n"
#define LENGTH HEAD "Content-Length: "
#define CHUNKS HEAD "Transfer-Encoding: chunked\r\n\r\n"

static void body_of_a_length_comes_with_the_request(void **state)
{
    (void)state;
    expect_body(LENGTH "5\r\n\r\nhello", "hello");
    expect_body(LENGTH "16\r\n\r\n0123456789abcdef", "0123456789abcdef");
    expect_body(LENGTH "0\r\n\r\n", "");
    expect_body(HEAD "\r\n", "");
}

static void chunks_are_put_together(void **state)
{
    (void)state;
    expect_body(CHUNKS "0\r\n\r\n", "");
    expect_body(CHUNKS "5\r\nhello\r\n0\r\n\r\n", "hello");
    expect_body(CHUNKS "1\r\na\r\n00002\r\nbc\r\nA\r\n0123456789\r\n000\r\n\r\n", "abc0123456789");
    expect_body(HEAD "transfer-encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "a");
}

static void extensions_and_trailers_are_read_over(void **state)
{
    (void)state;
    expect_body(CHUNKS "1;a=b;c=\"d\"\r\nx\r\n0;e\r\nA: b\r\nC: d\r\n\r\n", "x");
}

static void what_follows_the_body_is_left(void **state)
{
    (void)state;
    static const char length[] = LENGTH "2\r\n\r\nabGET";
    static const char chunks[] = CHUNKS "2\r\nab\r\n0\r\n\r\nGET";
    char body[BODY_LIMIT + 1];
    size_t used;

    assert_int_equal(read_text(length, body, &used), 200);
    assert_int_equal(used, sizeof(length) - 1 - 3);
    assert_int_equal(read_text(chunks, body, &used), 200);
    assert_int_equal(used, sizeof(chunks) - 1 - 3);
}

static void unfinished_body_waits_for_more(void **state)
{
    (void)state;
    expect_status(LENGTH "5\r\n\r\nhell", 0);
    expect_status(CHUNKS "5\r\nhello\r\n0\r\n", 0);
    expect_status(CHUNKS, 0);
}

static void body_beyond_the_limit_is_refused(void **state)
{
    (void)state;
    expect_status(LENGTH "17\r\n\r\n", 413);
    expect_status(LENGTH "9999999999999\r\n\r\n", 413);
    expect_status(CHUNKS "11\r\n", 413);
    expect_status(CHUNKS "8\r\n01234567\r\n9\r\n", 413);
    expect_status(CHUNKS "FFFFFFFFFFFFFFFF\r\n", 413);
    expect_status(CHUNKS "000000000\r\n", 413);
}

static void body_where_the_owner_wants_none_is_refused(void **state)
{
    (void)state;
    expect_status("POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 413);
    expect_status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 413);
    expect_status("POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 200);
}

static void unknown_transfer_coding_is_not_implemented(void **state)
{
    (void)state;
    expect_status(HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", 501);
    expect_status(HEAD "Transfer-Encoding: identity\r\n\r\n", 501);
    expect_status(HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 501);
}

static void chunks_that_two_readers_may_read_differently_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        CHUNKS "\r\n",
        CHUNKS "x\r\n",
        CHUNKS " 1\r\n",
        CHUNKS "+1\r\n",
        CHUNKS "0x1\r\n",
        CHUNKS "1 \r\n",
        CHUNKS "1\na",
        CHUNKS "1\r\nab",
        CHUNKS "1\r\na\n",
        CHUNKS "1\r\na\rb",
        CHUNKS "1\r\r",
        CHUNKS "1;a\nb",
        CHUNKS "1;a\rb",
        CHUNKS ";a\r\n",
        CHUNKS "0\r\n\n",
        CHUNKS "0\r\n\rx",
        CHUNKS "0\r\n a: b\r\n",
        CHUNKS "0\r\na: b\n",
        "POST /body HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        LENGTH "1\r\nTransfer-Encoding: chunked\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_status(bad[i], 400);
}

static void trailers_without_end_are_refused(void **state)
{
    (void)state;
    static char text[12000];
    int size = snprintf(text, sizeof(text), "%s", CHUNKS "0\r\nA: ");

    memset(text + size, 'x', sizeof(text) - (size_t)size - 1);
    expect_status(text, 431);
}

static void client_that_waits_is_told_once_to_go_on(void **state)
{
    (void)state;
    static const char head[] = LENGTH "2\r\nExpect: 100-continue\r\n\r\n";
    struct http_request_reader *reader = http_request_reader_create(LIMIT_BYTES);
    const struct http_request *request;
    size_t consumed;
    int status;

    http_request_reader_allow_bodies(reader, limit_of, NULL);
    http_request_read(reader, (const unsigned char *)head, sizeof(head) - 1, &consumed, &request,
                      &status);
    assert_true(http_request_reader_wants_continue(reader));
    assert_false(http_request_reader_wants_continue(reader));
    assert_false(http_request_reader_is_idle(reader));
    http_request_reader_destroy(reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_of_a_length_comes_with_the_request),
        cmocka_unit_test(chunks_are_put_together),
        cmocka_unit_test(extensions_and_trailers_are_read_over),
        cmocka_unit_test(what_follows_the_body_is_left),
        cmocka_unit_test(unfinished_body_waits_for_more),
        cmocka_unit_test(body_beyond_the_limit_is_refused),
        cmocka_unit_test(body_where_the_owner_wants_none_is_refused),
        cmocka_unit_test(unknown_transfer_coding_is_not_implemented),
        cmocka_unit_test(chunks_that_two_readers_may_read_differently_are_refused),
        cmocka_unit_test(trailers_without_end_are_refused),
        cmocka_unit_test(client_that_waits_is_told_once_to_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
