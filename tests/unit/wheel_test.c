#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <uv.h>

#include "common/memory.h"
#include "common/wheel.h"

/*
 * The monotonic clock of this program stands still until a test moves it: libuv finds our
 * clock_gettime before the C library's. So minutes pass in no time, and exactly.
 */
static uint64_t clock_ms;

int clock_gettime(clockid_t id, struct timespec *time)
{
    if (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE)
        return (int)syscall(SYS_clock_gettime, id, time);
    time->tv_sec = (time_t)(clock_ms / 1000);
    time->tv_nsec = (long)(clock_ms % 1000) * 1000000;
    return 0;
}

#define NEVER     UINT64_MAX
#define FULL_TURN ((uint64_t)WHEEL_SLOTS * WHEEL_TICK_MS)

struct alarm {
    struct deadline deadline;
    uint64_t due_ms;
    uint64_t fired_ms;
    unsigned count;
    uint64_t again_ms;      /* set once more from its own function, 0: not */
    struct alarm *to_clear; /* by its function */
    struct alarm *to_set;   /* by its function, for the least delay */
};

static uv_loop_t loop;
static struct wheel wheel;

static void on_expired(struct deadline *deadline)
{
    struct alarm *alarm = container_of(deadline, struct alarm, deadline);

    alarm->count++;
    alarm->fired_ms = clock_ms;
    if (alarm->again_ms)
        wheel_set(&wheel, deadline, alarm->again_ms);
    if (alarm->to_clear)
        wheel_clear(&wheel, &alarm->to_clear->deadline);
    if (alarm->to_set)
        wheel_set(&wheel, &alarm->to_set->deadline, 0);
}

