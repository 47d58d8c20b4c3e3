/* Which router a channel is sought at, and where the gateway stands in it. What becomes of
 * publishes is in router_client_publish_test.c. */
#include "tests/unit/router_client_fixture.h"

/* Subscribed at FIRST, and everything up to A/2 has come. */
static void subscribe_up_to_two(void)
{
    subscribe();
    say_subscribed(FIRST, "A", 0);
    deliver(FIRST, 1, "one");
    deliver(FIRST, 2, "two");
    assert_heard(FIRST, "subscribe");
    assert_told("subscribed, A/1:one, A/2:two");
}

/* Where routes lead. */

static void room_belongs_to_the_first_router(void **state)
{
    (void)state;
    for (int i = FIRST; i < THIRD; i++)
        assert_true(placement_score(placement_seed(name_of(i)), "room", 4) >
                    placement_score(placement_seed(name_of(i + 1)), "room", 4));
}

static void channel_is_sought_at_the_best_router_alone(void **state)
{
    (void)state;
    subscribe_up_to_two();
    assert_heard(SECOND, "");
    assert_heard(THIRD, "");
}

static void channel_is_followed_to_where_it_moved(void **state)
{
    (void)state;
    subscribe_up_to_two();
    say_moved(FIRST, THIRD);
    assert_heard(THIRD, "subscribe A/2");
    say_subscribed(THIRD, "A", 2);
    deliver(THIRD, 3, "three");
    assert_told("A/3:three");
    assert_heard(FIRST, ""); /* it knows that it moved */
}

static void subscription_that_was_refused_follows_too(void **state)
{
    (void)state;
    subscribe();
    say_moved(FIRST, SECOND);
    assert_heard(SECOND, "subscribe");
    say_subscribed(SECOND, "A", 7);
    assert_told("subscribed");
}

static void next_best_router_is_asked_when_one_goes(void **state)
{
    (void)state;
    subscribe_up_to_two();
    go_down(FIRST);
    assert_heard(SECOND, "subscribe A/2");
    go_down(SECOND);
    assert_heard(THIRD, "subscribe A/2");
    say_subscribed(THIRD, "A", 2);
    deliver(THIRD, 3, "three");
    assert_told("A/3:three");
}

static void gateway_insists_where_it_cannot_reach_a_better_router(void **state)
{
    (void)state;
    come_up(SECOND);
    name_members(SECOND, ALL, false);
    subscribe();
    publish("hello");
    assert_heard(SECOND, "subscribe!, publish! 1:hello");
    come_up(FIRST);
    say_moved(SECOND, SECOND);
    assert_heard(SECOND, "subscribe, publish 1:hello");
}

static void gateway_does_not_insist_for_a_router_that_is_worse_or_leaving(void **state)
{
    struct router_member members[] = {{node_of(SECOND), name_of(SECOND), "", false},
                                      {node_of(FIRST), name_of(FIRST), "", true},
                                      {node_of(THIRD), name_of(THIRD), "", false}};

    (void)state;
    come_up(SECOND);
    say(SECOND, &(struct router_frame){.kind = FRAME_MEMBERS, .members = {members, 3}});
    subscribe();
    assert_heard(SECOND, "subscribe");
}

static void channel_that_moved_out_of_reach_is_insisted_on_at_the_best_that_is_linked(void **state)
{
    (void)state;
    come_up(SECOND);
    come_up(THIRD);
    name_members(SECOND, ALL, false);
    subscribe();
    assert_heard(SECOND, "subscribe!");
    say_moved(SECOND, FIRST);
    assert_heard(SECOND, "subscribe!");
    assert_heard(THIRD, "");
}

static void routers_that_send_a_gateway_to_and_fro_are_given_a_pause(void **state)
{
    (void)state;
    subscribe();
    for (int i = 0; i < 20; i++) {
        say_moved(FIRST, SECOND);
        say_moved(SECOND, FIRST);
    }
    assert_heard(FIRST, "subscribe, subscribe, subscribe");
    assert_heard(SECOND, "subscribe, subscribe");
    pass(TICK_MS);
    assert_heard(SECOND, "subscribe!"); /* and the next one is to take it */
    say_subscribed(SECOND, "A", 0);
    assert_told("subscribed");
}

