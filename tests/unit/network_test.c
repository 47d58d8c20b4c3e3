#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/network.h"

static bool contains_address(const struct networks *networks, const char *host)
{
    struct sockaddr_storage address = {0};

    if (strchr(host, ':'))
        assert_int_equal(uv_ip6_addr(host, 1, (struct sockaddr_in6 *)&address), 0);
    else
        assert_int_equal(uv_ip4_addr(host, 1, (struct sockaddr_in *)&address), 0);
    return networks_contain(networks, (const struct sockaddr *)&address);
}

static void expect(const char *text, const char *host, bool is_inside)
{
    struct networks networks;

    networks_init(&networks, &text, 1);
    if (contains_address(&networks, host) != is_inside)
        fail_msg("%s and %s", text, host);
    networks_deinit(&networks);
}

static void addresses_are_inside_their_network_alone(void **state)
{
    (void)state;
    expect("10.0.0.0/8", "10.255.0.1", true);
    expect("10.0.0.0/8", "11.0.0.1", false);
    expect("192.168.4.0/22", "192.168.7.255", true);
    expect("192.168.4.0/22", "192.168.8.0", false);
    expect("192.0.2.1", "192.0.2.1", true);
    expect("192.0.2.1", "192.0.2.0", false);
    expect("192.0.2.1/32", "192.0.2.1", true);
    expect("0.0.0.0/0", "203.0.113.9", true);
    expect("2001:db8::/32", "2001:db8:ffff::1", true);
    expect("2001:db8::/32", "2001:db9::1", false);
    expect("2001:db8::/33", "2001:db8:8000::1", false);
    expect("::1", "::1", true);
    expect("::1", "::2", false);
}

static void ipv4_is_the_same_mapped_into_ipv6(void **state)
{
    (void)state;
    expect("10.0.0.0/8", "::ffff:10.1.2.3", true);
    expect("::ffff:10.0.0.0/104", "10.1.2.3", true);
    expect("::ffff:10.0.0.0/104", "11.1.2.3", false);
}

/* Whoever trusts every address of one family has not said anything of the other. */
static void families_are_apart(void **state)
{
    (void)state;
    expect("::/0", "2001:db8::1", true);
    expect("::/0", "192.0.2.1", false);
    expect("::/0", "::ffff:192.0.2.1", false);
    expect("0.0.0.0/0", "2001:db8::1", false);
}

static void what_is_no_network_is_refused(void **state)
{
    static const char *const texts[] = {
        "",           "/",           "/8",           "10.0.0.0/",     "10.0.0.0/33",
        "10.0.0.0/x", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0/8",      "10.0.0.1/8",
        "::/129",     "::1/64",      "[::1]",        "fe80::1%lo/64", "localhost",
        " 10.0.0.0/8"};
    struct network network;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (network_parse(texts[i], &network) != UV_EINVAL)
            fail_msg("\"%s\" is a network", texts[i]);
    }
}

static void any_network_of_a_list_will_do(void **state)
{
    (void)state;
    const char *texts[] = {"10.0.0.0/8", "2001:db8::/32"};
    struct sockaddr_storage none = {.ss_family = AF_UNIX};
    struct networks networks;

    networks_init(&networks, texts, 2);
    assert_true(contains_address(&networks, "10.0.0.1"));
    assert_true(contains_address(&networks, "2001:db8::1"));
    assert_false(contains_address(&networks, "192.0.2.1"));
    assert_false(networks_contain(&networks, (const struct sockaddr *)&none));
    networks_deinit(&networks);
    networks_init(&networks, NULL, 0);
    assert_false(contains_address(&networks, "10.0.0.1"));
    networks_deinit(&networks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_inside_their_network_alone),
        cmocka_unit_test(ipv4_is_the_same_mapped_into_ipv6),
        cmocka_unit_test(families_are_apart),
        cmocka_unit_test(what_is_no_network_is_refused),
        cmocka_unit_test(any_network_of_a_list_will_do),
    };

    return cmocka_run_group_tests_name("network", tests, NULL, NULL);
}
