/* What becomes of channels when the mirror, or the owner, is lost. */
#include "tests/unit/shard_fixture.h"

/* ANN listens to the owner; BOB publishes. */
static void open_room(void)
{
    subscribe(ANN, FIRST);
    publish(BOB, FIRST, "one");
    assert_heard(ANN, "at A/0, 1:one");
    assert_heard(BOB, "ack 1 at A/1");
}

static void publish_is_acknowledged_only_when_the_mirror_has_it(void **state)
{
    (void)state;
    open_room();
    hold(FIRST, SECOND);
    publish(BOB, FIRST, "two");
    pass(1000);
    assert_heard(ANN, "");
    assert_heard(BOB, "");
    let_go(FIRST, SECOND);
    assert_heard(ANN, "2:two");
    assert_heard(BOB, "ack 2 at A/2");
    hold(SECOND, FIRST);
    publish(BOB, FIRST, "three");
    assert_heard(BOB, "");
    let_go(SECOND, FIRST);
    assert_heard(ANN, "3:three");
    assert_heard(BOB, "ack 3 at A/3");
    assert_true(metric_read(&shard_of(FIRST)->stats.alone) == 0);
}

/* What a mirror says that has more than there is. */
static void say_too_much(int mirror, int owner)
{
    shard_receive(shard_of(owner), &ends[owner][mirror].link,
                  &(struct router_frame){.kind = FRAME_MIRROR_HAVE,
                                         .channel = "room",
                                         .channel_size = 4,
                                         .mirrored = {.epoch = epoch_of('A'), .offset = 1000}},
                  now_ms);
}

static void mirror_cannot_have_what_its_owner_has_not(void **state)
{
    (void)state;
    open_room();
    cut(FIRST, SECOND);
    hold(SECOND, FIRST);
    join(FIRST, SECOND);
    publish(BOB, FIRST, "two");
    say_too_much(SECOND, FIRST);
    settle();
    assert_heard(BOB, "");
    let_go(SECOND, FIRST);
    assert_heard(ANN, "2:two");
    assert_heard(BOB, "ack 2 at A/2");
}

static void only_the_next_best_router_mirrors(void **state)
{
    (void)state;
    open_room();
    pass(1000);
    assert_roles("owner mirror -");
}

static void mirror_that_comes_later_is_given_the_history(void **state)
{
    (void)state;
    publish(BOB, FIRST, "one");
    publish(BOB, FIRST, "two");
    assert_heard(BOB, "ack 1 at A/1, ack 2 at A/2");
    add_router(SECOND);
    pass(TICK_MS);
    assert_roles("owner mirror -");
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
    subscribe_from(ANN, SECOND, 'A', 0);
    assert_heard(ANN, "at B/0, 1:one, 2:two");
}

static void messages_that_left_the_history_before_the_mirror_was_ready_reach_it_too(void **state)
{
    (void)state;
    publish(BOB, FIRST, "0");
    add_router(SECOND);
    hold(SECOND, FIRST);
    pass(TICK_MS);
    for (char text[] = "1"; text[0] <= '8'; text[0]++)
        publish(BOB, FIRST, text); /* five are kept */
    assert_heard(BOB, "ack 1 at A/1");
    let_go(SECOND, FIRST);
    assert_heard(BOB, "ack 2 at A/2, ack 3 at A/3, ack 4 at A/4, ack 5 at A/5, ack 6 at A/6, "
                      "ack 7 at A/7, ack 8 at A/8, ack 9 at A/9");
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
    subscribe_from(ANN, SECOND, 'A', 5);
    assert_heard(ANN, "at B/5, 6:5, 7:6, 8:7, 9:8");
}

/* Not even of the messages that are in no history any more: by those it knows repetitions. */
static void mirror_knows_the_publishers_of_all_that_was_acknowledged(void **state)
{
    (void)state;
    publish(BOB, FIRST, "0");
    add_router(SECOND);
    hold(SECOND, FIRST);
    pass(TICK_MS);
    publish(ANN, FIRST, "hers");
    for (char text[] = "1"; text[0] <= '8'; text[0]++)
        publish(BOB, FIRST, text); /* five are kept */
    let_go(SECOND, FIRST);
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
    publish_again(ANN, SECOND, 1, "hers");
    assert_heard(ANN, "ack 1 at A/2, ack 1 at B/2");
}

static void channel_is_served_only_once_its_mirror_has_all(void **state)
{
    (void)state;
    hold(SECOND, FIRST);
    subscribe(ANN, FIRST);
    let_one_go(SECOND, FIRST); /* that it has nothing */
    assert_roles("claiming mirror -");
    assert_heard(ANN, "");
    let_go(SECOND, FIRST);
    assert_roles("owner mirror -");
    assert_heard(ANN, "at A/0");
}

