#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/cluster_name.h"

static void name_is_short_and_printable(void **state)
{
    char longest[CLUSTER_NAME_LIMIT + 2] = {0};

    (void)state;
    assert_true(cluster_name_is_valid("a"));
    assert_true(cluster_name_is_valid("Gel\xc3\xa4ut 1"));
    assert_false(cluster_name_is_valid(""));
    assert_false(cluster_name_is_valid("two\nlines"));
    assert_false(cluster_name_is_valid("no\xffutf8"));
    memset(longest, 'x', CLUSTER_NAME_LIMIT);
    assert_true(cluster_name_is_valid(longest));
    longest[CLUSTER_NAME_LIMIT] = 'x';
    assert_false(cluster_name_is_valid(longest));
}

static void default_name_is_sent_as_none(void **state)
{
    (void)state;
    assert_string_equal(cluster_name_sent(CLUSTER_NAME_DEFAULT), "");
    assert_string_equal(cluster_name_received(""), CLUSTER_NAME_DEFAULT);
}

static void any_other_name_is_sent_as_it_is(void **state)
{
    (void)state;
    assert_string_equal(cluster_name_sent("bells"), "bells");
    assert_string_equal(cluster_name_received("bells"), "bells");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_is_short_and_printable),
        cmocka_unit_test(default_name_is_sent_as_none),
        cmocka_unit_test(any_other_name_is_sent_as_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
