#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/redial.h"

#define FLOOR 50
#define LIMIT 1000

static struct redial redial;

static int make_redial(void **state)
{
    (void)state;
    redial_init(&redial, FLOOR, LIMIT);
    return 0;
}

static void failures_wait_longer_and_longer(void **state)
{
    uint32_t ceiling = FLOOR;

    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_in_range(redial_after_failure_ms(&redial), FLOOR, ceiling);
        ceiling = ceiling * 2 > LIMIT ? LIMIT : ceiling * 2;
    }
}

static void what_breaks_is_tried_again_at_once(void **state)
{
    (void)state;
    assert_int_equal(redial_after_break_ms(&redial, 0), 0);
}

static void what_keeps_breaking_waits_like_what_fails(void **state)
{
    uint32_t ceiling = 2 * FLOOR;

    (void)state;
    redial_after_break_ms(&redial, 10);
    for (int i = 0; i < 20; i++) {
        assert_in_range(redial_after_break_ms(&redial, REDIAL_STEADY_MS - 1), FLOOR, ceiling);
        ceiling = ceiling * 2 > LIMIT ? LIMIT : ceiling * 2;
    }
}

static void what_lasted_is_tried_at_once_whatever_was_before(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        redial_after_break_ms(&redial, 0);
    assert_int_equal(redial_after_break_ms(&redial, REDIAL_STEADY_MS), 0);
    assert_in_range(redial_after_break_ms(&redial, 0), FLOOR, 2 * FLOOR);
}

/* A router that was away for long and dies again: it is seen at once, as any other. */
static void failures_before_it_was_there_do_not_count(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        redial_after_failure_ms(&redial);
    assert_int_equal(redial_after_break_ms(&redial, 1000), 0);
    assert_int_equal(redial_after_failure_ms(&redial), FLOOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(failures_wait_longer_and_longer, make_redial),
        cmocka_unit_test_setup(what_breaks_is_tried_again_at_once, make_redial),
        cmocka_unit_test_setup(what_keeps_breaking_waits_like_what_fails, make_redial),
        cmocka_unit_test_setup(what_lasted_is_tried_at_once_whatever_was_before, make_redial),
        cmocka_unit_test_setup(failures_before_it_was_there_do_not_count, make_redial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
