#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "tests/bench/upgrade.h"

#define GOOD                                                                                       \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "sec-websocket-accept:  s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

static const struct upgrade_wish nothing_else;
static const struct upgrade_wish all = {"mqtt", true};

static ssize_t read_answer(const char *text, size_t size, char reason[UPGRADE_REASON_LIMIT])
{
    reason[0] = '\0';
    return upgrade_read_answer((const unsigned char *)text, size, &nothing_else, reason);
}

static void assert_refused(const char *text, const char *expected)
{
    char reason[UPGRADE_REASON_LIMIT];

    assert_int_equal(read_answer(text, strlen(text), reason), -EPROTO);
    assert_string_equal(reason, expected);
}

static void request_names_path_and_host(void **state)
{
    struct server_url url;
    const char *problem;
    struct buffer request = {0};

    (void)state;
    assert_int_equal(server_url_parse(&url, "ws://[::1]:8000?channel=x", &problem), 0);
    upgrade_append_request(&request, &url, &nothing_else);
    buffer_append(&request, "", 1);
    assert_string_equal((const char *)request.data,
                        "GET /?channel=x HTTP/1.1\r\nHost: [::1]:8000\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                        "Sec-WebSocket-Version: 13\r\n\r\n");
    buffer_deinit(&request);
}

static void answer_is_read_once_it_is_complete(void **state)
{
    char reason[UPGRADE_REASON_LIMIT];
    size_t size = strlen(GOOD);

    (void)state;
    for (size_t available = 0; available < size; available++)
        assert_int_equal(read_answer(GOOD, available, reason), 0);
    assert_int_equal(read_answer(GOOD, size, reason), size);
    assert_int_equal(read_answer(GOOD "\x81\x01x", size + 3, reason), size);
}

static void answer_that_is_no_yes_is_refused_with_its_reason(void **state)
{
    (void)state;
    assert_refused("HTTP/1.1 503 Service Unavailable\r\nX: y\r\n\r\n",
                   "answered the handshake with HTTP/1.1 503 Service Unavailable");
    assert_refused("HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: other\r\n\r\n",
                   "answered the handshake with a wrong Sec-WebSocket-Accept");
    assert_refused("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\n\r\n",
                   "answered the handshake with a wrong Sec-WebSocket-Accept");
}

static void request_asks_for_all_that_is_wished(void **state)
{
    struct server_url url;
    const char *problem;
    struct buffer request = {0};

    (void)state;
    assert_int_equal(server_url_parse(&url, "ws://h", &problem), 0);
    upgrade_append_request(&request, &url, &all);
    buffer_append(&request, "", 1);
    assert_non_null(strstr((const char *)request.data,
                           "\r\nSec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: "
                           "permessage-deflate; server_no_context_takeover; "
                           "client_no_context_takeover\r\n\r\n"));
    buffer_deinit(&request);
}

#define YES "HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void assert_answer(const struct upgrade_wish *wish, const char *text, const char *expected)
{
    char reason[UPGRADE_REASON_LIMIT] = "";
    ssize_t size = (ssize_t)strlen(text);
    ssize_t used = upgrade_read_answer((const unsigned char *)text, (size_t)size, wish, reason);

    assert_int_equal(used, expected ? -EPROTO : size);
    assert_string_equal(reason, expected ? expected : "");
}

static void answer_must_be_to_what_was_wished(void **state)
{
    (void)state;
    assert_answer(&all,
                  YES "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: "
                      "permessage-deflate; server_no_context_takeover\r\n\r\n",
                  NULL);
    assert_answer(&all, YES "Sec-WebSocket-Protocol: mqtt\r\n\r\n", "does not compress");
    assert_answer(&all, YES "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                  "compresses only with a context that is kept");
    assert_answer(&all, YES "Sec-WebSocket-Protocol: other\r\n\r\n",
                  "chose a subprotocol that was not asked for");
    assert_answer(&nothing_else, YES "Sec-WebSocket-Protocol: mqtt\r\n\r\n",
                  "chose a subprotocol that was not asked for");
    assert_answer(&nothing_else, YES "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
                  "chose an extension that was not asked for");
}

static void answer_without_end_is_refused(void **state)
{
    char text[8194];

    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_refused(text, "answered the handshake with too long a header");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_names_path_and_host),
        cmocka_unit_test(answer_is_read_once_it_is_complete),
        cmocka_unit_test(answer_that_is_no_yes_is_refused_with_its_reason),
        cmocka_unit_test(request_asks_for_all_that_is_wished),
        cmocka_unit_test(answer_must_be_to_what_was_wished),
        cmocka_unit_test(answer_without_end_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
