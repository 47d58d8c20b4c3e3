/* Publishes of a gateway: acknowledged, refused, sent again, each in its order. */
#include "tests/unit/router_client_fixture.h"

static void acknowledged_publish_has_its_place(void **state)
{
    (void)state;
    publish("hello");
    assert_heard(FIRST, "publish 1:hello");
    assert_told("");
    assert_false(is_settled());
    say_acked(FIRST, 1, "A", 7);
    assert_told("1 is A/7");
    assert_true(is_settled());
    assert_true(metric_read(&stats.published) == 1);
    assert_int_equal(client.map.count, 0); /* nothing is left of a channel that nobody wants */
}

static void publish_names_the_one_before_it_while_that_is_open(void **state)
{
    (void)state;
    publish("one");
    publish_to("lobby", "elsewhere");
    publish("three");
    say_acked(FIRST, 1, "A", 1);
    publish("four");
    say_acked(FIRST, 3, "A", 2);
    say_acked(FIRST, 4, "A", 3);
    publish("five");
    assert_heard(FIRST, "publish 1:one, publish 3:three after 1, publish 4:four after 3, "
                        "publish 5:five");
    assert_told("1 is A/1, 3 is A/2, 4 is A/3");
}

static void what_is_not_acknowledged_is_sent_again_in_order(void **state)
{
    (void)state;
    publish("one");
    publish("two");
    publish("three");
    say_acked(FIRST, 1, "A", 1);
    go_down(FIRST);
    assert_heard(SECOND, "publish 2:two, publish 3:three after 2");
    say_acked(SECOND, 2, "A", 2);
    say_acked(SECOND, 3, "A", 3);
    assert_told("1 is A/1, 2 is A/2, 3 is A/3");
    assert_true(metric_read(&stats.repeated) == 2);
}

static void publishes_wait_for_a_router_and_go_out_in_order(void **state)
{
    (void)state;
    publish("one");
    publish("two");
    assert_int_equal(queued_count, 2);
    assert_int_equal(queued_bytes, 6);
    come_up(FIRST);
    assert_heard(FIRST, "publish 1:one, publish 2:two after 1");
    say_acked(FIRST, 1, "A", 1);
    say_acked(FIRST, 2, "A", 2);
    assert_told("up, 1 is A/1, 2 is A/2");
    assert_int_equal(queued_count, 0);
    assert_int_equal(queued_bytes, 0);
    assert_true(metric_read(&stats.repeated) == 0);
}

static void subscription_goes_before_what_waits(void **state)
{
    (void)state;
    subscribe();
    publish("one");
    come_up(FIRST);
    assert_heard(FIRST, "subscribe, publish 1:one");
}

/* Seen again. */

static void own_message_that_is_delivered_counts_as_acknowledged(void **state)
{
    (void)state;
    subscribe_at_first();
    publish("hello");
    deliver_as(FIRST, 1, 1, "hello");
    assert_told("A/1:hello, 1 is A/1");
    assert_true(is_settled());
    say_acked(FIRST, 1, "A", 1); /* too late, and harmless */
    assert_told("");
}

/* The router that had acknowledged nothing died; its heir has the message. */
static void own_message_seen_elsewhere_is_not_sent_again(void **state)
{
    (void)state;
    subscribe_at_first();
    publish("one");
    publish("two");
    go_down(FIRST);
    assert_heard(SECOND, "subscribe A/0, publish 1:one, publish 2:two after 1");
    say_subscribed(SECOND, "A", 0);
    deliver_as(SECOND, 1, 1, "one");
    go_down(SECOND);
    assert_heard(THIRD, "subscribe A/1, publish 2:two");
    assert_told("A/1:one, 1 is A/1");
}

static void message_of_another_gateway_with_that_sequence_does_not_count(void **state)
{
    (void)state;
    subscribe_at_first();
    publish("mine");
    deliver(FIRST, 1, "another");
    assert_told("A/1:another");
    assert_false(is_settled());
}

static void acknowledged_message_is_settled_when_it_was_delivered_here_too(void **state)
{
    (void)state;
    subscribe_at_first();
    publish("mine");
    say_acked(FIRST, 1, "A", 2);
    assert_told("1 is A/2");
    assert_true(router_client_oldest(&client) == 1);
    deliver(FIRST, 1, "another");
    assert_false(is_settled());
    deliver_as(FIRST, 2, 1, "mine");
    assert_told("A/1:another, A/2:mine");
    assert_true(is_settled());
}

