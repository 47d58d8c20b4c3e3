/* Channels that change hands: claims, leaving routers, routers that lost sight of each other. */
#include "tests/unit/shard_fixture.h"

static void better_router_that_comes_changes_nothing_until_it_is_asked(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    pass(1000);
    publish(BOB, SECOND, "three");
    assert_heard(ANN, "3:three");
    assert_heard(BOB, "ack 3 at A/3");
    assert_roles("mirror owner -");
}

static void claim_takes_copy_and_title_and_sends_subscribers_after_them(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    subscribe_from(BOB, FIRST, 'A', 0);
    assert_heard(BOB, "at A/0, 1:one, 2:two");
    assert_heard(ANN, "moved to 0");
    subscribe_from(ANN, FIRST, 'A', 2);
    publish(BOB, FIRST, "three");
    assert_heard(ANN, "at A/2, 3:three");
    assert_heard(BOB, "3:three, ack 3 at A/3");
    assert_roles("owner mirror -");
    assert_true(metric_read(&shard_of(FIRST)->stats.taken) == 1);
    assert_true(metric_read(&shard_of(SECOND)->stats.given) == 1);
    assert_int_equal(total_forks(), 0);
}

static void former_owner_says_where_the_channel_is(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    subscribe(BOB, FIRST);
    publish(ANN, SECOND, "three");
    assert_heard(ANN, "moved to 0, refused 1 moved to 0");
}

static void publishes_that_wait_when_the_channel_goes_are_sent_after_it(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    pass(TICK_MS);
    assert_roles("mirror owner -");
    hold(FIRST, SECOND);
    publish(BOB, SECOND, "three");
    subscribe_from(ANN, FIRST, 'A', 2);
    assert_heard(BOB, "");
    let_go(FIRST, SECOND);
    publish_again(BOB, FIRST, 3, "three");
    publish(BOB, FIRST, "four");
    assert_heard(BOB, "ack 3 at A/3, ack 3 at A/3, ack 4 at A/4");
    assert_heard(ANN, "3:three, moved to 0, at A/2, 3:three, 4:four");
}

static void requests_during_a_claim_are_served_after_it_in_order(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    hold(SECOND, FIRST);
    subscribe_from(ANN, FIRST, 'A', 2);
    publish(BOB, FIRST, "three");
    publish(BOB, FIRST, "four");
    publish_as(BOB, FIRST, "room", 6, 5, "six");
    assert_roles("claiming owner -");
    assert_heard(BOB, "");
    let_go(SECOND, FIRST);
    assert_heard(ANN, "moved to 0, at A/2, 3:three, 4:four");
    assert_heard(BOB, "refused 6 gap, ack 3 at A/3, ack 4 at A/4");
}

static void repetition_is_known_after_the_channel_went(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    publish_again(BOB, FIRST, 2, "two");
    assert_heard(BOB, "ack 2 at A/2");
    publish(BOB, FIRST, "three");
    assert_heard(BOB, "ack 3 at A/3");
}

/* What dies in the middle. */

static void owner_whose_taker_dies_before_it_had_all_goes_on(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    add_router(THIRD);
    pass(TICK_MS);
    assert_roles("mirror owner -");
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
    tell_dead(THIRD, processes[FIRST].id);
    pass(TICK_MS);
    assert_roles("- owner mirror"); /* and THIRD is to be relieved before it gives */
    add_router(FIRST);
    hold(THIRD, SECOND);
    subscribe_from(BOB, FIRST, 'A', 2);
    assert_roles("claiming yielding copy");
    kill_router(FIRST);
    let_go(THIRD, SECOND);
    tell_dead(SECOND, processes[FIRST].id);
    pass(100);
    publish(BOB, SECOND, "three");
    assert_heard(BOB, "ack 3 at A/3");
    assert_roles("- owner mirror");
    assert_int_equal(total_forks(), 0);
}

/* With the taker the title is gone, but not what it was the title of. */
static void copy_whose_title_was_lost_on_the_way_forks_and_loses_nothing(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    hold(SECOND, FIRST);
    subscribe_from(BOB, FIRST, 'A', 2);
    let_go(SECOND, FIRST);
    assert_heard(BOB, "at A/2");
    cut(FIRST, SECOND);
    kill_router(FIRST);
    pass(NODE_FENCE_MS + TICK_MS);
    subscribe_from(ANN, SECOND, 'A', 2);
    assert_heard(ANN, "moved to 0, at B/2");
    assert_int_equal(total_forks(), 1);
}

