#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/http_exchange.h"
#include "common/http_response.h"

static struct http_exchange exchange;
static struct http_pending pending;
static unsigned abandoned;
static unsigned resumed;
static bool taken;

static void on_abandoned(struct http_pending *one)
{
    assert_ptr_equal(one, &pending);
    abandoned++;
}

static void answer(const char *body)
{
    http_pending_answer(
        &pending, &(struct http_response){.status = 200, .body = body, .body_size = strlen(body)});
}

/* /late is answered later, /soon at once by the same way, all else with its path in brackets. */
static enum http_verdict respond(void *context, const struct http_request *request,
                                 struct buffer *output)
{
    (void)context;
    if (strcmp(request->path, "/take") == 0)
        return HTTP_TAKEN;
    if (strcmp(request->path, "/late") != 0 && strcmp(request->path, "/soon") != 0) {
        buffer_printf(output, "[%s]", request->path);
        return HTTP_ANSWERED;
    }
    http_pending_begin(&pending, request, on_abandoned);
    if (strcmp(request->path, "/soon") == 0)
        answer("now");
    return HTTP_PENDING;
}

static size_t feed(const char *text)
{
    return http_exchange_feed(&exchange, (const unsigned char *)text, strlen(text), respond, NULL,
                              &taken);
}

static void on_resumed(struct http_exchange *one)
{
    assert_ptr_equal(one, &exchange);
    resumed++;
    feed("");
}

static int make_exchange(void **state)
{
    (void)state;
    http_exchange_init(&exchange, 1024);
    exchange.resumed = on_resumed;
    abandoned = resumed = 0;
    return 0;
}

static int destroy_exchange(void **state)
{
    (void)state;
    http_exchange_deinit(&exchange);
    return 0;
}

/* What is to be sent, emptied as the owner does. */
static const char *sent(void)
{
    static char text[8192];

    snprintf(text, sizeof(text), "%.*s", (int)exchange.output.size,
             exchange.output.data ? (const char *)exchange.output.data : "");
    buffer_deinit(&exchange.output);
    return text;
}

static void requests_wait_behind_a_pending_answer(void **state)
{
    (void)state;
    const char *text;

    feed("GET /1 HTTP/1.1\r\n\r\nGET /late HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\nGET /3");
    feed(" HTTP/1.1\r\n\r\nGET /4 H");
    assert_string_equal(sent(), "[/1]");
    answer("done");
    assert_int_equal(resumed, 1);
    text = sent();
    assert_memory_equal(text, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(text, "\r\n\r\ndone[/2][/3]"));
    feed("TTP/1.1\r\n\r\n");
    assert_string_equal(sent(), "[/4]");
    assert_false(exchange.must_end);
}

static void answer_that_is_there_at_once_makes_nobody_wait(void **state)
{
    (void)state;
    feed("GET /soon HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert_int_equal(resumed, 0);
    assert_non_null(strstr(sent(), "now[/2]"));
}

static void several_pending_answers_come_in_their_order(void **state)
{
    (void)state;
    feed("GET /late HTTP/1.1\r\n\r\nGET /late HTTP/1.1\r\n\r\nGET /end HTTP/1.1\r\n\r\n");
    answer("first");
    assert_non_null(strstr(sent(), "first"));
    answer("second");
    assert_non_null(strstr(sent(), "second[/end]"));
    assert_int_equal(resumed, 2);
}

static void last_request_of_a_connection_ends_it_after_its_answer(void **state)
{
    (void)state;
    feed("GET /late HTTP/1.1\r\nConnection: close\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    assert_false(exchange.must_end);
    answer("done");
    assert_true(exchange.must_end);
    assert_null(strstr(sent(), "[/2]"));
}

static void head_gets_no_body(void **state)
{
    (void)state;
    feed("HEAD /late HTTP/1.1\r\n\r\n");
    http_pending_answer_error(&pending, 404, "gone");
    assert_null(strstr(sent(), "gone"));
}

static void who_was_to_answer_is_told_that_the_connection_has_gone(void **state)
{
    (void)state;
    feed("GET /late HTTP/1.1\r\n\r\n");
    http_exchange_deinit(&exchange);
    assert_int_equal(abandoned, 1);
    assert_null(pending.exchange);
    http_exchange_init(&exchange, 1024);
}

static void upgrade_that_waited_takes_what_is_behind_it(void **state)
{
    (void)state;
    feed("GET /late HTTP/1.1\r\n\r\nGET /take HTTP/1.1\r\nConnection: upgrade\r\n"
         "Upgrade: x\r\n\r\nframes");
    answer("done");
    assert_true(taken);
    assert_int_equal(exchange.waiting.size, 6);
    assert_memory_equal(exchange.waiting.data, "frames", 6);
}

static void owner_is_told_to_read_no_more(void **state)
{
    (void)state;
    static char text[HTTP_WAITING_LIMIT_BYTES + 1];

    memset(text, 'x', sizeof(text) - 1);
    feed("GET /late HTTP/1.1\r\n\r\n");
    assert_false(http_exchange_is_full(&exchange));
    feed(text);
    assert_true(http_exchange_is_full(&exchange));
}

static size_t any_body(void *context, const struct http_request *request)
{
    (void)context;
    (void)request;
    return 1000;
}

static void client_that_waits_is_told_to_send_its_body(void **state)
{
    (void)state;
    http_request_reader_allow_bodies(exchange.reader, any_body, NULL);
    feed("POST /1 HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_string_equal(sent(), "HTTP/1.1 100 Continue\r\n\r\n");
    feed("ab");
    assert_string_equal(sent(), "[/1]");
}

#define WITH_EXCHANGE(test) cmocka_unit_test_setup_teardown(test, make_exchange, destroy_exchange)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_EXCHANGE(requests_wait_behind_a_pending_answer),
        WITH_EXCHANGE(answer_that_is_there_at_once_makes_nobody_wait),
        WITH_EXCHANGE(several_pending_answers_come_in_their_order),
        WITH_EXCHANGE(last_request_of_a_connection_ends_it_after_its_answer),
        WITH_EXCHANGE(head_gets_no_body),
        WITH_EXCHANGE(who_was_to_answer_is_told_that_the_connection_has_gone),
        WITH_EXCHANGE(upgrade_that_waited_takes_what_is_behind_it),
        WITH_EXCHANGE(owner_is_told_to_read_no_more),
        WITH_EXCHANGE(client_that_waits_is_told_to_send_its_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
