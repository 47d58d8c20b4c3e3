#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/send_trial.h"

#define TRIAL_BATCHES (2 * SEND_TRIAL_ROUNDS) /* of one part each */
#define BATCH         50

/* What a send costs on the machine of a test, by way. */
static uint64_t costs[2];
static struct send_trial trial;
static unsigned timed[2]; /* parts, by way */
static uint64_t sent[2];  /* timed or not, by way */
static unsigned news;

static int begin(void **state)
{
    (void)state;
    trial = (struct send_trial){0};
    costs[SEND_EACH] = 1000;
    costs[SEND_RING] = 700;
    timed[SEND_EACH] = timed[SEND_RING] = news = 0;
    sent[SEND_EACH] = sent[SEND_RING] = 0;
    return 0;
}

static void send_batch(unsigned batch)
{
    struct send_part part;

    for (unsigned left = batch; left > 0; left -= part.count) {
        part = send_trial_next(&trial, batch, left);
        assert_in_range(part.count, 1, left);
        sent[part.way] += part.count;
        if (!part.is_timed)
            continue;
        timed[part.way]++;
        news += send_trial_note(&trial, batch, part, costs[part.way] * part.count);
    }
}

static void send_batches(unsigned batches, unsigned batch)
{
    for (unsigned i = 0; i < batches; i++)
        send_batch(batch);
}

static void both_ways_are_tried_alike_before_one_is_chosen(void **state)
{
    (void)state;
    send_batches(TRIAL_BATCHES, BATCH);
    assert_int_equal(timed[SEND_EACH], SEND_TRIAL_ROUNDS);
    assert_int_equal(timed[SEND_RING], SEND_TRIAL_ROUNDS);
    assert_int_equal(news, 1);
    assert_int_equal(send_trial_choice(&trial, BATCH), SEND_RING);
}

static void cheaper_way_is_taken(void **state)
{
    (void)state;
    send_batches(TRIAL_BATCHES + SEND_TRIAL_PAUSE, BATCH);
    assert_int_equal(sent[SEND_RING], (SEND_TRIAL_ROUNDS + SEND_TRIAL_PAUSE) * BATCH);
}

static void ring_that_is_dearer_is_used_for_trials_alone(void **state)
{
    (void)state;
    costs[SEND_RING] = 2000;
    send_batches(1000000, BATCH);
    assert_int_equal(sent[SEND_RING], timed[SEND_RING] * BATCH);
    assert_true(timed[SEND_RING] > 2 * SEND_TRIAL_ROUNDS); /* it is tried again */
    assert_true(timed[SEND_RING] < 1000000 / 1000);
}

static void gain_within_the_noise_does_not_count(void **state)
{
    (void)state;
    costs[SEND_RING] = 980;
    send_batches(TRIAL_BATCHES, BATCH);
    assert_int_equal(send_trial_choice(&trial, BATCH), SEND_EACH);
}

static void change_of_what_is_cheaper_is_found_out(void **state)
{
    (void)state;
    send_batches(200000, BATCH);
    assert_int_equal(news, 1);
    costs[SEND_RING] = 1500;
    for (unsigned i = 0; news < 2 && i < SEND_TRIAL_LONG_PAUSE + TRIAL_BATCHES; i++)
        send_batches(1, BATCH);
    assert_int_equal(news, 2);
    assert_int_equal(send_trial_choice(&trial, BATCH), SEND_EACH);

    sent[SEND_RING] = 0;
    send_batches(SEND_TRIAL_PAUSE, BATCH);
    assert_int_equal(sent[SEND_RING], 0);
    send_batches(TRIAL_BATCHES, BATCH); /* soon, for it may change again */
    assert_int_equal(sent[SEND_RING], SEND_TRIAL_ROUNDS * BATCH);
}

static void part_that_was_interrupted_does_not_decide(void **state)
{
    (void)state;
    for (unsigned i = 0; i < TRIAL_BATCHES; i++) {
        struct send_part part = send_trial_next(&trial, BATCH, BATCH);

        assert_true(part.is_timed);
        send_trial_note(&trial, BATCH, part,
                        costs[part.way] * (i == 1 || i == 6 ? 1000 * BATCH : BATCH));
    }
    assert_int_equal(send_trial_choice(&trial, BATCH), SEND_RING);
}

/* So that a trial costs little where batches are large. */
static void of_a_large_batch_a_trial_takes_small_parts(void **state)
{
    const unsigned trial_sends = TRIAL_BATCHES * SEND_TRIAL_PART;

    (void)state;
    send_batch(trial_sends - SEND_TRIAL_PART + 1); /* its last part is too short to be timed */
    assert_int_equal(timed[SEND_EACH] + timed[SEND_RING], TRIAL_BATCHES - 1);
    assert_int_equal(sent[SEND_EACH] + sent[SEND_RING], trial_sends - SEND_TRIAL_PART + 1);
    send_batch(1000); /* the trial ends with its first part */
    assert_int_equal(news, 1);
    assert_int_equal(sent[SEND_EACH], SEND_TRIAL_ROUNDS * SEND_TRIAL_PART + 1);
    send_batches(SEND_TRIAL_PAUSE - 1, 1000);
    assert_int_equal(timed[SEND_EACH] + timed[SEND_RING], TRIAL_BATCHES);
    send_batch(1000); /* the next one */
    assert_int_equal(timed[SEND_EACH] + timed[SEND_RING], TRIAL_BATCHES + 1000 / SEND_TRIAL_PART);
}

static void batches_of_another_magnitude_are_judged_apart(void **state)
{
    (void)state;
    send_batches(TRIAL_BATCHES, 100);
    costs[SEND_RING] = 1800;
    send_batches(TRIAL_BATCHES, 2);
    assert_int_equal(send_trial_choice(&trial, 128), SEND_RING);
    assert_int_equal(send_trial_choice(&trial, 3), SEND_EACH);
    assert_int_equal(news, 2);
    send_batches(1, UINT32_MAX); /* as large as there can be */
    send_batches(1, 1);
    assert_int_equal(sent[SEND_EACH] + sent[SEND_RING],
                     (uint64_t)TRIAL_BATCHES * (100 + 2) + UINT32_MAX + 1);
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
        cmocka_unit_test_setup(part_that_was_interrupted_does_not_decide, begin),
        cmocka_unit_test_setup(of_a_large_batch_a_trial_takes_small_parts, begin),
        cmocka_unit_test_setup(batches_of_another_magnitude_are_judged_apart, begin),
        cmocka_unit_test_setup(cheap_sends_are_told_apart, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
