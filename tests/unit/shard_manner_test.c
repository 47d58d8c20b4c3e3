/* Messages that are ephemeral, have keys, or say how much is kept; and what is forgotten. */
#include "tests/unit/shard_fixture.h"

static const struct manner joins = {.kind = MESSAGE_JOIN};
static const struct manner with_key = {.key = "k"};
static const struct manner keep_two = {.limits = {true, 2, 60000}};
static const struct manner keep_none = {.limits = {.are_set = true}};

static void open_room(void)
{
    subscribe(ANN, FIRST);
    publish(BOB, FIRST, "one");
    assert_heard(ANN, "at A/0, 1:one");
    assert_heard(BOB, "ack 1 at A/1");
}

/* The mirror becomes the owner, of epoch B. */
static void fail_over(void)
{
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
}

/* Ephemeral messages. */

static void ephemeral_message_reaches_subscribers_and_leaves_no_trace(void **state)
{
    (void)state;
    open_room();
    publish_so(BOB, FIRST, "hi", joins);
    assert_heard(ANN, "!hi");
    assert_heard(BOB, "");
    assert_kept(FIRST, "1/1");
    assert_kept(SECOND, "1/1");
    publish(BOB, FIRST, "two");
    assert_heard(ANN, "2:two");
    assert_heard(BOB, "ack 3 at A/2");
    unsubscribe(ANN, FIRST);
    publish_so(BOB, FIRST, "who", joins);
    assert_heard(ANN, "");
}

static void ephemeral_message_does_not_wait_for_the_mirror(void **state)
{
    (void)state;
    open_room();
    hold(FIRST, SECOND);
    publish(BOB, FIRST, "two");
    publish_so(BOB, FIRST, "hi", joins);
    assert_heard(ANN, "!hi");
    let_go(FIRST, SECOND);
    assert_heard(ANN, "2:two");
}

static void ephemeral_message_waits_until_it_is_clear_who_owns_the_channel(void **state)
{
    (void)state;
    hold(SECOND, FIRST);
    subscribe(ANN, FIRST);
    publish_so(BOB, FIRST, "hi", joins);
    assert_heard(ANN, "");
    let_go(SECOND, FIRST);
    assert_heard(ANN, "at A/0, !hi");
}

static void ephemeral_message_is_sent_to_where_the_channel_is(void **state)
{
    (void)state;
    open_room();
    publish_so(BOB, SECOND, "hi", joins);
    assert_heard(ANN, "");
    assert_heard(BOB, "refused 2 moved to 0");
}

static void old_gateway_is_spared_what_it_cannot_read(void **state)
{
    (void)state;
    cut(ANN, FIRST);
    ends[FIRST][ANN].is_old = true;
    join(ANN, FIRST);
    open_room();
    subscribe(BOB, FIRST);
    assert_heard(BOB, "at A/1");
    publish_so(BOB, FIRST, "hi", joins);
    assert_heard(ANN, "");
    assert_heard(BOB, "!hi");
}

/* Keys. */

static void repeated_key_is_acknowledged_with_the_place_of_the_first(void **state)
{
    (void)state;
    open_room();
    publish_so(BOB, FIRST, "two", with_key);
    publish(BOB, FIRST, "three");
    publish_so(ANN, FIRST, "two", with_key);
    publish_so(ANN, FIRST, "two", (struct manner){.key = "other"});
    assert_heard(ANN, "2:two, 3:three, ack 1 again at A/2, 4:two, ack 2 at A/4");
    assert_heard(BOB, "ack 2 at A/2, ack 3 at A/3");
    /* The acknowledgement was lost, and it is published once more. */
    publish_so(ANN, FIRST, "two", (struct manner){.key = "k", .sequence = 1});
    assert_heard(ANN, "ack 1 at A/0");
    publish_so(BOB, FIRST, "two", (struct manner){.key = "k", .sequence = 3});
    assert_heard(BOB, "ack 3 at A/3");
}

static void lost_acknowledgement_of_a_repetition_is_given_again(void **state)
{
    (void)state;
    open_room();
    publish_so(BOB, FIRST, "two", with_key);
    publish_so(ANN, FIRST, "two", with_key);
    publish_so(ANN, FIRST, "two", (struct manner){.key = "k", .sequence = 1});
    assert_heard(ANN, "2:two, ack 1 again at A/2, ack 1 again at A/2");
}

static void what_comes_after_a_repetition_has_no_gap_before_it(void **state)
{
    (void)state;
    open_room();
    publish_so(BOB, FIRST, "two", with_key);
    publish_so(BOB, FIRST, "two", with_key);
    publish_as(BOB, FIRST, "room", 4, 3, "three");
    assert_heard(BOB, "ack 2 at A/2, ack 3 again at A/2, ack 4 at A/3");
}

