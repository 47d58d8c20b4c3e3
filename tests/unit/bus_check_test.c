#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/bus.h"

static char error[256];

static int check(const char *url, const char *secret_file)
{
    struct bus_settings settings = {.redis_prefix = "carillon", .router_secret_file = secret_file};

    error[0] = '\0';
    return bus_check(url, &settings, error);
}

static void buses_that_would_be_opened_pass(void **state)
{
    static const char *const urls[] = {"local", "redis://localhost/1", "redis+unix:///nowhere",
                                       "router://127.0.0.1:9000,localhost"};

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        if (check(urls[i], ""))
            fail_msg("%s: %s", urls[i], error);
    }
}

static void others_are_refused_in_words(void **state)
{
    static const char *const urls[] = {"",          "loco",        "redis://", "redis://a:b:c",
                                       "router://", "router://a:x"};

    (void)state;
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        assert_int_not_equal(check(urls[i], ""), 0);
        assert_true(error[0] != '\0');
    }
    assert_int_not_equal(check("router://a", "/nowhere/secret"), 0);
    assert_non_null(strstr(error, "/nowhere/secret"));
}

static void nothing_is_connected(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    char url[64];

    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(url, sizeof(url), "%s://127.0.0.1:%u", i ? "router" : "redis",
                 ntohs(address.sin_port));
        assert_int_equal(check(url, ""), 0);
    }
    assert_int_equal(accept(listener, NULL, NULL), -1);
    close(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buses_that_would_be_opened_pass),
        cmocka_unit_test(others_are_refused_in_words),
        cmocka_unit_test(nothing_is_connected),
    };

    return cmocka_run_group_tests_name("bus_check", tests, NULL, NULL);
}
