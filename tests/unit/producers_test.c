#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "router/producers.h"

static struct producers producers;

static int forget_producers(void **state)
{
    (void)state;
    producers_deinit(&producers);
    return 0;
}

static void assert_known(uint64_t publisher, uint64_t sequence, uint64_t offset)
{
    const struct router_producer *producer = producers_find(&producers, publisher);

    assert_non_null(producer);
    assert_true(producer->publisher == publisher);
    assert_true(producer->sequence == sequence);
    assert_true(producer->offset == offset);
}

static void nobody_is_known_at_first(void **state)
{
    (void)state;
    assert_null(producers_find(&producers, 1));
    assert_null(producers_find(&producers, 0));
}

static void newest_message_of_each_publisher_is_known(void **state)
{
    (void)state;
    producers_note(&producers, 1, 10, 100);
    producers_note(&producers, 2, 5, 101);
    producers_note(&producers, 1, 11, 102);
    assert_known(1, 11, 102);
    assert_known(2, 5, 101);
    assert_int_equal(producers.count, 2);
    assert_null(producers_find(&producers, 3));
}

/* One that comes late, because it had gone astray. */
static void older_message_of_a_publisher_changes_nothing(void **state)
{
    (void)state;
    producers_note(&producers, 1, 11, 100);
    producers_note(&producers, 1, 10, 101);
    assert_known(1, 11, 100);
    assert_int_equal(producers.count, 1);
}

static void publishers_whose_newest_message_is_gone_are_forgotten(void **state)
{
    (void)state;
    producers_note(&producers, 1, 10, 100);
    producers_note(&producers, 2, 5, 101);
    producers_note(&producers, 3, 7, 102);
    assert_false(producers_forget_after(&producers, 102));
    assert_true(producers_forget_after(&producers, 100));
    assert_known(1, 10, 100);
    assert_int_equal(producers.count, 1);
}

static void one_that_was_silent_longest_is_forgotten(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= PRODUCERS_LIMIT; i++)
        producers_note(&producers, i, 1, i);
    producers_note(&producers, 1, 2, 1000); /* speaks again */
    producers_note(&producers, PRODUCERS_LIMIT + 1, 1, 1001);
    assert_int_equal(producers.count, PRODUCERS_LIMIT);
    assert_null(producers_find(&producers, 2));
    assert_known(1, 2, 1000);
    assert_known(3, 1, 3);
    assert_known(PRODUCERS_LIMIT + 1, 1, 1001);
}

static void all_that_is_known_can_be_replaced(void **state)
{
    static const struct router_producer others[] = {{7, 70, 700}, {8, 80, 800}};

    (void)state;
    producers_note(&producers, 1, 10, 100);
    producers_set(&producers, others, 2);
    assert_null(producers_find(&producers, 1));
    assert_known(7, 70, 700);
    assert_known(8, 80, 800);
    producers_set(&producers, NULL, 0);
    assert_null(producers_find(&producers, 7));
}

/* Another router's list goes on where it ended: its first is the next to be forgotten. */
static void list_that_was_taken_over_keeps_its_order(void **state)
{
    struct router_producer items[PRODUCERS_LIMIT];

    (void)state;
    for (unsigned i = 0; i < PRODUCERS_LIMIT; i++)
        items[i] = (struct router_producer){1000 - i, 1, 1};
    producers_set(&producers, items, PRODUCERS_LIMIT);
    producers_note(&producers, 5, 1, 2);
    assert_null(producers_find(&producers, 1000));
    assert_known(999, 1, 1);
    assert_true(producers.items[PRODUCERS_LIMIT - 1].publisher == 5);
}

/* One that a frame may bear, but we would never send. */
static void list_beyond_the_limit_is_cut_at_its_old_end(void **state)
{
    struct router_producer items[ROUTER_PRODUCER_LIMIT];

    (void)state;
    for (unsigned i = 0; i < ROUTER_PRODUCER_LIMIT; i++)
        items[i] = (struct router_producer){i + 1, 1, 1};
    producers_set(&producers, items, ROUTER_PRODUCER_LIMIT);
    assert_int_equal(producers.count, PRODUCERS_LIMIT);
    assert_null(producers_find(&producers, ROUTER_PRODUCER_LIMIT - PRODUCERS_LIMIT));
    assert_known(ROUTER_PRODUCER_LIMIT - PRODUCERS_LIMIT + 1, 1, 1);
    assert_known(ROUTER_PRODUCER_LIMIT, 1, 1);
}

static void nothing_is_left_after_the_end(void **state)
{
    (void)state;
    producers_note(&producers, 1, 10, 100);
    producers_deinit(&producers);
    assert_null(producers.items);
    assert_null(producers_find(&producers, 1));
    producers_note(&producers, 1, 10, 100);
    assert_known(1, 10, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nobody_is_known_at_first, forget_producers),
        cmocka_unit_test_teardown(newest_message_of_each_publisher_is_known, forget_producers),
        cmocka_unit_test_teardown(older_message_of_a_publisher_changes_nothing, forget_producers),
        cmocka_unit_test_teardown(publishers_whose_newest_message_is_gone_are_forgotten,
                                  forget_producers),
        cmocka_unit_test_teardown(one_that_was_silent_longest_is_forgotten, forget_producers),
        cmocka_unit_test_teardown(all_that_is_known_can_be_replaced, forget_producers),
        cmocka_unit_test_teardown(list_that_was_taken_over_keeps_its_order, forget_producers),
        cmocka_unit_test_teardown(list_beyond_the_limit_is_cut_at_its_old_end, forget_producers),
        cmocka_unit_test_teardown(nothing_is_left_after_the_end, forget_producers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
