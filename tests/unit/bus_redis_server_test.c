/* The Redis bus and servers that are away, refuse, lie, or are reached in other ways. */
#include "tests/unit/redis_pair.h"

static bool node_is_full(void *context)
{
    return ((struct node *)context)->full > 0;
}

static void publishes_wait_up_to_the_limit_while_the_server_is_away(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;

    (void)state;
    pair_start(&pair);
    node->settings.buffer_limit_bytes = 10000;
    pair_open(&pair, "", "");
    node_subscribe(node, CHANNEL);
    assert_int_equal(node->subscribed, 0); /* not from inside the call */
    run_until(&pair.loop, node_is_subscribed, node);
    while (!node_is_full(node))
        node_publish_number(node);
    assert_int_equal(node->full, 1);
    assert_int_equal(node->accepted, 0);
    server_start(&pair.server, no_files);
    run_until(&pair.loop, node_heard_all, node);
    assert_int_equal(node->accepted, node->started - 1);
    assert_texts_in_order(node);
    pair_stop(&pair);
}

static void barrier_passes_after_everything_before_it_was_delivered(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;
    struct bus_barrier barrier = {.passed = on_passed};

    (void)state;
    pair_start(&pair);
    pair_open(&pair, "", "");
    node_subscribe(node, CHANNEL);
    has_passed = false;
    for (size_t i = 0; i < 1000; i++)
        node_publish(node, CHANNEL, "text");
    bus_wait(node->bus, &barrier);
    assert_false(has_passed);
    server_start(&pair.server, no_files);
    run_until(&pair.loop, barrier_has_passed, NULL);
    assert_int_equal(node->count, 1000);
    assert_int_equal(node->accepted, 1000);
    has_passed = false;
    bus_wait(node->bus, &barrier);
    assert_true(has_passed); /* nothing is left to wait for */
    pair_stop(&pair);
}

static void closing_cancels_what_waits(void **state)
{
    struct pair pair;
    struct bus_barrier barrier = {.passed = on_passed};

    (void)state;
    pair_start(&pair);
    pair_open(&pair, "", "");
    node_subscribe(&pair.node, CHANNEL);
    node_publish(&pair.node, CHANNEL, "text");
    has_passed = false;
    bus_wait(pair.node.bus, &barrier);
    pair_stop(&pair);
    assert_true(has_passed);
    assert_int_equal(pair.node.refused, 1);
}

static void login_and_database_of_the_url_are_used(void **state)
{
    struct pair pair;

    (void)state;
    pair_start(&pair);
    server_start(&pair.server, no_files);
    server_call(&pair.server, "ACL SETUSER gate on >se@cret ~test:* &test:* +@all");
    server_call(&pair.server, "CONFIG SET requirepass other");
    snprintf(pair.server.password, sizeof(pair.server.password), "other");
    pair_open(&pair, "gate:se%40cret@", "/3");
    pair_talk(&pair, 100);
    assert_int_equal(server_call(&pair.server, "DBSIZE"), 0);
    pair_stop(&pair);
}

static bool some_turns_passed(void *context)
{
    struct pair *pair = context;

    return pair->turns++ >= 300;
}

static void wrong_password_is_tried_again_until_it_is_right(void **state)
{
    struct pair pair;

    (void)state;
    pair_start(&pair);
    server_start(&pair.server, no_files);
    server_call(&pair.server, "CONFIG SET requirepass wrong");
    snprintf(pair.server.password, sizeof(pair.server.password), "wrong");
    pair_open(&pair, ":right@", "");
    run_until(&pair.loop, some_turns_passed, &pair);
    assert_int_equal(bus_state(pair.node.bus), BUS_DOWN);
    server_call(&pair.server, "CONFIG SET requirepass right");
    snprintf(pair.server.password, sizeof(pair.server.password), "right");
    pair_talk(&pair, 100);
    pair_stop(&pair);
}

static void unix_socket_works(void **state)
{
    struct pair pair;
    char url[256];

    (void)state;
    pair_start(&pair);
    server_start(&pair.server, no_files);
    snprintf(url, sizeof(url), "redis+unix://%s?db=2", pair.server.socket);
    node_open(&pair.node, &pair.loop, url);
    pair_talk(&pair, 100);
    pair_stop(&pair);
}

static bool went_down_and_some_turns_passed(void *context)
{
    struct pair *pair = context;

    return node_is_down(&pair->node) && pair->turns++ >= 200;
}