static void channel_returns_to_a_better_router_once_others_have_found_it_too(void **state)
{
    (void)state;
    come_up(SECOND);
    subscribe();
    say_subscribed(SECOND, "A", 2);
    come_up(FIRST);
    name_members(SECOND, 1u << FIRST, false);
    pass(950);
    assert_heard(FIRST, "");
    assert_heard(SECOND, "subscribe");
    pass(100);
    assert_heard(SECOND, "unsubscribe");
    assert_heard(FIRST, "subscribe A/2");
}

static void router_that_serves_is_not_left_for_one_that_it_does_not_see(void **state)
{
    (void)state;
    come_up(SECOND);
    subscribe();
    say_subscribed(SECOND, "A", 2);
    come_up(FIRST);
    name_members(SECOND, 0, false);
    pass(1200);
    assert_heard(FIRST, "");
    assert_heard(SECOND, "subscribe");
}

static void many_channels_return_a_few_at_a_time(void **state)
{
    char channel[16];
    unsigned first_tick;

    (void)state;
    come_up(SECOND);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(channel, sizeof(channel), "channel-%u", i);
        router_client_subscribe(&client, channel, strlen(channel));
    }
    come_up(FIRST);
    pass(1000);
    first_tick = (unsigned)routers[FIRST].heard.size;
    assert_in_range(first_tick, 100, 5000);
    pass(1000);
    assert_in_range(routers[FIRST].heard.size, 4 * first_tick, 50000);
    routers[FIRST].heard.size = routers[SECOND].heard.size = 0;
    pass(1000);
    assert_heard(FIRST, "");
    assert_heard(SECOND, "");
}

static void channels_leave_a_leaving_router_at_once(void **state)
{
    (void)state;
    subscribe_up_to_two();
    name_members(FIRST, ALL, true);
    pass(TICK_MS);
    assert_heard(FIRST, "unsubscribe");
    assert_heard(SECOND, "subscribe A/2");
}

static void leaving_router_is_asked_for_nothing_new(void **state)
{
    (void)state;
    come_up(SECOND);
    come_up(FIRST);
    name_members(FIRST, ALL, true);
    subscribe();
    assert_heard(SECOND, "subscribe");
    assert_heard(FIRST, "");
}

static void leaving_router_is_better_than_none(void **state)
{
    (void)state;
    subscribe_up_to_two();
    name_members(FIRST, 0, true);
    pass(5000);
    assert_heard(FIRST, "");
    deliver(FIRST, 3, "three");
    assert_told("A/3:three");
}

/* Being subscribed. */

static void subscription_is_told_when_it_took_effect_and_once(void **state)
{
    (void)state;
    subscribe();
    pass(1000);
    assert_told("");
    say_subscribed(FIRST, "A", 5);
    assert_told("subscribed");
    go_down(FIRST);
    say_subscribed(SECOND, "A", 5);
    assert_told("");
}

static void subscription_is_told_at_once_where_there_is_no_router(void **state)
{
    (void)state;
    subscribe();
    assert_told(""); /* not from inside the call */
    router_client_tell_untold(&client);
    assert_told("subscribed");
    come_up(FIRST);
    assert_heard(FIRST, "subscribe");
    say_subscribed(FIRST, "A", 9);
    deliver(FIRST, 10, "ten");
    assert_told("up, A/10:ten");
}

static void subscription_under_way_is_told_when_the_last_router_goes(void **state)
{
    (void)state;
    subscribe();
    go_down(FIRST);
    router_client_tell_untold(&client);
    assert_told("down, subscribed");
    come_up(FIRST);
    assert_heard(FIRST, "subscribe, subscribe");
}

static void who_unsubscribed_hears_no_more(void **state)
{
    (void)state;
    subscribe_up_to_two();
    unsubscribe();
    assert_heard(FIRST, "unsubscribe");
    deliver(FIRST, 3, "three");
    assert_told("");
    assert_int_equal(client.map.count, 0);
    assert_int_equal(wanted_count, 0);
}

static void new_subscription_begins_nowhere(void **state)
{
    (void)state;
    subscribe_up_to_two();
    unsubscribe();
    subscribe();
    assert_heard(FIRST, "unsubscribe, subscribe");
    say_subscribed(FIRST, "A", 8);
    deliver(FIRST, 9, "nine");
    assert_told("subscribed, A/9:nine");
}

/* The router holds the subscription still, whatever else the route waits for. */
static void who_unsubscribes_while_a_publish_waits_is_unsubscribed_at_the_router(void **state)
{
    (void)state;
    subscribe_up_to_two();
    publish("hello");
    say_refused(FIRST, 1, REASON_BUSY, FIRST);
    unsubscribe();
    assert_heard(FIRST, "publish 1:hello, unsubscribe");
}