/* More than may be under way at once. */
static void mirror_of_many_channels_gets_them_in_turn(void **state)
{
    const unsigned count = 1000;
    char channel[16];

    (void)state;
    for (unsigned i = 1; i <= count; i++) {
        snprintf(channel, sizeof(channel), "%u", i);
        publish_as(BOB, FIRST, channel, i, 0, "");
    }
    hold(SECOND, FIRST);
    add_router(SECOND);
    pass((uint64_t)2 * TICK_MS);
    assert_in_range(shard_of(FIRST)->opening, 1, 256);
    let_go(SECOND, FIRST);
    for (unsigned i = 0; i < 3; i++)
        pass(TICK_MS);
    assert_int_equal(shard_of(SECOND)->map.count, count);
}

/* A lost mirror. */

static void lost_mirror_holds_commits_until_its_fence_is_passed(void **state)
{
    (void)state;
    open_room();
    cut(FIRST, SECOND);
    publish(BOB, FIRST, "two");
    pass(NODE_FENCE_MS - TICK_MS);
    assert_heard(ANN, "");
    assert_heard(BOB, "");
    pass(TICK_MS);
    assert_heard(ANN, "2:two");
    assert_heard(BOB, "ack 2 at A/2");
    publish(BOB, FIRST, "three");
    assert_heard(BOB, "ack 3 at A/3");
}

static void mirror_that_is_known_dead_holds_nothing_up(void **state)
{
    (void)state;
    open_room();
    kill_router(SECOND);
    publish(BOB, FIRST, "two");
    assert_heard(BOB, "");
    tell_dead(FIRST, processes[SECOND].id);
    assert_heard(ANN, "2:two");
    assert_heard(BOB, "ack 2 at A/2");
}

/* Whoever answers at the address of another is the proof that that one is gone. */
static void mirror_that_was_restarted_holds_nothing_up_and_mirrors_again(void **state)
{
    uint64_t dead = processes[SECOND].id;

    (void)state;
    open_room();
    kill_router(SECOND);
    publish(BOB, FIRST, "two");
    assert_heard(BOB, "");
    tell_dead(FIRST, dead); /* another node answers where it was, */
    add_router(SECOND);     /* and comes up */
    assert_heard(BOB, "ack 2 at A/2");
    pass(TICK_MS);
    assert_roles("owner mirror -");
    hold(FIRST, SECOND);
    publish(BOB, FIRST, "three");
    assert_heard(BOB, "");
    let_go(FIRST, SECOND);
    assert_heard(BOB, "ack 3 at A/3");
}

static void silent_mirror_is_found_and_fenced_in_time(void **state)
{
    (void)state;
    open_room();
    silence(FIRST, SECOND);
    publish(BOB, FIRST, "two");
    pass(NODE_SILENCE_MS - TICK_MS);
    assert_heard(BOB, "");
    pass(NODE_PING_MS + TICK_MS);
    assert_heard(ANN, "2:two");
    assert_heard(BOB, "ack 2 at A/2");
}

static void third_router_mirrors_when_the_second_is_gone_but_not_before_its_fence(void **state)
{
    (void)state;
    open_room();
    cut(FIRST, SECOND);
    publish(BOB, FIRST, "two");
    pass(NODE_FENCE_MS - TICK_MS);
    assert_roles("owner mirror -"); /* the line may be back at once */
    assert_heard(BOB, "");
    pass(TICK_MS);
    assert_roles("owner copy mirror");
    assert_heard(BOB, "ack 2 at A/2");
    assert_true(metric_read(&shard_of(FIRST)->stats.alone) == 0);
    hold(FIRST, THIRD);
    publish(BOB, FIRST, "three");
    assert_heard(BOB, "");
}

static void mirror_that_is_back_before_its_fence_ends_the_wait(void **state)
{
    (void)state;
    open_room();
    cut(FIRST, SECOND);
    publish(BOB, FIRST, "two");
    pass(500);
    assert_heard(BOB, "");
    join(FIRST, SECOND);
    pass(TICK_MS);
    assert_heard(ANN, "2:two");
    assert_heard(BOB, "ack 2 at A/2");
    assert_roles("owner mirror -");
}

/* A lost owner. */

static void mirror_of_a_dead_owner_goes_on_at_once_and_nobody_misses_anything(void **state)
{
    (void)state;
    open_room();
    kill_router(FIRST);
    subscribe_from(ANN, SECOND, 'A', 0);
    publish(BOB, SECOND, "two");
    assert_heard(ANN, "");
    tell_dead(SECOND, processes[FIRST].id);
    assert_heard(ANN, "at B/0, 1:one, 2:two");
    assert_heard(BOB, "ack 2 at B/2");
    assert_int_equal(total_forks(), 0);
    assert_int_equal(metric_read(&shard_of(SECOND)->stats.failovers), 1);
    assert_roles("- owner -");
}

