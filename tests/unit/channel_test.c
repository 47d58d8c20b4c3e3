#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "tests/unit/channel_fixture.h"

static struct list dirty;

static void leave(struct listener *listener)
{
    channel_leave(&listener->subscription);
}

static struct channel *create(void)
{
    return channel_create("bell", 4, &sink, &dirty);
}

static struct channel *create_open(void)
{
    struct channel *channel = create();

    channel_settle(channel, 0);
    return channel;
}

static void join(struct channel *channel, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        channel_join(channel, &listeners[i].subscription, &listeners[i], WIRE_SIMPLE);
}

static void say(struct channel *channel, const char *text)
{
    struct message *message = make_message("bell", text);

    channel_append(channel, message);
    message_unref(message);
}

static void finish(struct channel *channel)
{
    for (size_t i = 0; i < 8; i++) {
        if (listeners[i].subscription.channel)
            channel_leave(&listeners[i].subscription);
        block_unref(listeners[i].last);
    }
    assert_true(channel_is_empty(channel));
    channel_destroy(channel);
    assert_true(list_is_empty(&dirty));
}

static int reset(void **state)
{
    (void)state;
    list_init(&dirty);
    memset(listeners, 0, sizeof(listeners));
    return 0;
}

static void flush_hands_everybody_the_whole_tick_as_one_block(void **state)
{
    (void)state;
    struct channel *channel = create_open();

    join(channel, 0, 3);
    for (size_t i = 0; i < 3; i++)
        listeners[i].keeps = true;
    say(channel, "a");
    say(channel, "b");
    say(channel, "c");
    assert_string_equal(listeners[0].heard, "");
    channel_flush(channel);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(listeners[i].heard, "abc|");
        assert_int_equal(listeners[i].messages, 3);
        assert_ptr_equal(listeners[i].last, listeners[0].last);
    }
    /* The channel itself holds it no longer. */
    assert_int_equal(atomic_load(&listeners[0].last->references), 3);
    finish(channel);
}

static void flush_of_an_empty_tick_does_nothing(void **state)
{
    (void)state;
    struct channel *channel = create_open();

    join(channel, 0, 1);
    channel_flush(channel);
    assert_string_equal(listeners[0].heard, "");
    say(channel, "a");
    channel_flush(channel);
    channel_flush(channel);
    assert_string_equal(listeners[0].heard, "a|");
    say(channel, "b");
    channel_flush(channel);
    assert_string_equal(listeners[0].heard, "a|b|");
    assert_int_equal(listeners[0].messages, 2);
    finish(channel);
}

static void who_joins_in_a_tick_does_not_see_what_came_before(void **state)
{
    (void)state;
    struct channel *channel = create_open();

    join(channel, 0, 1);
    say(channel, "a");
    join(channel, 1, 1);
    say(channel, "b");
    channel_flush_all(&dirty);
    assert_string_equal(listeners[0].heard, "a|b|");
    assert_string_equal(listeners[1].heard, "b|");
    assert_int_equal(listeners[0].messages, 2);
    assert_int_equal(listeners[1].messages, 1);
    finish(channel);
}

static void who_joins_after_all_have_left_sees_nothing_of_their_tick(void **state)
{
    (void)state;
    struct channel *channel = create_open();

    join(channel, 0, 1);
    say(channel, "a");
    channel_leave(&listeners[0].subscription);
    say(channel, "nobody");
    join(channel, 1, 1);
    say(channel, "b");
    channel_flush(channel);
    assert_string_equal(listeners[0].heard, "");
    assert_string_equal(listeners[1].heard, "b|");
    assert_int_equal(listeners[1].messages, 1);
    finish(channel);
}

static void nothing_is_delivered_before_the_channel_is_open(void **state)
{
    (void)state;
    struct channel *channel = create();

    join(channel, 0, 1);
    say(channel, "a");
    assert_true(list_is_empty(&dirty));
    assert_int_equal(channel_state(channel), CHANNEL_OPENING);
    channel_settle(channel, 0);
    assert_int_equal(channel_state(channel), CHANNEL_OPEN);
    assert_int_equal(listeners[0].opened, 1);
    say(channel, "b");
    channel_flush(channel);
    assert_string_equal(listeners[0].heard, "b|");
    finish(channel);
}

static void everybody_is_told_of_a_refusal_and_may_leave(void **state)
{
    (void)state;
    struct channel *channel = create();

    join(channel, 0, 5);
    channel_settle(channel, UV_EMFILE);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(listeners[i].opened, UV_EMFILE);
    assert_true(channel_is_empty(channel));
    finish(channel);
}

