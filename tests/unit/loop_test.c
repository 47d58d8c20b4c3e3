#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/loop.h"
#include "common/memory.h"

static struct loop loop;

struct sleeper {
    struct waiter waiter;
    unsigned count;
    uint64_t fired_ms;
    struct sleeper *to_cancel;
};

static struct sleeper *last_woken;

static void on_expired(struct waiter *waiter)
{
    struct sleeper *sleeper = container_of(waiter, struct sleeper, waiter);

    sleeper->count++;
    sleeper->fired_ms = loop_now_ms(&loop);
    last_woken = sleeper;
    if (sleeper->to_cancel)
        loop_cancel(&loop, &sleeper->to_cancel->waiter);
}

static void sleeper_init(struct sleeper *sleeper)
{
    *sleeper = (struct sleeper){0};
    waiter_init(&sleeper->waiter, on_expired);
}

static int make_loop(void **state)
{
    (void)state;
    last_woken = NULL;
    return loop_init(&loop);
}

static int destroy_loop(void **state)
{
    (void)state;
    loop_deinit(&loop);
    return 0;
}

static void loop_without_waiters_has_nothing_to_do(void **state)
{
    (void)state;
    assert_int_equal(uv_run(&loop.uv, UV_RUN_DEFAULT), 0);
}

static void now_is_the_cached_time_of_the_loop(void **state)
{
    (void)state;
    assert_int_equal(loop_now_ms(&loop), uv_now(&loop.uv));
}

static void waiter_is_called_once_and_not_before_its_time(void **state)
{
    (void)state;
    struct sleeper sleeper;
    uint64_t start = loop_now_ms(&loop);

    sleeper_init(&sleeper);
    loop_wait(&loop, &sleeper.waiter, 60);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(sleeper.count, 1);
    assert_true(sleeper.fired_ms >= start + 60);
}

static unsigned other_count;

static void on_other(struct waiter *waiter)
{
    (void)waiter;
    other_count++;
}

static void waiters_have_functions_of_their_own(void **state)
{
    (void)state;
    struct sleeper sleeper;
    struct waiter other;

    other_count = 0;
    sleeper_init(&sleeper);
    waiter_init(&other, on_other);
    loop_wait(&loop, &sleeper.waiter, 0);
    loop_wait(&loop, &other, 0);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(sleeper.count, 1);
    assert_int_equal(other_count, 1);
}

static void waiting_again_replaces_the_time_before(void **state)
{
    (void)state;
    struct sleeper sleeper;
    struct sleeper between;

    sleeper_init(&sleeper);
    sleeper_init(&between);
    loop_wait(&loop, &sleeper.waiter, 0);
    loop_wait(&loop, &sleeper.waiter, UINT64_C(2) * WHEEL_TICK_MS);
    loop_wait(&loop, &between.waiter, 0);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(sleeper.count, 1);
    assert_int_equal(between.count, 1);
    assert_ptr_equal(last_woken, &sleeper);
}

static void cancelled_waiter_is_not_called(void **state)
{
    (void)state;
    struct sleeper cancelled;
    struct sleeper sleeper;

    sleeper_init(&cancelled);
    sleeper_init(&sleeper);
    loop_cancel(&loop, &cancelled.waiter); /* not set: harmless */
    loop_wait(&loop, &cancelled.waiter, 0);
    loop_cancel(&loop, &cancelled.waiter);
    loop_wait(&loop, &sleeper.waiter, UINT64_C(2) * WHEEL_TICK_MS);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(cancelled.count, 0);
    assert_int_equal(sleeper.count, 1);
}

static void waiter_may_cancel_another_that_is_due_too(void **state)
{
    (void)state;
    struct sleeper first;
    struct sleeper second;

    sleeper_init(&first);
    sleeper_init(&second);
    first.to_cancel = &second;
    second.to_cancel = &first;
    loop_wait(&loop, &first.waiter, 0);
    loop_wait(&loop, &second.waiter, 0);
    uv_run(&loop.uv, UV_RUN_DEFAULT);
    assert_int_equal(first.count + second.count, 1);
}

static void free_sleeper(struct waiter *waiter)
{
    memory_free(container_of(waiter, struct sleeper, waiter));
}

static void waiter_may_free_itself(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct sleeper *sleeper = memory_zeroed(1, sizeof(*sleeper));

        waiter_init(&sleeper->waiter, free_sleeper);
        loop_wait(&loop, &sleeper->waiter, 0);
    }
    uv_run(&loop.uv, UV_RUN_DEFAULT); /* the sanitizer sees a touch afterwards, or a leak */
}

static bool is_closed;

static void on_closed(uv_handle_t *handle)
{
    (void)handle;
    is_closed = true;
}

static void deinit_waits_for_handles_that_are_closing(void **state)
{
    (void)state;
    struct loop other;
    uv_timer_t timer;

    is_closed = false;
    assert_int_equal(loop_init(&other), 0);
    assert_int_equal(uv_timer_init(&other.uv, &timer), 0);
    uv_close((uv_handle_t *)&timer, on_closed);
    loop_deinit(&other);
    assert_true(is_closed);
}

static void deinit_forgets_waiters_that_are_set(void **state)
{
    (void)state;
    struct loop other;
    struct sleeper sleeper;

    sleeper_init(&sleeper);
    assert_int_equal(loop_init(&other), 0);
    loop_wait(&other, &sleeper.waiter, 3600000);
    loop_deinit(&other);
    assert_int_equal(sleeper.count, 0);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, make_loop, destroy_loop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(loop_without_waiters_has_nothing_to_do),
        WITH_LOOP(now_is_the_cached_time_of_the_loop),
        WITH_LOOP(waiter_is_called_once_and_not_before_its_time),
        WITH_LOOP(waiters_have_functions_of_their_own),
        WITH_LOOP(waiting_again_replaces_the_time_before),
        WITH_LOOP(cancelled_waiter_is_not_called),
        WITH_LOOP(waiter_may_cancel_another_that_is_due_too),
        WITH_LOOP(waiter_may_free_itself),
        cmocka_unit_test(deinit_waits_for_handles_that_are_closing),
        cmocka_unit_test(deinit_forgets_waiters_that_are_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
