#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "gateway/handshake.h"

/* A good request, as the examples of RFC 6455 §1.2 and §1.3 have it, for each test to spoil. */
static struct http_header headers[16];
static struct http_request request;
static const char *message;

static bool is_tls;

static int make_request(void **state)
{
    static const struct http_header good[] = {
        {"Host", "server.example.com"},  {"Upgrade", "websocket"},
        {"Connection", "Upgrade"},       {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
        {"Sec-WebSocket-Version", "13"},
    };

    (void)state;
    memcpy(headers, good, sizeof(good));
    request = (struct http_request){
        .method = "GET",
        .target = "/chat",
        .path = "/chat",
        .query = "",
        .minor_version = 1,
        .keep_alive = true,
        .is_upgrade = true,
        .header_count = sizeof(good) / sizeof(good[0]),
        .headers = headers,
    };
    message = NULL;
    is_tls = false;
    return 0;
}

static void add(const char *name, const char *value)
{
    assert_true(request.header_count < sizeof(headers) / sizeof(headers[0]));
    headers[request.header_count++] = (struct http_header){name, value};
}

/* Gives the header this value; NULL removes it. */
static void set(const char *name, const char *value)
{
    for (size_t i = 0; i < request.header_count; i++) {
        if (strcasecmp(headers[i].name, name) == 0) {
            headers[i] =
                value ? (struct http_header){name, value} : headers[--request.header_count];
            return;
        }
    }
    if (value)
        add(name, value);
}

static int check_origins(const char **allowed, size_t count)
{
    struct option_list list = {count, allowed};

    request.is_upgrade =
        http_request_header_has_token(&request, "connection", "upgrade") &&
        http_request_header_count(&request, "upgrade") > 0; /* as its reader does */
    return handshake_check(&request, &list, NULL, is_tls, &message);
}

static int check(void)
{
    const char *any[] = {"*"};

    return check_origins(any, 1);
}

static void expect_header(const char *name, const char *value, int status)
{
    make_request(NULL);
    set(name, value);
    if (check() != status)
        fail_msg("%d instead of %d for %s: %s", check(), status, name, value ? value : "(none)");
    assert_non_null(message);
}

static void good_request_is_accepted(void **state)
{
    (void)state;
    assert_int_equal(check(), 101);
}

static void names_and_tokens_are_found_in_any_case_and_in_lists(void **state)
{
    (void)state;
    expect_header("upgrade", "WebSocket", 101);
    expect_header("UPGRADE", "h2c, websocket", 101);
    expect_header("connection", "keep-alive, uPGRADE", 101);
    make_request(NULL);
    set("Connection", "keep-alive");
    add("connection", "upgrade");
    assert_int_equal(check(), 101);
}

/* RFC 6455 §4.2.1, item 1 */
static void method_must_be_get(void **state)
{
    (void)state;
    static const char *const methods[] = {"HEAD", "POST", "PUT", "OPTIONS", "get"};

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        request.method = methods[i];
        assert_int_equal(check(), 405);
    }
}

static void version_of_http_must_be_1_1(void **state)
{
    (void)state;
    request.minor_version = 0;
    assert_int_equal(check(), 400);
}

/* Item 2 */
static void one_host_must_be_named(void **state)
{
    (void)state;
    expect_header("Host", NULL, 400);
    expect_header("Host", "", 400);
    make_request(NULL);
    add("Host", "server.example.com");
    assert_int_equal(check(), 400);
}

/* RFC 9112 §3.2: the answer is 400, whatever else is wrong. */
static void missing_host_is_told_before_anything_else(void **state)
{
    (void)state;
    request.method = "POST";
    set("Upgrade", NULL);
    set("Sec-WebSocket-Version", "8");
    assert_int_equal(check(), 405);
    set("Host", NULL);
    assert_int_equal(check(), 400);
    assert_non_null(strstr(message, "Host"));
}

