/* The Redis bus with a login that may not do everything, for a while: what concerns the whole bus
 * waits, what concerns one channel is told there and costs nobody else anything. */
#include "tests/unit/redis_pair.h"

#include "gateway/bus_redis.h"

#define SECRET "secret" /* the channel that is forbidden */

/* Our own commands go over a login that may do everything. */
static void permission_start(struct pair *pair)
{
    pair_start(pair);
    server_start(&pair->server, no_files);
    server_call(&pair->server, "ACL SETUSER gate on >gate ~* &* +@all");
    pair_open(pair, "gate:gate@", "");
    pair_talk(pair, 10);
}

static bool some_turns_passed(void *context)
{
    return ((struct pair *)context)->turns++ >= 1000;
}

static void let_turns_pass(struct pair *pair)
{
    pair->turns = 0;
    run_until(&pair->loop, some_turns_passed, pair);
}

/* Whatever is said now waits, and is heard once `again` is allowed. */
static void wait_for_permission(struct pair *pair, const char *again)
{
    struct node *node = &pair->node;
    size_t accepted = node->accepted;
    size_t ups = node->ups;

    run_until(&pair->loop, node_is_down, node);
    for (size_t i = 0; i < 20; i++)
        node_publish_number(node);
    let_turns_pass(pair);
    assert_int_equal(node->accepted, accepted);
    assert_int_equal(node->refused, 0);
    assert_int_equal(node->ups, ups);
    server_call(&pair->server, "ACL SETUSER gate %s", again);
    pair_talk(pair, 10);
    assert_int_equal(node->ups, ups + 1);
    assert_int_equal(node->lost, 0);
}

static void publishes_wait_while_nothing_can_be_subscribed(void **state)
{
    struct pair pair;

    (void)state;
    permission_start(&pair);
    server_call(&pair.server, "ACL SETUSER gate -subscribe");
    server_call(&pair.server, "CLIENT KILL TYPE pubsub");
    wait_for_permission(&pair, "+subscribe");
    pair_stop(&pair);
}

static void publishes_wait_while_scripts_are_forbidden(void **state)
{
    struct pair pair;

    (void)state;
    permission_start(&pair);
    server_call(&pair.server, "ACL SETUSER gate -evalsha");
    node_publish_number(&pair.node);
    wait_for_permission(&pair, "+evalsha");
    pair_stop(&pair);
}

static bool node_was_told_of_a_loss(void *context)
{
    return ((struct node *)context)->lost > 0;
}

static void forbid_channel(struct pair *pair)
{
    server_call(&pair->server, "ACL SETUSER gate resetchannels &test:0:{room}");
}

static void forbidden_channel_costs_nobody_else_anything(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;

    (void)state;
    permission_start(&pair);
    forbid_channel(&pair);
    pair_talk(&pair, 10);
    node->subscribed = 0;
    node_subscribe(node, SECRET);
    run_until(&pair.loop, node_was_told_of_a_loss, node);
    assert_int_equal(node->subscribed, 1);
    assert_int_equal(bus_state(node->bus), BUS_UP);
    pair_talk(&pair, 10);

    /* On the next connection both are asked for in one command. */
    server_call(&pair.server, "CLIENT KILL TYPE pubsub");
    run_until(&pair.loop, node_is_down, node);
    node->lost = 0;
    run_until(&pair.loop, node_was_told_of_a_loss, node);
    pair_talk(&pair, 10);
    bus_unsubscribe(node->bus, SECRET, strlen(SECRET));
    pair_talk(&pair, 10);
    pair_stop(&pair);
}

static bool secret_is_live(void *context)
{
    struct redis_channel *channel = redis_channel_find(context, SECRET, strlen(SECRET));

    return channel->stage == REDIS_CHANNEL_LIVE;
}

static bool secret_was_heard(void *context)
{
    const struct node *node = context;

    return node->heard > node->count;
}

static void channel_that_is_allowed_again_tells_what_it_missed_and_works(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;

    (void)state;
    permission_start(&pair);
    forbid_channel(&pair);
    node_subscribe(node, SECRET);
    run_until(&pair.loop, node_was_told_of_a_loss, node);
    server_call(&pair.server, "ACL SETUSER gate allchannels");
    node->lost = 0;
    run_until(&pair.loop, secret_is_live, node->bus);
    assert_int_equal(node->lost, 1);
    node_publish(node, SECRET, "text");
    run_until(&pair.loop, secret_was_heard, node);
    pair_stop(&pair);
}

static void forbidden_key_refuses_that_channel_alone(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;

    (void)state;
    permission_start(&pair);
    server_call(&pair.server, "ACL SETUSER gate resetkeys ~test:{room}* ~test:boot");
    node_publish(node, SECRET, "text");
    run_until(&pair.loop, node_has_settled, node);
    assert_int_equal(node->refused, 1);
    assert_int_equal(bus_state(node->bus), BUS_UP);
    node->started = node->accepted;
    node->refused = 0;
    pair_talk(&pair, 10);
    pair_stop(&pair);
}

static bool secret_failed_a_few_times(void *context)
{
    return redis_channel_find(context, SECRET, strlen(SECRET))->backoff.attempt >= 4;
}

static void history_that_cannot_be_read_is_tried_ever_more_rarely(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;

    (void)state;
    permission_start(&pair);
    server_call(&pair.server, "SET test:{" SECRET "}:m text");
    node_subscribe(node, SECRET);
    run_until(&pair.loop, secret_failed_a_few_times, node->bus);
    pair_talk(&pair, 10);
    server_call(&pair.server, "DEL test:{" SECRET "}:m");
    run_until(&pair.loop, secret_is_live, node->bus);
    assert_int_equal(
        redis_channel_find((struct redis_bus *)node->bus, SECRET, strlen(SECRET))->backoff.attempt,
        0);
    assert_int_equal(node->lost, 1); /* who waited does not know what there was meanwhile */
    node_publish(node, SECRET, "text");
    run_until(&pair.loop, secret_was_heard, node);
    pair_stop(&pair);
}

/* Told at once because the server is away, they must not hold everybody's messages up. */
static void unreadable_histories_hold_nobody_up_after_an_outage(void **state)
{
    struct pair pair;
    struct node *node = &pair.node;

    (void)state;
    permission_start(&pair);
    server_call(&pair.server, "SET test:{" SECRET "}:m text");
    server_call(&pair.server, "ACL SETUSER gate off");
    server_call(&pair.server, "CLIENT KILL TYPE normal");
    server_call(&pair.server, "CLIENT KILL TYPE pubsub");
    run_until(&pair.loop, node_is_down, node);
    node_subscribe(node, SECRET);
    for (size_t i = 0; i < 10; i++)
        node_publish_number(node);
    server_call(&pair.server, "ACL SETUSER gate on");
    pair_talk(&pair, 10);
    pair_stop(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(publishes_wait_while_nothing_can_be_subscribed),
        cmocka_unit_test(publishes_wait_while_scripts_are_forbidden),
        cmocka_unit_test(forbidden_channel_costs_nobody_else_anything),
        cmocka_unit_test(channel_that_is_allowed_again_tells_what_it_missed_and_works),
        cmocka_unit_test(forbidden_key_refuses_that_channel_alone),
        cmocka_unit_test(history_that_cannot_be_read_is_tried_ever_more_rarely),
        cmocka_unit_test(unreadable_histories_hold_nobody_up_after_an_outage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
