/* The Redis bus under what happens to a Redis: see redis_fixture.h. */
#include "tests/unit/redis_fixture.h"

static const char *const no_files[] = {"--save", "", NULL};
static const char *const append_only[] = {"--save", "", "--appendonly", "yes", NULL};

static void everybody_gets_everything_once_in_one_order(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 2000;
    cluster_finish(&cluster);
    assert_int_equal(metric_read(&bus_stats(cluster.nodes[0].bus)->duplicates), 0);
    assert_int_equal(metric_read(&bus_stats(cluster.nodes[0].bus)->repeated), 0);
    cluster_stop(&cluster);
}

static void server_that_hangs_is_noticed_and_nothing_is_lost_when_it_goes_on(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 3000;
    cluster_talk_until(&cluster, 1000);
    kill(cluster.server.pid, SIGSTOP);
    cluster_talk_until(&cluster, 2000);
    run_until(&cluster.loop, cluster_is_down, &cluster);
    kill(cluster.server.pid, SIGCONT);
    cluster_finish(&cluster);
    cluster_stop(&cluster);
}

static void restart_with_the_data_loses_nothing(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, append_only);
    cluster.total = 3000;
    cluster_talk_until(&cluster, 1000);
    server_kill(&cluster.server);
    cluster_talk_until(&cluster, 2000);
    server_start(&cluster.server, append_only);
    cluster_finish(&cluster);
    cluster_stop(&cluster);
}

static void restart_without_the_data_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (size_t turn = 0; turn < 5; turn++) {
        struct cluster cluster;

        cluster_start(&cluster, no_files);
        cluster.total = 3000;
        cluster.per_turn = 20; /* much in flight when it dies */
        cluster_talk_until(&cluster, 1000 + 137 * turn);
        server_kill(&cluster.server);
        cluster_talk_until(&cluster, 2000);
        server_start(&cluster.server, no_files);
        cluster_finish(&cluster);
        cluster_stop(&cluster);
    }
}

static void restart_from_an_old_snapshot_loses_nothing(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 900;
    cluster_talk_until(&cluster, 200);
    server_call(&cluster.server, "SAVE");
    cluster_talk_until(&cluster, 600);
    server_kill(&cluster.server);
    server_start(&cluster.server, no_files);
    cluster_finish(&cluster);
    assert_true(metric_read(&bus_stats(cluster.nodes[0].bus)->histories_lost) > 0);
    assert_int_equal(cluster.nodes[0].lost + cluster.nodes[1].lost, 0);
    cluster_stop(&cluster);
}

static void cut_connections_lose_nothing(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 4000;
    cluster_talk_until(&cluster, 500);
    server_call(&cluster.server, "CLIENT KILL TYPE normal");
    cluster_talk_until(&cluster, 1500);
    server_call(&cluster.server, "CLIENT KILL TYPE pubsub");
    cluster_talk_until(&cluster, 2500);
    server_call(&cluster.server, "CLIENT KILL TYPE pubsub");
    server_call(&cluster.server, "CLIENT KILL TYPE normal");
    cluster_finish(&cluster);
    cluster_stop(&cluster);
}

/* Nobody talks on meanwhile. */
static bool cluster_has_caught_up(void *context)
{
    struct cluster *cluster = context;

    for (size_t i = 0; i < NODES; i++)
        if (cluster->nodes[i].count < cluster->sent * NODES)
            return false;
    return true;
}

/* What is not here was told as lost. */
static bool cluster_has_everything_or_was_told(void *context)
{
    struct cluster *cluster = context;

    cluster_talk(cluster);
    for (size_t i = 0; i < NODES; i++) {
        const struct node *node = &cluster->nodes[i];

        if (!node_has_settled(&cluster->nodes[i]) ||
            (node->count < cluster->total * NODES && node->lost == 0))
            return false;
    }
    return cluster->sent == cluster->total;
}

static void flushed_data_start_a_new_epoch_and_lose_nothing(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 2000;
    cluster_talk_until(&cluster, 500);
    server_call(&cluster.server, "FLUSHALL");
    cluster_talk_until(&cluster, 1000);
    run_until(&cluster.loop, cluster_has_caught_up, &cluster);
    server_call(&cluster.server, "FLUSHALL");
    cluster_finish(&cluster);
    assert_true(metric_read(&bus_stats(cluster.nodes[0].bus)->histories_lost) > 0);
    cluster_stop(&cluster);
}

/* How long that takes decides how many histories a gateway sees only live. */
static void flushed_again_and_again_loses_nothing_untold(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 2000;
    for (size_t mark = 200; mark <= 1200; mark += 10) {
        cluster_talk_until(&cluster, mark);
        server_call(&cluster.server, "FLUSHALL");
    }
    run_until(&cluster.loop, cluster_has_everything_or_was_told, &cluster);
    for (size_t i = 0; i < NODES; i++)
        assert_int_equal(metric_read(&bus_stats(cluster.nodes[i].bus)->refused), 0);
    cluster_stop(&cluster);
}

static void forgotten_scripts_are_loaded_again(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 1000;
    cluster_talk_until(&cluster, 500);
    server_call(&cluster.server, "SCRIPT FLUSH");
    cluster_finish(&cluster);
    cluster_stop(&cluster);
}