static void mirror_that_does_not_know_whether_its_owner_is_dead_forks(void **state)
{
    (void)state;
    open_room();
    kill_router(FIRST);
    pass(NODE_FENCE_MS);
    subscribe_from(ANN, SECOND, 'A', 1);
    publish(BOB, SECOND, "two");
    assert_heard(ANN, "at B/1, 2:two"); /* it had seen all, so it has lost nothing */
    assert_heard(BOB, "ack 2 at B/2");
    assert_int_equal(total_forks(), 1);
    assert_int_equal(metric_read(&shard_of(SECOND)->stats.failovers), 0);
}

/* A firewall rejects what they send each other: each takes the other for dead, and both live. */
static void routers_that_are_refused_go_on_but_never_under_one_epoch(void **state)
{
    (void)state;
    open_room();
    cut(FIRST, SECOND);
    tell_dead(FIRST, processes[SECOND].id);
    tell_dead(SECOND, processes[FIRST].id);
    publish(ANN, FIRST, "two at first");
    assert_heard(ANN, "2:two at first, ack 1 at A/2");
    subscribe_to(BOB, SECOND, "room", 'A', 1, true);
    publish(BOB, SECOND, "two at second");
    assert_heard(BOB, "at B/1, 2:two at second, ack 2 at B/2");
    join(FIRST, SECOND);
    subscribe_from(ANN, FIRST, 'A', 2);
    subscribe_from(BOB, FIRST, 'B', 2);
    assert_heard(ANN, "moved to 0, lost B/3");
    assert_heard(BOB, "moved to 0, at B/2, 3:two at first");
    assert_true(metric_read(&shard_of(FIRST)->stats.conflicts) +
                    metric_read(&shard_of(SECOND)->stats.conflicts) >
                0);
}

static void fork_is_followed_from_any_position_before_it(void **state)
{
    (void)state;
    open_room();
    publish(BOB, FIRST, "two");
    kill_router(FIRST);
    pass(NODE_FENCE_MS + TICK_MS);
    publish(BOB, SECOND, "three");
    assert_heard(BOB, "ack 2 at A/2, ack 3 at B/3");
    subscribe_from(ANN, SECOND, 'A', 1);
    assert_heard(ANN, "2:two, at B/1, 2:two, 3:three");
    subscribe_from(BOB, SECOND, 'A', 3);
    assert_heard(BOB, "lost B/3");
}

static void requests_wait_while_it_is_open_whether_the_owner_is_dead(void **state)
{
    (void)state;
    open_room();
    kill_router(FIRST);
    subscribe_from(ANN, SECOND, 'A', 1);
    publish(BOB, SECOND, "two");
    pass(NODE_FENCE_MS - TICK_MS);
    assert_heard(ANN, "");
    assert_heard(BOB, "");
    assert_roles("- claiming -");
    tell_dead(SECOND, processes[FIRST].id);
    assert_heard(ANN, "at B/1, 2:two");
    assert_heard(BOB, "ack 2 at B/2");
}

static void requests_wait_no_longer_than_the_fence(void **state)
{
    (void)state;
    open_room();
    kill_router(FIRST);
    subscribe_from(ANN, SECOND, 'A', 1);
    pass(NODE_FENCE_MS - TICK_MS); /* whoever had the channel may be back yet */
    assert_heard(ANN, "");
    pass(TICK_MS);
    assert_heard(ANN, "at B/1");
}

/* It was asked, and lacks what the owner had committed alone: it must not go on as if it had all.
 */
static void mirror_that_was_not_in_sync_yet_does_not_go_on_as_if_it_were(void **state)
{
    (void)state;
    open_room();
    add_router(SECOND);
    hold(SECOND, FIRST);
    pass(TICK_MS);
    assert_roles("owner mirror -");
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
    subscribe_from(ANN, SECOND, 'A', 1);
    assert_heard(ANN, "lost B/0");
}

static void unacknowledged_publish_that_reached_the_mirror_is_known_there(void **state)
{
    (void)state;
    open_room();
    hold(SECOND, FIRST);
    publish(BOB, FIRST, "two");
    assert_heard(BOB, "");
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
    publish_again(BOB, SECOND, 2, "two");
    subscribe_from(ANN, SECOND, 'A', 1);
    assert_heard(BOB, "ack 2 at B/2");
    assert_heard(ANN, "at B/1, 2:two");
}

static void unacknowledged_publish_that_did_not_reach_the_mirror_is_new_there(void **state)
{
    (void)state;
    open_room();
    hold(FIRST, SECOND);
    publish(BOB, FIRST, "two");
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
    subscribe_from(ANN, SECOND, 'A', 1);
    publish_again(BOB, SECOND, 2, "two");
    assert_heard(ANN, "at B/1, 2:two");
    assert_heard(BOB, "ack 2 at B/2");
}

