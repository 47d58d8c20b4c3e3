#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/memory.h"
#include "tests/bench/latency_histogram.h"

static int create(void **state)
{
    *state = memory_zeroed(1, sizeof(struct latency_histogram));
    return 0;
}

static int destroy(void **state)
{
    memory_free(*state);
    return 0;
}

static void empty_histogram_answers_zero(void **state)
{
    const struct latency_histogram *histogram = *state;

    assert_int_equal(latency_histogram_percentile(histogram, 0), 0);
    assert_int_equal(latency_histogram_percentile(histogram, 99), 0);
    assert_true(latency_histogram_mean(histogram) == 0);
}

static void single_value_is_every_percentile(void **state)
{
    static const uint64_t values[] = {0,          1,         127,        128,
                                      129,        255,       256,        257,
                                      1000000,    123456789, 1ull << 32, (1ull << 63) - 1,
                                      1ull << 63, UINT64_MAX};
    struct latency_histogram *histogram = *state;

    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        latency_histogram_reset(histogram);
        latency_histogram_record(histogram, values[i]);
        assert_true(latency_histogram_percentile(histogram, 0) == values[i]);
        assert_true(latency_histogram_percentile(histogram, 50) == values[i]);
        assert_true(latency_histogram_percentile(histogram, 100) == values[i]);
        assert_true(histogram->minimum == values[i]);
        assert_true(histogram->maximum == values[i]);
    }
}

static void small_values_are_exact(void **state)
{
    struct latency_histogram *histogram = *state;

    for (uint64_t value = 1; value <= 100; value++)
        latency_histogram_record(histogram, value);
    for (uint64_t percent = 1; percent <= 100; percent++)
        assert_int_equal(latency_histogram_percentile(histogram, (double)percent), percent);
    assert_true(latency_histogram_mean(histogram) == 50.5);
}

/* Never below the value asked for, and above it by less than a 128th. */
static void percentiles_are_within_one_percent(void **state)
{
    struct latency_histogram *histogram = *state;

    for (uint64_t value = 1000; value <= 1000000; value += 1000)
        latency_histogram_record(histogram, value);
    for (uint64_t percent = 1; percent <= 100; percent++) {
        uint64_t exact = percent * 10000;
        uint64_t found = latency_histogram_percentile(histogram, (double)percent);

        assert_true(found >= exact);
        assert_true(found - exact <= exact / 128);
    }
}

static void neighbours_across_a_power_of_two_keep_their_order(void **state)
{
    struct latency_histogram *histogram = *state;

    for (unsigned bit = 7; bit < 64; bit++) {
        uint64_t power = 1ull << bit;

        latency_histogram_reset(histogram);
        latency_histogram_record(histogram, power - 1);
        latency_histogram_record(histogram, power);
        assert_true(latency_histogram_percentile(histogram, 50) == power - 1);
        assert_true(latency_histogram_percentile(histogram, 100) == power);
    }
}

static void rare_outlier_shows_only_in_the_highest_percentiles(void **state)
{
    struct latency_histogram *histogram = *state;

    for (unsigned i = 0; i < 999; i++)
        latency_histogram_record(histogram, 100);
    latency_histogram_record(histogram, 5000000);
    assert_int_equal(latency_histogram_percentile(histogram, 99.9), 100);
    assert_int_equal(latency_histogram_percentile(histogram, 99.91), 5000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty_histogram_answers_zero, create, destroy),
        cmocka_unit_test_setup_teardown(single_value_is_every_percentile, create, destroy),
        cmocka_unit_test_setup_teardown(small_values_are_exact, create, destroy),
        cmocka_unit_test_setup_teardown(percentiles_are_within_one_percent, create, destroy),
        cmocka_unit_test_setup_teardown(neighbours_across_a_power_of_two_keep_their_order, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(rare_outlier_shows_only_in_the_highest_percentiles, create,
                                        destroy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
