/* Publishes that are held back or refused here: too large for the router, no room in its link,
 * other gateways that are still away. */
#include "tests/unit/router_client_fixture.h"

/* Too large. */

static void what_a_router_does_not_take_is_told_its_publisher_and_the_rest_goes_on(void **state)
{
    (void)state;
    routers[FIRST].link.message_limit = 5;
    publish("one");
    publish("larger");
    publish("three");
    assert_told("2: EMSGSIZE");
    assert_heard(FIRST, "publish 1:one, publish 3:three after 1");
    say_acked(FIRST, 1, "A", 1);
    say_acked(FIRST, 3, "A", 2);
    assert_told("1 is A/1, 3 is A/2");
    assert_true(is_settled());
}

static void what_waited_and_is_too_large_for_the_router_that_came_is_told(void **state)
{
    (void)state;
    publish("larger");
    publish("two");
    publish_to("lobby", "larger");
    routers[FIRST].link.message_limit = 5;
    come_up(FIRST);
    assert_told("1: EMSGSIZE, 3: EMSGSIZE, up");
    assert_heard(FIRST, "publish 2:two");
    assert_int_equal(client.map.count, 1);
}

/* One that states no limit is older. */
static void large_message_goes_to_the_next_router_that_takes_it(void **state)
{
    (void)state;
    publish("larger");
    assert_heard(FIRST, "publish 1:larger");
    routers[SECOND].link.message_limit = 6;
    go_down(FIRST);
    assert_heard(SECOND, "publish 1:larger");
    assert_told("");
    say_acked(SECOND, 1, "A", 1);
    assert_told("1 is A/1");
}

/* Room. */

static void publishes_wait_for_room_and_go_out_in_order(void **state)
{
    (void)state;
    routers[FIRST].room = 2;
    publish("one");
    publish("two");
    publish("three");
    publish("four");
    assert_heard(FIRST, "publish 1:one, publish 2:two after 1");
    pass(TICK_MS);
    assert_heard(FIRST, "");
    routers[FIRST].room = 1;
    pass(TICK_MS);
    publish("five");
    assert_heard(FIRST, "publish 3:three after 2");
    say_acked(FIRST, 1, "A", 1);
    say_acked(FIRST, 2, "A", 2);
    say_acked(FIRST, 3, "A", 3);
    routers[FIRST].room = SIZE_MAX;
    pass(TICK_MS);
    assert_heard(FIRST, "publish 4:four, publish 5:five after 4");
    publish("six");
    assert_heard(FIRST, "publish 6:six after 5");
}

static void subscription_waits_for_room_and_goes_before_what_was_published(void **state)
{
    (void)state;
    routers[FIRST].room = 0;
    subscribe();
    publish("one");
    pass(TICK_MS);
    assert_heard(FIRST, "");
    routers[FIRST].room = SIZE_MAX;
    pass(TICK_MS);
    assert_heard(FIRST, "subscribe, publish 1:one");
}

static void who_waits_for_room_goes_to_the_next_router_when_that_one_dies(void **state)
{
    (void)state;
    routers[FIRST].room = 1;
    publish("one");
    publish("two");
    publish("three");
    go_down(FIRST);
    assert_heard(FIRST, "publish 1:one");
    assert_heard(SECOND, "publish 1:one, publish 2:two after 1, publish 3:three after 2");
    pass(TICK_MS);
    assert_heard(SECOND, "");
}

static void refusal_for_want_of_room_in_the_router_sends_nothing_twice_at_once(void **state)
{
    (void)state;
    routers[FIRST].room = 2;
    publish("one");
    publish("two");
    publish("three");
    say_refused(FIRST, 1, REASON_BUSY, FIRST);
    assert_heard(FIRST, "publish 1:one, publish 2:two after 1");
    pass(4 * (uint64_t)TICK_MS);
    assert_heard(FIRST, ""); /* still no room */
    routers[FIRST].room = 1;
    pass(TICK_MS);
    assert_heard(FIRST, "publish 1:one");
}

/* The end of an outage. */

static void after_an_outage_publishes_wait_until_other_gateways_are_back(void **state)
{
    (void)state;
    subscribe_at_first();
    go_down(FIRST);
    publish("one");
    pass(1100);
    come_up(FIRST);
    publish("two");
    assert_heard(FIRST, "subscribe A/0");
    pass(1450);
    assert_heard(FIRST, "");
    pass(2 * (uint64_t)TICK_MS);
    assert_heard(FIRST, "publish 1:one, publish 2:two after 1");
    publish("three");
    assert_heard(FIRST, "publish 3:three after 2");
}

static void after_a_moment_without_a_router_nothing_waits(void **state)
{
    (void)state;
    go_down(FIRST);
    publish("one");
    pass(900);
    come_up(FIRST);
    assert_heard(FIRST, "publish 1:one");
}

/* As long as it is not over for good, nobody else may be back. */
static void outage_that_goes_on_after_a_moment_is_one(void **state)
{
    (void)state;
    go_down(FIRST);
    publish("one");
    pass(1100);
    come_up(FIRST);
    pass(TICK_MS);
    go_down(FIRST);
    pass(TICK_MS);
    come_up(FIRST);
    assert_heard(FIRST, "");
    pass(1600);
    assert_heard(FIRST, "publish 1:one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(what_a_router_does_not_take_is_told_its_publisher_and_the_rest_goes_on,
                    open_with_one),
        CLIENT_TEST(what_waited_and_is_too_large_for_the_router_that_came_is_told, open_client),
        CLIENT_TEST(large_message_goes_to_the_next_router_that_takes_it, open_with_three),
        CLIENT_TEST(publishes_wait_for_room_and_go_out_in_order, open_with_one),
        CLIENT_TEST(subscription_waits_for_room_and_goes_before_what_was_published, open_with_one),
        CLIENT_TEST(who_waits_for_room_goes_to_the_next_router_when_that_one_dies, open_with_three),
        CLIENT_TEST(refusal_for_want_of_room_in_the_router_sends_nothing_twice_at_once,
                    open_with_one),
        CLIENT_TEST(after_an_outage_publishes_wait_until_other_gateways_are_back, open_with_one),
        CLIENT_TEST(after_a_moment_without_a_router_nothing_waits, open_with_one),
        CLIENT_TEST(outage_that_goes_on_after_a_moment_is_one, open_with_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
