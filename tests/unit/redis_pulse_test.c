#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/redis_pulse.h"

#define START_MS 5000

static struct redis_pulse pulse;

static int begin(void **state)
{
    (void)state;
    pulse = (struct redis_pulse){0};
    redis_pulse_begin(&pulse, START_MS);
    return 0;
}

/* As a link does it: looks four times a second until something is to be done. Returns when. */
static uint64_t when(enum redis_pulse_verdict verdict, uint64_t from_ms, uint64_t until_ms)
{
    for (uint64_t now_ms = from_ms; now_ms <= until_ms; now_ms += 250) {
        if (redis_pulse_look(&pulse, now_ms) == verdict)
            return now_ms;
    }
    return 0;
}

static void ping_is_due_a_second_after_the_last_one(void **state)
{
    (void)state;
    assert_int_equal(when(REDIS_PULSE_ASK, START_MS, 9000), START_MS + 1000);
    redis_pulse_ask(&pulse, START_MS + 1000);
    redis_pulse_hear(&pulse, START_MS + 1010);
    redis_pulse_answer(&pulse);
    assert_int_equal(when(REDIS_PULSE_ASK, START_MS + 1000, 9000), START_MS + 2000);
}

static void only_one_ping_is_out_at_a_time(void **state)
{
    (void)state;
    redis_pulse_ask(&pulse, START_MS);
    assert_int_equal(when(REDIS_PULSE_ASK, START_MS, 9000), 0);
}

static void silence_is_the_end(void **state)
{
    (void)state;
    redis_pulse_hear(&pulse, START_MS + 500);
    redis_pulse_ask(&pulse, START_MS + 1000);
    assert_int_equal(when(REDIS_PULSE_LOST, START_MS + 1000, 9000), START_MS + 3500);
}

/* What comes does not show that ours arrives. */
static void bytes_without_the_answer_are_the_end_too(void **state)
{
    (void)state;
    redis_pulse_ask(&pulse, START_MS);
    for (uint64_t now_ms = START_MS; now_ms < START_MS + 3000; now_ms += 250) {
        redis_pulse_hear(&pulse, now_ms);
        assert_int_equal(redis_pulse_look(&pulse, now_ms), REDIS_PULSE_FINE);
    }
    assert_int_equal(redis_pulse_look(&pulse, START_MS + 3000), REDIS_PULSE_LOST);
}

static void who_stood_still_himself_blames_nobody(void **state)
{
    (void)state;
    redis_pulse_ask(&pulse, START_MS);
    assert_int_equal(redis_pulse_look(&pulse, START_MS + 250), REDIS_PULSE_FINE);
    assert_int_equal(redis_pulse_look(&pulse, START_MS + 60000), REDIS_PULSE_FINE);
    assert_int_equal(when(REDIS_PULSE_LOST, START_MS + 60000, START_MS + 90000), START_MS + 63000);
}

static void mark_is_passed_by_as_many_answers(void **state)
{
    (void)state;
    redis_pulse_ask(&pulse, START_MS);

    uint64_t mark = redis_pulse_ask(&pulse, START_MS);

    redis_pulse_answer(&pulse);
    assert_true(pulse.answered_count < mark);
    redis_pulse_answer(&pulse);
    assert_int_equal(pulse.answered_count, mark);
}

static void answer_to_nothing_passes_no_mark(void **state)
{
    (void)state;
    redis_pulse_answer(&pulse);
    assert_true(pulse.answered_count < redis_pulse_ask(&pulse, START_MS));
}

static void marks_end_with_their_connection(void **state)
{
    (void)state;
    uint64_t mark = redis_pulse_ask(&pulse, START_MS);

    redis_pulse_end(&pulse);
    assert_true(pulse.answered_count >= mark);
    redis_pulse_begin(&pulse, START_MS + 100);
    assert_true(redis_pulse_ask(&pulse, START_MS + 100) > mark);
    assert_int_equal(when(REDIS_PULSE_LOST, START_MS + 100, 9000), START_MS + 3100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(ping_is_due_a_second_after_the_last_one, begin),
        cmocka_unit_test_setup(only_one_ping_is_out_at_a_time, begin),
        cmocka_unit_test_setup(silence_is_the_end, begin),
        cmocka_unit_test_setup(bytes_without_the_answer_are_the_end_too, begin),
        cmocka_unit_test_setup(who_stood_still_himself_blames_nobody, begin),
        cmocka_unit_test_setup(mark_is_passed_by_as_many_answers, begin),
        cmocka_unit_test_setup(answer_to_nothing_passes_no_mark, begin),
        cmocka_unit_test_setup(marks_end_with_their_connection, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
