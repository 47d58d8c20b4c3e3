#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/percent.h"

static void assert_decodes(const char *text, const char *expected)
{
    for (; *expected; expected++)
        assert_int_equal(percent_decode(&text), (unsigned char)*expected);
    assert_int_equal(*text, '\0');
}

static void escapes_and_characters_become_bytes(void **state)
{
    (void)state;
    assert_decodes("a%20b", "a b");
    assert_decodes("%41%6a%6A", "Ajj");
    assert_decodes("%E2%82%AC", "\xe2\x82\xac");
    assert_decodes("%25", "%");
    assert_decodes("a+b", "a+b");
}

static void zero_is_a_byte(void **state)
{
    const char *text = "%00x";

    (void)state;
    assert_int_equal(percent_decode(&text), 0);
    assert_int_equal(percent_decode(&text), 'x');
}

static void broken_escapes_are_told(void **state)
{
    static const char *const broken[] = {"%", "%4", "%g0", "%0g", "%%41", "%-1", "% 1"};

    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        const char *text = broken[i];

        assert_int_equal(percent_decode(&text), -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_and_characters_become_bytes),
        cmocka_unit_test(zero_is_a_byte),
        cmocka_unit_test(broken_escapes_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
