#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/bench/server_url.h"

static void assert_url(const char *text, const char *host, const char *port, const char *authority,
                       const char *path)
{
    struct server_url url;
    const char *problem;

    assert_int_equal(server_url_parse(&url, text, &problem), 0);
    assert_null(problem);
    assert_string_equal(url.text, text);
    assert_string_equal(url.host, host);
    assert_string_equal(url.port, port);
    assert_string_equal(url.authority, authority);
    assert_string_equal(url.path, path);
}

static void assert_refused(const char *text, const char *part_of_problem)
{
    struct server_url url;
    const char *problem;

    assert_int_equal(server_url_parse(&url, text, &problem), -EINVAL);
    if (!strstr(problem, part_of_problem))
        fail_msg("%s: %s", text, problem);
}

static void parts_of_a_url_are_found(void **state)
{
    (void)state;
    assert_url("ws://localhost", "localhost", "80", "localhost", "/");
    assert_url("ws://localhost/", "localhost", "80", "localhost", "/");
    assert_url("ws://10.0.0.1:8000/ws", "10.0.0.1", "8000", "10.0.0.1:8000", "/ws");
    assert_url("ws://h:1/a/b?channel=x&y=:/?", "h", "1", "h:1", "/a/b?channel=x&y=:/?");
    assert_url("ws://h:65535", "h", "65535", "h:65535", "/");
    assert_url("ws://[::1]", "::1", "80", "[::1]", "/");
    assert_url("ws://[fe80::1]:8000/ws", "fe80::1", "8000", "[fe80::1]:8000", "/ws");
}

static void number_of_a_channel_takes_its_place(void **state)
{
    struct server_url url, filled;
    const char *problem;

    (void)state;
    assert_int_equal(server_url_parse(&url, "ws://h?a={channel}&b={channel}", &problem), 0);
    assert_true(server_url_has_channel(&url));
    server_url_fill(&filled, &url, 4294967295);
    assert_string_equal(filled.path, "/?a=4294967295&b={channel}");
    assert_string_equal(filled.host, "h");

    assert_int_equal(server_url_parse(&url, "ws://h/{chann}", &problem), 0);
    assert_false(server_url_has_channel(&url));
    server_url_fill(&filled, &url, 1);
    assert_string_equal(filled.path, "/{chann}");
}

static void tls_has_its_own_scheme_and_port(void **state)
{
    struct server_url url;
    const char *problem;

    (void)state;
    assert_url("wss://h", "h", "443", "h", "/");
    assert_url("wss://[::1]:8443/ws?x", "::1", "8443", "[::1]:8443", "/ws?x");
    assert_int_equal(server_url_parse(&url, "wss://h", &problem), 0);
    assert_true(url.is_secure);
    assert_int_equal(server_url_parse(&url, "ws://h", &problem), 0);
    assert_false(url.is_secure);
}

static void query_without_a_path_belongs_to_the_root(void **state)
{
    (void)state;
    assert_url("ws://h?channel=x", "h", "80", "h", "/?channel=x");
    assert_url("ws://h:8000?channel=x/y", "h", "8000", "h:8000", "/?channel=x/y");
    assert_url("ws://[::1]:8000?", "::1", "8000", "[::1]:8000", "/?");
}

static void port_beyond_its_range_is_refused(void **state)
{
    static const char *const bad[] = {"ws://h:0", "ws://h:65536", "ws://h:99999",
                                      "ws://h:18446744073709551617", "ws://[::1]:100000/"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i], "65535");
}

static void malformed_urls_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "h",
        "http://h",
        "ws:/h",
        "wss:/h",
        "wss://",
        "wsss://h",
        "ws://",
        "ws:///path",
        "ws://?channel=x",
        "ws://:8000",
        "ws://h:",
        "ws://h:x",
        "ws://h:-1",
        "ws://h:+1",
        "ws://h: 1",
        "ws://h:80:80",
        "ws://::1:8000",
        "ws://[]",
        "ws://[::1",
        "ws://[::1]8000",
        "ws://[::1]:",
        "ws://user@h",
        "ws://h#part",
        "ws://h/path#part",
        "ws://h/two words",
        "ws://h/\r\nCookie:x",
        "ws://h/\x7f",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refused(bad[i], "expected ws://HOST");
}

static void parts_that_are_too_long_are_refused(void **state)
{
    char text[4096];

    (void)state;
    snprintf(text, sizeof(text), "ws://%0*d", 255, 0);
    assert_url(text, text + 5, "80", text + 5, "/");
    snprintf(text, sizeof(text), "ws://%0*d", 256, 0);
    assert_refused(text, "expected ws://HOST");
    snprintf(text, sizeof(text), "ws://%0*d", 3000, 0);
    assert_refused(text, "expected ws://HOST");
    snprintf(text, sizeof(text), "ws://h/%0*d", 2046, 0);
    assert_refused(text, "too long");
    snprintf(text, sizeof(text), "ws://h?%0*d", 2046, 0);
    assert_refused(text, "too long");
    snprintf(text, sizeof(text), "ws://h/%0*d", 2045, 0);
    assert_url(text, "h", "80", "h", text + 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_url_are_found),
        cmocka_unit_test(number_of_a_channel_takes_its_place),
        cmocka_unit_test(tls_has_its_own_scheme_and_port),
        cmocka_unit_test(query_without_a_path_belongs_to_the_root),
        cmocka_unit_test(port_beyond_its_range_is_refused),
        cmocka_unit_test(malformed_urls_are_refused),
        cmocka_unit_test(parts_that_are_too_long_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
