/* What two owners leave behind, and copies that may be the only ones: nothing that was acknowledged
 * is lost, and no epoch begins that nobody needs. */
#include "router/shard_parts.h"
#include "tests/unit/shard_fixture.h"

static struct place *room_at(int router)
{
    return places_find(shard_of(router), "room", 4);
}

static void start_third_beside_first(void)
{
    start_router(THIRD);
    join(THIRD, FIRST);
    join(THIRD, ANN);
    open_router(THIRD);
}

static void claimant_that_is_claimed_from_in_turn_gives_the_strays_with_the_channel(void **state)
{
    (void)state;
    split(1, 2);
    start_third_beside_first();
    hold(SECOND, FIRST);
    join(FIRST, SECOND);
    while (!claim_is_settling(room_at(FIRST)))
        let_one_go(SECOND, FIRST);
    processes[ANN].heard.size = 0;
    subscribe_to(ANN, THIRD, "room", 'B', 2, true);
    let_go(SECOND, FIRST);
    assert_heard(ANN, "at B/2, 3:a");
    assert_roles("mirror copy owner");
}

/* THIRD claims from FIRST while what SECOND gave is on its way there. */
static void strays_that_come_after_the_claim_was_given_up_are_kept(void **state)
{
    (void)state;
    split(3, 2);
    start_third_beside_first();
    hold(SECOND, FIRST);
    join(FIRST, SECOND);
    while (room_at(SECOND)->role == PLACE_OWNED)
        let_one_go(SECOND, FIRST);
    subscribe_to(ANN, THIRD, "room", 'A', 3, true);
    assert_roles("mirror copy owner");
    let_go(SECOND, FIRST);
    pass((uint64_t)4 * TICK_MS);
    assert_int_equal(room_at(FIRST)->role, PLACE_OWNED);
    assert_int_equal(room_at(FIRST)->history.count, 5);
}

static void what_was_given_and_is_lost_on_the_way_is_published_when_the_line_is_back(void **state)
{
    (void)state;
    split(3, 2);
    hold(SECOND, FIRST);
    join(FIRST, SECOND);
    while (room_at(SECOND)->role == PLACE_OWNED)
        let_one_go(SECOND, FIRST);
    cut(FIRST, SECOND);
    pass((uint64_t)2 * NODE_FENCE_MS);
    subscribe_from(ANN, FIRST, 'A', 3);
    assert_heard(ANN, "moved to 0, at A/3");
    join(FIRST, SECOND);
    pass((uint64_t)4 * TICK_MS);
    subscribe_from(ANN, FIRST, 'A', 3);
    assert_heard(ANN, "moved to 1, at A/3, 4:b, 5:b");
    assert_roles("owner mirror -");
}

/* An owner that a claim of before asked gives its two messages, which are to follow. */
static void give_room(int from, int to)
{
    struct router_frame frame = {
        .kind = FRAME_GIVEN,
        .channel = "room",
        .channel_size = 4,
        .given = {.lineage = {.generation = 1, .offset = 2}, .has_title = true}};

    snprintf(frame.given.lineage.epoch, sizeof(frame.given.lineage.epoch), "of %d", from);
    put_frame(from, to, &frame);
    settle();
}

static void give_message(int from, int to, uint64_t offset, const char *text)
{
    struct message *message = message_create(MESSAGE_TEXT, "room", 4, text, strlen(text));

    message->publisher = processes[from].id;
    message->sequence = message->offset = offset;
    put_frame(from, to,
              &(struct router_frame){.kind = FRAME_ENTRY, .deliver = {.message = message}});
    message_unref(message);
    settle();
}

static void strays_of_two_owners_at_once_are_all_published(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    give_room(SECOND, FIRST);
    give_room(THIRD, FIRST);
    give_message(SECOND, FIRST, 1, "second's one");
    give_message(THIRD, FIRST, 1, "third's one");
    give_message(THIRD, FIRST, 2, "third's two");
    give_message(SECOND, FIRST, 2, "second's two");
    assert_heard(ANN, "at A/0, 1:second's one, 2:third's one, 3:third's two, 4:second's two");
}

/* The rest comes when that owner has them published itself, or is met again. */
static void
strays_of_an_owner_that_is_lost_meanwhile_are_published_as_far_as_they_came(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    give_room(THIRD, FIRST);
    give_message(THIRD, FIRST, 1, "third's one");
    assert_heard(ANN, "at A/0");
    cut(THIRD, FIRST);
    assert_heard(ANN, "1:third's one");
}