/* Every choice of six who leave as soon as they are handed the first tick. */
static void leaving_in_a_flush_costs_the_others_nothing(void **state)
{
    (void)state;
    for (unsigned leavers = 0; leavers < 64; leavers++) {
        struct channel *channel = create_open();

        memset(listeners, 0, sizeof(listeners));
        join(channel, 0, 6);
        for (unsigned i = 0; i < 6; i++)
            listeners[i].leaves = leavers & (1u << i);
        say(channel, "a");
        channel_flush(channel);
        say(channel, "b");
        channel_flush(channel);
        for (unsigned i = 0; i < 6; i++)
            assert_string_equal(listeners[i].heard, leavers & (1u << i) ? "a|" : "a|b|");
        finish(channel);
    }
}

static void leaving_between_ticks_costs_the_others_nothing(void **state)
{
    (void)state;
    for (size_t leaver = 0; leaver < 5; leaver++) {
        struct channel *channel = create_open();

        memset(listeners, 0, sizeof(listeners));
        join(channel, 0, 5);
        say(channel, "a");
        channel_leave(&listeners[leaver].subscription);
        assert_null(listeners[leaver].subscription.channel);
        channel_flush(channel);
        channel_join(channel, &listeners[leaver].subscription, &listeners[leaver], WIRE_SIMPLE);
        say(channel, "b");
        channel_flush(channel);
        for (size_t i = 0; i < 5; i++)
            assert_string_equal(listeners[i].heard, i == leaver ? "b|" : "a|b|");
        finish(channel);
    }
}

/* Of more than are handed out in one call, some leave as they are served. */
static void whoever_leaves_amid_a_large_flush_costs_the_others_nothing(void **state)
{
    (void)state;
    enum { MANY = 300 };
    static struct listener crowd[MANY];

    for (size_t step = 1; step < 9; step++) {
        struct channel *channel = create_open();

        memset(crowd, 0, sizeof(crowd));
        for (size_t i = 0; i < MANY; i++) {
            channel_join(channel, &crowd[i].subscription, &crowd[i], WIRE_SIMPLE);
            crowd[i].leaves = i % step == 0;
        }
        say(channel, "a");
        channel_flush(channel);
        say(channel, "b");
        channel_flush(channel);
        for (size_t i = 0; i < MANY; i++) {
            assert_string_equal(crowd[i].heard, i % step == 0 ? "a|" : "a|b|");
            if (crowd[i].subscription.channel)
                channel_leave(&crowd[i].subscription);
        }
        finish(channel);
    }
}

static void many_come_and_go(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    static struct listener crowd[MANY];
    struct channel *channel = create_open();

    memset(crowd, 0, sizeof(crowd));
    for (size_t i = 0; i < MANY; i++)
        channel_join(channel, &crowd[i].subscription, &crowd[i], WIRE_SIMPLE);
    for (size_t i = 0; i < MANY; i++) {
        if (i % 16 != 15)
            channel_leave(&crowd[i].subscription);
    }
    say(channel, "a");
    channel_flush(channel);
    for (size_t i = 0; i < MANY; i++) {
        assert_string_equal(crowd[i].heard, crowd[i].subscription.channel ? "a|" : "");
        if (crowd[i].subscription.channel)
            channel_leave(&crowd[i].subscription);
    }
    finish(channel);
}

static void long_tick_is_flushed_before_its_time(void **state)
{
    (void)state;
    static char text[50001];
    struct channel *channel = create_open();

    memset(text, 'x', sizeof(text) - 1);
    join(channel, 0, 2);
    listeners[0].keeps = true;
    say(channel, text);
    say(channel, text);
    assert_int_equal(listeners[0].messages, 0);
    say(channel, text);
    assert_int_equal(listeners[0].messages, 3);
    assert_int_equal(listeners[1].messages, 3);
    assert_int_equal(listeners[0].last->size, 150000);
    assert_true(list_is_empty(&dirty));
    finish(channel);
}

static void every_dirty_channel_is_flushed_once(void **state)
{
    (void)state;
    struct channel *first = create_open();
    struct channel *second = create_open();
    struct channel *quiet = create_open();

    join(first, 0, 1);
    join(second, 1, 1);
    join(quiet, 2, 1);
    say(second, "a");
    say(first, "b");
    say(second, "c");
    channel_flush_all(&dirty);
    channel_flush_all(&dirty);
    assert_string_equal(listeners[0].heard, "b|");
    assert_string_equal(listeners[1].heard, "ac|");
    assert_string_equal(listeners[2].heard, "");
    channel_leave(&listeners[0].subscription);
    channel_leave(&listeners[1].subscription);
    channel_destroy(first);
    channel_destroy(second);
    finish(quiet);
}

