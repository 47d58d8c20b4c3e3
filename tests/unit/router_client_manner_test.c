/* Publishes that are ephemeral, have keys, or limits: how a gateway's client sends them. */
#include "tests/unit/router_client_fixture.h"

static void join(const char *text)
{
    publish_so(text, MESSAGE_JOIN, "", 0);
}

static void deliver_ephemeral(int router, const char *text)
{
    struct message *message = message_create(MESSAGE_LEAVE, "room", 4, text, strlen(text));

    message->publisher = 1;
    message->sequence = 1;
    say(router, &(struct router_frame){.kind = FRAME_DELIVER,
                                       .channel = message->channel,
                                       .channel_size = message->channel_size,
                                       .deliver = {.message = message}});
    message_unref(message);
}

/* Ephemeral messages. */

static void ephemeral_message_is_acknowledged_when_it_is_sent(void **state)
{
    (void)state;
    subscribe_at_first();
    join("hi");
    assert_heard(FIRST, "publish 1:hi");
    assert_told("1 is /0");
    assert_true(is_settled());
    go_down(FIRST);
    assert_heard(SECOND, "subscribe A/0");
}

static void ephemeral_message_goes_where_the_channel_is_subscribed_or_else_to_the_best(void **state)
{
    (void)state;
    join("one");
    assert_heard(FIRST, "publish 1:one");
    subscribe();
    say_moved(FIRST, THIRD);
    say_subscribed(THIRD, "A", 0);
    assert_heard(FIRST, "subscribe");
    join("two");
    assert_heard(FIRST, "");
    assert_heard(THIRD, "subscribe, publish 2:two");
}

static void ephemeral_message_follows_the_channel_for_a_moment(void **state)
{
    (void)state;
    join("hi");
    say_refused(FIRST, 1, REASON_MOVED, SECOND);
    assert_heard(SECOND, "publish 1:hi");
    say_refused(SECOND, 1, REASON_BUSY, FIRST);
    say_refused(SECOND, 1, REASON_MOVED, THIRD);
    assert_heard(THIRD, "");
    join("later");
    pass(1000);
    assert_heard(FIRST, "publish 1:hi, publish 2:later");
    say_refused(FIRST, 2, REASON_MOVED, SECOND);
    assert_heard(SECOND, "");
}

static void ephemeral_message_that_is_sent_in_circles_is_given_up(void **state)
{
    (void)state;
    join("hi");
    for (int i = 0; i < 10; i++)
        say_refused(FIRST, 1, REASON_MOVED, FIRST);
    assert_heard(FIRST, "publish 1:hi, publish 1:hi, publish 1:hi, publish 1:hi, publish 1:hi");
}

static void what_is_kept_to_be_sent_on_is_bounded(void **state)
{
    char text[1000];

    (void)state;
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    for (int i = 0; i < 2000; i++)
        join(text);
    assert_true(client.said_bytes <= (size_t)1024 * 1024);
    say_refused(FIRST, 1, REASON_MOVED, SECOND);
    assert_heard(SECOND, "");
    routers[FIRST].heard.size = told.size = 0;
}

static void ephemeral_message_without_a_router_is_refused_at_once(void **state)
{
    (void)state;
    join("hi");
    assert_told("0: ENOTCONN");
    come_up(FIRST);
    pass(3000);
    assert_heard(FIRST, "");
}

static void old_router_gets_no_ephemeral_message(void **state)
{
    (void)state;
    routers[FIRST].is_old = true;
    come_up(FIRST);
    told.size = 0;
    join("hi");
    assert_told("0: ENOTSUP");
    assert_heard(FIRST, "");
}

static void ephemeral_message_moves_no_position(void **state)
{
    (void)state;
    subscribe_at_first();
    deliver(FIRST, 1, "one");
    deliver_ephemeral(FIRST, "bye");
    deliver(FIRST, 2, "two");
    assert_told("A/1:one, !bye, A/2:two");
    deliver(FIRST, 4, "four"); /* there is a hole, and it asks from where it stands */
    deliver_ephemeral(FIRST, "bye");
    assert_heard(FIRST, "subscribe A/2");
    assert_told("!bye");
}

static void ephemeral_message_before_the_subscription_is_dropped(void **state)
{
    (void)state;
    deliver_ephemeral(FIRST, "nobody asked");
    subscribe();
    deliver_ephemeral(FIRST, "too early");
    say_subscribed(FIRST, "A", 0);
    deliver_ephemeral(FIRST, "bye");
    deliver_ephemeral(SECOND, "from elsewhere");
    assert_told("subscribed, !bye");
    unsubscribe();
    deliver_ephemeral(FIRST, "too late");
    assert_told("");
}

/* Keys and limits. */

static void keys_and_limits_are_sent_and_sent_again(void **state)
{
    (void)state;
    publish_so("one", MESSAGE_TEXT, "k", 7);
    assert_heard(FIRST, "publish 1:one with key k keeping 7 for 1000");
    go_down(FIRST);
    assert_heard(SECOND, "publish 1:one with key k keeping 7 for 1000");
}

static void repetition_is_told_and_not_waited_for(void **state)
{
    (void)state;
    subscribe_at_first();
    publish_so("one", MESSAGE_TEXT, "k", 0);
    say_about_room(FIRST, (struct router_frame){.kind = FRAME_ACK, .ack = {1, "A", 5, true}});
    assert_told("1 is again A/5");
    assert_true(is_settled());
}

static void old_router_gets_neither_keys_nor_limits(void **state)
{
    (void)state;
    routers[FIRST].is_old = true;
    come_up(FIRST);
    told.size = 0;
    publish_so("one", MESSAGE_TEXT, "k", 0);
    publish_so("two", MESSAGE_TEXT, "", 7);
    publish("three");
    assert_heard(FIRST, "publish 3:three");
    assert_told("1: ENOTSUP, 2: ENOTSUP");
}

/* It may be in a history by now: whoever has that tells it by its sequence. */
static void what_was_sent_is_sent_to_an_old_router_too(void **state)
{
    (void)state;
    publish_so("one", MESSAGE_TEXT, "k", 0);
    routers[SECOND].link.capabilities = 0;
    go_down(FIRST);
    assert_heard(SECOND, "publish 1:one with key k");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(ephemeral_message_is_acknowledged_when_it_is_sent, open_with_three),
        CLIENT_TEST(ephemeral_message_goes_where_the_channel_is_subscribed_or_else_to_the_best,
                    open_with_three),
        CLIENT_TEST(ephemeral_message_follows_the_channel_for_a_moment, open_with_three),
        CLIENT_TEST(ephemeral_message_that_is_sent_in_circles_is_given_up, open_with_three),
        CLIENT_TEST(what_is_kept_to_be_sent_on_is_bounded, open_with_three),
        CLIENT_TEST(ephemeral_message_without_a_router_is_refused_at_once, open_client),
        CLIENT_TEST(old_router_gets_no_ephemeral_message, open_client),
        CLIENT_TEST(ephemeral_message_moves_no_position, open_with_three),
        CLIENT_TEST(ephemeral_message_before_the_subscription_is_dropped, open_with_three),
        CLIENT_TEST(keys_and_limits_are_sent_and_sent_again, open_with_three),
        CLIENT_TEST(repetition_is_told_and_not_waited_for, open_with_three),
        CLIENT_TEST(old_router_gets_neither_keys_nor_limits, open_client),
        CLIENT_TEST(what_was_sent_is_sent_to_an_old_router_too, open_with_three),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
