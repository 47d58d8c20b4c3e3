#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "gateway/channels.h"
#include "tests/unit/channel_fixture.h"

/* The hub is an inbox whose commands the test writes down. */
static struct channels channels;
static struct worker_stats stats;
static uv_loop_t loop;
static struct inbox hub;
static char asked[128];
static struct channel_command answer = {.channel_size = 4, .channel = "bell"};

static void leave(struct listener *listener)
{
    channels_leave(&channels, &listener->subscription);
}

static void note_command(struct inbox *inbox, struct inbox_item *item)
{
    struct command *command = container_of(item, struct command, item);
    struct channel_command *named = container_of(command, struct channel_command, command);
    size_t used = strlen(asked);

    (void)inbox;
    assert_string_equal(named->channel, "bell");
    assert_int_equal(named->channel_size, 4);
    snprintf(asked + used, sizeof(asked) - used, "%s;",
             command->kind == COMMAND_SUBSCRIBE     ? "subscribe"
             : command->kind == COMMAND_UNSUBSCRIBE ? "unsubscribe"
                                                    : "nonsense");
    memory_free(named);
}

/* The commands since the last look. */
static void expect_asked(const char *expected)
{
    inbox_drain(&hub);
    assert_string_equal(asked, expected);
    asked[0] = '\0';
}

static int make_channels(void **state)
{
    (void)state;
    memset(listeners, 0, sizeof(listeners));
    asked[0] = '\0';
    stats = (struct worker_stats){0};
    if (uv_loop_init(&loop) || inbox_init(&hub, &loop, note_command))
        return -1;
    channels_init(&channels, &sink, NULL, &hub, &stats);
    return 0;
}

static int destroy_channels(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++)
        channels_leave(&channels, &listeners[i].subscription);
    channels_deinit(&channels);
    inbox_drain(&hub);
    inbox_close(&hub);
    uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

static enum channel_state enter(size_t index)
{
    return channels_join(&channels, "bell", 4, &listeners[index].subscription, &listeners[index],
                         WIRE_SIMPLE);
}

static void broadcast(const char *text)
{
    struct message *message = make_message("bell", text);

    if (channels_find(&channels, "bell", 4))
        channel_append(channels_find(&channels, "bell", 4), message);
    message_unref(message);
}

static void expect_channels(size_t count)
{
    assert_int_equal(channels.by_name.count, count);
    assert_int_equal(metric_read(&stats.channels), count);
}

static void hub_is_told_of_the_first_to_come_and_the_last_to_go(void **state)
{
    (void)state;
    assert_int_equal(enter(0), CHANNEL_OPENING);
    expect_asked("subscribe;");
    assert_int_equal(enter(1), CHANNEL_OPENING);
    channels_subscribed(&channels, &answer);
    assert_int_equal(listeners[0].opened, 1);
    assert_int_equal(listeners[1].opened, 1);
    assert_int_equal(enter(2), CHANNEL_OPEN);
    broadcast("a");
    channels_end_tick(&channels);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(listeners[i].heard, "a|");
    leave(&listeners[0]);
    leave(&listeners[1]);
    channels_end_tick(&channels);
    expect_asked("");
    expect_channels(1);
    leave(&listeners[2]);
    leave(&listeners[2]);
    channels_end_tick(&channels);
    expect_asked("unsubscribe;");
    expect_channels(0);
    assert_null(channels_find(&channels, "bell", 4));
}

static void hub_is_not_told_of_who_comes_back_within_the_tick(void **state)
{
    (void)state;
    enter(0);
    channels_subscribed(&channels, &answer);
    channels_end_tick(&channels);
    expect_asked("subscribe;");
    leave(&listeners[0]);
    assert_int_equal(enter(0), CHANNEL_OPEN);
    channels_end_tick(&channels);
    expect_asked("");
    broadcast("a");
    channels_end_tick(&channels);
    assert_string_equal(listeners[0].heard, "a|");
}

static void all_may_leave_while_they_are_handed_the_tick(void **state)
{
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        enter(i);
        listeners[i].leaves = i != 3;
    }
    channels_subscribed(&channels, &answer);
    for (size_t i = 0; i < 8; i++)
        listeners[i].leaves = true;
    broadcast("a");
    channels_end_tick(&channels);
    assert_string_equal(listeners[3].heard, "a|");
    assert_string_equal(listeners[4].heard, "");
    expect_asked("subscribe;unsubscribe;");
    expect_channels(0);
}

/* Else the answer to the first subscription would be taken for one to the second, and who is told
 * that the channel is open would miss what is said before the hub subscribes again. */
static void channel_left_before_the_hub_answered_waits_for_the_answer(void **state)
{
    (void)state;
    enter(0);
    leave(&listeners[0]);
    channels_end_tick(&channels);
    expect_asked("subscribe;");
    assert_int_equal(enter(1), CHANNEL_OPENING);
    channels_end_tick(&channels);
    expect_asked("");
    channels_subscribed(&channels, &answer);
    channels_end_tick(&channels);
    assert_int_equal(listeners[0].opened, 0);
    assert_int_equal(listeners[1].opened, 1);
    expect_asked("");
    expect_channels(1);
}