/* BOB has moved to FIRST, which is about to take the channel, and ANN has not. */
static void firewall_in_the_midst_of_a_move_divides_gateways_and_who_saw_more_is_told(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    pass(TICK_MS);
    assert_roles("mirror owner -");
    hold(SECOND, FIRST);
    subscribe_from(BOB, FIRST, 'A', 2);
    cut(FIRST, SECOND);
    tell_dead(FIRST, processes[SECOND].id);
    tell_dead(SECOND, processes[FIRST].id);
    publish(ANN, SECOND, "at second");
    assert_heard(ANN, "3:at second, ack 1 at A/3");
    publish(BOB, FIRST, "at first");
    assert_heard(BOB, "at B/2, 3:at first, ack 3 at B/3");
    join(FIRST, SECOND);
    subscribe_from(ANN, FIRST, 'A', 3);
    subscribe_from(BOB, FIRST, 'B', 3);
    assert_heard(ANN, "moved to 0, lost B/4");
    assert_heard(BOB, "moved to 0, at B/3, 4:at second");
    assert_roles("owner mirror -");
}

static void copy_that_was_given_without_a_title_is_forked(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(THIRD);
    pass(TICK_MS);
    assert_roles("- owner mirror");
    kill_router(SECOND);
    pass(NODE_FENCE_MS + TICK_MS);
    add_router(FIRST);
    subscribe_from(ANN, FIRST, 'A', 1);
    assert_heard(ANN, "at B/1, 2:two");
    assert_roles("owner - mirror");
    assert_int_equal(metric_read(&shard_of(FIRST)->stats.failovers), 1); /* it met no SECOND */
}

/* THIRD loses sight of the owner, whom it has asked, too; its mirror sees it yet. */
static void copy_is_not_forked_before_those_who_see_its_owner_were_asked(void **state)
{
    (void)state;
    subscribe(BOB, FIRST);
    publish(BOB, FIRST, "one");
    assert_roles("owner mirror -");
    hold(FIRST, THIRD);
    hold(SECOND, THIRD);
    subscribe_to(ANN, THIRD, "room", 'A', 1, true);
    cut(FIRST, THIRD);
    tell_dead(THIRD, processes[FIRST].id);
    let_go(SECOND, THIRD);
    assert_heard(ANN, "moved to 1");
    assert_roles("owner mirror copy");
}

static void claim_goes_on_where_one_that_was_asked_dies(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(THIRD);
    add_router(FIRST);
    pass(TICK_MS);
    hold(THIRD, FIRST);
    subscribe_from(ANN, FIRST, 'A', 2);
    assert_heard(ANN, "");
    kill_router(THIRD);
    tell_dead(FIRST, processes[THIRD].id);
    tell_dead(SECOND, processes[THIRD].id);
    assert_heard(ANN, "moved to 0, at A/2");
}

/* Gateways that cannot reach the router where a channel belongs. */

static void router_that_gateways_insist_on_takes_the_channel(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    publish(ANN, FIRST, "one");
    subscribe_to(BOB, SECOND, "room", '-', 0, true);
    assert_heard(BOB, "at A/1");
    assert_heard(ANN, "at A/0, 1:one, ack 1 at A/1, moved to 1");
    subscribe_from(ANN, SECOND, 'A', 1);
    publish(BOB, SECOND, "two");
    assert_heard(ANN, "at A/1, 2:two");
    assert_int_equal(total_forks(), 0);
}

/* Even though the router where it belongs is the mirror now. */
static void channel_that_gateways_insisted_on_stays_where_it_went(void **state)
{
    (void)state;
    publish(ANN, FIRST, "one");
    subscribe_to(BOB, SECOND, "room", '-', 0, true);
    assert_roles("mirror owner -");
    subscribe_from(ANN, FIRST, 'A', 1);
    assert_heard(ANN, "ack 1 at A/1, moved to 1");
    assert_heard(BOB, "at A/1");
    assert_roles("mirror owner -");
}

