#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/trim.h"

#define MIB ((uint64_t)1024 * 1024)

static void is_due_once_half_of_much_is_free(void **state)
{
    struct trim trim = {0};

    (void)state;
    assert_false(trim_is_due(&trim, 10 * MIB));
    assert_false(trim_is_due(&trim, 100 * MIB));
    assert_false(trim_is_due(&trim, 60 * MIB));
    assert_true(trim_is_due(&trim, 50 * MIB));
    assert_false(trim_is_due(&trim, 50 * MIB));
    assert_false(trim_is_due(&trim, 26 * MIB));
    assert_true(trim_is_due(&trim, 20 * MIB));
}

static void is_never_due_for_little(void **state)
{
    struct trim trim = {0};

    (void)state;
    assert_false(trim_is_due(&trim, 7 * MIB));
    assert_false(trim_is_due(&trim, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_due_once_half_of_much_is_free),
        cmocka_unit_test(is_never_due_for_little),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
