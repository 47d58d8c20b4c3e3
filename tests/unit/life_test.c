#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway/life.h"

static const struct config config = {.ping_interval_ms = 1000, .pong_timeout_ms = 400};
static struct life life;
static uint64_t wait_ms;

/* What a look at that time gives. */
static enum life_verdict at(uint32_t now_ms)
{
    return life_check(&life, now_ms, false, &config, &wait_ms);
}

static enum life_verdict moved_at(uint32_t now_ms)
{
    return life_check(&life, now_ms, true, &config, &wait_ms);
}

static void expect_wait(enum life_verdict verdict, uint64_t expected_ms)
{
    assert_int_equal(verdict, LIFE_WAIT);
    assert_int_equal(wait_ms, expected_ms);
}

static void peer_that_is_heard_is_not_asked(void **state)
{
    (void)state;
    life_sign(&life, 5000);
    expect_wait(at(5000), 1000);
    expect_wait(at(5999), 1);
    life_sign(&life, 5999);
    expect_wait(at(6000), 999);
}

static void silent_peer_is_asked_once_and_is_dead_without_an_answer(void **state)
{
    (void)state;
    life_sign(&life, 0);
    assert_int_equal(at(1000), LIFE_ASK);
    assert_int_equal(wait_ms, 400);
    expect_wait(at(1100), 300); /* a look before the time changes nothing */
    expect_wait(at(1399), 1);
    assert_int_equal(at(1400), LIFE_OVER);
}

static void answer_is_a_sign_of_life(void **state)
{
    (void)state;
    life_sign(&life, 0);
    assert_int_equal(at(1200), LIFE_ASK);
    life_sign(&life, 1500);
    expect_wait(at(1600), 900);
    assert_int_equal(at(2500), LIFE_ASK);
}

static void time_of_the_answer_counts_from_the_question(void **state)
{
    (void)state;
    life_sign(&life, 0);
    assert_int_equal(at(5000), LIFE_ASK); /* late, because the loop was busy */
    expect_wait(at(5399), 1);
    assert_int_equal(at(5400), LIFE_OVER);
}

static void peer_that_reads_has_time_to_come_to_the_question(void **state)
{
    (void)state;
    life_sign(&life, 0);
    assert_int_equal(at(1000), LIFE_ASK);
    expect_wait(moved_at(1400), 400);
    expect_wait(moved_at(1800), 400);
    assert_int_equal(at(2200), LIFE_OVER);
}

static void reading_does_not_spare_the_question(void **state)
{
    (void)state;
    life_sign(&life, 0);
    assert_int_equal(moved_at(1000), LIFE_ASK);
}

static void clock_may_wrap(void **state)
{
    (void)state;
    life_sign(&life, UINT32_MAX - 99);
    expect_wait(at(100), 800);
    assert_int_equal(at(900), LIFE_ASK);
    assert_int_equal(at(1300), LIFE_OVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peer_that_is_heard_is_not_asked),
        cmocka_unit_test(silent_peer_is_asked_once_and_is_dead_without_an_answer),
        cmocka_unit_test(answer_is_a_sign_of_life),
        cmocka_unit_test(time_of_the_answer_counts_from_the_question),
        cmocka_unit_test(peer_that_reads_has_time_to_come_to_the_question),
        cmocka_unit_test(reading_does_not_spare_the_question),
        cmocka_unit_test(clock_may_wrap),
    };

    return cmocka_run_group_tests_name("life", tests, NULL, NULL);
}
