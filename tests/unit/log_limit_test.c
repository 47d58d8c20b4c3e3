#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <uv.h>

#include "common/log_limit.h"

#define THREADS 4
#define LINES   10000

static void first_line_passes_and_the_next_one_a_second_later(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    uint64_t left_out = 99;

    assert_true(log_limit_pass(&limit, 5000, &left_out));
    assert_int_equal(left_out, 0);
    assert_false(log_limit_pass(&limit, 5000, &left_out));
    assert_false(log_limit_pass(&limit, 5999, &left_out));
    assert_true(log_limit_pass(&limit, 6000, &left_out));
    assert_int_equal(left_out, 2);
    assert_false(log_limit_pass(&limit, 6999, &left_out));
    assert_true(log_limit_pass(&limit, 90000, &left_out));
    assert_int_equal(left_out, 1);
}

static struct log_limit shared;
static atomic_uint passed;

static void write_lines(void *argument)
{
    uint64_t left_out;

    (void)argument;
    for (uint64_t i = 0; i < LINES; i++) {
        if (log_limit_pass(&shared, 1 + i / 10, &left_out)) /* a second of the test's clock */
            atomic_fetch_add(&passed, 1);
    }
}

static void threads_share_the_second(void **state)
{
    (void)state;
    uv_thread_t threads[THREADS];
    uint64_t left_out;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(uv_thread_create(&threads[i], write_lines, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
    assert_int_equal(passed, 1);
    assert_true(log_limit_pass(&shared, 5000, &left_out));
    assert_int_equal(left_out, THREADS * LINES - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_line_passes_and_the_next_one_a_second_later),
        cmocka_unit_test(threads_share_the_second),
    };

    return cmocka_run_group_tests_name("log_limit", tests, NULL, NULL);
}
