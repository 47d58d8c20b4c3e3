#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/address.h"

static void assert_prints(const char *text, const char *whole, const char *host)
{
    struct sockaddr_storage address;
    char printed[ADDRESS_TEXT_LIMIT];

    assert_int_equal(address_parse(text, &address), 0);
    address_format((const struct sockaddr *)&address, printed);
    assert_string_equal(printed, whole);
    address_format_host((const struct sockaddr *)&address, printed);
    assert_string_equal(printed, host);
}

static void numeric_addresses_are_read_and_printed(void **state)
{
    (void)state;
    assert_prints("127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1");
    assert_prints("0.0.0.0:0", "0.0.0.0:0", "0.0.0.0");
    assert_prints("[::1]:65535", "[::1]:65535", "::1");
    assert_prints("[2001:db8::1]:80", "[2001:db8::1]:80", "2001:db8::1");
}

static void empty_host_and_star_mean_every_address(void **state)
{
    (void)state;
    assert_prints("*:8000", "[::]:8000", "::");
    assert_prints(":8000", "[::]:8000", "::");
}

static void mapped_address_prints_as_ipv4(void **state)
{
    (void)state;
    assert_prints("[::ffff:10.1.2.3]:1", "10.1.2.3:1", "10.1.2.3");
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {
        "",           "8000",          "localhost:80", "1.2.3.4",  "1.2.3.4:",
        "1.2.3.4:-1", "1.2.3.4:65536", "1.2.3.4:80x",  "1.2.3:80", "256.1.1.1:80",
        "::1:80",     "[::1]",         "[::1:80",      "[::1]80",  "[1.2.3.4]:80",
        "[::g]:80",   "1.2.3.4: 80"};
    struct sockaddr_storage address;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_not_equal(address_parse(texts[i], &address), 0);
}

static void host_alone_is_read_in_either_family(void **state)
{
    static const char *const bad[] = {"",       "1.2.3",     "1.2.3.4:5", "[::1]",
                                      "::1%lo", "localhost", "*"};
    struct sockaddr_storage address;
    char printed[ADDRESS_TEXT_LIMIT];

    (void)state;
    assert_int_equal(address_parse_host("192.0.2.1", 4711, &address), 0);
    assert_int_equal(address_port((const struct sockaddr *)&address), 4711);
    address_format((const struct sockaddr *)&address, printed);
    assert_string_equal(printed, "192.0.2.1:4711");
    assert_int_equal(address_parse_host("2001:db8::1", 0, &address), 0);
    assert_int_equal(address_port((const struct sockaddr *)&address), 0);
    address_format_host((const struct sockaddr *)&address, printed);
    assert_string_equal(printed, "2001:db8::1");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_not_equal(address_parse_host(bad[i], 1, &address), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numeric_addresses_are_read_and_printed),
        cmocka_unit_test(empty_host_and_star_mean_every_address),
        cmocka_unit_test(mapped_address_prints_as_ipv4),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(host_alone_is_read_in_either_family),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
