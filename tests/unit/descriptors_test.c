#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/resource.h>
#include <uv.h>

#include "gateway/descriptors.h"

static struct descriptors descriptors;

static void soft_limit_is_raised_to_the_hard_one(void **state)
{
    (void)state;
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max / 2;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(descriptors_raise(), limit.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(limit.rlim_cur, limit.rlim_max);
}

static uint64_t shared(void)
{
    return descriptors.clients + descriptors.refusals + descriptors.admin;
}

static void clients_get_what_nobody_else_needs(void **state)
{
    (void)state;
    assert_int_equal(descriptors_divide(&descriptors, 20000, 2, 1, 0), 0);
    assert_int_equal(descriptors.limit, 20000);
    assert_in_range(descriptors.clients, 19000, 19950);
    assert_true(shared() < 20000);
    assert_int_equal(descriptors_divide(&descriptors, RLIM_INFINITY, 2, 1, 0), 0);
    assert_true(descriptors.clients > 100000000);
}

static void each_thread_is_kept_its_own(void **state)
{
    (void)state;
    assert_int_equal(descriptors_divide(&descriptors, 20000, 2, 1, 0), 0);

    uint64_t few = descriptors.clients;

    assert_int_equal(descriptors_divide(&descriptors, 20000, 64, 1, 0), 0);
    assert_true(few - descriptors.clients >= (uint64_t)62 * 5);

    few = descriptors.clients;
    assert_int_equal(descriptors_divide(&descriptors, 20000, 64, 2, 0), 0);
    assert_int_equal(few - descriptors.clients, 64);
}

static void backend_is_kept_its_own(void **state)
{
    uint64_t all;

    (void)state;
    assert_int_equal(descriptors_divide(&descriptors, 20000, 2, 1, 0), 0);
    all = descriptors.clients;
    assert_int_equal(descriptors_divide(&descriptors, 20000, 2, 1, 64), 0);
    assert_true(all - descriptors.clients >= 128);
    assert_int_equal(descriptors_divide(&descriptors, 200, 2, 1, 10000), UV_EMFILE);
}

/* Refusals and operators have their place, but do not keep all clients out. */
static void few_are_divided_fairly(void **state)
{
    (void)state;
    assert_int_equal(descriptors_divide(&descriptors, 64, 4, 1, 0), 0);
    assert_true(descriptors.refusals > 0);
    assert_true(descriptors.admin > 0);
    assert_true(descriptors.clients >= descriptors.refusals + descriptors.admin);
    assert_true(shared() < 64 - (uint64_t)5 * 5);
}

static void too_few_are_an_error(void **state)
{
    (void)state;
    static const uint64_t limits[] = {0, 3, 64, 256};

    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        assert_int_equal(descriptors_divide(&descriptors, limits[i], 64, 1, 0), UV_EMFILE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(soft_limit_is_raised_to_the_hard_one),
        cmocka_unit_test(clients_get_what_nobody_else_needs),
        cmocka_unit_test(each_thread_is_kept_its_own),
        cmocka_unit_test(backend_is_kept_its_own),
        cmocka_unit_test(few_are_divided_fairly),
        cmocka_unit_test(too_few_are_an_error),
    };

    return cmocka_run_group_tests_name("descriptors", tests, NULL, NULL);
}
