#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/pace.h"

static size_t take(struct pace *pace, uint64_t rate, uint64_t burst, uint32_t now_ms)
{
    size_t count = 0;

    while (count < 1000 && pace_take(pace, rate, burst, now_ms))
        count++;
    return count;
}

static void a_burst_may_come_at_once_and_the_rest_at_the_rate(void **state)
{
    struct pace pace = {0};

    (void)state;
    assert_int_equal(take(&pace, 10, 5, 7777), 5);
    assert_int_equal(take(&pace, 10, 5, 7777 + 99), 0);
    assert_int_equal(take(&pace, 10, 5, 7777 + 100), 1);
    assert_int_equal(take(&pace, 10, 5, 7777 + 350), 2);
    assert_int_equal(take(&pace, 10, 5, 7777 + 400), 1);
    assert_int_equal(take(&pace, 10, 5, 7777 + 100000), 5);
}

static void rates_far_apart_count_exactly(void **state)
{
    struct pace slow = {0}, quick = {0};

    (void)state;
    assert_int_equal(take(&slow, 1, 1, 0), 1);
    assert_false(pace_take(&slow, 1, 1, 999));
    assert_true(pace_take(&slow, 1, 1, 1000));
    assert_int_equal(take(&quick, 1000000, 300, 0), 300);
    assert_int_equal(take(&quick, 1000000, 300, 1), 300);
}

static void no_rate_is_no_limit(void **state)
{
    struct pace pace = {0};

    (void)state;
    assert_int_equal(take(&pace, 0, 1, 0), 1000);
}

static void the_clock_may_wrap(void **state)
{
    struct pace pace = {0};

    (void)state;
    assert_int_equal(take(&pace, 10, 2, UINT32_MAX - 50), 2);
    assert_false(pace_take(&pace, 10, 2, UINT32_MAX));
    assert_true(pace_take(&pace, 10, 2, 60));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_may_come_at_once_and_the_rest_at_the_rate),
        cmocka_unit_test(rates_far_apart_count_exactly),
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(the_clock_may_wrap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