static bool has_refused(void *context)
{
    return ((struct node *)context)->refused >= 50;
}

static void wrong_type_at_a_key_refuses_that_channel_alone(void **state)
{
    struct cluster cluster;
    struct node *node = &cluster.nodes[0];

    (void)state;
    cluster_start(&cluster, no_files);
    server_call(&cluster.server, "SET test:{broken}:s text");
    for (size_t i = 0; i < 50; i++) {
        node_publish(node, "broken", "nobody hears this");
        node_publish(node, CHANNEL, "everybody hears this");
    }
    run_until(&cluster.loop, has_refused, node);
    run_until(&cluster.loop, node_has_settled, node);
    assert_int_equal(node->refused, 50);
    assert_int_equal(node->accepted, 50);
    assert_int_equal(bus_state(node->bus), BUS_UP);
    cluster_stop(&cluster);
}

static void wrong_type_at_the_meta_key_keeps_no_subscriber_waiting(void **state)
{
    struct cluster cluster;
    struct node *node = &cluster.nodes[0];

    (void)state;
    cluster_start(&cluster, no_files);
    server_call(&cluster.server, "SET test:{broken}:m text");
    node->subscribed = 0;
    node_subscribe(node, "broken");
    run_until(&cluster.loop, node_is_subscribed, node);
    bus_unsubscribe(node->bus, "broken", 6);
    cluster.total = 100;
    cluster_finish(&cluster);
    cluster_stop(&cluster);
}

static bool has_started_a_few(void *context)
{
    struct cluster *cluster = context;

    return metric_read(&bus_stats(cluster->nodes[0].bus)->repeated) > 0;
}

static void full_memory_delays_and_keeps_order(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 1000;
    cluster_talk_until(&cluster, 300);
    server_call(&cluster.server, "CONFIG SET maxmemory 1");
    cluster_talk_until(&cluster, 600);
    run_until(&cluster.loop, has_started_a_few, &cluster);
    assert_int_equal(bus_state(cluster.nodes[0].bus), BUS_UP);
    server_call(&cluster.server, "CONFIG SET maxmemory 0");
    cluster_finish(&cluster);
    cluster_stop(&cluster);
}

static void garbage_on_our_channel_is_skipped(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 200;
    cluster_talk_until(&cluster, 100);
    server_call(&cluster.server, "PUBLISH test:0:{room} %s", "no envelope");
    /* An envelope of the channel with epoch "x" and an offset far beyond any history. */
    server_call(&cluster.server, "PUBLISH test:0:{room} %s",
                "\x0a\x04room\x12\x01x\x19\xff\xff\xff\xff\xff\xff\xff\x7f");
    cluster_finish(&cluster);
    cluster_stop(&cluster);
}

static void churn(struct cluster *cluster)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct node *node = &cluster->nodes[0];

    for (size_t i = 0; i < 4; i++) {
        node_subscribe(node, names[i]);
        node_publish(node, names[i], "x");
        node_publish(&cluster->nodes[1], names[i], "y");
        if (cluster->sent % 3 == 0)
            uv_run(&cluster->loop.uv, UV_RUN_NOWAIT);
        bus_unsubscribe(node->bus, names[i], 1);
        if (cluster->sent % 2 == 0)
            uv_run(&cluster->loop.uv, UV_RUN_NOWAIT);
        node_subscribe(node, names[i]);
        bus_unsubscribe(node->bus, names[i], 1);
    }
}

static void subscriptions_that_come_and_go_disturb_nobody(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 1000;
    for (size_t mark = 100; mark < 900; mark += 100) {
        cluster_talk_until(&cluster, mark);
        churn(&cluster);
        if (mark % 300 == 0)
            server_call(&cluster.server, "CLIENT KILL TYPE pubsub");
    }
    run_until(&cluster.loop, cluster_has_settled, &cluster);
    for (size_t i = 0; i < NODES; i++) {
        cluster.nodes[i].accepted = cluster.total; /* the others' channels aside */
        cluster.nodes[i].started = cluster.total;
        assert_int_equal(metric_read(&bus_stats(cluster.nodes[i].bus)->refused), 0);
    }
    cluster_finish(&cluster);
    cluster_stop(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_gets_everything_once_in_one_order),
        cmocka_unit_test(server_that_hangs_is_noticed_and_nothing_is_lost_when_it_goes_on),
        cmocka_unit_test(restart_with_the_data_loses_nothing),
        cmocka_unit_test(restart_without_the_data_loses_and_doubles_nothing),
        cmocka_unit_test(restart_from_an_old_snapshot_loses_nothing),
        cmocka_unit_test(cut_connections_lose_nothing),
        cmocka_unit_test(flushed_data_start_a_new_epoch_and_lose_nothing),
        cmocka_unit_test(flushed_again_and_again_loses_nothing_untold),
        cmocka_unit_test(forgotten_scripts_are_loaded_again),
        cmocka_unit_test(wrong_type_at_a_key_refuses_that_channel_alone),
        cmocka_unit_test(wrong_type_at_the_meta_key_keeps_no_subscriber_waiting),
        cmocka_unit_test(full_memory_delays_and_keeps_order),
        cmocka_unit_test(garbage_on_our_channel_is_skipped),
        cmocka_unit_test(subscriptions_that_come_and_go_disturb_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