/* Deliveries. */

static void messages_that_were_seen_are_dropped(void **state)
{
    (void)state;
    subscribe_up_to_two();
    deliver(FIRST, 2, "two");
    deliver(FIRST, 1, "one");
    deliver(FIRST, 3, "three");
    assert_told("A/3:three");
    assert_true(metric_read(&stats.duplicates) == 2);
    assert_true(metric_read(&stats.delivered) == 3);
}

static void hole_makes_the_gateway_ask_again_before_it_goes_on(void **state)
{
    (void)state;
    subscribe_up_to_two();
    deliver(FIRST, 4, "four");
    deliver(FIRST, 5, "five");
    assert_heard(FIRST, "subscribe A/2");
    assert_told("");
    say_subscribed(FIRST, "A", 2);
    deliver(FIRST, 3, "three");
    deliver(FIRST, 4, "four");
    assert_told("A/3:three, A/4:four");
}

/* The answer to a question that was asked before the last one. */
static void stale_answer_does_not_rewind(void **state)
{
    (void)state;
    subscribe_up_to_two();
    say_moved(FIRST, SECOND);
    say_subscribed(SECOND, "A", 2);
    deliver(SECOND, 3, "three");
    deliver(SECOND, 5, "five");
    say_subscribed(SECOND, "A", 2);
    deliver(SECOND, 3, "three");
    deliver(SECOND, 4, "four");
    say_subscribed(SECOND, "A", 3);
    deliver(SECOND, 4, "four");
    deliver(SECOND, 5, "five");
    assert_told("A/3:three, A/4:four, A/5:five");
}

static void deliveries_before_the_answer_are_of_another_subscription(void **state)
{
    (void)state;
    subscribe();
    deliver(FIRST, 1, "one");
    assert_told("");
    say_subscribed(FIRST, "A", 1);
    deliver(FIRST, 2, "two");
    assert_told("subscribed, A/2:two");
}

static void router_that_the_route_left_is_not_heeded(void **state)
{
    (void)state;
    subscribe_up_to_two();
    say_moved(FIRST, SECOND);
    deliver(FIRST, 3, "three");
    say_subscribed(FIRST, "B", 0);
    say_moved(FIRST, THIRD);
    assert_told("");
    assert_heard(THIRD, "");
    say_subscribed(SECOND, "A", 2);
    deliver(SECOND, 3, "three");
    assert_told("A/3:three");
}

static void loss_is_told_once_and_delivery_goes_on_behind_it(void **state)
{
    (void)state;
    subscribe_up_to_two();
    go_down(FIRST);
    say_lost(SECOND, "B", 7);
    assert_told("lost");
    deliver(SECOND, 8, "eight");
    assert_told("B/8:eight");
    assert_true(metric_read(&stats.messages_lost) == 1);
    assert_true(metric_read(&stats.histories_lost) == 1);
    go_down(SECOND);
    assert_heard(THIRD, "subscribe B/8");
}

static void fork_that_is_followed_is_no_loss(void **state)
{
    (void)state;
    subscribe_up_to_two();
    go_down(FIRST);
    say_subscribed(SECOND, "B", 2);
    deliver(SECOND, 3, "three");
    assert_told("B/3:three");
    assert_true(metric_read(&stats.histories_lost) == 0);
    go_down(SECOND);
    assert_heard(THIRD, "subscribe B/3");
}

static void who_stood_nowhere_has_lost_nothing(void **state)
{
    (void)state;
    subscribe();
    say_lost(FIRST, "A", 7);
    assert_told("subscribed");
    assert_true(metric_read(&stats.messages_lost) == 0);
}

/* Links. */

static void first_and_last_link_are_told(void **state)
{
    (void)state;
    assert_false(router_client_is_up(&client));
    come_up(SECOND);
    come_up(FIRST);
    go_down(SECOND);
    assert_told("up");
    assert_true(router_client_is_up(&client));
    go_down(FIRST);
    assert_told("down");
}

static void silent_router_is_given_up_and_a_quiet_one_is_not(void **state)
{
    (void)state;
    subscribe_up_to_two();
    routers[FIRST].is_silent = true;
    pass(1200);
    assert_heard(SECOND, "");
    pass(400);
    assert_heard(SECOND, "subscribe A/2");
    assert_false(routers[FIRST].is_up);
    pass(5000);
    assert_true(routers[SECOND].is_up && routers[THIRD].is_up);
}