/* Item 3 */
static void upgrade_must_name_websocket(void **state)
{
    (void)state;
    expect_header("Upgrade", NULL, 426);
    expect_header("Upgrade", "", 426);
    expect_header("Upgrade", "h2c", 426);
    expect_header("Upgrade", "websockets", 426);
    expect_header("Upgrade", "web socket", 426);
}

/* Item 4 */
static void connection_must_name_upgrade(void **state)
{
    (void)state;
    expect_header("Connection", NULL, 400);
    expect_header("Connection", "keep-alive", 400);
    expect_header("Connection", "upgraded", 400);
}

/* Item 5 */
static void key_must_be_16_bytes_in_base64(void **state)
{
    (void)state;
    expect_header("Sec-WebSocket-Key", NULL, 400);
    expect_header("Sec-WebSocket-Key", "", 400);
    expect_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ", 400);
    expect_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=", 400);
    expect_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ===", 400);
    expect_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQAA", 400);
    expect_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQA=", 400);
    expect_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZ===", 400);
    expect_header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j-_==", 400);
    expect_header("Sec-WebSocket-Key", "dGhl HNhbXBsZSBub25jZQ==", 400);
    expect_header("Sec-WebSocket-Key", "////++++AAAAaaaa0000Zw==", 101);
    /* The example of §4.1 sets bits that no encoder would. */
    expect_header("Sec-WebSocket-Key", "AQIDBAUGBwgJCgsMDQ4PEC==", 101);
    make_request(NULL);
    add("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_int_equal(check(), 400);
}

/* Item 6, §4.4 */
static void version_must_be_13(void **state)
{
    (void)state;
    expect_header("Sec-WebSocket-Version", NULL, 426);
    expect_header("Sec-WebSocket-Version", "", 426);
    expect_header("Sec-WebSocket-Version", "8", 426);
    expect_header("Sec-WebSocket-Version", "14", 426);
    expect_header("Sec-WebSocket-Version", "130", 426);
    expect_header("Sec-WebSocket-Version", "13, 8", 426);
    make_request(NULL);
    add("Sec-WebSocket-Version", "13");
    assert_int_equal(check(), 400);
}

static bool is_allowed(const char *allowed, const char *origin)
{
    const char *items[] = {"https://first.example", allowed};

    set("Origin", origin);

    int status = check_origins(items, 2);

    assert_true(status == 101 || status == 403);
    return status == 101;
}

static void request_without_origin_is_allowed(void **state)
{
    (void)state;
    const char *none[] = {"https://example.org"};

    assert_int_equal(check_origins(none, 1), 101);
    assert_int_equal(check_origins(none, 0), 101);
}

static void request_with_two_origins_is_refused(void **state)
{
    (void)state;
    add("Origin", "https://example.org");
    add("Origin", "https://example.org");
    assert_int_equal(check(), 403);
}

static void empty_list_allows_no_origin(void **state)
{
    (void)state;
    set("Origin", "https://example.org");
    assert_int_equal(check_origins(NULL, 0), 403);
}

static void star_allows_every_origin(void **state)
{
    (void)state;
    assert_true(is_allowed("*", "https://example.org"));
    assert_true(is_allowed("*", "null"));
    assert_true(is_allowed("*", "chrome-extension://abcdef"));
}

static void same_allows_the_host_of_the_request(void **state)
{
    (void)state;
    assert_true(is_allowed("same", "https://server.example.com"));
    assert_true(is_allowed("SAME", "http://SERVER.example.COM"));
    assert_true(is_allowed("same", "https://server.example.com:443"));
    assert_true(is_allowed("same", "http://server.example.com:80"));
    assert_false(is_allowed("same", "http://server.example.com:443"));
    assert_false(is_allowed("same", "https://server.example.com:8443"));
    assert_false(is_allowed("same", "https://server.example.com.evil"));
    assert_false(is_allowed("same", "https://evil-server.example.com"));
    assert_false(is_allowed("same", "https://example.com"));
    assert_false(is_allowed("same", "server.example.com"));
    assert_false(is_allowed("same", "null"));
    assert_false(is_allowed("same", ""));
    set("Host", "server.example.com:8000");
    assert_true(is_allowed("same", "http://server.example.com:8000"));
    assert_false(is_allowed("same", "http://server.example.com"));
    assert_false(is_allowed("same", "http://server.example.com:80"));
    set("Host", "server.example.com:443");
    assert_true(is_allowed("same", "https://server.example.com"));
    set("Host", "[::1]:8000");
    assert_true(is_allowed("same", "http://[::1]:8000"));
    assert_false(is_allowed("same", "http://[::1]"));
}

/* A page that came without TLS is another origin. */
static void same_over_tls_is_a_page_over_tls(void **state)
{
    (void)state;
    is_tls = true;
    assert_true(is_allowed("same", "https://server.example.com"));
    assert_false(is_allowed("same", "http://server.example.com"));
    set("Host", "server.example.com:8443");
    assert_true(is_allowed("same", "https://server.example.com:8443"));
    assert_false(is_allowed("same", "http://server.example.com:8443"));
    assert_true(is_allowed("http://server.example.com:8443", "http://server.example.com:8443"));
}

static bool is_same_as(const char *scheme, const char *host, const char *origin)
{
    const char *same[] = {"same"};
    struct option_list list = {1, same};
    struct forwarded forwarded = {.scheme = scheme};

    snprintf(forwarded.host, sizeof(forwarded.host), "%s", host);
    set("Origin", origin);
    return handshake_check(&request, &list, &forwarded, is_tls, &message) == 101;
}

/* A proxy in front may be asked for another host than it asks us for, and by another scheme. */
static void same_is_what_the_proxy_was_asked_for(void **state)
{
    (void)state;
    set("Host", "inner:8000");
    assert_true(is_same_as(NULL, "chat.example", "https://chat.example"));
    assert_true(is_same_as("https", "chat.example", "https://chat.example"));
    assert_true(is_same_as("https", "chat.example:443", "HTTPS://chat.example"));
    assert_false(is_same_as("https", "chat.example", "http://chat.example"));
    assert_false(is_same_as("http", "chat.example", "https://chat.example"));
    assert_false(is_same_as("http", "chat.example:443", "https://chat.example"));
    assert_false(is_same_as("https", "chat.example", "https://inner:8000"));
    assert_true(is_same_as("https", "", "https://inner:8000"));
    assert_false(is_same_as("http", "", "https://inner:8000"));
    assert_true(is_same_as(NULL, "", "https://inner:8000"));
    is_tls = true; /* of the proxy's own, which says nothing of the client's */
    assert_true(is_same_as(NULL, "chat.example", "http://chat.example"));
    assert_true(is_same_as("http", "chat.example", "http://chat.example"));
    assert_false(is_same_as("http", "chat.example", "https://chat.example"));
    assert_true(is_same_as("https", "chat.example", "https://chat.example"));
}

static void origin_must_be_the_one_that_is_allowed(void **state)
{
    (void)state;
    assert_true(is_allowed("https://example.org", "https://example.org"));
    assert_true(is_allowed("https://example.org", "https://first.example"));
    assert_true(is_allowed("HTTPS://Example.ORG", "https://example.org"));
    assert_true(is_allowed("https://example.org:443", "https://example.org"));
    assert_true(is_allowed("https://example.org", "https://example.org:443"));
    assert_true(is_allowed("http://example.org:80", "http://example.org"));
    assert_true(is_allowed("http://localhost:3000", "http://localhost:3000"));
    assert_true(is_allowed("null", "null"));
    assert_false(is_allowed("https://example.org", "http://example.org"));
    assert_false(is_allowed("http://example.org", "file://example.org"));
    assert_false(is_allowed("https://example.org", "https://example.org:80"));
    assert_false(is_allowed("https://example.org", "https://example.org:8443"));
    assert_false(is_allowed("https://example.org:8443", "https://example.org"));
    assert_false(is_allowed("https://example.org", "https://example.org.evil"));
    assert_false(is_allowed("https://example.org", "https://example.org:443.evil"));
    assert_false(is_allowed("https://example.org", "https://example.org@evil"));
    assert_false(is_allowed("https://example.org", "https://evilexample.org"));
    assert_false(is_allowed("https://example.org", "https://www.example.org"));
    assert_false(is_allowed("https://example.org", "https://example.or"));
    assert_false(is_allowed("https://example.org", "https://example.org/"));
    assert_false(is_allowed("https://example.org", "https://"));
    assert_false(is_allowed("https://example.org", "example.org"));
    assert_false(is_allowed("https://example.org", "null"));
    assert_false(is_allowed("https://example.org", ""));
}

static void star_in_front_stands_for_labels(void **state)
{
    (void)state;
    assert_true(is_allowed("https://*.example.org", "https://a.example.org"));
    assert_true(is_allowed("https://*.example.org", "https://A-1.b_2.Example.Org"));
    assert_true(is_allowed("https://*.example.org", "https://a.example.org:443"));
    assert_true(is_allowed("https://*.example.org:8443", "https://a.example.org:8443"));
    assert_false(is_allowed("https://*.example.org", "https://example.org"));
    assert_false(is_allowed("https://*.example.org", "https://.example.org"));
    assert_false(is_allowed("https://*.example.org", "https://..example.org"));
    assert_false(is_allowed("https://*.example.org", "https://evilexample.org"));
    assert_false(is_allowed("https://*.example.org", "https://a.example.org.evil"));
    assert_false(is_allowed("https://*.example.org", "https://a.example.org:8443"));
    assert_false(is_allowed("https://*.example.org", "http://a.example.org"));
    assert_false(is_allowed("https://*.example.org", "https://evil/.example.org"));
    assert_false(is_allowed("https://*.example.org", "https://evil:8443#.example.org"));
    assert_false(is_allowed("https://*.example.org", "https://evil?a.example.org"));
    assert_false(is_allowed("https://*.example.org", "https://x@a.example.org"));
}

static void pattern_is_a_word_or_an_origin(void **state)
{
    (void)state;
    static const char *const good[] = {
        "*",
        "same",
        "Same",
        "null",
        "https://example.org",
        "http://localhost:3000",
        "http://[::1]:8000",
        "https://*.example.org",
        "chrome-extension://abcdef",
    };
    static const char *const bad[] = {
        "",
        "example.org",
        "*.example.org",
        "://example.org",
        "https://",
        "https://*",
        "https://*.",
        "https://*.*.example.org",
        "https://a.*.example.org",
        "https://example.org/",
        "https://example.org/chat",
        "https://user@example.org",
        "https://example.org ",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(handshake_is_origin_pattern(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (handshake_is_origin_pattern(bad[i]))
            fail_msg("taken for a pattern: %s", bad[i]);
    }
}

static const char *text_in(struct buffer *output)
{
    buffer_append(output, "", 1);
    return (const char *)output->data;
}

/* RFC 6455 §1.3: the key and its answer. */
static void accept_answers_the_key(void **state)
{
    (void)state;
    struct buffer output = {0};

    handshake_append_accept(&request, NULL, "", &output);
    assert_string_equal(text_in(&output), "HTTP/1.1 101 Switching Protocols\r\n"
                                          "Upgrade: websocket\r\n"
                                          "Connection: Upgrade\r\n"
                                          "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                                          "\r\n");
    buffer_deinit(&output);
}

static void accept_names_the_subprotocol(void **state)
{
    (void)state;
    struct buffer output = {0};

    handshake_append_accept(&request, "centrifuge-protobuf", "", &output);
    assert_non_null(
        strstr(text_in(&output), "=\r\nSec-WebSocket-Protocol: centrifuge-protobuf\r\n\r\n"));
    buffer_deinit(&output);
}

static void refusal_says_why_and_ends_the_connection(void **state)
{
    (void)state;
    static const int statuses[] = {400, 403, 405, 426};

    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        struct buffer output = {0};
        char line[32];

        handshake_append_refusal(&request, statuses[i], "the reason", &output);

        const char *text = text_in(&output);

        snprintf(line, sizeof(line), "HTTP/1.1 %d ", statuses[i]);
        assert_memory_equal(text, line, strlen(line));
        assert_non_null(strstr(text, "\r\nConnection: close\r\n"));
        assert_non_null(strstr(text, "\r\n\r\nthe reason\n"));
        /* §4.4: the versions that are spoken; RFC 9110 §15.5.22 and §7.8: Upgrade, and its name. */
        assert_int_equal(strstr(text, "\r\nSec-WebSocket-Version: 13\r\n") != NULL,
                         statuses[i] == 426);
        assert_int_equal(strstr(text, "\r\nUpgrade: websocket\r\n") != NULL, statuses[i] == 426);
        assert_int_equal(strstr(text, "\r\nConnection: Upgrade\r\n") != NULL, statuses[i] == 426);
        assert_int_equal(strstr(text, "\r\nAllow: GET\r\n") != NULL, statuses[i] == 405);
        buffer_deinit(&output);
    }
}

static void refusal_of_head_has_no_body(void **state)
{
    (void)state;
    struct buffer output = {0};

    request.method = "HEAD";
    handshake_append_refusal(&request, 405, "the reason", &output);

    const char *text = text_in(&output);

    assert_non_null(strstr(text, "\r\nContent-Length: 11\r\n"));
    assert_string_equal(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    buffer_deinit(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(good_request_is_accepted, make_request),
        cmocka_unit_test_setup(names_and_tokens_are_found_in_any_case_and_in_lists, make_request),
        cmocka_unit_test_setup(method_must_be_get, make_request),
        cmocka_unit_test_setup(version_of_http_must_be_1_1, make_request),
        cmocka_unit_test_setup(one_host_must_be_named, make_request),
        cmocka_unit_test_setup(missing_host_is_told_before_anything_else, make_request),
        cmocka_unit_test_setup(upgrade_must_name_websocket, make_request),
        cmocka_unit_test_setup(connection_must_name_upgrade, make_request),
        cmocka_unit_test_setup(key_must_be_16_bytes_in_base64, make_request),
        cmocka_unit_test_setup(version_must_be_13, make_request),
        cmocka_unit_test_setup(request_without_origin_is_allowed, make_request),
        cmocka_unit_test_setup(request_with_two_origins_is_refused, make_request),
        cmocka_unit_test_setup(empty_list_allows_no_origin, make_request),
        cmocka_unit_test_setup(star_allows_every_origin, make_request),
        cmocka_unit_test_setup(same_allows_the_host_of_the_request, make_request),
        cmocka_unit_test_setup(same_over_tls_is_a_page_over_tls, make_request),
        cmocka_unit_test_setup(same_is_what_the_proxy_was_asked_for, make_request),
        cmocka_unit_test_setup(origin_must_be_the_one_that_is_allowed, make_request),
        cmocka_unit_test_setup(star_in_front_stands_for_labels, make_request),
        cmocka_unit_test_setup(pattern_is_a_word_or_an_origin, make_request),
        cmocka_unit_test_setup(accept_answers_the_key, make_request),
        cmocka_unit_test_setup(accept_names_the_subprotocol, make_request),
        cmocka_unit_test_setup(refusal_says_why_and_ends_the_connection, make_request),
        cmocka_unit_test_setup(refusal_of_head_has_no_body, make_request),
    };

    return cmocka_run_group_tests_name("handshake", tests, NULL, NULL);
}
