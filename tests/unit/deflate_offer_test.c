#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "gateway/deflate_offer.h"

#define NOTHING_KEPT "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

static enum deflate_window window;
static char answer[DEFLATE_ANSWER_LIMIT];

static int negotiate(const char *const *values, size_t count)
{
    struct http_header headers[4] = {{"Host", "a"}};
    struct http_request request = {.header_count = 1 + count, .headers = headers};

    assert_true(count < 4);
    for (size_t i = 0; i < count; i++)
        headers[1 + i] = (struct http_header){
            i % 2 == 0 ? "Sec-WebSocket-Extensions" : "sec-websocket-extensions", values[i]};
    return deflate_negotiate(&request, &window, answer);
}

static void expect_answer(const char *offers, enum deflate_window expected, const char *text)
{
    if (negotiate(&offers, 1) || window != expected || strcmp(answer, text) != 0)
        fail_msg("%s: window %d, %s", offers, window, answer);
}

static void expect_declined(const char *offers)
{
    expect_answer(offers, DEFLATE_OFF, "");
}

static void expect_wide(const char *offers)
{
    expect_answer(offers, DEFLATE_WIDE, NOTHING_KEPT);
}

static void expect_malformed(const char *offers)
{
    if (negotiate(&offers, 1) != UV_EINVAL)
        fail_msg("%s: taken for a list", offers);
}

static void who_offers_nothing_is_answered_nothing(void **state)
{
    (void)state;
    assert_int_equal(negotiate(NULL, 0), 0);
    assert_int_equal(window, DEFLATE_OFF);
    assert_string_equal(answer, "");
    expect_declined("");
    expect_declined(" , ,\t");
    expect_declined("x-webkit-deflate-frame");
    expect_declined("Permessage-Bzip2; level=\"9\", foo; bar; baz=1");
}

static void offer_is_taken_up_with_nothing_kept_on_both_sides(void **state)
{
    (void)state;
    expect_wide("permessage-deflate");
    expect_wide("permessage-deflate; server_no_context_takeover");
    expect_wide("permessage-deflate; client_no_context_takeover");
    expect_wide("permessage-deflate;client_no_context_takeover;server_no_context_takeover");
    expect_wide(" ,permessage-deflate\t;  client_max_window_bits ,");
}

static void window_of_the_client_is_its_own_affair(void **state)
{
    (void)state;
    expect_wide("permessage-deflate; client_max_window_bits");
    expect_wide("permessage-deflate; client_max_window_bits=8");
    expect_wide("permessage-deflate; client_max_window_bits=\"15\"");
}

static void window_of_ours_is_as_small_as_is_asked_for(void **state)
{
    (void)state;
    char offer[80];

    expect_answer("permessage-deflate; server_max_window_bits=15", DEFLATE_WIDE,
                  NOTHING_KEPT "; server_max_window_bits=15");
    for (int bits = 9; bits < 15; bits++) {
        snprintf(offer, sizeof(offer), "permessage-deflate; server_max_window_bits=%d", bits);
        expect_answer(offer, DEFLATE_NARROW, NOTHING_KEPT "; server_max_window_bits=9");
        snprintf(offer, sizeof(offer), "permessage-deflate; server_max_window_bits = \"%d\" ",
                 bits);
        expect_answer(offer, DEFLATE_NARROW, NOTHING_KEPT "; server_max_window_bits=9");
    }
}

static void window_smaller_than_zlib_can_is_declined(void **state)
{
    (void)state;
    expect_declined("permessage-deflate; server_max_window_bits=8");
}

static void value_may_be_quoted_and_escaped(void **state)
{
    (void)state;
    expect_answer("permessage-deflate; server_max_window_bits=\"1\\0\"", DEFLATE_NARROW,
                  NOTHING_KEPT "; server_max_window_bits=9");
    expect_declined("permessage-deflate; server_max_window_bits=\"\\1\\6\"");
}

