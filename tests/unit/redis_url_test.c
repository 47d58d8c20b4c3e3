#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "gateway/redis_url.h"

static void assert_url(const char *text, const char *host, unsigned port, const char *user,
                       const char *password, unsigned database)
{
    struct redis_url url;
    char error[REDIS_URL_ERROR_LIMIT];

    assert_int_equal(redis_url_parse(&url, text, error), 0);
    assert_string_equal(url.host, host);
    assert_null(url.path);
    assert_int_equal(url.port, port);
    assert_int_equal(url.database, database);
    assert_string_equal(url.user ? url.user : "(none)", user ? user : "(none)");
    assert_string_equal(url.password ? url.password : "(none)", password ? password : "(none)");
    redis_url_deinit(&url);
}

static void parts_of_a_url_are_found(void **state)
{
    (void)state;
    assert_url("redis://localhost", "localhost", 6379, NULL, NULL, 0);
    assert_url("redis://localhost/", "localhost", 6379, NULL, NULL, 0);
    assert_url("redis://10.0.0.1:7000/12", "10.0.0.1", 7000, NULL, NULL, 12);
    assert_url("redis://[::1]:7000", "::1", 7000, NULL, NULL, 0);
    assert_url("redis://[fe80::1]/1", "fe80::1", 6379, NULL, NULL, 1);
    assert_url("redis://:secret@h", "h", 6379, NULL, "secret", 0);
    assert_url("redis://user:secret@h:1", "h", 1, "user", "secret", 0);
    assert_url("redis://a%3Ab:p%40ss%2fword@h", "h", 6379, "a:b", "p@ss/word", 0);
    assert_url("redis://user:p@ss@h", "h", 6379, "user", "p@ss", 0);
}

static void tls_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_tls;
    } cases[] = {{"redis://h", false}, {"rediss://h", true}, {"redis+unix:///p", false}};
    struct redis_url url;
    char error[REDIS_URL_ERROR_LIMIT];

    assert_url("rediss://user:secret@h:1/2", "h", 1, "user", "secret", 2);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(redis_url_parse(&url, cases[i].text, error), 0);
        assert_int_equal(url.is_tls, cases[i].is_tls);
        redis_url_deinit(&url);
    }
}

static void socket_and_database_are_found(void **state)
{
    struct redis_url url;
    char error[REDIS_URL_ERROR_LIMIT];

    (void)state;
    assert_int_equal(redis_url_parse(&url, "redis+unix://u:p@/run/my%20redis.sock?db=4", error), 0);
    assert_null(url.host);
    assert_string_equal(url.path, "/run/my redis.sock");
    assert_string_equal(url.user, "u");
    assert_string_equal(url.password, "p");
    assert_int_equal(url.database, 4);
    redis_url_deinit(&url);
}

static void bad_urls_are_refused_without_showing_the_password(void **state)
{
    static const char *const bad[] = {
        "http://hush",
        "redisss://:hush@h",
        "redis://",
        "redis://:hush@",
        "redis://hush@h",
        "redis://:@h",
        "redis://:hush%@h",
        "redis://:hush%4@h",
        "redis://:hush%00@h",
        "redis://:hush%zz@h",
        "redis://u%:hush@h",
        "redis://:hush@h:0",
        "redis://:hush@h:65536",
        "redis://:hush@h:x",
        "redis://:hush@h:",
        "redis://:hush@h/x",
        "redis://:hush@h/1/2",
        "redis://:hush@h/99999999999",
        "redis://:hush@h?db=1",
        "redis://:hush@[::1",
        "redis://:hush@[::1]7000",
        "redis+unix://:hush@relative",
        "redis+unix://:hush@/",
        "redis+unix://:hush@/p?db=",
        "redis+unix://:hush@/p?x=1",
        "redis+unix://:hush@/p%0?db=1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct redis_url url;
        char error[REDIS_URL_ERROR_LIMIT] = "";

        if (redis_url_parse(&url, bad[i], error) != UV_EINVAL)
            fail_msg("accepted: %s", bad[i]);
        assert_true(error[0] != '\0');
        assert_null(strstr(error, "hush"));
        assert_null(strchr(error, '\n'));
        assert_null(url.password);
    }
}

static void path_too_long_for_a_socket_is_refused(void **state)
{
    struct redis_url url;
    char error[REDIS_URL_ERROR_LIMIT];
    char text[256];

    (void)state;
    snprintf(text, sizeof(text), "redis+unix:///%0150d", 0);
    assert_int_equal(redis_url_parse(&url, text, error), UV_EINVAL);
}

static void name_for_logs_holds_no_login(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"redis://user:secret@h:1/2", "h:1"},
        {"rediss://:secret@[fe80::1]", "[fe80::1]:6379"},
        {"redis+unix:///run/redis.sock?db=1", "/run/redis.sock"},
    };
    struct redis_url url;
    char error[REDIS_URL_ERROR_LIMIT];
    char name[64];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(redis_url_parse(&url, cases[i][0], error), 0);
        redis_url_name(&url, name, sizeof(name));
        assert_string_equal(name, cases[i][1]);
        redis_url_deinit(&url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_of_a_url_are_found),
        cmocka_unit_test(tls_is_found),
        cmocka_unit_test(socket_and_database_are_found),
        cmocka_unit_test(bad_urls_are_refused_without_showing_the_password),
        cmocka_unit_test(path_too_long_for_a_socket_is_refused),
        cmocka_unit_test(name_for_logs_holds_no_login),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
