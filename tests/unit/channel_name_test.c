#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/channel_name.h"

static void name_is_utf8_without_control_characters(void **state)
{
    (void)state;
    static const char *const good[] = {"a",
                                       " ",
                                       "room 1",
                                       "ns:rest",
                                       "x#1,2",
                                       "\xc2\xa0",
                                       "gr\xc3\xbc\xc3\x9f",
                                       "\xf0\x9f\x94\x94",
                                       "\xc4\x85"};
    static const char *const bad[] = {"",          "\n",   "a\x1f", "a\x7f",       "\xc2\x80",
                                      "a\xc2\x9f", "\xff", "a\xc2", "\xed\xa0\x80"};
    char longest[CHANNEL_NAME_LIMIT + 2];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(channel_name_is_valid(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(channel_name_is_valid(bad[i], strlen(bad[i])));
    assert_false(channel_name_is_valid("a\0b", 3));
    memset(longest, 'x', sizeof(longest));
    assert_true(channel_name_is_valid(longest, CHANNEL_NAME_LIMIT));
    assert_false(channel_name_is_valid(longest, CHANNEL_NAME_LIMIT + 1));
}

static void names_on_the_bus_may_be_internal(void **state)
{
    char longest[CHANNEL_NAME_LIMIT + 2];

    (void)state;
    assert_true(channel_name_is_on_bus("room", 4));
    assert_true(channel_name_is_on_bus("\x01room", 5));
    assert_false(channel_name_is_valid("\x01room", 5));
    assert_false(channel_name_is_on_bus("\x01", 1));
    assert_false(channel_name_is_on_bus("\x01\x01room", 6));
    assert_false(channel_name_is_on_bus("ro\x01om", 5));
    assert_false(channel_name_is_on_bus("\x02room", 5));
    assert_false(channel_name_is_on_bus("", 0));
    memset(longest, 'x', sizeof(longest));
    longest[0] = CHANNEL_NAME_INTERNAL;
    assert_true(channel_name_is_on_bus(longest, CHANNEL_NAME_LIMIT));
    assert_false(channel_name_is_on_bus(longest, CHANNEL_NAME_LIMIT + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_is_utf8_without_control_characters),
        cmocka_unit_test(names_on_the_bus_may_be_internal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