static void insisting_claim_goes_before_another_at_the_same_time(void **state)
{
    (void)state;
    hold(FIRST, SECOND);
    hold(SECOND, FIRST);
    subscribe(ANN, FIRST);
    subscribe_to(BOB, SECOND, "room", '-', 0, true);
    assert_roles("claiming claiming -");
    let_go(FIRST, SECOND);
    let_go(SECOND, FIRST);
    assert_heard(BOB, "at A/0");
    assert_heard(ANN, "moved to 1");
    assert_roles("mirror owner -");
}

/* FIRST has no line with the owner, but both have one with the mirror, which knows better. */
static void router_that_cannot_reach_the_owner_is_told_where_it_is(void **state)
{
    (void)state;
    add_router(SECOND);
    add_router(THIRD);
    subscribe(ANN, SECOND);
    publish(ANN, SECOND, "one");
    assert_heard(ANN, "at A/0, 1:one, ack 1 at A/1");
    start_router(FIRST);
    join(FIRST, THIRD);
    join(FIRST, BOB);
    open_router(FIRST);
    assert_roles("- owner mirror");
    subscribe(BOB, FIRST);
    assert_heard(BOB, "moved to 1");
    assert_roles("- owner mirror");
    subscribe_to(BOB, FIRST, "room", '-', 0, true);
    assert_heard(BOB, "moved to 2");
    subscribe_to(BOB, THIRD, "room", '-', 0, true);
    assert_heard(BOB, "at A/1");
    assert_heard(ANN, "moved to 2");
    assert_int_equal(total_forks(), 0);
}

/* Routers that lost sight of each other. */

static void two_owners_that_meet_end_with_one_that_has_the_messages_of_both(void **state)
{
    (void)state;
    split(1, 2);
    join(FIRST, SECOND);
    assert_heard(ANN, "moved to 0");
    assert_heard(BOB, "moved to 0");
    join(BOB, FIRST);
    subscribe_from(ANN, FIRST, 'A', 1);
    subscribe_from(BOB, FIRST, 'B', 2);
    assert_heard(ANN, "lost B/3");
    assert_heard(BOB, "at B/2, 3:a");
    publish(BOB, FIRST, "together");
    assert_heard(ANN, "4:together");
    assert_heard(BOB, "4:together, ack 3 at B/4");
    assert_roles("owner mirror -");
    assert_true(metric_read(&shard_of(FIRST)->stats.conflicts) == 1);
    assert_true(metric_read(&shard_of(FIRST)->stats.strays) == 1);
}

static void better_copy_stays_where_it_is_if_its_owner_ranks_first(void **state)
{
    (void)state;
    split(3, 2);
    join(FIRST, SECOND);
    join(BOB, FIRST);
    subscribe_from(BOB, FIRST, 'B', 2);
    subscribe_from(ANN, FIRST, 'A', 3);
    assert_heard(BOB, "moved to 0, lost A/5");
    assert_heard(ANN, "moved to 0, at A/3, 4:b, 5:b");
    assert_roles("owner mirror -");
}

/* A gateway that got no answer on one side has published again on the other. */
static void message_that_both_owners_had_is_there_once(void **state)
{
    (void)state;
    split(1, 2);
    join(BOB, FIRST);
    publish_again(BOB, FIRST, 2, "b"); /* is A/2, and B/2 at SECOND */
    join(FIRST, SECOND);
    subscribe_from(ANN, FIRST, 'B', 0);
    assert_heard(ANN, "2:b, moved to 0, at B/0, 1:b, 2:b, 3:a");
}

static void both_halves_of_a_split_go_on_but_never_under_one_epoch(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    publish(ANN, FIRST, "one");
    subscribe_from(BOB, FIRST, '-', 0);
    cut(FIRST, SECOND);
    cut(BOB, FIRST);
    publish(ANN, FIRST, "two at first");
    subscribe_to(BOB, SECOND, "room", 'A', 1, true);
    publish(BOB, SECOND, "two at second");
    pass(NODE_FENCE_MS);
    assert_heard(ANN, "at A/0, 1:one, ack 1 at A/1, 2:two at first, ack 2 at A/2");
    assert_heard(BOB, "at A/1, at B/1, 2:two at second, ack 1 at B/2");
    join(FIRST, SECOND);
    join(BOB, FIRST);
    subscribe_from(ANN, FIRST, 'A', 2);
    subscribe_from(BOB, FIRST, 'B', 2);
    assert_heard(ANN, "moved to 0, lost B/3");
    assert_heard(BOB, "moved to 0, at B/2, 3:two at first");
    assert_roles("owner mirror -");
}

