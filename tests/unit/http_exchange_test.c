#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/http_exchange.h"

#define HEADER_LIMIT ((size_t)1024)

static struct http_exchange exchange;
static bool taken;
static size_t answer_size; /* of a GET of /large */

static int make_exchange(void **state)
{
    (void)state;
    http_exchange_init(&exchange, HEADER_LIMIT);
    taken = false;
    answer_size = 0;
    return 0;
}

static int destroy_exchange(void **state)
{
    (void)state;
    http_exchange_deinit(&exchange);
    return 0;
}

/* Answers with the path in brackets; takes /take and ends after /end. */
static enum http_verdict respond(void *context, const struct http_request *request,
                                 struct buffer *output)
{
    assert_ptr_equal(context, &exchange);
    assert_ptr_equal(output, &exchange.output);
    if (strcmp(request->path, "/take") == 0)
        return HTTP_TAKEN;
    if (strcmp(request->path, "/large") == 0) {
        memset(buffer_reserve(output, answer_size), 'x', answer_size);
        output->size += answer_size;
    } else {
        buffer_printf(output, "[%s]", request->path);
    }
    if (strcmp(request->path, "/end") == 0)
        exchange.must_end = true;
    return HTTP_ANSWERED;
}

static size_t feed_bytes(const char *text, size_t size)
{
    return http_exchange_feed(&exchange, (const unsigned char *)text, size, respond, &exchange,
                              &taken);
}

static size_t feed(const char *text)
{
    return feed_bytes(text, strlen(text));
}

/* What is to be sent, emptied as the owner does. */
static const char *sent(void)
{
    static char text[4096];

    snprintf(text, sizeof(text), "%.*s", (int)exchange.output.size,
             exchange.output.data ? (const char *)exchange.output.data : "");
    buffer_deinit(&exchange.output);
    return text;
}

static void assert_answered_with_status(const char *text, int status)
{
    char line[32];

    snprintf(line, sizeof(line), "HTTP/1.1 %d ", status);
    assert_memory_equal(text, line, strlen(line));
    assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
    assert_null(strstr(text + 1, "HTTP/1.1 ")); /* once */
}

static void request_is_answered_and_the_next_one_too(void **state)
{
    (void)state;
    static const char request[] = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

    for (int i = 0; i < 3; i++) {
        assert_int_equal(feed(request), sizeof(request) - 1);
        assert_string_equal(sent(), "[/a]");
        assert_false(exchange.must_end);
        assert_false(taken);
    }
}

static void pipelined_requests_are_answered_in_their_order(void **state)
{
    (void)state;
    static const char requests[] =
        "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3 HTTP/1.1\r\n\r\nGET /4";

    assert_int_equal(feed(requests), sizeof(requests) - 1);
    assert_string_equal(sent(), "[/1][/2][/3]");
    feed(" HTTP/1.1\r\n\r\n");
    assert_string_equal(sent(), "[/4]");
}

static void bytes_one_by_one_make_no_difference(void **state)
{
    (void)state;
    static const char requests[] = "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nA: b\r\n\r\n";

    for (size_t i = 0; i < sizeof(requests) - 1; i++)
        assert_int_equal(feed_bytes(requests + i, 1), 1);
    assert_string_equal(sent(), "[/1][/2]");
}

static void nothing_comes_of_no_bytes(void **state)
{
    (void)state;
    assert_int_equal(feed(""), 0);
    assert_string_equal(sent(), "");
    assert_false(exchange.must_end);
}

