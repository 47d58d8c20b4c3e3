/*
 * The Redis bus where live messages and answers come over two connections, of which one is slow,
 * and history may not have what lies between. A relay holds one of them back; the other node of a
 * test, which speaks, is not behind it.
 */
#include "tests/unit/redis_pair.h"

#include "gateway/bus_redis.h"
#include "gateway/config.h"
#include "gateway/redis_attach.h"

/* One that listens behind the relay, and one that speaks. */
struct table {
    struct pair pair;
    struct node speaker;
};

static void table_start(struct table *table, uint64_t history_size)
{
    struct pair *pair = &table->pair;
    char url[64];

    pair_start(pair);
    server_start(&pair->server, no_files);
    pair->node.settings.history_size = history_size;
    node_prepare(&table->speaker, 1);
    table->speaker.settings = pair->node.settings;
    table->speaker.settings.node_id = 1;
    pair_open_relay(pair);
    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", pair->server.port);
    node_open(&table->speaker, &pair->loop, url);
    run_until(&pair->loop, node_is_up, &table->speaker);
    run_until(&pair->loop, node_is_up, &pair->node);
}

static void table_stop(struct table *table)
{
    node_close(&table->speaker, &table->pair.loop);
    pair_stop(&table->pair);
}

static void speak(struct table *table, size_t count)
{
    for (size_t i = 0; i < count; i++)
        node_publish_number(&table->speaker);
    run_until(&table->pair.loop, node_has_settled, &table->speaker);
}

static bool listener_heard_the_last(void *context)
{
    const struct table *table = context;
    const struct node *node = &table->pair.node;
    char text[24];

    snprintf(text, sizeof(text), "%zu", table->speaker.started - 1);
    return node->count > 0 && strcmp(node->texts[node->count - 1], text) == 0;
}

static bool channel_joins(void *context)
{
    return server_call(&((struct pair *)context)->server, "EVAL %s 0",
                       "return redis.call('PUBSUB', 'NUMSUB', 'test:0:{room}')[2]") == 1;
}

static struct redis_channel *channel_of(const struct node *node)
{
    return redis_channel_find((struct redis_bus *)node->bus, CHANNEL, strlen(CHANNEL));
}

static bool channel_is_live(void *context)
{
    return channel_of(context)->stage == REDIS_CHANNEL_LIVE;
}

static bool channel_is_attaching(void *context)
{
    return channel_of(context)->stage == REDIS_CHANNEL_ATTACHING;
}

static void join(struct table *table)
{
    struct pair *pair = &table->pair;

    node_subscribe(&pair->node, CHANNEL);
    run_until(&pair->loop, channel_joins, pair);
    run_until(&pair->loop, channel_is_live, &pair->node);
}

/* Back on the channel, with the question for its history on the way. */
static void come_back_slowly(struct table *table)
{
    struct pair *pair = &table->pair;

    pair->relay.holds_commands = true;
    server_call(&pair->server, "CLIENT KILL TYPE pubsub");
    run_until(&pair->loop, node_is_down, &pair->node);
    run_until(&pair->loop, channel_is_attaching, &pair->node);
}

static void whoever_joins_without_history_is_told_when_nothing_can_fall_between(void **state)
{
    struct table table;
    struct node *node = &table.pair.node;

    (void)state;
    table_start(&table, 0);
    table.pair.relay.holds_subscribes = true;
    node_subscribe(node, CHANNEL);
    speak(&table, 20);
    assert_int_equal(node->subscribed, 0);
    table.pair.relay.holds_subscribes = false;
    relay_release(&table.pair.relay);
    run_until(&table.pair.loop, node_is_subscribed, node);
    speak(&table, 20);
    run_until(&table.pair.loop, listener_heard_the_last, &table);
    assert_int_equal(node->count, 20);
    assert_int_equal(node->lost, 0);
    table_stop(&table);
}

static bool listener_has_some_pending(void *context)
{
    return channel_of(context)->pending.count == 10;
}