static void channel_that_opens_for_nobody_is_given_up(void **state)
{
    (void)state;
    enter(0);
    leave(&listeners[0]);
    channels_end_tick(&channels);
    expect_channels(1);
    channels_subscribed(&channels, &answer);
    channels_end_tick(&channels);
    expect_asked("subscribe;unsubscribe;");
    expect_channels(0);
}

static void refused_channel_is_gone_without_unsubscribing(void **state)
{
    (void)state;
    enter(0);
    enter(1);
    channels_refused(&channels, &answer, UV_EMFILE);
    assert_int_equal(listeners[0].opened, UV_EMFILE);
    assert_int_equal(listeners[1].opened, UV_EMFILE);
    expect_channels(0);
    channels_end_tick(&channels);
    expect_asked("subscribe;");
    enter(0);
    leave(&listeners[0]);
    channels_end_tick(&channels);
    channels_refused(&channels, &answer, UV_EMFILE);
    expect_channels(0);
    channels_end_tick(&channels);
    expect_asked("subscribe;");
}

static void message_and_answer_for_an_unknown_channel_are_ignored(void **state)
{
    (void)state;
    broadcast("a");
    channels_subscribed(&channels, &answer);
    channels_refused(&channels, &answer, UV_EMFILE);
    channels_end_tick(&channels);
    expect_asked("");
    expect_channels(0);
}

/* A tick at that time; what the listener heard in it. */
static void expect_at(uint32_t now_ms, const char *heard)
{
    channels.now_ms = now_ms;
    channels_end_tick(&channels);
    assert_string_equal(listeners[0].heard, heard);
    listeners[0].heard[0] = '\0';
}

static void expect_wait(uint32_t expected_ms)
{
    uint32_t wait_ms;

    assert_true(channels_wait(&channels, &wait_ms));
    assert_int_equal(wait_ms, expected_ms);
}

static void busy_channel_gathers_for_as_long_as_it_may(void **state)
{
    uint32_t begin = UINT32_MAX - 12; /* loop time wraps meanwhile */
    uint32_t wait_ms;

    (void)state;
    enter(0);
    channels_subscribed(&channels, &answer);
    channels.gather_ms = 10;
    broadcast("a");
    expect_at(begin, "a|"); /* it was quiet */
    assert_false(channels_wait(&channels, &wait_ms));
    broadcast("b");
    expect_at(begin + 2, "");
    expect_wait(10);
    broadcast("c");
    expect_at(begin + 11, "");
    expect_wait(1);
    expect_at(begin + 12, "bc|");
    broadcast("d");
    expect_at(begin + 14, "");
    expect_at(begin + 30, "d|");
    broadcast("e");
    expect_at(begin + 34, "e|"); /* it was due long before */
}

/* The first listener has heard "a", and "b" waits for ten milliseconds. */
static void let_b_wait(void)
{
    enter(0);
    channels_subscribed(&channels, &answer);
    channels.gather_ms = 10;
    broadcast("a");
    expect_at(0, "a|");
    broadcast("b");
    expect_at(1, "");
}

static void what_waits_is_flushed_with_all(void **state)
{
    uint32_t wait_ms;

    (void)state;
    let_b_wait();
    channels_flush(&channels);
    assert_false(channels_wait(&channels, &wait_ms));
    assert_string_equal(listeners[0].heard, "b|");
    listeners[0].heard[0] = '\0';
    broadcast("c");
    expect_at(2, "c|");
    channels.gather_ms = 0; /* after a reload */
    broadcast("d");
    expect_at(3, "d|");
}

static void who_comes_while_messages_wait_is_not_sent_them(void **state)
{
    (void)state;
    let_b_wait();
    enter(1);
    assert_string_equal(listeners[0].heard, "b|");
    assert_string_equal(listeners[1].heard, "");
}

static void channel_that_empties_while_messages_wait_is_gone(void **state)
{
    uint32_t wait_ms;

    (void)state;
    let_b_wait();
    leave(&listeners[0]);
    expect_at(2, "");
    assert_false(channels_wait(&channels, &wait_ms));
    expect_channels(0);
}

#define CHANNELS_TEST(test) cmocka_unit_test_setup_teardown(test, make_channels, destroy_channels)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHANNELS_TEST(hub_is_told_of_the_first_to_come_and_the_last_to_go),
        CHANNELS_TEST(hub_is_not_told_of_who_comes_back_within_the_tick),
        CHANNELS_TEST(all_may_leave_while_they_are_handed_the_tick),
        CHANNELS_TEST(channel_left_before_the_hub_answered_waits_for_the_answer),
        CHANNELS_TEST(channel_that_opens_for_nobody_is_given_up),
        CHANNELS_TEST(refused_channel_is_gone_without_unsubscribing),
        CHANNELS_TEST(busy_channel_gathers_for_as_long_as_it_may),
        CHANNELS_TEST(what_waits_is_flushed_with_all),
        CHANNELS_TEST(who_comes_while_messages_wait_is_not_sent_them),
        CHANNELS_TEST(channel_that_empties_while_messages_wait_is_gone),
        CHANNELS_TEST(message_and_answer_for_an_unknown_channel_are_ignored),
    };

    return cmocka_run_group_tests_name("channels", tests, NULL, NULL);
}