static void stray_that_comes_twice_is_published_once(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    give_room(THIRD, FIRST);
    give_message(THIRD, FIRST, 1, "one");
    give_message(THIRD, FIRST, 1, "one");
    give_message(THIRD, FIRST, 2, "two");
    give_room(THIRD, FIRST);
    give_message(THIRD, FIRST, 1, "one");
    give_message(THIRD, FIRST, 2, "two");
    assert_heard(ANN, "at A/0, 1:one, 2:two");
}

/* FIRST was given the room, and died before its mirror had it: only THIRD still has its message. */
static void copy_of_who_gave_it_away_is_the_only_one_if_the_taker_dies(void **state)
{
    (void)state;
    start_router(THIRD);
    join(THIRD, ANN);
    open_router(THIRD);
    publish(ANN, THIRD, "one");
    start_router(SECOND);
    join(SECOND, BOB);
    start_router(FIRST);
    join(FIRST, SECOND);
    join(FIRST, THIRD);
    join(FIRST, ANN);
    open_router(FIRST);
    hold(FIRST, SECOND);
    subscribe_from(ANN, FIRST, 'A', 1);
    while (room_at(THIRD)->role == PLACE_OWNED)
        let_one_go(FIRST, SECOND);
    pass((uint64_t)3 * NODE_PING_MS); /* so that THIRD knows that all has come */
    kill_router(FIRST);
    pass(NODE_FENCE_MS + TICK_MS);
    open_router(SECOND);
    publish(BOB, SECOND, "two");
    publish(BOB, SECOND, "three");
    join(SECOND, THIRD);
    pass((uint64_t)10 * TICK_MS);
    assert_roles("- owner mirror");
    assert_int_equal(room_at(SECOND)->history.count, 3);
}

/* It was the mirror of the owner, which is none any more. */
static void title_that_comes_after_the_claim_was_given_up_ends_the_mirror(void **state)
{
    (void)state;
    add_router(THIRD);
    subscribe(ANN, THIRD);
    publish(BOB, THIRD, "one");
    add_router(SECOND);
    pass(TICK_MS);
    assert_roles("- mirror owner");
    hold(THIRD, SECOND);
    subscribe_from(BOB, SECOND, 'A', 1);
    while (room_at(THIRD)->role == PLACE_OWNED)
        let_one_go(THIRD, SECOND);
    add_router(FIRST);
    subscribe_from(BOB, FIRST, 'A', 1);
    let_go(THIRD, SECOND);
    pass((uint64_t)2 * TICK_MS);
    assert_roles("owner mirror copy");
}

/* THIRD, which saw nothing of the room before, owns it under another epoch. */
static void open_room_at_third_unseen(void)
{
    start_router(THIRD);
    join(THIRD, BOB);
    open_router(THIRD);
    subscribe(BOB, THIRD);
    publish(BOB, THIRD, "three");
    processes[BOB].heard.size = 0;
}

static void only_copy_of_a_dead_owner_gets_a_mirror_though_nobody_asks(void **state)
{
    (void)state;
    publish(ANN, FIRST, "one");
    assert_heard(ANN, "ack 1 at A/1");
    kill_router(FIRST);
    tell_dead(SECOND, processes[FIRST].id);
    pass(1000);
    assert_roles("- copy -");
    pass(10000);
    assert_roles("- owner mirror");
    assert_int_equal(total_forks(), 0);
    assert_int_equal(metric_read(&shard_of(SECOND)->stats.failovers), 1);
}

static void orphan_that_becomes_a_mirror_has_its_messages_published(void **state)
{
    (void)state;
    publish(ANN, FIRST, "one");
    assert_heard(ANN, "ack 1 at A/1");
    kill_router(FIRST);
    open_room_at_third_unseen();
    publish(BOB, THIRD, "four");
    join(SECOND, THIRD);
    pass((uint64_t)10 * TICK_MS);
    for (int router = SECOND; router <= THIRD; router++)
        assert_int_equal(room_at(router)->history.count, 3);
    assert_roles("- owner mirror");
}

