#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/budget.h"

#define MIB ((uint64_t)1024 * 1024)

static struct config config;

static int make_config(void **state)
{
    (void)state;
    config = (struct config){
        .memory_limit_bytes = 1024 * MIB,
        .history_memory_bytes = 256 * MIB,
        .waiting_memory_bytes = 64 * MIB,
        .presence_memory_bytes = 32 * MIB,
        .key_memory_bytes = 32 * MIB,
        .channel_memory_bytes = 128 * MIB,
        .link_memory_bytes = 256 * MIB,
        .max_message_size = 10 * MIB,
    };
    return 0;
}

static uint64_t sum_of(const struct budget *budget, unsigned threads)
{
    return budget->history + budget->waiting + budget->presence + budget->keys + budget->channels +
           budget->links + (uint64_t)6 * threads * budget->message;
}

static void what_fits_is_as_the_options_say(void **state)
{
    struct budget budget = budget_of(&config, 2, 0);

    (void)state;
    assert_false(budget.is_lowered);
    assert_true(budget.limit == 1024 * MIB);
    assert_true(budget.history == 256 * MIB);
    assert_true(budget.waiting == 64 * MIB);
    assert_true(budget.presence == 32 * MIB);
    assert_true(budget.keys == 32 * MIB);
    assert_true(budget.channels == 128 * MIB);
    assert_true(budget.links == 256 * MIB);
    assert_true(budget.message == 10 * MIB);
}

static void what_does_not_fit_is_lowered_in_proportion(void **state)
{
    struct budget budget;

    (void)state;
    config.memory_limit_bytes = 508 * MIB; /* seven eighths are about half of what is wanted */
    budget = budget_of(&config, 2, 0);
    assert_true(budget.is_lowered);
    assert_in_range(budget.history, 128 * MIB - MIB, 128 * MIB + MIB);
    assert_in_range(budget.waiting, 32 * MIB - MIB, 32 * MIB + MIB);
    assert_in_range(budget.presence, 16 * MIB - MIB, 16 * MIB + MIB);
    assert_in_range(budget.keys, 16 * MIB - MIB, 16 * MIB + MIB);
    assert_in_range(budget.channels, 64 * MIB - MIB, 64 * MIB + MIB);
    assert_in_range(budget.links, 128 * MIB - MIB, 128 * MIB + MIB);
    assert_in_range(budget.message, 5 * MIB - MIB, 5 * MIB + MIB);
    assert_true(sum_of(&budget, 2) <= budget.limit - budget.limit / 8);
}

static void largest_options_fit_into_the_least_limit(void **state)
{
    struct budget budget;

    (void)state;
    config.memory_limit_bytes = 64 * MIB;
    config.history_memory_bytes = MIB * MIB;
    config.link_memory_bytes = MIB * MIB;
    budget = budget_of(&config, 64, 0);
    assert_true(budget.history > 0 && budget.message > 0);
    assert_true(sum_of(&budget, 64) <= 56 * MIB);
}

static void without_a_limit_it_is_three_quarters_of_the_machine(void **state)
{
    struct budget budget;

    (void)state;
    config.memory_limit_bytes = 0;
    budget = budget_of(&config, 2, 8192 * MIB);
    assert_true(budget.limit == 6144 * MIB);
    assert_false(budget.is_lowered);
    budget = budget_of(&config, 2, 512 * MIB);
    assert_true(budget.limit == 384 * MIB);
    assert_true(budget.is_lowered);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_fits_is_as_the_options_say, make_config),
        cmocka_unit_test_setup(what_does_not_fit_is_lowered_in_proportion, make_config),
        cmocka_unit_test_setup(largest_options_fit_into_the_least_limit, make_config),
        cmocka_unit_test_setup(without_a_limit_it_is_three_quarters_of_the_machine, make_config),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
