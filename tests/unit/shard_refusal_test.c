/* Routers that would be mirrors and have no room. */
#include "tests/unit/shard_fixture.h"

static void router_that_has_no_room_for_a_mirror_holds_nobody_up_for_long(void **state)
{
    (void)state;
    add_router(FIRST);
    settings.place_limit = 0;
    add_router(SECOND);
    publish(BOB, FIRST, "one");
    pass(2000);
    assert_heard(BOB, "ack 1 at A/1");
    publish(BOB, FIRST, "two");
    assert_heard(BOB, "ack 2 at A/2");
    assert_true(metric_read(&shard_of(FIRST)->stats.alone) == 2);
}

static void router_that_had_no_room_for_a_mirror_is_asked_again(void **state)
{
    (void)state;
    add_router(FIRST);
    settings.place_limit = 0;
    add_router(SECOND);
    publish(BOB, FIRST, "one");
    pass(2000);
    assert_heard(BOB, "ack 1 at A/1");
    assert_roles("owner - -");
    pass(TICK_MS);
    assert_int_equal(metric_read(&shard_of(FIRST)->stats.unmirrored), 1);
    pass(20000); /* and is refused again */
    publish(BOB, FIRST, "two");
    assert_heard(BOB, "ack 2 at A/2");
    assert_int_equal(metric_read(&shard_of(FIRST)->stats.unmirrored), 1);
    shard_of(SECOND)->settings.place_limit = 1;
    pass(10000);
    assert_roles("owner mirror -");
    assert_int_equal(metric_read(&shard_of(FIRST)->stats.unmirrored), 0);
    publish(BOB, FIRST, "three");
    assert_true(metric_read(&shard_of(FIRST)->stats.alone) == 2);
}

/* So that it does not count for ever. */
static void channel_that_goes_is_refused_no_more(void **state)
{
    (void)state;
    add_router(FIRST);
    settings.place_limit = 0;
    add_router(SECOND);
    publish(BOB, FIRST, "one");
    pass(3000);
    assert_int_equal(metric_read(&shard_of(FIRST)->stats.unmirrored), 1);
    pass(settings.history.ttl_ms + 20000);
    assert_roles("- - -");
    assert_int_equal(metric_read(&shard_of(FIRST)->stats.unmirrored), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLUSTER_TEST(router_that_has_no_room_for_a_mirror_holds_nobody_up_for_long, start_none),
        CLUSTER_TEST(router_that_had_no_room_for_a_mirror_is_asked_again, start_none),
        CLUSTER_TEST(channel_that_goes_is_refused_no_more, start_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
