/* The Redis bus at the end of an outage: with more channels than it may ask about at once, more
 * messages than a history holds, and connections that break again meanwhile. */
#include "tests/unit/redis_pair.h"

#define CROWD 400

static void subscribe_crowd(struct node *node)
{
    for (size_t i = 0; i < CROWD; i++) {
        char name[16];

        snprintf(name, sizeof(name), "c%zu", i);
        node_subscribe(node, name);
    }
}

static void speak_to_crowd(struct node *node)
{
    for (size_t i = 0; i < CROWD; i++) {
        char name[16];

        snprintf(name, sizeof(name), "c%zu", i);
        node_publish(node, name, "text");
    }
}

static bool crowd_is_subscribed(void *context)
{
    return ((struct node *)context)->subscribed >= CROWD;
}

/* All that was published was delivered: what is missing never comes, and the test ends so. */
static bool crowd_heard_all(void *context)
{
    struct node *node = context;

    return node_has_settled(node) && node->heard >= node->accepted;
}

static void assert_crowd_lost_nothing(const struct node *node)
{
    assert_int_equal(node->accepted, node->started);
    assert_int_equal(node->heard, node->started);
    assert_int_equal(node->lost, 0);
}

/* A crowd that is live and has talked, behind a relay. */
static void crowd_start(struct pair *pair, uint64_t history_size)
{
    struct node *node = &pair->node;

    pair_start(pair);
    server_start(&pair->server, no_files);
    node->settings.history_size = history_size;
    pair_open_relay(pair);
    run_until(&pair->loop, node_is_up, node);
    subscribe_crowd(node);
    run_until(&pair->loop, crowd_is_subscribed, node);
    speak_to_crowd(node);
    run_until(&pair->loop, crowd_heard_all, node);
}

static bool many_were_asked(void *context)
{
    return ((struct relay *)context)->attached >= 256;
}

static void commands_are_lost_while_many_channels_ask_and_nothing_breaks(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;

    (void)state;
    crowd_start(&pair, 100);
    pair.relay.mode = RELAY_DROP_ANSWERS;
    pair.relay.attached = 0;
    server_call(&pair.server, "CLIENT KILL TYPE pubsub");
    run_until(&pair.loop, many_were_asked, &pair.relay);
    server_call(&pair.server, "CLIENT KILL TYPE normal");
    run_until(&pair.loop, node_is_down, node);
    pair.relay.mode = RELAY_PASS;
    speak_to_crowd(node);
    run_until(&pair.loop, crowd_heard_all, node);
    assert_crowd_lost_nothing(node);
    pair_stop(&pair);
}

static void whoever_joins_and_speaks_while_the_server_is_away_hears_it(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;

    (void)state;
    pair_start(&pair);
    pair_open(&pair, "", "");
    subscribe_crowd(node);
    run_until(&pair.loop, crowd_is_subscribed, node);
    speak_to_crowd(node);
    server_start(&pair.server, no_files);
    run_until(&pair.loop, crowd_heard_all, node);
    assert_crowd_lost_nothing(node);
    pair_stop(&pair);
}

static void backlogs_longer_than_their_histories_reach_own_people(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;

    (void)state;
    crowd_start(&pair, 2);
    for (size_t turn = 0; turn < 4; turn++) {
        relay_refuse(&pair.relay);
        run_until(&pair.loop, node_is_down, node);
        for (size_t i = 0; i < 6; i++)
            speak_to_crowd(node);
        pair.relay.mode = RELAY_PASS;
        run_until(&pair.loop, crowd_heard_all, node);
        assert_crowd_lost_nothing(node);
    }
    pair_stop(&pair);
}

static uint64_t end_ns;

static bool outage_is_long(void *context)
{
    (void)context;
    return uv_hrtime() >= end_ns;
}

