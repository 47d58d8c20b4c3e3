#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/address.h"
#include "gateway/proxy_header.h"

/* Signature, then version and command, family, and two bytes of length. */
#define BINARY(command, family, length) "\r\n\r\n\0\r\nQUIT\n" command family length
#define IPV4_ADDRESSES                  "\xcb\x00\x71\x09\x0a\x00\x00\x01\x12\x67\x01\xbb"

static struct sockaddr_storage source;

static int read_text(const char *text)
{
    return proxy_header_read((const unsigned char *)text, strlen(text), &source);
}

static void expect_source(const char *text)
{
    char printed[ADDRESS_TEXT_LIMIT];

    address_format((const struct sockaddr *)&source, printed);
    assert_string_equal(printed, text);
}

/* Whatever pieces a header comes in, nothing is said of it before it is whole. */
static void expect_whole(const void *bytes, size_t size, const char *address)
{
    const unsigned char *data = bytes;

    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(proxy_header_read(data, cut, &source), 0);
    assert_int_equal(proxy_header_read(data, size, &source), size);
    if (address)
        expect_source(address);
    else
        assert_int_equal(source.ss_family, AF_UNSPEC);
}

#define EXPECT_WHOLE(bytes, address) expect_whole(bytes, sizeof(bytes) - 1, address)

static void line_gives_the_address(void **state)
{
    (void)state;
    EXPECT_WHOLE("PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n", "203.0.113.9:4711");
    EXPECT_WHOLE("PROXY TCP6 2001:db8::9 ::1 65535 0\r\n", "[2001:db8::9]:65535");
}

static void line_may_know_nothing(void **state)
{
    (void)state;
    EXPECT_WHOLE("PROXY UNKNOWN\r\n", NULL);
    EXPECT_WHOLE("PROXY UNKNOWN ffff::1 whatever\r\n", NULL);
}

static void what_follows_is_left_alone(void **state)
{
    (void)state;
    assert_int_equal(read_text("PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\nGET / HTTP/1.1\r\n"),
                     42);
    expect_source("203.0.113.9:4711");
}

static void line_that_is_wrong_is_refused(void **state)
{
    static const char *const lines[] = {
        "GET / HTTP/1.1\r\n",
        "PROXZ",
        "proxy ",
        "PROXY \r\n",
        "PROXY TCP\r\n",
        "PROXY TCP5 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY UDP4 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 3\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2 \r\n",
        "PROXY TCP4  1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 65536\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 -1 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 01 2\r\n",
        "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\n",
        "PROXY TCP4 ::1 ::1 1 2\r\n",
        "PROXY TCP6 1.1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1 2.2.2.2 1 2\r\n",
        "PROXY TCP4 1.1.1.1 nobody 1 2\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (read_text(lines[i]) != UV_EPROTO)
            fail_msg("taken: %s", lines[i]);
    }
    assert_int_equal(proxy_header_read((const unsigned char *)"PROXY UNKNOWN\0\r\n", 16, &source),
                     UV_EPROTO);
}

static void line_has_a_limit(void **state)
{
    (void)state;
    unsigned char line[200];

    snprintf((char *)line, sizeof(line), "PROXY UNKNOWN %0150d", 1);
    assert_int_equal(proxy_header_read(line, 106, &source), 0);
    assert_int_equal(proxy_header_read(line, 107, &source), UV_E2BIG);
    line[105] = '\r';
    line[106] = '\n';
    assert_int_equal(proxy_header_read(line, 107, &source), 107);
    line[105] = 'x';
    line[106] = '\r';
    line[107] = '\n';
    assert_int_equal(proxy_header_read(line, 108, &source), UV_E2BIG);
}

static void binary_gives_the_address(void **state)
{
    (void)state;
    EXPECT_WHOLE(BINARY("\x21", "\x11", "\x00\x0c") IPV4_ADDRESSES, "203.0.113.9:4711");
    EXPECT_WHOLE(BINARY("\x21", "\x21",
                        "\x00\x24") "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09"
                                    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x67\x01\xbb",
                 "[2001:db8::9]:4711");
}