/* A mirror whose owner is gone out of sight asks others after a while, if nobody asks it. */
static void copy_that_may_be_the_only_one_is_not_left_alone(void **state)
{
    (void)state;
    publish(ANN, FIRST, "one");
    assert_heard(ANN, "ack 1 at A/1");
    kill_router(FIRST);
    pass((uint64_t)2 * NODE_FENCE_MS);
    open_room_at_third_unseen();
    hold(THIRD, SECOND); /* it does not get to be its mirror */
    join(SECOND, THIRD);
    pass(NODE_FENCE_MS - NODE_PING_MS);
    let_go(THIRD, SECOND);
    pass(10000);
    assert_int_equal(room_at(THIRD)->history.count, 2);
    assert_int_equal(room_at(SECOND)->history.count, 2);
}

static void copy_of_which_an_owner_has_all_is_left_alone(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    publish(ANN, FIRST, "one");
    cut(FIRST, SECOND);
    pass((uint64_t)2 * NODE_FENCE_MS);
    join(FIRST, SECOND);
    pass(20000);
    assert_heard(ANN, "at A/0, 1:one, ack 1 at A/1");
    assert_roles("owner mirror -");
    assert_int_equal(total_forks(), 0);
}

/* Its line broke before it was one, and the claim is not over yet. */
static void mirror_that_is_back_while_the_claim_settles_becomes_one(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    hold(SECOND, FIRST);
    subscribe_from(BOB, FIRST, 'A', 2);
    while (!claim_is_settling(room_at(FIRST)))
        let_one_go(SECOND, FIRST);
    cut(FIRST, SECOND);
    join(FIRST, SECOND);
    pass((uint64_t)2 * NODE_FENCE_MS);
    assert_heard(BOB, "at A/2");
    assert_roles("owner mirror -");
}

/* Forks. */

/* It woke up, and what it read was asked before its line went. */
static void nobody_waits_for_a_fork_so_there_is_none(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    pass(TICK_MS);
    assert_roles("mirror owner -");
    freeze(FIRST);
    subscribe_from(BOB, FIRST, 'A', 2);
    publish(BOB, FIRST, "three");
    hang_up(BOB, FIRST);
    hang_up(SECOND, FIRST);
    pass((uint64_t)2 * NODE_FENCE_MS);
    publish_again(BOB, SECOND, 3, "three");
    assert_heard(BOB, "ack 3 at A/3");
    thaw(FIRST);
    pass((uint64_t)2 * NODE_FENCE_MS);
    assert_roles("copy owner -");
    join(FIRST, SECOND);
    subscribe_from(ANN, FIRST, 'A', 3);
    assert_heard(ANN, "3:three, moved to 0, at A/3");
    assert_int_equal(total_forks(), 0);
}

static void owner_whose_line_broke_may_be_back_before_its_mirror_forks(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    pass(TICK_MS);
    cut(FIRST, SECOND);
    subscribe_from(BOB, FIRST, 'A', 1);
    pass(NODE_FENCE_MS - TICK_MS);
    assert_heard(BOB, "");
    join(FIRST, SECOND);
    pass(NODE_FENCE_MS);
    assert_heard(BOB, "at A/1, 2:two");
    assert_int_equal(total_forks(), 0);
}

/* It gave its copy to one that lost sight of the owner meanwhile. */
static void copy_of_an_owner_that_its_mirror_sees_is_not_forked(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(THIRD);
    pass(TICK_MS);
    assert_roles("- owner mirror");
    add_router(FIRST);
    hold(THIRD, FIRST);
    hold(SECOND, FIRST);
    subscribe_from(BOB, FIRST, 'A', 1);
    cut(FIRST, SECOND);
    while (room_at(FIRST)->claim && ends[FIRST][THIRD].inbox.size > 0)
        let_one_go(THIRD, FIRST);
    join(FIRST, SECOND);
    let_go(THIRD, FIRST);
    assert_heard(BOB, "moved to 1");
    subscribe_from(BOB, SECOND, 'A', 1);
    assert_heard(BOB, "at A/1, 2:two");
    assert_int_equal(total_forks(), 0);
}

/* Its mirror was asked what it has when the owner slept, by one that does not see it yet. */
static void owner_that_is_back_commits_nothing_behind_a_fork_that_is_under_way(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(THIRD);
    pass(TICK_MS);
    add_router(FIRST);
    assert_roles("- owner mirror");
    cut(SECOND, FIRST);
    cut(SECOND, THIRD);
    pass((uint64_t)2 * NODE_FENCE_MS);
    hold(THIRD, FIRST);
    subscribe_from(BOB, FIRST, 'A', 2);
    join(SECOND, THIRD);
    pass(TICK_MS);
    publish(ANN, SECOND, "three");
    assert_heard(ANN, "");
    let_go(THIRD, FIRST);
    assert_heard(BOB, "at B/2");
    join(SECOND, FIRST);
    pass(TICK_MS);
    subscribe_from(ANN, FIRST, 'A', 2);
    assert_heard(ANN, "moved to 0, refused 1 moved to 0, at B/2, 3:three");
    assert_roles("owner mirror copy");
}