/* RFC 7692 §7.1: each makes an offer one to decline. */
static void offer_with_a_wrong_parameter_is_declined(void **state)
{
    (void)state;
    static const char *wrong[] = {
        "server_no_context_takeover=1",
        "server_no_context_takeover=\"x\"",
        "client_no_context_takeover=on",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=0",
        "server_max_window_bits=09",
        "server_max_window_bits=015",
        "server_max_window_bits=1000000000000010",
        "server_max_window_bits=+9",
        "server_max_window_bits=9.",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=ten",
        "client_max_window_bits=08",
        "unknown",
        "Server_no_context_takeover",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "client_max_window_bits; client_max_window_bits=10",
        "server_max_window_bits=10; server_max_window_bits=10",
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        char offer[160];

        snprintf(offer, sizeof(offer), "permessage-deflate; %s", wrong[i]);
        expect_declined(offer);
        snprintf(offer, sizeof(offer), "permessage-deflate; %s, permessage-deflate", wrong[i]);
        expect_wide(offer);
    }
}

static void first_offer_that_can_be_kept_is_taken_up(void **state)
{
    (void)state;
    static const char *several[] = {
        "mux, permessage-deflate; server_max_window_bits=8",
        "permessage-deflate; server_max_window_bits=12",
        "permessage-deflate",
    };

    expect_answer("permessage-deflate; server_max_window_bits=10, permessage-deflate",
                  DEFLATE_NARROW, NOTHING_KEPT "; server_max_window_bits=9");
    expect_wide("permessage-deflate, permessage-deflate; server_max_window_bits=10");
    assert_int_equal(negotiate(several, 3), 0);
    assert_int_equal(window, DEFLATE_NARROW);
    assert_int_equal(negotiate(several, 1), 0);
    assert_int_equal(window, DEFLATE_OFF);
}

/* RFC 6455 §9.1. */
static void what_is_no_list_of_extensions_fails(void **state)
{
    (void)state;
    static const char *second[] = {"permessage-deflate", "permessage-deflate; ="};

    expect_malformed(";");
    expect_malformed("permessage-deflate;");
    expect_malformed("permessage-deflate; ;client_max_window_bits");
    expect_malformed("permessage-deflate; client_max_window_bits=");
    expect_malformed("permessage-deflate; =10");
    expect_malformed("permessage-deflate; client_max_window_bits=\"\"");
    expect_malformed("permessage-deflate; client_max_window_bits=\"10");
    expect_malformed("permessage-deflate; client_max_window_bits=\"10\\");
    expect_malformed("permessage-deflate; client_max_window_bits=\"1 0\"");
    expect_malformed("permessage-deflate; client_max_window_bits=\"10\"x");
    expect_malformed("permessage-deflate; client_max_window_bits=10 11");
    expect_malformed("permessage-deflate client_max_window_bits");
    expect_malformed("permessage-deflate, (comment)");
    expect_malformed("permessage-deflat\xc3\xa9");
    expect_malformed("\"permessage-deflate\"");
    assert_int_equal(negotiate(second, 2), UV_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_offers_nothing_is_answered_nothing),
        cmocka_unit_test(offer_is_taken_up_with_nothing_kept_on_both_sides),
        cmocka_unit_test(window_of_the_client_is_its_own_affair),
        cmocka_unit_test(window_of_ours_is_as_small_as_is_asked_for),
        cmocka_unit_test(window_smaller_than_zlib_can_is_declined),
        cmocka_unit_test(value_may_be_quoted_and_escaped),
        cmocka_unit_test(offer_with_a_wrong_parameter_is_declined),
        cmocka_unit_test(first_offer_that_can_be_kept_is_taken_up),
        cmocka_unit_test(what_is_no_list_of_extensions_fails),
    };

    return cmocka_run_group_tests_name("deflate_offer", tests, NULL, NULL);
}
