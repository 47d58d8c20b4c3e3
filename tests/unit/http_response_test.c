#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/http_response.h"

static struct buffer output;

static int empty_output(void **state)
{
    (void)state;
    buffer_deinit(&output);
    return 0;
}

static const char *text_of(struct buffer *buffer)
{
    buffer_append(buffer, "", 1);
    buffer->size--;
    return (const char *)buffer->data;
}

static const char *response_text(struct http_response response)
{
    output.size = 0;
    http_response_append(&output, &response);
    return text_of(&output);
}

static void expect_line(const char *text, const char *line)
{
    char needle[256];

    snprintf(needle, sizeof(needle), "\r\n%s\r\n", line);
    if (!strstr(text, needle))
        fail_msg("no line \"%s\" in:\n%s", line, text);
}

static const char *body_of(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

static void response_has_status_headers_and_body(void **state)
{
    (void)state;
    const char *text = response_text((struct http_response){
        .status = 200,
        .content_type = "text/plain",
        .headers = "A: b\r\nC: d\r\n",
        .body = "hello",
        .body_size = 5,
        .keep_alive = true,
    });

    assert_int_equal(strncmp(text, "HTTP/1.1 200 OK\r\n", 17), 0);
    expect_line(text, "Server: carillon");
    expect_line(text, "Connection: keep-alive");
    expect_line(text, "Content-Type: text/plain");
    expect_line(text, "Content-Length: 5");
    expect_line(text, "X-Content-Type-Options: nosniff");
    expect_line(text, "A: b");
    expect_line(text, "C: d");
    assert_string_equal(body_of(text), "hello");
}

static void date_is_imf_fixdate_of_now(void **state)
{
    (void)state;
    time_t before = time(NULL);
    const char *text = response_text((struct http_response){.status = 200});
    time_t after = time(NULL);
    const char *date = strstr(text, "\r\nDate: ");
    struct tm parts = {0};

    assert_non_null(date);

    const char *end = strptime(date + 8, "%a, %d %b %Y %H:%M:%S GMT", &parts);

    assert_non_null(end);
    assert_int_equal(end - (date + 8), 29);
    assert_int_equal(strncmp(end, "\r\n", 2), 0);
    assert_in_range(timegm(&parts), before, after);
}

static void head_has_the_length_but_not_the_body(void **state)
{
    (void)state;
    const char *text = response_text((struct http_response){
        .status = 200, .content_type = "a/b", .body = "hello", .body_size = 5, .is_head = true});

    expect_line(text, "Content-Length: 5");
    expect_line(text, "Content-Type: a/b");
    assert_string_equal(body_of(text), "");
}

static void empty_body_has_length_zero(void **state)
{
    (void)state;
    const char *text = response_text((struct http_response){.status = 404});

    expect_line(text, "Content-Length: 0");
    expect_line(text, "Connection: close");
    assert_null(strstr(text, "\r\nContent-Type"));
    assert_string_equal(body_of(text), "");
}

static void some_statuses_have_no_body(void **state)
{
    (void)state;
    static const int statuses[] = {101, 204, 304};

    for (size_t i = 0; i < 3; i++) {
        const char *text = response_text((struct http_response){.status = statuses[i],
                                                                .content_type = "a/b",
                                                                .headers = "ETag: \"x\"\r\n",
                                                                .body = "hello",
                                                                .body_size = 5});

        expect_line(text, "ETag: \"x\"");
        assert_null(strstr(text, "Content-Length"));
        assert_null(strstr(text, "\r\nContent-Type"));
        assert_string_equal(body_of(text), "");
    }
}

static void switching_protocols_leaves_connection_to_the_caller(void **state)
{
    (void)state;
    const char *text =
        response_text((struct http_response){.status = 101, .headers = "Connection: Upgrade\r\n"});

    assert_int_equal(strncmp(text, "HTTP/1.1 101 Switching Protocols\r\n", 34), 0);
    expect_line(text, "Connection: Upgrade");
    assert_ptr_equal(strstr(strstr(text, "Connection:") + 1, "Connection:"), NULL);
}

static void responses_are_appended(void **state)
{
    (void)state;
    struct http_response response = {.status = 200, .body = "1", .body_size = 1};

    http_response_append(&output, &response);

    size_t size = output.size;

    response.body = "2";
    http_response_append(&output, &response);
    assert_int_equal(output.size, 2 * size);
    assert_int_equal(output.data[size - 1], '1');
    assert_int_equal(output.data[2 * size - 1], '2');
}

static void error_says_what_is_wrong_in_one_line(void **state)
{
    (void)state;
    http_response_append_error(&output, 405, "Allow: GET\r\n", "use GET", false, true);

    const char *text = text_of(&output);

    assert_int_equal(strncmp(text, "HTTP/1.1 405 Method Not Allowed\r\n", 33), 0);
    expect_line(text, "Allow: GET");
    expect_line(text, "Content-Type: text/plain; charset=utf-8");
    expect_line(text, "Content-Length: 8");
    expect_line(text, "Connection: keep-alive");
    assert_string_equal(body_of(text), "use GET\n");
}

static void error_to_head_has_no_body(void **state)
{
    (void)state;
    http_response_append_error(&output, 404, NULL, "nothing here", true, false);

    const char *text = text_of(&output);

    expect_line(text, "Content-Length: 13");
    expect_line(text, "Connection: close");
    assert_string_equal(body_of(text), "");
}

static void reasons_have_their_phrases(void **state)
{
    (void)state;
    assert_string_equal(http_reason(404), "Not Found");
    assert_string_equal(http_reason(431), "Request Header Fields Too Large");
    assert_string_equal(http_reason(299), "Unknown");
}

static void line_is_inserted_into_the_response_that_is_meant(void **state)
{
    (void)state;
    static const char line[] = "Later: yes\r\n";
    static const char start_of_it[] = "HTTP/1.1 404 Not Found\r\nLater: yes\r\nDate: ";

    http_response_append(&output, &(struct http_response){.status = 204});

    size_t start = output.size;

    http_response_append(&output,
                         &(struct http_response){.status = 404, .body = "x", .body_size = 1});
    http_response_insert(&output, start, line, sizeof(line) - 1);

    const char *text = text_of(&output);

    expect_line(text + start, "Later: yes");
    assert_memory_equal(text + start, start_of_it, sizeof(start_of_it) - 1);
    assert_true(strstr(text, "Later") > text + start);
    assert_int_equal(text[output.size - 1], 'x');
}

#define TEST(test) cmocka_unit_test_teardown(test, empty_output)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(line_is_inserted_into_the_response_that_is_meant),
        TEST(response_has_status_headers_and_body),
        TEST(date_is_imf_fixdate_of_now),
        TEST(head_has_the_length_but_not_the_body),
        TEST(empty_body_has_length_zero),
        TEST(some_statuses_have_no_body),
        TEST(switching_protocols_leaves_connection_to_the_caller),
        TEST(responses_are_appended),
        TEST(error_says_what_is_wrong_in_one_line),
        TEST(error_to_head_has_no_body),
        TEST(reasons_have_their_phrases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