static void channel_with_an_unsent_tick_can_be_destroyed(void **state)
{
    (void)state;
    struct channel *channel = create_open();

    join(channel, 0, 1);
    say(channel, "a");
    assert_false(list_is_empty(&dirty));
    finish(channel);
}

static void who_waits_keeps_the_channel_and_hears_nothing(void **state)
{
    struct channel *channel = create_open();

    (void)state;
    channel_join(channel, &listeners[0].subscription, &listeners[0], WIRE_NONE);
    assert_false(channel_is_empty(channel));
    say(channel, "a");
    assert_true(list_is_empty(&dirty)); /* there is nothing to flush */
    channel_change_wire(&listeners[0].subscription, WIRE_SIMPLE);
    say(channel, "b");
    channel_flush(channel);
    assert_string_equal(listeners[0].heard, "b|");
    finish(channel);
}

static void the_message_after_the_first_is_shown_with_the_one_before(void **state)
{
    struct channel *channel = create_open();

    (void)state;
    channel_join(channel, &listeners[0].subscription, &listeners[0], WIRE_FIRST);
    say(channel, "a");
    channel_flush(channel);
    assert_int_equal(listeners[0].subscription.wire, WIRE_AFTER);
    channel_join(channel, &listeners[1].subscription, &listeners[1], WIRE_FIRST);
    say(channel, "b");
    channel_flush(channel);
    say(channel, "c");
    say(channel, "d");
    channel_flush(channel);
    assert_string_equal(listeners[0].heard, "a|a>b|b>cc>d|");
    assert_string_equal(listeners[1].heard, "b|b>cc>d|");
    finish(channel);
}

static void joins_go_to_those_who_want_them(void **state)
{
    struct channel *channel = create_open();
    struct message *join = message_create(MESSAGE_JOIN, "bell", 4, "j", 1);

    (void)state;
    channel_join(channel, &listeners[0].subscription, &listeners[0], WIRE_SIMPLE);
    channel_join(channel, &listeners[1].subscription, &listeners[1], WIRE_JOINS);
    channel_join(channel, &listeners[2].subscription, &listeners[2], WIRE_FIRST);
    channel_append(channel, join);
    channel_flush(channel);
    assert_int_equal(listeners[2].subscription.wire, WIRE_FIRST);
    say(channel, "a");
    channel_append(channel, join);
    say(channel, "b");
    channel_flush(channel);
    assert_string_equal(listeners[0].heard, "ab|");
    assert_string_equal(listeners[1].heard, "j|ajb|");
    assert_string_equal(listeners[2].heard, "ab|");
    message_unref(join);
    finish(channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_waits_keeps_the_channel_and_hears_nothing, reset),
        cmocka_unit_test_setup(the_message_after_the_first_is_shown_with_the_one_before, reset),
        cmocka_unit_test_setup(joins_go_to_those_who_want_them, reset),
        cmocka_unit_test_setup(flush_hands_everybody_the_whole_tick_as_one_block, reset),
        cmocka_unit_test_setup(flush_of_an_empty_tick_does_nothing, reset),
        cmocka_unit_test_setup(who_joins_in_a_tick_does_not_see_what_came_before, reset),
        cmocka_unit_test_setup(who_joins_after_all_have_left_sees_nothing_of_their_tick, reset),
        cmocka_unit_test_setup(nothing_is_delivered_before_the_channel_is_open, reset),
        cmocka_unit_test_setup(everybody_is_told_of_a_refusal_and_may_leave, reset),
        cmocka_unit_test_setup(leaving_in_a_flush_costs_the_others_nothing, reset),
        cmocka_unit_test_setup(leaving_between_ticks_costs_the_others_nothing, reset),
        cmocka_unit_test_setup(whoever_leaves_amid_a_large_flush_costs_the_others_nothing, reset),
        cmocka_unit_test_setup(many_come_and_go, reset),
        cmocka_unit_test_setup(long_tick_is_flushed_before_its_time, reset),
        cmocka_unit_test_setup(every_dirty_channel_is_flushed_once, reset),
        cmocka_unit_test_setup(channel_with_an_unsent_tick_can_be_destroyed, reset),
    };

    return cmocka_run_group_tests_name("channel", tests, NULL, NULL);
}
