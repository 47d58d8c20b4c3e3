#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/backoff.h"

static void wait_stays_between_the_floor_and_the_doubling_limit(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        struct backoff backoff = {.floor_ms = 50, .limit_ms = 1000};
        uint32_t ceiling = 50;

        for (int attempt = 0; attempt < 12; attempt++) {
            uint32_t wait_ms = backoff_next_ms(&backoff);

            assert_in_range(wait_ms, 50, ceiling);
            ceiling = ceiling * 2 > 1000 ? 1000 : ceiling * 2;
        }
    }
}

static void waits_are_spread(void **state)
{
    uint32_t least = UINT32_MAX;
    uint32_t most = 0;

    (void)state;
    for (int round = 0; round < 1000; round++) {
        struct backoff backoff = {.floor_ms = 100, .limit_ms = 10000, .attempt = 10};
        uint32_t wait_ms = backoff_next_ms(&backoff);

        least = wait_ms < least ? wait_ms : least;
        most = wait_ms > most ? wait_ms : most;
    }
    /* Each bound is missed by a fair draw once in 10^20 runs at most. */
    assert_true(least < 1000);
    assert_true(most > 9000);
}

static void success_starts_from_the_floor_again(void **state)
{
    struct backoff backoff = {.floor_ms = 10, .limit_ms = 100000};

    (void)state;
    for (int i = 0; i < 100; i++)
        backoff_next_ms(&backoff);
    backoff_reset(&backoff);
    assert_int_equal(backoff_next_ms(&backoff), 10);
}

static void endless_failure_does_not_overflow(void **state)
{
    struct backoff backoff = {
        .floor_ms = 3000000000u, .limit_ms = 4000000000u, .attempt = UINT32_MAX - 2};

    (void)state;
    for (int i = 0; i < 10; i++)
        assert_in_range(backoff_next_ms(&backoff), 3000000000u, 4000000000u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wait_stays_between_the_floor_and_the_doubling_limit),
        cmocka_unit_test(waits_are_spread),
        cmocka_unit_test(success_starts_from_the_floor_again),
        cmocka_unit_test(endless_failure_does_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