static void backlog_longer_than_history_reaches_other_gateways(void **state)
{
    struct cluster cluster;
    struct relay relay;

    (void)state;
    cluster_prepare(&cluster, no_files);
    relay_start(&relay, &cluster.loop, &cluster.server);
    cluster_open(&cluster, relay.port, 10);
    for (size_t turn = 0; turn < 3; turn++) {
        cluster.total += 5;
        cluster_finish(&cluster);
        relay_refuse(&relay);
        run_until(&cluster.loop, cluster_is_down, &cluster);
        cluster.total += 30;
        cluster_talk_until(&cluster, cluster.total);
        end_ns = uv_hrtime() + 1500000000u; /* an outage after which others are waited for */
        run_until(&cluster.loop, outage_is_long, NULL);
        relay.mode = RELAY_PASS;
        cluster_finish(&cluster);
    }
    relay_stop(&relay);
    cluster_stop(&cluster);
}

static long long restored_count(const struct server *server)
{
    return server_call(server, "EVAL %s 0", "return #redis.call('KEYS', 'test:{*}:m')");
}

/* Cuts the commands off once, in the middle. */
static bool everything_is_restored(void *context)
{
    struct pair *pair = context;
    long long count = restored_count(&pair->server);

    if (pair->turns == 0 && count > 0 && count < CROWD) {
        pair->turns++;
        server_call(&pair->server, "CLIENT KILL TYPE normal");
    }
    return count >= CROWD;
}

static void histories_are_restored_although_the_connection_breaks_again(void **state)
{
    struct pair pair;

    (void)state;
    crowd_start(&pair, 100);
    pair.turns = 0;
    server_kill(&pair.server);
    server_start(&pair.server, no_files);
    run_until(&pair.loop, everything_is_restored, &pair);
    speak_to_crowd(&pair.node);
    run_until(&pair.loop, crowd_heard_all, &pair.node);
    assert_crowd_lost_nothing(&pair.node);
    pair_stop(&pair);
}

/* Script calls that the server answered with an error. */
static long failed_calls(const struct server *server)
{
    redisContext *context = server_connect(server);
    redisReply *reply = redisCommand(context, "INFO commandstats");
    const char *line = strstr(reply->str, "cmdstat_evalsha:");
    const char *failed = line ? strstr(line, "failed_calls=") : NULL;
    long count = failed ? atol(failed + strlen("failed_calls=")) : 0;

    freeReplyObject(reply);
    redisFree(context);
    return count;
}

static bool several_calls_failed(void *context)
{
    return failed_calls(&((struct pair *)context)->server) >= 8;
}

static bool history_is_back(void *context)
{
    return server_call(&((struct pair *)context)->server, "EXISTS test:{room}:m") == 1;
}

/* It can neither note its new life nor take anything back, however often that is tried. */
static void server_that_comes_back_empty_and_full_is_given_its_history_later(void **state)
{
    static const char *const full[] = {"--save", "", "--maxmemory", "1", NULL};
    struct pair pair;

    (void)state;
    pair_start(&pair);
    server_start(&pair.server, no_files);
    pair_open(&pair, "", "");
    pair_talk(&pair, 20);
    server_kill(&pair.server);
    server_start(&pair.server, full);
    run_until(&pair.loop, several_calls_failed, &pair);
    server_call(&pair.server, "CONFIG SET maxmemory 0");
    run_until(&pair.loop, history_is_back, &pair);
    assert_int_equal(server_call(&pair.server, "XLEN test:{room}:s"), 20);
    pair_talk(&pair, 20);
    assert_int_equal(pair.node.lost, 0);
    pair_stop(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_lost_while_many_channels_ask_and_nothing_breaks),
        cmocka_unit_test(whoever_joins_and_speaks_while_the_server_is_away_hears_it),
        cmocka_unit_test(backlogs_longer_than_their_histories_reach_own_people),
        cmocka_unit_test(backlog_longer_than_history_reaches_other_gateways),
        cmocka_unit_test(histories_are_restored_although_the_connection_breaks_again),
        cmocka_unit_test(server_that_comes_back_empty_and_full_is_given_its_history_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