static void last_request_of_a_connection_ends_the_exchange(void **state)
{
    (void)state;
    feed("GET /1 HTTP/1.1\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert_string_equal(sent(), "[/1]");
    assert_true(exchange.must_end);
    feed("GET /3 HTTP/1.1\r\n\r\n");
    assert_string_equal(sent(), "");
}

static void old_client_gets_one_answer(void **state)
{
    (void)state;
    feed("GET /1 HTTP/1.0\r\n\r\nGET /2 HTTP/1.0\r\n\r\n");
    assert_string_equal(sent(), "[/1]");
    assert_true(exchange.must_end);
}

static void responder_may_end_the_exchange(void **state)
{
    (void)state;
    feed("GET /1 HTTP/1.1\r\n\r\nGET /end HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert_string_equal(sent(), "[/1][/end]");
    assert_true(exchange.must_end);
}

static void unreadable_request_is_refused_and_ends_the_exchange(void **state)
{
    (void)state;
    assert_int_equal(feed("\x16\x03\x01 noise"), 9);
    assert_answered_with_status(sent(), 400);
    assert_true(exchange.must_end);
    assert_false(taken);
    feed("GET / HTTP/1.1\r\n\r\n");
    assert_string_equal(sent(), "");
}

static void refusal_follows_the_answers_before_it(void **state)
{
    (void)state;
    feed("GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");

    const char *text = sent();

    assert_memory_equal(text, "[/1]", 4);
    assert_answered_with_status(text + 4, 413);
}

static void header_limit_is_that_of_the_owner(void **state)
{
    (void)state;
    char value[HEADER_LIMIT];

    memset(value, 'x', sizeof(value));
    feed("GET / HTTP/1.1\r\nA: ");
    feed_bytes(value, sizeof(value));
    assert_answered_with_status(sent(), 431);
}

static void bytes_after_a_taken_request_are_left_to_the_owner(void **state)
{
    (void)state;
    static const char head[] = "GET /1 HTTP/1.1\r\n\r\nGET /take HTTP/1.1\r\n"
                               "Connection: upgrade\r\nUpgrade: x\r\n\r\n";
    static const char requests[] = "GET /1 HTTP/1.1\r\n\r\nGET /take HTTP/1.1\r\n"
                                   "Connection: upgrade\r\nUpgrade: x\r\n\r\n"
                                   "GET /2 HTTP/1.1\r\n\r\n";

    assert_int_equal(feed(requests), sizeof(head) - 1);
    assert_true(taken);
    assert_string_equal(sent(), "[/1]");
    assert_false(exchange.must_end);
}

static void taken_is_told_for_each_feed(void **state)
{
    (void)state;
    taken = true;
    feed("GET /1 HTTP/1.1\r\n\r\n");
    assert_false(taken);
}

static void client_that_began_a_request_is_told_that_it_took_too_long(void **state)
{
    (void)state;
    feed("GET / HTT");
    assert_true(http_exchange_time_out(&exchange));
    assert_answered_with_status(sent(), 408);
    assert_true(exchange.must_end);
}

static void silent_client_is_told_nothing(void **state)
{
    (void)state;
    assert_false(http_exchange_time_out(&exchange));
    assert_string_equal(sent(), "");
    assert_true(exchange.must_end);
}

static void client_that_rests_after_an_answer_is_told_nothing(void **state)
{
    (void)state;
    feed("GET /1 HTTP/1.1\r\n\r\n");
    sent();
    assert_false(http_exchange_time_out(&exchange));
    assert_string_equal(sent(), "");
    assert_true(exchange.must_end);
}

static void refused_client_gets_no_second_answer(void **state)
{
    (void)state;
    feed("\x16 noise");
    assert_answered_with_status(sent(), 400);
    assert_false(http_exchange_time_out(&exchange));
    assert_string_equal(sent(), "");
    feed("GET / HTT");
    assert_false(http_exchange_time_out(&exchange));
    assert_string_equal(sent(), "");
}

static void short_requests_for_long_answers_do_not_fill_the_memory(void **state)
{
    (void)state;
    static const char request[] = "GET /large HTTP/1.1\r\n\r\n";
    struct buffer requests = {0};

    answer_size = (size_t)100 * 1024;
    for (size_t i = 0; i < 1000; i++)
        buffer_append_text(&requests, request);
    feed_bytes((const char *)requests.data, requests.size);
    buffer_deinit(&requests);
    assert_int_equal(exchange.output.size, 3 * answer_size);
    assert_true(exchange.must_end);
}

static void long_answer_alone_leaves_the_connection_open(void **state)
{
    (void)state;
    answer_size = (size_t)1024 * 1024;
    for (int i = 0; i < 3; i++) {
        feed("GET /large HTTP/1.1\r\n\r\n");
        assert_int_equal(exchange.output.size, answer_size);
        assert_false(exchange.must_end);
        buffer_deinit(&exchange.output);
    }
}

#define WITH_EXCHANGE(test) cmocka_unit_test_setup_teardown(test, make_exchange, destroy_exchange)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EXCHANGE(request_is_answered_and_the_next_one_too),
        WITH_EXCHANGE(pipelined_requests_are_answered_in_their_order),
        WITH_EXCHANGE(bytes_one_by_one_make_no_difference),
        WITH_EXCHANGE(nothing_comes_of_no_bytes),
        WITH_EXCHANGE(last_request_of_a_connection_ends_the_exchange),
        WITH_EXCHANGE(old_client_gets_one_answer),
        WITH_EXCHANGE(responder_may_end_the_exchange),
        WITH_EXCHANGE(unreadable_request_is_refused_and_ends_the_exchange),
        WITH_EXCHANGE(refusal_follows_the_answers_before_it),
        WITH_EXCHANGE(header_limit_is_that_of_the_owner),
        WITH_EXCHANGE(bytes_after_a_taken_request_are_left_to_the_owner),
        WITH_EXCHANGE(taken_is_told_for_each_feed),
        WITH_EXCHANGE(client_that_began_a_request_is_told_that_it_took_too_long),
        WITH_EXCHANGE(silent_client_is_told_nothing),
        WITH_EXCHANGE(client_that_rests_after_an_answer_is_told_nothing),
        WITH_EXCHANGE(refused_client_gets_no_second_answer),
        WITH_EXCHANGE(short_requests_for_long_answers_do_not_fill_the_memory),
        WITH_EXCHANGE(long_answer_alone_leaves_the_connection_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
