#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/send_trial.h"

#define TRIAL_BATCHES (2 * SEND_TRIAL_ROUNDS)

/* What a send costs on the machine of a test, by way. */
static uint64_t costs[2];
static struct send_trial trial;
static unsigned timed[2]; /* batches, by way */
static unsigned rings;    /* batches that went through the ring, timed or not */
static unsigned news;

static int begin(void **state)
{
    (void)state;
    trial = (struct send_trial){0};
    costs[SEND_EACH] = 1000;
    costs[SEND_RING] = 700;
    timed[SEND_EACH] = timed[SEND_RING] = rings = news = 0;
    return 0;
}

static void send_batches(unsigned batches, unsigned count)
{
    for (unsigned i = 0; i < batches; i++) {
        bool is_timed;
        enum send_way way = send_trial_next(&trial, count, &is_timed);

        rings += way == SEND_RING;
        if (!is_timed)
            continue;
        timed[way]++;
        news += send_trial_note(&trial, count, way, costs[way] * count);
    }
}

static void both_ways_are_tried_alike_before_one_is_chosen(void **state)
{
    (void)state;
    send_batches(TRIAL_BATCHES, 100);
    assert_int_equal(timed[SEND_EACH], SEND_TRIAL_ROUNDS);
    assert_int_equal(timed[SEND_RING], SEND_TRIAL_ROUNDS);
    assert_int_equal(news, 1);
    assert_int_equal(send_trial_choice(&trial, 100), SEND_RING);
}

static void cheaper_way_is_taken(void **state)
{
    (void)state;
    send_batches(TRIAL_BATCHES + SEND_TRIAL_PAUSE, 100);
    assert_int_equal(rings, SEND_TRIAL_ROUNDS + SEND_TRIAL_PAUSE);
}

static void ring_that_is_dearer_is_used_for_trials_alone(void **state)
{
    (void)state;
    costs[SEND_RING] = 2000;
    send_batches(1000000, 100);
    assert_int_equal(rings, timed[SEND_RING]);
    assert_true(rings > 2 * SEND_TRIAL_ROUNDS); /* it is tried again */
    assert_true(rings < 1000000 / 1000);
}

static void gain_within_the_noise_does_not_count(void **state)
{
    (void)state;
    costs[SEND_RING] = 980;
    send_batches(TRIAL_BATCHES, 100);
    assert_int_equal(send_trial_choice(&trial, 100), SEND_EACH);
}

static void change_of_what_is_cheaper_is_found_out(void **state)
{
    (void)state;
    send_batches(200000, 100);
    assert_int_equal(news, 1);
    costs[SEND_RING] = 1500;
    for (unsigned i = 0; news < 2 && i < SEND_TRIAL_LONG_PAUSE + TRIAL_BATCHES; i++)
        send_batches(1, 100);
    assert_int_equal(news, 2);
    assert_int_equal(send_trial_choice(&trial, 100), SEND_EACH);

    rings = 0;
    send_batches(SEND_TRIAL_PAUSE, 100);
    assert_int_equal(rings, 0);
    send_batches(TRIAL_BATCHES, 100); /* soon, for it may change again */
    assert_int_equal(rings, SEND_TRIAL_ROUNDS);
}

static void batch_that_was_interrupted_does_not_decide(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TRIAL_BATCHES; i++) {
        bool is_timed;
        enum send_way way = send_trial_next(&trial, 100, &is_timed);

        assert_true(is_timed);
        send_trial_note(&trial, 100, way, costs[way] * (i == 1 || i == 6 ? 100000 : 100));
    }
    assert_int_equal(send_trial_choice(&trial, 100), SEND_RING);
}

static void batches_of_another_magnitude_are_judged_apart(void **state)
{
    (void)state;
    send_batches(TRIAL_BATCHES, 200);
    costs[SEND_RING] = 1800;
    send_batches(TRIAL_BATCHES, 2);
    assert_int_equal(send_trial_choice(&trial, 128), SEND_RING);
    assert_int_equal(send_trial_choice(&trial, 3), SEND_EACH);
    assert_int_equal(news, 2);
    send_batches(1, UINT32_MAX); /* as large as there can be */
    send_batches(1, 1);
}

static void cheap_sends_are_told_apart(void **state)
{
    (void)state;
    costs[SEND_EACH] = 2;
    costs[SEND_RING] = 1;
    send_batches(TRIAL_BATCHES, 256);
    assert_int_equal(send_trial_choice(&trial, 256), SEND_RING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(both_ways_are_tried_alike_before_one_is_chosen, begin),
        cmocka_unit_test_setup(cheaper_way_is_taken, begin),
        cmocka_unit_test_setup(ring_that_is_dearer_is_used_for_trials_alone, begin),
        cmocka_unit_test_setup(gain_within_the_noise_does_not_count, begin),
        cmocka_unit_test_setup(change_of_what_is_cheaper_is_found_out, begin),
        cmocka_unit_test_setup(batch_that_was_interrupted_does_not_decide, begin),
        cmocka_unit_test_setup(batches_of_another_magnitude_are_judged_apart, begin),
        cmocka_unit_test_setup(cheap_sends_are_told_apart, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