static void binary_may_know_nothing(void **state)
{
    (void)state;
    unsigned char of_unix[16 + 216] = BINARY("\x21", "\x31", "\x00\xd8");

    EXPECT_WHOLE(BINARY("\x20", "\x00", "\x00\x00"), NULL);
    EXPECT_WHOLE(BINARY("\x20", "\x11", "\x00\x0c") IPV4_ADDRESSES, NULL);
    EXPECT_WHOLE(BINARY("\x20", "\x99", "\x00\x03") "abc", NULL);
    EXPECT_WHOLE(BINARY("\x21", "\x00", "\x00\x03") "abc", NULL);
    expect_whole(of_unix, sizeof(of_unix), NULL);
}

static void what_stands_behind_the_addresses_is_skipped(void **state)
{
    (void)state;
    EXPECT_WHOLE(BINARY("\x21", "\x11", "\x00\x13") IPV4_ADDRESSES "\x04\x00\x04noop",
                 "203.0.113.9:4711");
    EXPECT_WHOLE(BINARY("\x21", "\x11", "\x00\x0f") IPV4_ADDRESSES "\xff\xff\xff",
                 "203.0.113.9:4711");
}

static void expect_refused(const void *bytes, size_t size, int error)
{
    assert_int_equal(proxy_header_read(bytes, size, &source), error);
}

#define EXPECT_REFUSED(bytes, error) expect_refused(bytes, sizeof(bytes) - 1, error)

static void binary_that_is_wrong_is_refused(void **state)
{
    (void)state;
    EXPECT_REFUSED("\r\n\r\n\0\r\nQUIT\r", UV_EPROTO);
    EXPECT_REFUSED("\r\n\r\nx", UV_EPROTO);
    EXPECT_REFUSED(BINARY("\x11", "\x11", "\x00\x0c") IPV4_ADDRESSES, UV_EPROTO); /* version 1 */
    EXPECT_REFUSED(BINARY("\x22", "", ""), UV_EPROTO); /* told at the byte itself */
    EXPECT_REFUSED(BINARY("\x21", "\x12", "\x00\x0c") IPV4_ADDRESSES, UV_EPROTO); /* UDP */
    EXPECT_REFUSED(BINARY("\x21", "\x41", "\x00\x0c") IPV4_ADDRESSES, UV_EPROTO);
    EXPECT_REFUSED(BINARY("\x21", "\x11", "\x00\x0b") IPV4_ADDRESSES, UV_EPROTO);
    EXPECT_REFUSED(BINARY("\x21", "\x21", "\x00\x0c") IPV4_ADDRESSES, UV_EPROTO);
    EXPECT_REFUSED(BINARY("\x21", "\x31", "\x00\x0c") IPV4_ADDRESSES, UV_EPROTO);
}

/* At once, and not when so much has come. */
static void binary_has_a_limit(void **state)
{
    (void)state;
    EXPECT_REFUSED(BINARY("\x21", "\x11", "\xff\xff"), UV_E2BIG);
    EXPECT_REFUSED(BINARY("\x21", "\x11", "\x0f\xf1"), UV_E2BIG);
    EXPECT_REFUSED(BINARY("\x21", "\x11", "\x0f\xf0"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_gives_the_address),
        cmocka_unit_test(line_may_know_nothing),
        cmocka_unit_test(what_follows_is_left_alone),
        cmocka_unit_test(line_that_is_wrong_is_refused),
        cmocka_unit_test(line_has_a_limit),
        cmocka_unit_test(binary_gives_the_address),
        cmocka_unit_test(binary_may_know_nothing),
        cmocka_unit_test(what_stands_behind_the_addresses_is_skipped),
        cmocka_unit_test(binary_that_is_wrong_is_refused),
        cmocka_unit_test(binary_has_a_limit),
    };

    return cmocka_run_group_tests_name("proxy_header", tests, NULL, NULL);
}
