#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/lag_meter.h"
#include "common/loop.h"

#define MILLISECOND UINT64_C(1000000)

static struct loop loop;
static struct lag_meter meter;
static uv_timer_t timer;
static uint64_t peak_in_callback_ns;

static void work(uint64_t duration_ns)
{
    uint64_t end_ns = uv_hrtime() + duration_ns;

    while (uv_hrtime() < end_ns)
        ;
}

static void on_timer(uv_timer_t *handle)
{
    (void)handle;
    work(20 * MILLISECOND);
    peak_in_callback_ns = lag_meter_peak_ns(&meter);
}

static int make_loop(void **state)
{
    (void)state;
    meter = (struct lag_meter){0};
    peak_in_callback_ns = 0;
    return loop_init(&loop) || lag_meter_start(&meter, &loop.uv) || uv_timer_init(&loop.uv, &timer);
}

static int destroy_loop(void **state)
{
    (void)state;
    lag_meter_stop(&meter);
    uv_close((uv_handle_t *)&timer, NULL);
    loop_deinit(&loop);
    return 0;
}

static void do_nothing(uv_timer_t *handle)
{
    (void)handle;
}

/* Iterations in which nothing happens; whatever ran before is measured in the first. */
static void iterate(void)
{
    for (unsigned i = 0; i < 2; i++) {
        uv_timer_start(&timer, do_nothing, 0, 0);
        uv_run(&loop.uv, UV_RUN_DEFAULT);
    }
}

static void work_after(uint64_t delay_ms)
{
    iterate();
    uv_timer_start(&timer, on_timer, delay_ms, 0);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    iterate();
}

static void loop_that_has_not_run_has_no_lag(void **state)
{
    (void)state;
    assert_int_equal(lag_meter_peak_ns(&meter), 0);
}

static void peak_is_the_longest_iteration(void **state)
{
    (void)state;
    work_after(1);
    assert_true(metric_read(&meter.peak_ns) >= 20 * MILLISECOND);
    assert_true(lag_meter_peak_ns(&meter) >= 20 * MILLISECOND);
}

static void iteration_that_has_not_ended_counts(void **state)
{
    (void)state;
    work_after(1);
    assert_true(peak_in_callback_ns >= 20 * MILLISECOND);
}

static void sleep_is_no_lag(void **state)
{
    (void)state;
    work_after(500);
    /* The sleep is longer than anything that this machine makes of the work. */
    assert_true(metric_read(&meter.lag.sum) > 0);
    assert_true(metric_read(&meter.busy_ns) + 500 * MILLISECOND <= uv_hrtime());
}

static void peak_of_the_window_before_still_counts(void **state)
{
    (void)state;
    work_after(1);
    metric_set(&meter.window_ns, uv_hrtime() - LAG_WINDOW_NS); /* which ends now */
    iterate();
    assert_true(metric_read(&meter.last_peak_ns) >= 20 * MILLISECOND);
    assert_true(lag_meter_peak_ns(&meter) >= 20 * MILLISECOND);

    metric_set(&meter.window_ns, uv_hrtime() - LAG_WINDOW_NS);
    iterate();
    assert_true(metric_read(&meter.last_peak_ns) < 20 * MILLISECOND);
}

static void peak_of_a_loop_that_slept_through_is_over(void **state)
{
    (void)state;
    work_after(1);
    metric_set(&meter.peak_ns, UINT64_C(3600000) * MILLISECOND);
    metric_set(&meter.window_ns, uv_hrtime() - 2 * LAG_WINDOW_NS);
    assert_true(lag_meter_peak_ns(&meter) < UINT64_C(3600000) * MILLISECOND);
    iterate();
    assert_int_equal(metric_read(&meter.last_peak_ns), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(loop_that_has_not_run_has_no_lag, make_loop, destroy_loop),
        cmocka_unit_test_setup_teardown(peak_is_the_longest_iteration, make_loop, destroy_loop),
        cmocka_unit_test_setup_teardown(iteration_that_has_not_ended_counts, make_loop,
                                        destroy_loop),
        cmocka_unit_test_setup_teardown(sleep_is_no_lag, make_loop, destroy_loop),
        cmocka_unit_test_setup_teardown(peak_of_the_window_before_still_counts, make_loop,
                                        destroy_loop),
        cmocka_unit_test_setup_teardown(peak_of_a_loop_that_slept_through_is_over, make_loop,
                                        destroy_loop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