/* A server that turns into something that answers like this, and back. */
static void survive_answer(struct pair *pair, const char *answer, size_t size)
{
    pair->turns = 0;
    relay_answer(&pair->relay, answer, size);
    for (size_t i = 0; i < 10; i++)
        node_publish_number(&pair->node);
    run_until(&pair->loop, went_down_and_some_turns_passed, pair);
    pair->relay.mode = RELAY_PASS;
    pair_talk(pair, 10);
}

static void server_that_answers_nonsense_is_left_until_it_makes_sense(void **state)
{
    static const char *const answers[] = {
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-READONLY You can't write against a read only replica.\r\n",
        "-NOAUTH Authentication required.\r\n",
        "-MASTERDOWN Link with MASTER is down\r\n",
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "*2147483647\r\n",
        "*-2\r\n",
        "$99999999999999\r\n",
        "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
        "*3\r\n$7\r\nmessage\r\n:1\r\n$-1\r\n",
        ":1\r\n:2\r\n:3\r\n:4\r\n",
        "$-1\r\n",
        "*0\r\n",
    };
    struct pair pair;

    (void)state;
    pair_start(&pair);
    server_start(&pair.server, no_files);
    pair_open_relay(&pair);
    pair_talk(&pair, 10);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
        survive_answer(&pair, answers[i], strlen(answers[i]));
    for (size_t i = 0; i < 10; i++) {
        char noise[200];

        random_bytes(noise, sizeof(noise));
        survive_answer(&pair, noise, sizeof(noise));
    }
    pair_stop(&pair);
}

static void survive_mode(enum relay_mode mode)
{
    struct pair pair;

    pair_start(&pair);
    server_start(&pair.server, no_files);
    pair_open_relay(&pair);
    pair_talk(&pair, 10);
    pair.relay.mode = mode;
    for (size_t i = 0; i < 10; i++)
        node_publish_number(&pair.node);
    run_until(&pair.loop, node_is_down, &pair.node);
    pair.relay.mode = RELAY_PASS;
    pair_talk(&pair, 10);
    pair_stop(&pair);
}

static void network_that_loses_commands_is_noticed(void **state)
{
    (void)state;
    survive_mode(RELAY_DROP_COMMANDS);
}

static void network_that_loses_replies_is_noticed(void **state)
{
    (void)state;
    survive_mode(RELAY_DROP_REPLIES);
}

static bool second_heard_more(void *context)
{
    struct cluster *cluster = context;

    cluster_talk(cluster);
    return cluster->nodes[1].count > cluster->nodes[0].count + 20;
}

/* The first node's subscriber is cut off, the second hears more, and then Redis dies with its data:
 * whichever comes back first, the first node must be given what only the second has seen. */
static void what_only_another_gateway_has_seen_is_restored(void **state)
{
    (void)state;
    for (size_t turn = 0; turn < 4; turn++) {
        struct cluster cluster;
        redisContext *context;
        redisReply *clients;
        char id[24] = "";

        cluster_start(&cluster, no_files);
        cluster.total = 1000;
        cluster_talk_until(&cluster, 100 + turn);
        context = server_connect(&cluster.server);
        clients = redisCommand(context, "CLIENT LIST TYPE pubsub");
        assert_int_equal(sscanf(clients->str, "id=%23s", id), 1);
        freeReplyObject(clients);
        redisFree(context);
        server_call(&cluster.server, "CLIENT KILL ID %s", id);
        run_until(&cluster.loop, second_heard_more, &cluster);
        server_kill(&cluster.server);
        server_start(&cluster.server, no_files);
        cluster_finish(&cluster);
        cluster_stop(&cluster);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishes_wait_up_to_the_limit_while_the_server_is_away),
        cmocka_unit_test(barrier_passes_after_everything_before_it_was_delivered),
        cmocka_unit_test(closing_cancels_what_waits),
        cmocka_unit_test(login_and_database_of_the_url_are_used),
        cmocka_unit_test(wrong_password_is_tried_again_until_it_is_right),
        cmocka_unit_test(unix_socket_works),
        cmocka_unit_test(server_that_answers_nonsense_is_left_until_it_makes_sense),
        cmocka_unit_test(network_that_loses_commands_is_noticed),
        cmocka_unit_test(network_that_loses_replies_is_noticed),
        cmocka_unit_test(what_only_another_gateway_has_seen_is_restored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