/* The claimant died before it had forked, so the owner goes on. */
static void owner_that_is_back_waits_no_longer_than_a_claim_takes(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(THIRD);
    pass(TICK_MS);
    add_router(FIRST);
    cut(SECOND, FIRST);
    cut(SECOND, THIRD);
    pass((uint64_t)2 * NODE_FENCE_MS);
    hold(THIRD, FIRST);
    subscribe_from(BOB, FIRST, 'A', 2);
    kill_router(FIRST);
    join(SECOND, THIRD);
    publish(ANN, SECOND, "three");
    assert_heard(ANN, "");
    pass((uint64_t)11 * TICK_MS);
    assert_heard(ANN, "3:three, ack 1 at A/3");
    assert_roles("- owner mirror");
    assert_int_equal(total_forks(), 0);
}

/* So that a mirror does not think that the claimant knows nothing of the owner. */
static void each_router_that_is_asked_is_told_who_else_is(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(THIRD);
    pass(TICK_MS);
    start_router(FIRST);
    join(FIRST, THIRD);
    join(FIRST, SECOND);
    join(FIRST, BOB);
    open_router(FIRST);
    subscribe_from(BOB, FIRST, 'A', 1);
    assert_heard(BOB, "at A/1, 2:two");
}

static void message_that_did_not_come_with_its_copy_can_be_published_again(void **state)
{
    (void)state;
    open_room_at_second();
    add_router(FIRST);
    hold(SECOND, FIRST);
    subscribe_from(ANN, FIRST, 'A', 0);
    while (!room_at(FIRST) || room_at(FIRST)->history.top < 1)
        let_one_go(SECOND, FIRST);
    kill_router(SECOND);
    pass((uint64_t)2 * NODE_FENCE_MS);
    publish_again(BOB, FIRST, 2, "two");
    assert_heard(BOB, "ack 2 at B/2");
    assert_heard(ANN, "moved to 0, at B/0, 1:one, 2:two");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(claimant_that_is_claimed_from_in_turn_gives_the_strays_with_the_channel,
                     start_none),
        CLUSTER_TEST(strays_that_come_after_the_claim_was_given_up_are_kept, start_none),
        CLUSTER_TEST(what_was_given_and_is_lost_on_the_way_is_published_when_the_line_is_back,
                     start_none),
        CLUSTER_TEST(strays_of_two_owners_at_once_are_all_published, start_three),
        CLUSTER_TEST(strays_of_an_owner_that_is_lost_meanwhile_are_published_as_far_as_they_came,
                     start_three),
        CLUSTER_TEST(stray_that_comes_twice_is_published_once, start_three),
        CLUSTER_TEST(copy_of_who_gave_it_away_is_the_only_one_if_the_taker_dies, start_none),
        CLUSTER_TEST(title_that_comes_after_the_claim_was_given_up_ends_the_mirror, start_none),
        CLUSTER_TEST(only_copy_of_a_dead_owner_gets_a_mirror_though_nobody_asks, start_three),
        CLUSTER_TEST(orphan_that_becomes_a_mirror_has_its_messages_published, start_two),
        CLUSTER_TEST(copy_that_may_be_the_only_one_is_not_left_alone, start_two),
        CLUSTER_TEST(copy_of_which_an_owner_has_all_is_left_alone, start_two),
        CLUSTER_TEST(mirror_that_is_back_while_the_claim_settles_becomes_one, start_none),
        CLUSTER_TEST(nobody_waits_for_a_fork_so_there_is_none, start_none),
        CLUSTER_TEST(owner_whose_line_broke_may_be_back_before_its_mirror_forks, start_none),
        CLUSTER_TEST(copy_of_an_owner_that_its_mirror_sees_is_not_forked, start_none),
        CLUSTER_TEST(owner_that_is_back_commits_nothing_behind_a_fork_that_is_under_way,
                     start_none),
        CLUSTER_TEST(owner_that_is_back_waits_no_longer_than_a_claim_takes, start_none),
        CLUSTER_TEST(each_router_that_is_asked_is_told_who_else_is, start_none),
        CLUSTER_TEST(message_that_did_not_come_with_its_copy_can_be_published_again, start_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