static void successor_has_a_mirror_of_its_own_before_it_serves(void **state)
{
    (void)state;
    open_room();
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
    tell_dead(THIRD, processes[FIRST].id);
    hold(THIRD, SECOND);
    subscribe_from(ANN, SECOND, 'A', 0);
    publish(BOB, SECOND, "two");
    assert_heard(ANN, "");
    let_go(THIRD, SECOND);
    assert_heard(ANN, "at B/0, 1:one, 2:two");
    assert_roles("- owner mirror");
    kill_router(SECOND);
    tell_dead(THIRD, processes[SECOND].id);
    subscribe_from(ANN, THIRD, 'B', 0);
    assert_heard(ANN, "at C/0, 1:one, 2:two");
}

/* A router that slept. */

/* The others have given it up meanwhile, and may have gone on without it. */
static void router_that_slept_commits_nothing_before_it_has_looked_around(void **state)
{
    (void)state;
    open_room();
    freeze(FIRST);
    publish(BOB, FIRST, "two");
    pass(5000);
    subscribe_to(ANN, SECOND, "room", 'A', 1, true);
    assert_heard(ANN, "at B/1");
    thaw(FIRST);
    pass(NODE_FENCE_MS - TICK_MS);
    assert_heard(BOB, "");
}

static void router_that_slept_does_not_take_that_for_silence_of_the_others(void **state)
{
    (void)state;
    open_room();
    freeze(FIRST);
    silence(FIRST, SECOND);
    pass(5000);
    thaw(FIRST);
    publish(BOB, FIRST, "two");
    pass(NODE_SILENCE_MS - TICK_MS);
    assert_true(ends[FIRST][SECOND].is_up);
    assert_heard(BOB, "");
    pass(NODE_FENCE_MS + TICK_MS);
    assert_heard(BOB, "ack 2 at A/2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(publish_is_acknowledged_only_when_the_mirror_has_it, start_two),
        CLUSTER_TEST(mirror_cannot_have_what_its_owner_has_not, start_three),
        CLUSTER_TEST(only_the_next_best_router_mirrors, start_three),
        CLUSTER_TEST(mirror_that_comes_later_is_given_the_history, start_one),
        CLUSTER_TEST(messages_that_left_the_history_before_the_mirror_was_ready_reach_it_too,
                     start_one),
        CLUSTER_TEST(mirror_knows_the_publishers_of_all_that_was_acknowledged, start_one),
        CLUSTER_TEST(channel_is_served_only_once_its_mirror_has_all, start_two),
        CLUSTER_TEST(mirror_of_many_channels_gets_them_in_turn, start_one),
        CLUSTER_TEST(lost_mirror_holds_commits_until_its_fence_is_passed, start_two),
        CLUSTER_TEST(mirror_that_is_known_dead_holds_nothing_up, start_two),
        CLUSTER_TEST(mirror_that_was_restarted_holds_nothing_up_and_mirrors_again, start_two),
        CLUSTER_TEST(silent_mirror_is_found_and_fenced_in_time, start_two),
        CLUSTER_TEST(third_router_mirrors_when_the_second_is_gone_but_not_before_its_fence,
                     start_three),
        CLUSTER_TEST(mirror_that_is_back_before_its_fence_ends_the_wait, start_two),
        CLUSTER_TEST(mirror_of_a_dead_owner_goes_on_at_once_and_nobody_misses_anything, start_two),
        CLUSTER_TEST(mirror_that_does_not_know_whether_its_owner_is_dead_forks, start_two),
        CLUSTER_TEST(routers_that_are_refused_go_on_but_never_under_one_epoch, start_two),
        CLUSTER_TEST(fork_is_followed_from_any_position_before_it, start_two),
        CLUSTER_TEST(requests_wait_while_it_is_open_whether_the_owner_is_dead, start_two),
        CLUSTER_TEST(requests_wait_no_longer_than_the_fence, start_two),
        CLUSTER_TEST(mirror_that_was_not_in_sync_yet_does_not_go_on_as_if_it_were, start_one),
        CLUSTER_TEST(unacknowledged_publish_that_reached_the_mirror_is_known_there, start_two),
        CLUSTER_TEST(unacknowledged_publish_that_did_not_reach_the_mirror_is_new_there, start_two),
        CLUSTER_TEST(successor_has_a_mirror_of_its_own_before_it_serves, start_three),
        CLUSTER_TEST(router_that_slept_commits_nothing_before_it_has_looked_around, start_two),
        CLUSTER_TEST(router_that_slept_does_not_take_that_for_silence_of_the_others, start_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
