/* Routers that leave: all that they own goes to others first. */
#include "tests/unit/shard_fixture.h"

static void leaving_router_gives_everything_away(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    publish(BOB, FIRST, "one");
    publish_as(BOB, FIRST, "lobby", 2, 0, "elsewhere"); /* SECOND or THIRD has it */
    shard_leave(shard_of(FIRST), now_ms);
    settle();
    assert_false(shard_has_left(shard_of(FIRST)));
    pass(100);
    assert_true(shard_has_left(shard_of(FIRST)));
    assert_heard(ANN, "at A/0, 1:one, moved to 1");
    subscribe_from(ANN, FIRST, 'A', 1);
    assert_heard(ANN, "moved to 1");
    assert_roles("copy owner mirror");
    kill_router(FIRST);
    subscribe_from(ANN, SECOND, 'A', 1);
    publish_again(BOB, SECOND, 1, "one");
    publish_as(BOB, SECOND, "room", 3, 0, "two");
    assert_heard(ANN, "at A/1, 2:two");
    assert_true(metric_read(&shard_of(SECOND)->stats.forks) == 0);
}

/* Those who take them keep up, so they are offered more and more at once. */
static void leaving_router_gives_very_many_away_in_time(void **state)
{
    const unsigned count = 20000;
    char channel[16];

    (void)state;
    settings.place_limit = 2 * (uint64_t)count;
    add_router(FIRST);
    for (unsigned i = 1; i <= count; i++) {
        snprintf(channel, sizeof(channel), "%u", i);
        publish_as(BOB, FIRST, channel, i, 0, "");
        processes[BOB].heard.size = 0;
    }
    add_router(SECOND);
    shard_leave(shard_of(FIRST), now_ms);
    pass((uint64_t)12 * TICK_MS);
    assert_true(shard_has_left(shard_of(FIRST)));
    assert_true(shard_of(SECOND)->owned_count == count);
}

static void leaving_router_serves_until_others_have_taken_over(void **state)
{
    (void)state;
    subscribe(ANN, FIRST);
    shard_leave(shard_of(FIRST), now_ms);
    settle();
    publish(BOB, FIRST, "one");
    assert_heard(ANN, "at A/0, 1:one");
    assert_heard(BOB, "ack 1 at A/1");
}

static void router_that_leaves_alone_keeps_what_nobody_else_could_have(void **state)
{
    (void)state;
    publish(BOB, FIRST, "one");
    shard_leave(shard_of(FIRST), now_ms);
    pass(200);
    assert_true(shard_has_left(shard_of(FIRST)));
    publish(BOB, FIRST, "two");
    assert_heard(BOB, "ack 1 at A/1, ack 2 at A/2");
}

/* It would take what nobody else has with it. */
static void leaving_router_that_lost_sight_of_the_others_acknowledges_nothing(void **state)
{
    (void)state;
    publish(BOB, FIRST, "one");
    assert_heard(BOB, "ack 1 at A/1");
    shard_leave(shard_of(FIRST), now_ms);
    cut(FIRST, SECOND);
    publish(BOB, FIRST, "two");
    pass(3000);
    assert_heard(BOB, "");
    join(FIRST, SECOND);
    pass(100);
    assert_heard(BOB, "ack 2 at A/2");
    assert_roles("copy owner -");
    assert_true(shard_has_left(shard_of(FIRST)));
}

static void leaving_router_is_no_mirror_for_new_channels(void **state)
{
    (void)state;
    shard_leave(shard_of(SECOND), now_ms);
    settle();
    publish(BOB, FIRST, "one");
    pass(TICK_MS);
    assert_heard(BOB, "ack 1 at A/1");
    assert_roles("owner - mirror");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(leaving_router_gives_everything_away, start_three),
        CLUSTER_TEST(leaving_router_gives_very_many_away_in_time, start_none),
        CLUSTER_TEST(leaving_router_serves_until_others_have_taken_over, start_two),
        CLUSTER_TEST(router_that_leaves_alone_keeps_what_nobody_else_could_have, start_one),
        CLUSTER_TEST(leaving_router_that_lost_sight_of_the_others_acknowledges_nothing, start_two),
        CLUSTER_TEST(leaving_router_is_no_mirror_for_new_channels, start_three),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