/* Where all routers died, nobody else may know that there was anything. */
static void router_learns_what_was_acknowledged_and_has_not_come(void **state)
{
    (void)state;
    subscribe_at_first();
    publish("one");
    publish("two");
    say_acked(FIRST, 1, "A", 1);
    say_acked(FIRST, 2, "A", 2);
    deliver_as(FIRST, 1, 1, "one");
    go_down(FIRST);
    assert_heard(SECOND, "subscribe A/1 with 2");
}

static void delivery_that_will_not_come_is_not_waited_for(void **state)
{
    (void)state;
    subscribe_at_first();
    publish("one");
    publish("two");
    say_acked(FIRST, 1, "A", 1);
    say_acked(FIRST, 2, "A", 2);
    assert_false(is_settled());
    go_down(FIRST);
    say_lost(SECOND, "B", 2);
    assert_told("1 is A/1, 2 is A/2, lost");
    assert_true(is_settled());
    publish("three");
    say_acked(SECOND, 3, "B", 3);
    assert_false(is_settled());
    unsubscribe();
    assert_true(is_settled());
}

/* Refusals. */

static void refused_publish_follows_the_channel_with_all_behind_it(void **state)
{
    (void)state;
    publish("one");
    publish("two");
    say_refused(FIRST, 1, REASON_MOVED, THIRD);
    assert_heard(THIRD, "publish 1:one, publish 2:two after 1");
    say_refused(FIRST, 2, REASON_MOVED, THIRD); /* was sent there already */
    assert_heard(THIRD, "");
    say_acked(THIRD, 1, "A", 1);
    say_acked(THIRD, 2, "A", 2);
    assert_told("1 is A/1, 2 is A/2");
}

static void subscription_follows_the_channel_with_a_publish(void **state)
{
    (void)state;
    subscribe_at_first();
    publish("one");
    say_refused(FIRST, 1, REASON_MOVED, SECOND);
    assert_heard(SECOND, "subscribe A/0, publish 1:one");
}

static void gap_is_closed_a_moment_later_from_the_first_on(void **state)
{
    (void)state;
    publish("one");
    publish("two");
    publish("three");
    assert_heard(FIRST, "publish 1:one, publish 2:two after 1, publish 3:three after 2");
    say_refused(FIRST, 2, REASON_GAP, FIRST);
    say_refused(FIRST, 3, REASON_MOVED, THIRD); /* what it says of those behind it is stale */
    assert_heard(FIRST, "");
    assert_heard(THIRD, "");
    pass(TICK_MS);
    assert_heard(FIRST, "publish 1:one, publish 2:two after 1, publish 3:three after 2");
}

static void busy_router_is_asked_again_later(void **state)
{
    (void)state;
    publish("one");
    say_refused(FIRST, 1, REASON_BUSY, FIRST);
    publish("two"); /* stays behind the first */
    assert_heard(FIRST, "publish 1:one");
    pass(150);
    assert_heard(FIRST, "");
    pass(50);
    assert_heard(FIRST, "publish 1:one, publish 2:two after 1");
    say_acked(FIRST, 1, "A", 1);
    say_acked(FIRST, 2, "A", 2);
    assert_told("1 is A/1, 2 is A/2");
}

static void subscription_that_a_busy_router_refused_is_asked_again_later(void **state)
{
    (void)state;
    subscribe();
    say_refused(FIRST, 0, REASON_BUSY, FIRST);
    assert_heard(FIRST, "subscribe");
    pass(200);
    assert_heard(FIRST, "subscribe");
    say_subscribed(FIRST, "A", 0);
    assert_told("subscribed");
}

static void publish_that_waits_for_a_busy_router_goes_elsewhere_when_that_goes(void **state)
{
    (void)state;
    publish("one");
    say_refused(FIRST, 1, REASON_BUSY, FIRST);
    go_down(FIRST);
    assert_heard(SECOND, "publish 1:one");
    pass(1000);
    assert_heard(SECOND, "");
}

static void invalid_publish_is_told_and_the_others_go_on(void **state)
{
    (void)state;
    publish("one");
    publish("two");
    say_refused(FIRST, 1, REASON_INVALID, FIRST);
    assert_told("1: EPROTO");
    say_acked(FIRST, 2, "A", 1);
    assert_told("2 is A/1");
    assert_true(metric_read(&stats.refused) == 1);
    assert_true(metric_read(&stats.published) == 1);
}

static void refusal_by_a_router_that_was_left_is_not_heeded(void **state)
{
    (void)state;
    publish("one");
    name_members(FIRST, ALL, true);
    pass(TICK_MS);
    assert_heard(SECOND, "publish 1:one");
    say_refused(FIRST, 1, REASON_MOVED, THIRD);
    say_refused(FIRST, 1, REASON_BUSY, FIRST);
    assert_heard(THIRD, "");
    say_acked(FIRST, 1, "A", 1); /* but what a router has taken, it has */
    assert_told("1 is A/1");
    say_acked(SECOND, 1, "A", 1);
    assert_told("");
}