static void gateway_that_slept_does_not_blame_the_routers(void **state)
{
    (void)state;
    subscribe_up_to_two();
    for (int router = 0; router < ROUTERS; router++)
        routers[router].is_silent = true;
    now_ms += 60000;
    router_client_tick(&client, now_ms);
    pass(1000);
    assert_true(routers[FIRST].is_up && routers[SECOND].is_up && routers[THIRD].is_up);
}

static void ping_is_answered_with_its_own_clock(void **state)
{
    (void)state;
    say(FIRST, &(struct router_frame){.kind = FRAME_PING, .ping = {12345}});
    assert_heard(FIRST, "pong 12345");
}

static void frame_that_does_not_belong_ends_the_link_and_no_other(void **state)
{
    (void)state;
    subscribe_up_to_two();
    say_about_room(FIRST, (struct router_frame){.kind = FRAME_TAKE, .take = {1, "A", 2}});
    assert_false(routers[FIRST].is_up);
    assert_heard(SECOND, "subscribe A/2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_belongs_to_the_first_router),
        CLIENT_TEST(channel_is_sought_at_the_best_router_alone, open_with_three),
        CLIENT_TEST(channel_is_followed_to_where_it_moved, open_with_three),
        CLIENT_TEST(subscription_that_was_refused_follows_too, open_with_three),
        CLIENT_TEST(next_best_router_is_asked_when_one_goes, open_with_three),
        CLIENT_TEST(gateway_insists_where_it_cannot_reach_a_better_router, open_client),
        CLIENT_TEST(gateway_does_not_insist_for_a_router_that_is_worse_or_leaving, open_client),
        CLIENT_TEST(channel_that_moved_out_of_reach_is_insisted_on_at_the_best_that_is_linked,
                    open_client),
        CLIENT_TEST(routers_that_send_a_gateway_to_and_fro_are_given_a_pause, open_with_three),
        CLIENT_TEST(channel_returns_to_a_better_router_once_others_have_found_it_too, open_client),
        CLIENT_TEST(router_that_serves_is_not_left_for_one_that_it_does_not_see, open_client),
        CLIENT_TEST(many_channels_return_a_few_at_a_time, open_client),
        CLIENT_TEST(channels_leave_a_leaving_router_at_once, open_with_three),
        CLIENT_TEST(leaving_router_is_asked_for_nothing_new, open_client),
        CLIENT_TEST(leaving_router_is_better_than_none, open_with_one),
        CLIENT_TEST(subscription_is_told_when_it_took_effect_and_once, open_with_three),
        CLIENT_TEST(subscription_is_told_at_once_where_there_is_no_router, open_client),
        CLIENT_TEST(subscription_under_way_is_told_when_the_last_router_goes, open_with_one),
        CLIENT_TEST(who_unsubscribed_hears_no_more, open_with_three),
        CLIENT_TEST(new_subscription_begins_nowhere, open_with_three),
        CLIENT_TEST(who_unsubscribes_while_a_publish_waits_is_unsubscribed_at_the_router,
                    open_with_three),
        CLIENT_TEST(messages_that_were_seen_are_dropped, open_with_three),
        CLIENT_TEST(hole_makes_the_gateway_ask_again_before_it_goes_on, open_with_three),
        CLIENT_TEST(stale_answer_does_not_rewind, open_with_three),
        CLIENT_TEST(deliveries_before_the_answer_are_of_another_subscription, open_with_three),
        CLIENT_TEST(router_that_the_route_left_is_not_heeded, open_with_three),
        CLIENT_TEST(loss_is_told_once_and_delivery_goes_on_behind_it, open_with_three),
        CLIENT_TEST(fork_that_is_followed_is_no_loss, open_with_three),
        CLIENT_TEST(who_stood_nowhere_has_lost_nothing, open_with_three),
        CLIENT_TEST(first_and_last_link_are_told, open_client),
        CLIENT_TEST(silent_router_is_given_up_and_a_quiet_one_is_not, open_with_three),
        CLIENT_TEST(gateway_that_slept_does_not_blame_the_routers, open_with_three),
        CLIENT_TEST(ping_is_answered_with_its_own_clock, open_with_three),
        CLIENT_TEST(frame_that_does_not_belong_ends_the_link_and_no_other, open_with_three),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
