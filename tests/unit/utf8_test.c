#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/utf8.h"

static bool is_valid(const char *text)
{
    return utf8_is_valid((const unsigned char *)text, strlen(text));
}

static void boundaries_of_each_length_are_valid(void **state)
{
    static const char *const texts[] = {"\x01",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "\xef\xbb\xbf",
                                        ""};

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_true(is_valid(texts[i]));
    assert_true(utf8_is_valid((const unsigned char *)"\0", 1));
}

static void what_is_no_character_is_invalid(void **state)
{
    static const char *const texts[] = {
        "\x80",
        "\xbf",
        "\xc0\x80",
        "\xc1\xbf",
        "\xc2",
        "\xc2\x41",
        "\xe0\x9f\xbf",
        "\xe0\xa0",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80",
        "\xf8\x88\x80\x80",
        "\xfe",
        "\xff",
        "a\xe2\x82z",
        "\xf0\x9f\x98",
        "\xc2\x80\x80",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(is_valid(texts[i]));
}

/* Every code point there is, encoded by its definition (RFC 3629 section 3). */
static void every_code_point_but_the_surrogates_is_valid(void **state)
{
    (void)state;
    for (uint32_t code = 0; code <= 0x110fff; code++) {
        unsigned char text[4];
        size_t size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

        for (size_t i = size; i-- > 1;)
            text[i] = (unsigned char)(0x80 | (code >> (6 * (size - 1 - i)) & 0x3f));
        text[0] = (unsigned char)(size == 1   ? code
                                  : size == 2 ? 0xc0 | code >> 6
                                  : size == 3 ? 0xe0 | code >> 12
                                              : 0xf0 | code >> 18);
        assert_int_equal(utf8_is_valid(text, size),
                         code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
    }
}

static void text_may_be_cut_anywhere(void **state)
{
    static const unsigned char text[] =
        "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 and a long run of ASCII";
    const size_t size = sizeof(text) - 1;

    (void)state;
    for (size_t first = 0; first <= size; first++) {
        for (size_t second = first; second <= size; second++) {
            uint8_t now = utf8_continue(UTF8_START, text, first);

            now = utf8_continue(now, text + first, second - first);
            now = utf8_continue(now, text + second, size - second);
            assert_int_equal(now, UTF8_START);
        }
    }
}

static void first_bad_byte_rejects_at_once_and_for_good(void **state)
{
    static const unsigned char bad[] = {0xe0, 0x80};

    (void)state;
    assert_int_not_equal(utf8_continue(UTF8_START, bad, 1), UTF8_REJECT);
    assert_int_equal(utf8_continue(UTF8_START, bad, 2), UTF8_REJECT);
    assert_int_equal(utf8_continue(UTF8_REJECT, (const unsigned char *)"a", 1), UTF8_REJECT);
}

static void bad_byte_is_found_at_every_place_of_a_run(void **state)
{
    unsigned char text[40];

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++) {
        memset(text, 'x', sizeof(text));
        text[i] = 0xff;
        assert_false(utf8_is_valid(text, sizeof(text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boundaries_of_each_length_are_valid),
        cmocka_unit_test(what_is_no_character_is_invalid),
        cmocka_unit_test(every_code_point_but_the_surrogates_is_valid),
        cmocka_unit_test(text_may_be_cut_anywhere),
        cmocka_unit_test(first_bad_byte_rejects_at_once_and_for_good),
        cmocka_unit_test(bad_byte_is_found_at_every_place_of_a_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