static void jump(uint64_t ms)
{
    clock_ms += ms;
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void pass(uint64_t ms)
{
    while (ms-- > 0)
        jump(1);
}

static int make_wheel(void **state)
{
    (void)state;
    clock_ms = 1000003;
    return uv_loop_init(&loop) || wheel_init(&wheel, &loop, on_expired);
}

static int destroy_wheel(void **state)
{
    (void)state;
    wheel_close(&wheel);
    uv_run(&loop, UV_RUN_NOWAIT);
    return uv_loop_close(&loop);
}

static void alarm_init(struct alarm *alarm)
{
    *alarm = (struct alarm){.fired_ms = NEVER};
    deadline_init(&alarm->deadline);
}

static void set(struct alarm *alarm, uint64_t delay_ms)
{
    alarm->due_ms = clock_ms + delay_ms;
    wheel_set(&wheel, &alarm->deadline, delay_ms);
}

static void set_new(struct alarm *alarm, uint64_t delay_ms)
{
    alarm_init(alarm);
    set(alarm, delay_ms);
}

static void assert_fired_in_time(const struct alarm *alarm)
{
    assert_int_equal(alarm->count, 1);
    assert_in_range(alarm->fired_ms, alarm->due_ms, alarm->due_ms + WHEEL_TICK_MS);
}

static void deadline_fires_within_a_tick_and_never_early(void **state)
{
    (void)state;
    static const uint64_t delays[] = {0,
                                      1,
                                      49,
                                      50,
                                      51,
                                      99,
                                      100,
                                      1000,
                                      5017,
                                      25599,
                                      FULL_TURN,
                                      FULL_TURN + 1,
                                      FULL_TURN + 50,
                                      2 * FULL_TURN + 7};
    static const size_t phases = (size_t)2 * WHEEL_TICK_MS;
    enum { DELAYS = sizeof(delays) / sizeof(delays[0]) };
    static struct alarm alarms[2 * WHEEL_TICK_MS][DELAYS];

    /* From every place in a tick, with the timer at rest and running. */
    for (size_t phase = 0; phase < phases; phase++) {
        for (size_t i = 0; i < DELAYS; i++)
            set_new(&alarms[phase][i], delays[i]);
        pass(1);
    }
    pass(2 * FULL_TURN + 100);
    for (size_t phase = 0; phase < phases; phase++)
        for (size_t i = 0; i < DELAYS; i++)
            assert_fired_in_time(&alarms[phase][i]);
}

static void deadline_alone_is_in_time_from_every_place_in_a_tick(void **state)
{
    (void)state;
    for (size_t phase = 0; phase < WHEEL_TICK_MS; phase++) {
        struct alarm alarm;

        set_new(&alarm, 51);
        pass(200);
        assert_fired_in_time(&alarm);
        pass(1);
    }
}

static void setting_never_fires_at_once(void **state)
{
    (void)state;
    struct alarm alarm;

    clock_ms = 2000000; /* where a tick begins */
    uv_update_time(&loop);
    set_new(&alarm, 0);
    uv_run(&loop, UV_RUN_NOWAIT);
    assert_int_equal(alarm.count, 0);
    pass(WHEEL_TICK_MS);
    assert_fired_in_time(&alarm);
}

static void moved_deadline_fires_once_at_its_last_time(void **state)
{
    (void)state;
    struct alarm later;
    struct alarm sooner;

    set_new(&later, 100);
    set_new(&sooner, 10000);
    pass(60);
    set(&later, 500);
    set(&sooner, 70);
    pass(12000);
    assert_fired_in_time(&later);
    assert_fired_in_time(&sooner);
}

static void cleared_deadline_does_not_fire(void **state)
{
    (void)state;
    struct alarm alarm;

    alarm_init(&alarm);
    wheel_clear(&wheel, &alarm.deadline); /* not set: harmless */
    set(&alarm, 100);
    pass(80);
    wheel_clear(&wheel, &alarm.deadline);
    wheel_clear(&wheel, &alarm.deadline);
    pass(1000);
    assert_int_equal(alarm.count, 0);
    set(&alarm, 100);
    pass(200);
    assert_fired_in_time(&alarm);
}

static void deadline_may_set_itself_again(void **state)
{
    (void)state;
    struct alarm alarm;

    set_new(&alarm, 100);
    alarm.again_ms = 100;
    pass(1500);
    assert_in_range(alarm.count, 10, 15);
    alarm.again_ms = 0;
    pass(200);

    unsigned count = alarm.count;

    pass(1000);
    assert_int_equal(alarm.count, count);
}

static void deadline_may_clear_another_of_the_same_moment(void **state)
{
    (void)state;
    struct alarm first;
    struct alarm second;
    struct alarm third;

    set_new(&first, 100);
    set_new(&second, 100);
    set_new(&third, 100);
    first.to_clear = &second;
    pass(1000);
    assert_fired_in_time(&first);
    assert_int_equal(second.count, 0);
    assert_fired_in_time(&third);
}

static void deadline_may_move_another_of_the_same_moment(void **state)
{
    (void)state;
    struct alarm first;
    struct alarm second;

    set_new(&first, 100);
    set_new(&second, 100);
    first.to_set = &second;
    pass(1000);
    assert_int_equal(first.count, 1);
    assert_int_equal(second.count, 1);
    assert_in_range(second.fired_ms, first.fired_ms + 1, first.fired_ms + WHEEL_TICK_MS);
}

static void each_overdue_deadline_fires_once_after_a_stall(void **state)
{
    (void)state;
    static struct alarm alarms[1000];
    struct alarm future;
    uint64_t stall_ms = 4 * FULL_TURN + 13;

    for (size_t i = 0; i < 1000; i++)
        set_new(&alarms[i], 73 * i);
    set_new(&future, stall_ms + 1000);
    jump(stall_ms);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(alarms[i].count, 1);
    assert_int_equal(future.count, 0);
    pass(1000 + WHEEL_TICK_MS);
    assert_fired_in_time(&future);
    assert_int_equal(alarms[0].count, 1);
}

static void wheel_that_rested_goes_on_with_the_present_time(void **state)
{
    (void)state;
    static const uint64_t pauses[] = {1, 49, 50, 5000, 10 * FULL_TURN + 21};

    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        struct alarm alarm;

        jump(pauses[i]);
        set_new(&alarm, 120);
        pass(300);
        assert_fired_in_time(&alarm);
    }
}

static void timer_runs_only_while_a_deadline_is_set(void **state)
{
    (void)state;
    struct alarm alarm;

    assert_false(uv_loop_alive(&loop));
    set_new(&alarm, 100);
    assert_true(uv_loop_alive(&loop));
    pass(200);
    assert_false(uv_loop_alive(&loop));
    set(&alarm, 10000);
    wheel_clear(&wheel, &alarm.deadline);
    pass(WHEEL_TICK_MS);
    assert_false(uv_loop_alive(&loop));
}

#define WITH_WHEEL(test) cmocka_unit_test_setup_teardown(test, make_wheel, destroy_wheel)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_WHEEL(deadline_fires_within_a_tick_and_never_early),
        WITH_WHEEL(deadline_alone_is_in_time_from_every_place_in_a_tick),
        WITH_WHEEL(setting_never_fires_at_once),
        WITH_WHEEL(moved_deadline_fires_once_at_its_last_time),
        WITH_WHEEL(cleared_deadline_does_not_fire),
        WITH_WHEEL(deadline_may_set_itself_again),
        WITH_WHEEL(deadline_may_clear_another_of_the_same_moment),
        WITH_WHEEL(deadline_may_move_another_of_the_same_moment),
        WITH_WHEEL(each_overdue_deadline_fires_once_after_a_stall),
        WITH_WHEEL(wheel_that_rested_goes_on_with_the_present_time),
        WITH_WHEEL(timer_runs_only_while_a_deadline_is_set),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