static void repetition_is_acknowledged_no_sooner_than_the_first(void **state)
{
    (void)state;
    open_room();
    hold(FIRST, SECOND);
    publish_so(BOB, FIRST, "two", with_key);
    publish_so(ANN, FIRST, "two", with_key);
    assert_heard(ANN, "");
    let_go(FIRST, SECOND);
    assert_heard(ANN, "2:two, ack 1 again at A/2");
}

static void key_is_known_for_its_time_and_holds_the_channel(void **state)
{
    (void)state;
    publish_so(BOB, FIRST, "one", (struct manner){.key = "k", .limits = {.are_set = true}});
    pass(ROUTER_KEY_WINDOW_MS - 1000);
    publish_so(BOB, FIRST, "one", with_key);
    assert_heard(BOB, "ack 1 at A/1, ack 2 again at A/1");
    pass(1000);
    publish_so(BOB, FIRST, "one", with_key);
    assert_heard(BOB, "ack 3 at A/2");
}

static void mirror_knows_the_keys(void **state)
{
    (void)state;
    open_room();
    publish_so(BOB, FIRST, "two", with_key);
    fail_over();
    publish_so(BOB, SECOND, "two", with_key);
    assert_heard(BOB, "ack 2 at A/2, ack 3 again at B/2");
}

static void whoever_is_given_a_history_knows_its_keys(void **state)
{
    (void)state;
    add_router(SECOND);
    publish_so(BOB, SECOND, "one", with_key);
    add_router(FIRST);
    publish_so(BOB, FIRST, "one", with_key);
    assert_heard(BOB, "ack 1 at A/1, ack 2 again at A/1");
    assert_roles("owner mirror -");
}

static void message_that_two_owners_took_with_one_key_is_kept_once(void **state)
{
    (void)state;
    open_room();
    cut(FIRST, SECOND);
    pass(3000);
    subscribe_to(BOB, SECOND, "room", '-', 0, true);
    publish_so(BOB, SECOND, "two", with_key);
    publish_so(ANN, FIRST, "two", with_key);
    assert_heard(ANN, "2:two, ack 1 at A/2");
    assert_heard(BOB, "at B/1, 2:two, ack 2 at B/2");
    join(FIRST, SECOND);
    pass(3000);
    assert_kept(FIRST, "2/2");
    assert_roles("owner mirror -");
}

/* Limits. */

static void publish_says_how_much_is_kept_and_the_mirror_keeps_as_much(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        publish(BOB, FIRST, "x");
    publish_so(BOB, FIRST, "y", keep_two);
    assert_kept(FIRST, "2/5");
    assert_kept(SECOND, "2/5");
    publish_so(BOB, FIRST, "z", (struct manner){.limits = {true, 100, 60000}});
    for (int i = 0; i < 9; i++)
        publish_so(BOB, FIRST, "z", (struct manner){.limits = {true, 100, 60000}});
    assert_kept(FIRST, "12/15"); /* more than the router's own limit, which is 5 */
    assert_kept(SECOND, "12/15");
    publish(BOB, FIRST, "x");
    assert_kept(FIRST, "5/16");
    assert_kept(SECOND, "5/16");
}

static void copies_that_come_later_have_the_limits_too(void **state)
{
    (void)state;
    add_router(SECOND);
    for (int i = 0; i < 8; i++)
        publish_so(BOB, SECOND, "x", (struct manner){.limits = {true, 100, 5000}});
    add_router(FIRST);
    pass(100);
    publish_so(BOB, FIRST, "x", (struct manner){.limits = {true, 100, 5000}});
    assert_roles("owner mirror -");
    assert_kept(FIRST, "9/9");
    add_router(THIRD);
    kill_router(SECOND);
    pass(3000);
    assert_kept(THIRD, "9/9");
    pass(4000); /* the time to live, after the last message and after the copy */
    assert_kept(FIRST, "0/9");
    assert_kept(THIRD, "0/9");
}

static void message_that_is_not_kept_is_delivered_and_has_a_place(void **state)
{
    (void)state;
    open_room();
    publish_so(BOB, FIRST, "two", keep_none);
    assert_heard(ANN, "2:two");
    assert_heard(BOB, "ack 2 at A/2");
    assert_kept(FIRST, "0/2");
    assert_kept(SECOND, "0/2");
    publish(BOB, FIRST, "three");
    assert_heard(ANN, "3:three");
    assert_kept(SECOND, "1/3");
    fail_over();
    subscribe_from(ANN, SECOND, 'A', 2);
    assert_heard(ANN, "at B/2, 3:three");
}

