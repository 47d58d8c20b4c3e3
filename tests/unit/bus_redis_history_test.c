/* The Redis bus and histories that are not what a gateway remembers. The tests change a history by
 * hand, then cut the subscribers off, so that every gateway compares. */
#include "tests/unit/redis_pair.h"

static uint64_t duplicates_of(const struct node *node)
{
    return metric_read(&bus_stats(node->bus)->duplicates);
}

/* Cuts all subscribers off while the loop stands still. */
static void cut_off(struct cluster *cluster)
{
    server_call(&cluster->server, "CLIENT KILL TYPE pubsub");
    run_until(&cluster->loop, cluster_is_down, cluster);
}

static void run_script(const struct cluster *cluster, const char *script)
{
    server_call(&cluster->server, "EVAL %s 0", script);
}

static bool everybody_heard_the_end(void *context)
{
    struct cluster *cluster = context;

    for (size_t i = 0; i < NODES; i++) {
        const struct node *node = &cluster->nodes[i];

        if (node->count == 0 || strcmp(node->texts[node->count - 1], "the end") != 0)
            return false;
    }
    return true;
}

/* One more message, which everybody hears, and after it nothing is missing or doubled. */
static void end_with(struct cluster *cluster, size_t lost)
{
    run_until(&cluster->loop, cluster_is_up, cluster);
    node_publish(&cluster->nodes[1], CHANNEL, "the end");
    run_until(&cluster->loop, everybody_heard_the_end, cluster);
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(cluster->nodes[i].lost, lost);
        assert_int_equal(cluster->nodes[i].count, cluster->total * NODES + 1);
    }
    cluster_stop(cluster);
}

static void hole_that_history_does_not_have_is_told_once(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 50;
    cluster_finish(&cluster);
    server_call(&cluster.server, "HINCRBY test:{room}:m o 30");
    cut_off(&cluster);
    end_with(&cluster, 1);
}

static bool second_has_settled(void *context)
{
    return node_has_settled(&((struct cluster *)context)->nodes[1]);
}

static void hole_longer_than_history_is_told_and_the_rest_is_read(void **state)
{
    struct cluster cluster;
    const struct node *node = &cluster.nodes[0];

    (void)state;
    cluster_start_with(&cluster, no_files, 10);
    cluster.total = 5;
    cluster_finish(&cluster);
    cut_off(&cluster);
    for (size_t i = 0; i < 100; i++)
        node_publish(&cluster.nodes[1], CHANNEL, "text");
    run_until(&cluster.loop, second_has_settled, &cluster);
    node_publish(&cluster.nodes[1], CHANNEL, "the end");
    run_until(&cluster.loop, everybody_heard_the_end, &cluster);
    assert_true(node->lost <= 1);
    assert_int_equal(node->last_offset, 10 + 100 + 1);
    assert_true(node->count >= 10 + 10);
    cluster_stop(&cluster);
}

static void entry_that_is_no_envelope_is_told_as_lost(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 50;
    cluster_finish(&cluster);
    server_call(&cluster.server, "XADD test:{room}:s 101-0 m nonsense");
    server_call(&cluster.server, "HINCRBY test:{room}:m o 1");
    cut_off(&cluster);
    end_with(&cluster, 1);
}

static void foreign_history_is_read_without_doubling_anything(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 50;
    cluster_finish(&cluster);
    server_call(&cluster.server, "HSET test:{room}:m e feedfeedfeedfeed");
    cut_off(&cluster);
    end_with(&cluster, 0);
}

static bool both_dropped_duplicates(void *context)
{
    struct cluster *cluster = context;

    return duplicates_of(&cluster->nodes[0]) >= 95 && duplicates_of(&cluster->nodes[1]) >= 95;
}

static void others_that_went_on_without_us_are_followed_from_the_fork(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 50;
    cluster_finish(&cluster);
    run_script(&cluster, "redis.call('HSET', 'test:{room}:m', 'prev',"
                         " redis.call('HGET', 'test:{room}:m', 'e'), 'fork', 5,"
                         " 'e', 'feedfeedfeedfeed')");
    cut_off(&cluster);
    run_until(&cluster.loop, both_dropped_duplicates, &cluster);
    end_with(&cluster, 1);
}

static void older_state_that_went_on_without_us_is_noticed(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 50;
    cluster_finish(&cluster);
    /* What stands at 60 now is not what we have seen there: publisher 1, sequence 1. */
    run_script(&cluster, "redis.call('DEL', 'test:{room}:s')"
                         "redis.call('XADD', 'test:{room}:s', '60-0', 'm',"
                         " '\\10\\4room\\41\\1\\0\\0\\0\\0\\0\\0\\0\\48\\1\\66\\5other')"
                         "redis.call('HSET', 'test:{room}:m', 'o', 60)");
    cut_off(&cluster);
    run_until(&cluster.loop, cluster_is_up, &cluster);
    node_publish(&cluster.nodes[1], CHANNEL, "the end");
    run_until(&cluster.loop, everybody_heard_the_end, &cluster);
    assert_true(cluster.nodes[0].lost >= 1);
    assert_int_equal(cluster.nodes[0].last_offset, 61);
    cluster_stop(&cluster);
}

static bool everybody_has_another_epoch(void *context)
{
    struct cluster *cluster = context;

    for (size_t i = 0; i < NODES; i++)
        if (metric_read(&bus_stats(cluster->nodes[i].bus)->histories_lost) == 0)
            return false;
    return true;
}

static void older_state_is_completed_from_what_we_have_seen(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 50;
    cluster_finish(&cluster);
    run_script(&cluster, "local entries = redis.call('XRANGE', 'test:{room}:s', '-', '90')"
                         "redis.call('DEL', 'test:{room}:s')"
                         "for _, entry in ipairs(entries) do"
                         " redis.call('XADD', 'test:{room}:s', entry[1], 'm', entry[2][2]) "
                         "end "
                         "redis.call('HSET', 'test:{room}:m', 'o', 90)");
    cut_off(&cluster);
    run_until(&cluster.loop, everybody_has_another_epoch, &cluster);
    end_with(&cluster, 0);
}

static void burst_beyond_what_may_be_in_flight_stays_in_order(void **state)
{
    struct cluster cluster;

    (void)state;
    cluster_start(&cluster, no_files);
    cluster.total = 12000;
    cluster.per_turn = 6000;
    cluster_talk_until(&cluster, 6000);
    server_call(&cluster.server, "CLIENT KILL TYPE pubsub");
    server_call(&cluster.server, "CLIENT KILL TYPE normal");
    cluster_finish(&cluster);
    assert_int_equal(metric_read(&bus_stats(cluster.nodes[0].bus)->queued_bytes), 0);
    cluster_stop(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hole_that_history_does_not_have_is_told_once),
        cmocka_unit_test(hole_longer_than_history_is_told_and_the_rest_is_read),
        cmocka_unit_test(entry_that_is_no_envelope_is_told_as_lost),
        cmocka_unit_test(foreign_history_is_read_without_doubling_anything),
        cmocka_unit_test(others_that_went_on_without_us_are_followed_from_the_fork),
        cmocka_unit_test(older_state_that_went_on_without_us_is_noticed),
        cmocka_unit_test(older_state_is_completed_from_what_we_have_seen),
        cmocka_unit_test(burst_beyond_what_may_be_in_flight_stays_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
