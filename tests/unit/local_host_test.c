#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/address.h"
#include "common/local_host.h"

static void numeric_and_local_names_are_local(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "localhost",      "localhost:8001", "LocalHost",  "console.localhost", "localhost.",
        "127.0.0.1:8001", "127.0.0.1",      "[::1]",      "[::1]:8001",        "10.1.2.3:8001",
        "gateway-1",      "gateway-1:8001", "localhost:", "a.LOCALHOST.:80",
    };

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        assert_true(local_host_is(hosts[i]));
}

static void names_that_somebody_may_own_are_not(void **state)
{
    (void)state;
    static const char *const hosts[] = {
        "evil.example",
        "evil.example:8001",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8001",
        "evillocalhost.example",
        "a.xlocalhost",
        ".",
        "",
        ":8001",
        "[evil.example]",
        "[127.0.0.1]",
        "[::1",
        "[::1]x",
        "::1",
        "localhost:8001:evil.example",
        "localhost:x",
    };

    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++)
        assert_false(local_host_is(hosts[i]));
}

static void host_of_any_length_is_judged(void **state)
{
    (void)state;
    static char host[5000];

    memset(host, 'a', sizeof(host) - 1);
    assert_false(local_host_is(host));
    host[0] = '[';
    assert_false(local_host_is(host));
    host[255] = '\0';
    assert_false(local_host_is(host));
    host[0] = 'a';
    assert_true(local_host_is(host));
}

static bool is_loopback(const char *text)
{
    struct sockaddr_storage address;

    assert_int_equal(address_parse(text, &address), 0);
    return local_host_is_loopback((const struct sockaddr *)&address);
}

static void loopback_is_told_from_other_addresses(void **state)
{
    (void)state;
    assert_true(is_loopback("127.0.0.1:1"));
    assert_true(is_loopback("127.255.0.9:1"));
    assert_true(is_loopback("[::1]:1"));
    assert_true(is_loopback("[::ffff:127.0.0.1]:1"));
    assert_false(is_loopback("0.0.0.0:1"));
    assert_false(is_loopback("[::]:1"));
    assert_false(is_loopback("128.0.0.1:1"));
    assert_false(is_loopback("[::ffff:10.0.0.1]:1"));
    assert_false(is_loopback("[2001:db8::1]:1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numeric_and_local_names_are_local),
        cmocka_unit_test(names_that_somebody_may_own_are_not),
        cmocka_unit_test(host_of_any_length_is_judged),
        cmocka_unit_test(loopback_is_told_from_other_addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
