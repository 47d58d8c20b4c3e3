/* Who is on a channel, through deaths and moves of routers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "tests/unit/virtual_cluster.h"

static void whoever_is_announced_is_listed_for_all(void **state)
{
    (void)state;
    set_up(2);
    subscribe(&gateways[0], "news");
    come_with(&gateways[0], "news", "ann", "{}");
    come(&gateways[0], "news", "bob");
    assert_there("news", "ann{} bob");
    assert_there("olds", "");
    subscribe(&gateways[1], "news");
    come(&gateways[1], "news", "cat");
    assert_there("news", "ann{} bob cat");
    tear_down();
}

static void whoever_leaves_is_not_listed_any_more(void **state)
{
    (void)state;
    set_up(2);
    subscribe(&gateways[0], "news");
    come(&gateways[0], "news", "ann");
    come(&gateways[0], "news", "bob");
    go(&gateways[0], "news", "ann");
    assert_there("news", "bob");
    run(20000);
    assert_there("news", "bob");
    tear_down();
}

static void a_gateway_that_unsubscribes_takes_its_clients_along(void **state)
{
    (void)state;
    set_up(2);
    subscribe(&gateways[0], "news");
    subscribe(&gateways[1], "news");
    come(&gateways[0], "news", "ann");
    come(&gateways[1], "news", "bob");
    unsubscribe(&gateways[0], "news");
    assert_there("news", "bob");
    subscribe(&gateways[0], "news");
    run(6000);
    assert_there("news", "bob");
    tear_down();
}

static void the_clients_of_a_gateway_that_dies_are_gone_after_15_s(void **state)
{
    (void)state;
    set_up(2);
    subscribe(&gateways[0], "news");
    subscribe(&gateways[1], "news");
    come(&gateways[0], "news", "ann");
    come(&gateways[1], "news", "bob");
    run(7000); /* announced again after 5 s */
    kill_process(&gateways[0]);
    assert_there("news", "ann bob");
    run(12000);
    assert_there("news", "ann bob");
    run(3000);
    assert_there("news", "bob");
    run(30000);
    assert_there("news", "bob");
    tear_down();
}

static void a_channel_is_kept_as_long_as_somebody_is_on_it(void **state)
{
    (void)state;
    set_up(1);
    subscribe(&gateways[0], "news");
    come(&gateways[0], "news", "ann");
    run(7000);
    kill_process(&gateways[0]);
    run(12000);
    assert_int_equal(routers[0].shard.presences.count, 1);
    run(20000);
    assert_int_equal(routers[0].shard.presences.count, 0);
    assert_int_equal(routers[0].shard.map.count, 0);
    tear_down();
}

static void presence_moves_with_its_channel(void **state)
{
    struct process *owner;

    (void)state;
    set_up(2);
    subscribe(&gateways[0], "news");
    subscribe(&gateways[1], "news");
    come_with(&gateways[0], "news", "ann", "{}");
    come(&gateways[1], "news", "bob");
    run(1000);
    owner = owner_of("news");
    kill_process(owner);
    run(2000); /* less than a round of announcements */
    assert_ptr_not_equal(owner_of("news"), owner);
    assert_there("news", "ann{} bob");
    tear_down();
}

static void presence_is_back_when_a_better_router_takes_the_channel(void **state)
{
    struct process *first;
    struct process *second;
    uint64_t id;

    (void)state;
    set_up(2);
    subscribe(&gateways[0], "news");
    subscribe(&gateways[1], "news");
    first = owner_of("news");
    id = first->id;
    kill_process(first);
    run(2000);
    second = owner_of("news");
    come(&gateways[0], "news", "ann");
    come(&gateways[1], "news", "bob");
    kill_process(&gateways[0]);
    start_router(first, id, UINT64_MAX / 2);
    connect_processes(&routers[0], &routers[1]);
    shard_open(&first->shard, now);
    connect_processes(&gateways[1], first);
    run(3000);
    assert_ptr_equal(owner_of("news"), first);
    assert_there("news", "bob");
    assert_int_equal(second->shard.presences.count, 0); /* whoever has no gateway is forgotten */
    tear_down();
}

static void many_channels_are_announced_in_many_ticks(void **state)
{
    enum { CHANNELS = 400 };
    size_t most = 0;
    size_t total = 0;
    char name[16];

    (void)state;
    set_up(2);
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        subscribe(&gateways[0], name);
        come(&gateways[0], name, "ann");
    }
    kill_process(&routers[0]);
    for (int i = 0; i < 20; i++) {
        sent[FRAME_PRESENCE_SET] = 0;
        run(STEP_MS);
        total += sent[FRAME_PRESENCE_SET];
        most = most < sent[FRAME_PRESENCE_SET] ? sent[FRAME_PRESENCE_SET] : most;
    }
    assert_true(most > 0 && most <= 64 + CHANNELS / 40);
    assert_true(total > CHANNELS / 4);
    for (int i = 0; i < CHANNELS; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        assert_there(name, "ann");
    }
    run(30000);
    assert_int_equal(routers[1].shard.presences.count, CHANNELS);
    tear_down();
}

static void whoever_finds_no_room_is_refused_and_listed_when_there_is(void **state)
{
    uint64_t room;

    (void)state;
    set_up(1);
    subscribe(&gateways[0], "news");
    come(&gateways[0], "news", "ann");
    room = routers[0].shard.presences.memory;
    tear_down();

    set_up_limit(1, 2 * room);
    subscribe(&gateways[0], "news");
    come(&gateways[0], "news", "ann");
    come(&gateways[0], "news", "bob");
    come(&gateways[0], "news", "cat");
    assert_int_equal(sent[FRAME_REFUSED], 1);
    assert_there("news", "ann bob");
    go(&gateways[0], "news", "ann");
    run(6000);
    assert_there("news", "bob cat");
    tear_down();
}

static void a_long_list_comes_in_pieces_and_is_one_answer(void **state)
{
    char info[1001];
    char client[16];
    struct question question;

    (void)state;
    memset(info, 'x', 1000);
    info[1000] = '\0';
    set_up(1);
    subscribe(&gateways[0], "news");
    for (int i = 0; i < 300; i++) {
        snprintf(client, sizeof(client), "c%d", i);
        come_with(&gateways[0], "news", client, info);
    }
    sent[FRAME_PRESENCE_LIST] = 0;
    ask_who(&gateways[1], &question, "news");
    assert_int_equal(question.answers, 1);
    assert_int_equal(question.count, 300);
    assert_true(sent[FRAME_PRESENCE_LIST] >= (size_t)300 * 1000 / ROUTER_PIECE_BYTES);
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_announced_is_listed_for_all),
        cmocka_unit_test(whoever_leaves_is_not_listed_any_more),
        cmocka_unit_test(a_gateway_that_unsubscribes_takes_its_clients_along),
        cmocka_unit_test(the_clients_of_a_gateway_that_dies_are_gone_after_15_s),
        cmocka_unit_test(a_channel_is_kept_as_long_as_somebody_is_on_it),
        cmocka_unit_test(presence_moves_with_its_channel),
        cmocka_unit_test(presence_is_back_when_a_better_router_takes_the_channel),
        cmocka_unit_test(many_channels_are_announced_in_many_ticks),
        cmocka_unit_test(whoever_finds_no_room_is_refused_and_listed_when_there_is),
        cmocka_unit_test(a_long_list_comes_in_pieces_and_is_one_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
