#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/identities.h"

static struct identities identities;

static int empty(void **state)
{
    (void)state;
    identities_deinit(&identities);
    return 0;
}

static void nothing_is_in_an_empty_set(void **state)
{
    (void)state;
    assert_false(identities_have(&identities, 1, 1));
    assert_false(identities_have(&identities, 0, 0));
}

static void messages_are_told_apart_by_publisher_and_sequence(void **state)
{
    (void)state;
    identities_add(&identities, 1, 2);
    identities_add(&identities, 1, 2);
    assert_int_equal(identities.count, 1);
    assert_true(identities_have(&identities, 1, 2));
    assert_false(identities_have(&identities, 2, 1));
    assert_false(identities_have(&identities, 1, 1));
    assert_false(identities_have(&identities, 2, 2));
}

static void message_without_a_sequence_is_never_there(void **state)
{
    (void)state;
    identities_add(&identities, 1, 0);
    assert_false(identities_have(&identities, 1, 0));
    identities_add(&identities, 1, 1);
    assert_false(identities_have(&identities, 1, 0));
}

static void many_are_all_there_and_no_others(void **state)
{
    (void)state;
    for (uint64_t publisher = 0; publisher < 50; publisher++) {
        for (uint64_t sequence = 1; sequence <= 1000; sequence++)
            identities_add(&identities, publisher, sequence);
    }
    assert_int_equal(identities.count, 50000);
    for (uint64_t publisher = 0; publisher < 50; publisher++) {
        for (uint64_t sequence = 1; sequence <= 1000; sequence++)
            assert_true(identities_have(&identities, publisher, sequence));
        assert_false(identities_have(&identities, publisher, 1001));
    }
    assert_false(identities_have(&identities, 50, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_is_in_an_empty_set, empty),
        cmocka_unit_test_teardown(messages_are_told_apart_by_publisher_and_sequence, empty),
        cmocka_unit_test_teardown(message_without_a_sequence_is_never_there, empty),
        cmocka_unit_test_teardown(many_are_all_there_and_no_others, empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