static void live_messages_fill_a_gap_that_history_does_not(void **state)
{
    struct table table;
    struct node *node = &table.pair.node;

    (void)state;
    table_start(&table, 0);
    join(&table);
    speak(&table, 10);
    run_until(&table.pair.loop, listener_heard_the_last, &table);
    come_back_slowly(&table);
    speak(&table, 10);
    run_until(&table.pair.loop, listener_has_some_pending, node);
    table.pair.relay.holds_commands = false;
    relay_release(&table.pair.relay);
    run_until(&table.pair.loop, listener_heard_the_last, &table);
    assert_int_equal(node->count, 20);
    assert_int_equal(node->lost, 0);
    table_stop(&table);
}

static bool answer_has_come(void *context)
{
    return ((struct relay *)context)->attached > 0;
}

static bool some_turns_passed(void *context)
{
    return ((struct pair *)context)->turns++ >= 100;
}

static void answer_that_overtakes_live_messages_makes_no_loss_of_them(void **state)
{
    struct table table;
    struct node *node = &table.pair.node;
    struct relay *relay = &table.pair.relay;

    (void)state;
    table_start(&table, 0);
    join(&table);
    speak(&table, 10);
    run_until(&table.pair.loop, listener_heard_the_last, &table);
    come_back_slowly(&table);
    relay->holds_pushes = true;
    speak(&table, 10);
    relay->attached = 0;
    relay->holds_commands = false;
    relay_release(relay);
    run_until(&table.pair.loop, answer_has_come, relay);
    run_until(&table.pair.loop, some_turns_passed, &table.pair);
    relay->holds_pushes = false;
    relay_release(relay);
    run_until(&table.pair.loop, listener_heard_the_last, &table);
    assert_int_equal(node->count, 20);
    assert_int_equal(node->lost, 0);
    table_stop(&table);
}

static void wait_for_everything(struct pair *pair)
{
    struct bus_barrier barrier = {.passed = on_passed};

    has_passed = false;
    bus_wait(pair->node.bus, &barrier);
    run_until(&pair->loop, barrier_has_passed, NULL);
}

static void acknowledged_message_that_does_not_come_back_is_read_from_history(void **state)
{
    struct table table;
    struct node *node = &table.pair.node;

    (void)state;
    table_start(&table, 100);
    join(&table);
    node_publish_number(node);
    wait_for_everything(&table.pair);

    /* The first one may have been read, too, where its answer overtook it. */
    uint64_t filled = metric_read(&bus_stats(node->bus)->holes_filled);

    table.pair.relay.mode = RELAY_DROP_MESSAGES;
    node_publish_number(node);
    wait_for_everything(&table.pair);
    assert_int_equal(node->count, 2);
    assert_texts_in_order(node);
    assert_int_equal(metric_read(&bus_stats(node->bus)->holes_filled), filled + 1);
    assert_int_equal(bus_state(node->bus), BUS_UP);
    table_stop(&table);
}

static bool node_has_accepted(void *context)
{
    return ((struct node *)context)->accepted > 0;
}

/* As after a hello that tells of a new life. */
static void acknowledged_message_that_a_check_finds_lost_holds_nothing_up(void **state)
{
    struct table table;
    struct node *node = &table.pair.node;

    (void)state;
    table_start(&table, 0);
    join(&table);
    table.pair.relay.mode = RELAY_DROP_MESSAGES;
    node_publish_number(node);
    run_until(&table.pair.loop, node_has_accepted, node);
    redis_channels_check((struct redis_bus *)node->bus);
    redis_attach_all((struct redis_bus *)node->bus);
    wait_for_everything(&table.pair);
    assert_int_equal(node->count, 0);
    assert_int_equal(node->lost, 1);
    assert_int_equal(((struct redis_bus *)node->bus)->publisher.awaited_bytes, 0);
    table_stop(&table);
}

