#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/top_channels.h"

static void offer(struct top_channels *top, const char *name, uint64_t subscribers)
{
    top_channels_offer(top, name, strlen(name), subscribers);
}

static void offer_number(struct top_channels *top, unsigned number, uint64_t subscribers)
{
    char name[16];

    snprintf(name, sizeof(name), "room-%03u", number);
    offer(top, name, subscribers);
}

static void assert_item(const struct top_channels *top, size_t index, const char *name,
                        uint64_t subscribers)
{
    assert_true(index < top->count);
    assert_int_equal(top->items[index].name_size, strlen(name));
    assert_memory_equal(top->items[index].name, name, strlen(name));
    assert_int_equal(top->items[index].subscribers, subscribers);
}

static void largest_come_first_and_equal_ones_by_name(void **state)
{
    (void)state;
    struct top_channels top = {0};

    offer(&top, "b", 2);
    offer(&top, "abc", 2);
    offer(&top, "a", 2);
    offer(&top, "large", 9);
    offer(&top, "ab", 2);
    top_channels_sort(&top);
    assert_int_equal(top.count, 5);
    assert_item(&top, 0, "large", 9);
    assert_item(&top, 1, "a", 2);
    assert_item(&top, 2, "ab", 2);
    assert_item(&top, 3, "abc", 2);
    assert_item(&top, 4, "b", 2);
}

static void of_very_many_the_largest_stay(void **state)
{
    (void)state;
    struct top_channels top = {0};

    /* In an order that is neither that of sizes nor its reverse. */
    for (unsigned i = 0; i < 1000; i++)
        offer_number(&top, i * 7 % 1000, i * 7 % 1000);
    top_channels_sort(&top);
    assert_int_equal(top.count, TOP_CHANNELS);
    assert_item(&top, 0, "room-999", 999);
    assert_item(&top, TOP_CHANNELS - 1, "room-950", 950);
}

static void same_channel_of_two_threads_is_one(void **state)
{
    (void)state;
    struct top_channels top = {0};
    struct top_channels other = {0};

    offer(&top, "lobby", 3);
    offer(&top, "mine", 1);
    offer(&other, "lobby", 4);
    offer(&other, "yours", 2);
    top_channels_merge(&top, &other);
    top_channels_sort(&top);
    assert_int_equal(top.count, 3);
    assert_item(&top, 0, "lobby", 7);
    assert_item(&top, 1, "yours", 2);
    assert_item(&top, 2, "mine", 1);
}

static void channel_that_both_have_is_not_pushed_out_by_one_of_either(void **state)
{
    (void)state;
    struct top_channels top = {0};
    struct top_channels other = {0};

    for (unsigned i = 0; i < TOP_CHANNELS; i++)
        offer_number(&top, i, 10 + i);
    for (unsigned i = 100; i < 100 + TOP_CHANNELS - 1; i++)
        offer_number(&other, i, 15);
    offer_number(&other, 0, 100); /* the least of the one is the largest of both */
    top_channels_merge(&top, &other);
    top_channels_sort(&top);
    assert_int_equal(top.count, TOP_CHANNELS);
    assert_item(&top, 0, "room-000", 110);
    assert_item(&top, 1, "room-049", 59);
    assert_true(top.items[TOP_CHANNELS - 1].subscribers >= 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(largest_come_first_and_equal_ones_by_name),
        cmocka_unit_test(of_very_many_the_largest_stay),
        cmocka_unit_test(same_channel_of_two_threads_is_one),
        cmocka_unit_test(channel_that_both_have_is_not_pushed_out_by_one_of_either),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