static void answer_to_what_was_never_asked_is_harmless(void **state)
{
    (void)state;
    say_acked(FIRST, 99, "A", 1);
    say_refused(FIRST, 99, REASON_INVALID, FIRST);
    say_refused(FIRST, 99, REASON_BUSY, FIRST);
    publish("one");
    say_acked(FIRST, 99, "A", 1);
    say_refused(FIRST, 99, REASON_MOVED, SECOND);
    assert_heard(FIRST, "publish 1:one");
    assert_heard(SECOND, "");
    assert_told("");
}

/* The end. */

static void everything_is_told_at_the_end(void **state)
{
    (void)state;
    subscribe_at_first();
    publish("one");
    publish_to("lobby", "two");
    say_acked(FIRST, 1, "A", 1);
    assert_told("1 is A/1");
    go_down(FIRST);
    router_client_deinit(&client);
    assert_told("down, 2: ECANCELED");
    assert_true(is_settled());
    assert_int_equal(queued_count, 0);
}

static void order_is_kept_through_every_kind_of_trouble(void **state)
{
    (void)state;
    subscribe_at_first();
    for (char text[] = "1"; text[0] <= '6'; text[0]++)
        publish(text);
    routers[FIRST].heard.size = 0;
    say_acked(FIRST, 1, "A", 1);
    deliver_as(FIRST, 1, 1, "1");
    say_refused(FIRST, 2, REASON_MOVED, SECOND);
    assert_heard(SECOND, "subscribe A/1, publish 2:2, publish 3:3 after 2, publish 4:4 after 3, "
                         "publish 5:5 after 4, publish 6:6 after 5");
    say_subscribed(SECOND, "A", 1);
    deliver_as(SECOND, 2, 2, "2");
    go_down(SECOND);
    assert_heard(FIRST, "subscribe A/2, publish 3:3, publish 4:4 after 3, publish 5:5 after 4, "
                        "publish 6:6 after 5");
    say_refused(FIRST, 4, REASON_GAP, FIRST);
    say_acked(FIRST, 3, "A", 3);
    pass(TICK_MS);
    assert_heard(FIRST,
                 "subscribe A/2 with 3, publish 4:4, publish 5:5 after 4, publish 6:6 after 5");
    assert_told("1 is A/1, A/1:1, A/2:2, 2 is A/2, 3 is A/3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(acknowledged_publish_has_its_place, open_with_three),
        CLIENT_TEST(publish_names_the_one_before_it_while_that_is_open, open_with_three),
        CLIENT_TEST(what_is_not_acknowledged_is_sent_again_in_order, open_with_three),
        CLIENT_TEST(publishes_wait_for_a_router_and_go_out_in_order, open_client),
        CLIENT_TEST(subscription_goes_before_what_waits, open_client),
        CLIENT_TEST(own_message_that_is_delivered_counts_as_acknowledged, open_with_three),
        CLIENT_TEST(own_message_seen_elsewhere_is_not_sent_again, open_with_three),
        CLIENT_TEST(message_of_another_gateway_with_that_sequence_does_not_count, open_with_three),
        CLIENT_TEST(router_learns_what_was_acknowledged_and_has_not_come, open_with_three),
        CLIENT_TEST(acknowledged_message_is_settled_when_it_was_delivered_here_too,
                    open_with_three),
        CLIENT_TEST(delivery_that_will_not_come_is_not_waited_for, open_with_three),
        CLIENT_TEST(refused_publish_follows_the_channel_with_all_behind_it, open_with_three),
        CLIENT_TEST(subscription_follows_the_channel_with_a_publish, open_with_three),
        CLIENT_TEST(gap_is_closed_a_moment_later_from_the_first_on, open_with_three),
        CLIENT_TEST(busy_router_is_asked_again_later, open_with_three),
        CLIENT_TEST(subscription_that_a_busy_router_refused_is_asked_again_later, open_with_three),
        CLIENT_TEST(publish_that_waits_for_a_busy_router_goes_elsewhere_when_that_goes,
                    open_with_three),
        CLIENT_TEST(invalid_publish_is_told_and_the_others_go_on, open_with_three),
        CLIENT_TEST(refusal_by_a_router_that_was_left_is_not_heeded, open_with_three),
        CLIENT_TEST(answer_to_what_was_never_asked_is_harmless, open_with_three),
        CLIENT_TEST(everything_is_told_at_the_end, open_with_one),
        CLIENT_TEST(order_is_kept_through_every_kind_of_trouble, open_with_three),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