static void acknowledged_messages_that_do_not_come_back_fill_the_buffer_only(void **state)
{
    struct table table;
    struct node *node = &table.pair.node;

    (void)state;
    table_start(&table, 100000);
    join(&table);
    table.pair.relay.holds_pushes = true;
    ((struct redis_bus *)node->bus)->bus.settings.buffer_limit_bytes = 20000;
    while (node->full == 0 && node->started < 10000) {
        node_publish_number(node);
        run_until(&table.pair.loop, node_has_settled, node);
    }
    assert_int_equal(node->full, 1);
    assert_in_range(node->accepted, 100, 20000 / 128);
    table.pair.relay.holds_pushes = false;
    relay_release(&table.pair.relay);
    wait_for_everything(&table.pair);
    assert_int_equal(node->count, node->accepted);
    assert_texts_in_order(node);
    node->started = node->count; /* what follows, without the one that was refused */
    node->refused = 0;
    pair_talk(&table.pair, 100);
    table_stop(&table);
}

static bool nothing_is_awaited(void *context)
{
    struct redis_bus *bus = (struct redis_bus *)((struct node *)context)->bus;

    return list_is_empty(&bus->channels.echoing);
}

static void offset_of_a_history_that_is_gone_is_not_waited_for(void **state)
{
    struct table table;
    struct pair *pair = &table.pair;

    (void)state;
    table_start(&table, 100);
    pair_talk(pair, 50);
    server_call(&pair->server, "FLUSHALL");
    node_publish(&table.speaker, CHANNEL, "50");
    pair->node.started++;
    pair->node.accepted++;
    run_until(&pair->loop, node_heard_all, &pair->node);
    run_until(&pair->loop, nothing_is_awaited, &pair->node);
    table_stop(&table);
}

#define LARGE_BYTES ((size_t)1024 * 1024)

static bool listener_heard_all_large(void *context)
{
    const struct table *table = context;

    return table->pair.node.count == table->speaker.started;
}

/* An answer may be a megabyte, and one message more. */
static void large_messages_are_read_from_history_a_few_at_a_time(void **state)
{
    struct table table;
    struct node *node = &table.pair.node;
    char *text = memory_zeroed(1, LARGE_BYTES + 1);

    (void)state;
    memset(text, 'x', LARGE_BYTES);
    table_start(&table, 100);
    join(&table);
    ((struct redis_bus *)node->bus)->bus.settings.message_limit_bytes = LARGE_BYTES;
    ((struct redis_bus *)node->bus)->commands.byte_limit =
        REDIS_ATTACH_BYTES + LARGE_BYTES + REDIS_ENVELOPE_EXTRA;
    relay_refuse(&table.pair.relay);
    run_until(&table.pair.loop, node_is_down, node);
    for (size_t i = 0; i < 20; i++)
        node_publish(&table.speaker, CHANNEL, i % 3 ? text : "small");
    run_until(&table.pair.loop, node_has_settled, &table.speaker);
    assert_int_equal(table.speaker.accepted, 20);
    table.pair.relay.mode = RELAY_PASS;
    run_until(&table.pair.loop, listener_heard_all_large, &table);
    assert_int_equal(node->lost, 0);
    memory_free(text);
    table_stop(&table);
}

static void whatever_a_gateway_may_take_from_its_clients_fits_the_bus(void **state)
{
    const struct option *option = config_program.options;

    (void)state;
    while (strcmp(option->name, "max-message-size") != 0)
        option++;
    assert_int_equal(option->maximum, BUS_MESSAGE_LIMIT_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_joins_without_history_is_told_when_nothing_can_fall_between),
        cmocka_unit_test(live_messages_fill_a_gap_that_history_does_not),
        cmocka_unit_test(answer_that_overtakes_live_messages_makes_no_loss_of_them),
        cmocka_unit_test(acknowledged_message_that_does_not_come_back_is_read_from_history),
        cmocka_unit_test(acknowledged_message_that_a_check_finds_lost_holds_nothing_up),
        cmocka_unit_test(acknowledged_messages_that_do_not_come_back_fill_the_buffer_only),
        cmocka_unit_test(offset_of_a_history_that_is_gone_is_not_waited_for),
        cmocka_unit_test(large_messages_are_read_from_history_a_few_at_a_time),
        cmocka_unit_test(whatever_a_gateway_may_take_from_its_clients_fits_the_bus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