static void message_that_is_not_kept_waits_for_its_mirror_all_the_same(void **state)
{
    (void)state;
    open_room();
    cut(FIRST, SECOND);
    hold(SECOND, FIRST);
    join(FIRST, SECOND);
    publish_so(BOB, FIRST, "two", keep_none);
    assert_heard(BOB, "");
    let_go(SECOND, FIRST);
    pass(2000);
    assert_heard(ANN, "2:two");
    assert_heard(BOB, "ack 2 at A/2");
    assert_kept(SECOND, "0/2");
}

/* Forgetting. */

static void forgotten_history_is_gone_from_the_mirror_too(void **state)
{
    (void)state;
    open_room();
    publish(BOB, FIRST, "two");
    forget_history(BOB, FIRST);
    assert_heard(BOB, "ack 2 at A/2, forgotten");
    assert_kept(FIRST, "0/2");
    assert_kept(SECOND, "0/2");
    publish(BOB, FIRST, "three");
    assert_heard(ANN, "2:two, 3:three");
    fail_over();
    subscribe_from(ANN, SECOND, 'A', 1);
    assert_heard(ANN, "lost B/3");
}

static void forgetting_goes_to_where_the_channel_is(void **state)
{
    (void)state;
    open_room();
    forget_history(BOB, SECOND);
    assert_heard(BOB, "refused 0 moved to 0");
    assert_kept(FIRST, "1/1");
}

/* What the mirror lacks is kept by nobody then. */
static void history_that_is_forgotten_while_a_mirror_is_asked_holds_nothing_up(void **state)
{
    (void)state;
    open_room();
    cut(FIRST, SECOND);
    pass(3000);
    publish(BOB, FIRST, "two");
    hold(FIRST, SECOND);
    join(FIRST, SECOND);
    pass(200);
    forget_history(BOB, FIRST);
    let_go(FIRST, SECOND);
    pass(200);
    publish(BOB, FIRST, "three");
    assert_heard(BOB, "ack 2 at A/2, forgotten, ack 3 at A/3");
    assert_kept(SECOND, "1/3");
    assert_roles("owner mirror -");
}

static void copy_at_rest_does_not_bring_back_what_was_forgotten(void **state)
{
    (void)state;
    add_router(SECOND);
    publish(BOB, SECOND, "one");
    publish(BOB, SECOND, "two");
    add_router(FIRST);
    subscribe(ANN, FIRST);
    cut(FIRST, SECOND); /* which has all, and is told of nothing */
    pass(3000);
    forget_history(BOB, FIRST);
    join(FIRST, SECOND);
    pass(3000);
    assert_kept(FIRST, "0/2");
    assert_kept(SECOND, "0/2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(ephemeral_message_reaches_subscribers_and_leaves_no_trace, start_two),
        CLUSTER_TEST(ephemeral_message_does_not_wait_for_the_mirror, start_two),
        CLUSTER_TEST(ephemeral_message_waits_until_it_is_clear_who_owns_the_channel, start_two),
        CLUSTER_TEST(ephemeral_message_is_sent_to_where_the_channel_is, start_two),
        CLUSTER_TEST(old_gateway_is_spared_what_it_cannot_read, start_two),
        CLUSTER_TEST(repeated_key_is_acknowledged_with_the_place_of_the_first, start_two),
        CLUSTER_TEST(lost_acknowledgement_of_a_repetition_is_given_again, start_two),
        CLUSTER_TEST(what_comes_after_a_repetition_has_no_gap_before_it, start_two),
        CLUSTER_TEST(repetition_is_acknowledged_no_sooner_than_the_first, start_two),
        CLUSTER_TEST(key_is_known_for_its_time_and_holds_the_channel, start_two),
        CLUSTER_TEST(mirror_knows_the_keys, start_two),
        CLUSTER_TEST(whoever_is_given_a_history_knows_its_keys, start_none),
        CLUSTER_TEST(message_that_two_owners_took_with_one_key_is_kept_once, start_two),
        CLUSTER_TEST(publish_says_how_much_is_kept_and_the_mirror_keeps_as_much, start_two),
        CLUSTER_TEST(copies_that_come_later_have_the_limits_too, start_none),
        CLUSTER_TEST(message_that_is_not_kept_is_delivered_and_has_a_place, start_two),
        CLUSTER_TEST(message_that_is_not_kept_waits_for_its_mirror_all_the_same, start_two),
        CLUSTER_TEST(forgotten_history_is_gone_from_the_mirror_too, start_two),
        CLUSTER_TEST(forgetting_goes_to_where_the_channel_is, start_two),
        CLUSTER_TEST(history_that_is_forgotten_while_a_mirror_is_asked_holds_nothing_up, start_two),
        CLUSTER_TEST(copy_at_rest_does_not_bring_back_what_was_forgotten, start_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