static void split_in_which_one_half_was_idle_loses_nothing(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    publish(ANN, FIRST, "one");
    cut(FIRST, SECOND);
    cut(BOB, FIRST);
    subscribe_to(BOB, SECOND, "room", 'A', 1, true);
    pass(NODE_FENCE_MS);
    publish(BOB, SECOND, "two");
    join(FIRST, SECOND);
    assert_heard(ANN, "at A/0, 1:one, ack 1 at A/1, moved to 0");
    subscribe_from(ANN, FIRST, 'A', 1);
    assert_heard(ANN, "at B/1, 2:two");
}

static void router_that_slept_finds_its_channel_taken_and_takes_it_back(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    publish(BOB, FIRST, "one");
    assert_heard(BOB, "ack 1 at A/1");
    freeze(FIRST);
    publish(BOB, FIRST, "two");
    hang_up(ANN, FIRST);
    hang_up(BOB, FIRST);
    pass(5000);
    subscribe_to(ANN, SECOND, "room", 'A', 1, true);
    publish_again(BOB, SECOND, 2, "two");
    assert_heard(BOB, "ack 2 at B/2");
    thaw(FIRST);
    join(FIRST, SECOND);
    join(FIRST, ANN);
    pass(5000);
    assert_heard(BOB, "");
    assert_heard(ANN, "at A/0, 1:one, at B/1, 2:two, moved to 0");
    subscribe_from(ANN, FIRST, 'B', 2);
    assert_heard(ANN, "at B/2");
    assert_roles("owner mirror -");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(better_router_that_comes_changes_nothing_until_it_is_asked, start_none),
        CLUSTER_TEST(claim_takes_copy_and_title_and_sends_subscribers_after_them, start_none),
        CLUSTER_TEST(former_owner_says_where_the_channel_is, start_none),
        CLUSTER_TEST(publishes_that_wait_when_the_channel_goes_are_sent_after_it, start_none),
        CLUSTER_TEST(requests_during_a_claim_are_served_after_it_in_order, start_none),
        CLUSTER_TEST(repetition_is_known_after_the_channel_went, start_none),
        CLUSTER_TEST(owner_whose_taker_dies_before_it_had_all_goes_on, start_none),
        CLUSTER_TEST(copy_whose_title_was_lost_on_the_way_forks_and_loses_nothing, start_none),
        CLUSTER_TEST(firewall_in_the_midst_of_a_move_divides_gateways_and_who_saw_more_is_told,
                     start_none),
        CLUSTER_TEST(copy_that_was_given_without_a_title_is_forked, start_none),
        CLUSTER_TEST(copy_is_not_forked_before_those_who_see_its_owner_were_asked, start_three),
        CLUSTER_TEST(claim_goes_on_where_one_that_was_asked_dies, start_none),
        CLUSTER_TEST(router_that_gateways_insist_on_takes_the_channel, start_two),
        CLUSTER_TEST(channel_that_gateways_insisted_on_stays_where_it_went, start_two),
        CLUSTER_TEST(insisting_claim_goes_before_another_at_the_same_time, start_two),
        CLUSTER_TEST(router_that_cannot_reach_the_owner_is_told_where_it_is, start_none),
        CLUSTER_TEST(two_owners_that_meet_end_with_one_that_has_the_messages_of_both, start_none),
        CLUSTER_TEST(better_copy_stays_where_it_is_if_its_owner_ranks_first, start_none),
        CLUSTER_TEST(message_that_both_owners_had_is_there_once, start_none),
        CLUSTER_TEST(both_halves_of_a_split_go_on_but_never_under_one_epoch, start_two),
        CLUSTER_TEST(split_in_which_one_half_was_idle_loses_nothing, start_two),
        CLUSTER_TEST(router_that_slept_finds_its_channel_taken_and_takes_it_back, start_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
