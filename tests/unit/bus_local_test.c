#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "gateway/bus.h"

/*
 * The bus on a real loop. A test keeps a reference to each message that it publishes, so that one
 * which the bus keeps, too, has two. Every wait is for a condition; WAIT_LIMIT_MS only ends a test
 * that would never end.
 */

#define WAIT_LIMIT_MS 60000
#define LONG_MS       3600000
#define MUCH          ((uint64_t)64 * 1024 * 1024)

static struct {
    struct loop loop;
    struct bus *bus;
    char log[1024]; /* what was told, a word each */
    size_t accepted;
    size_t delivered;
    const struct message *last; /* delivered */
    bool is_closed;
} test;

static void note(const char *word)
{
    size_t size = strlen(test.log);

    snprintf(test.log + size, sizeof(test.log) - size, "%s%s", size ? " " : "", word);
}

static void on_deliver(void *context, struct message *message)
{
    char word[64];

    assert_ptr_equal(context, &test);
    snprintf(word, sizeof(word), "%s:%.*s@%llu", message->channel, (int)message->data_size,
             (const char *)message->data, (unsigned long long)message->offset);
    note(word);
    test.delivered++;
    test.last = message;
}

static void on_subscribed(void *context, const char *channel, size_t size)
{
    char word[64];

    (void)context;
    snprintf(word, sizeof(word), "subscribed:%.*s", (int)size, channel);
    note(word);
}

static void on_lost(void *context, const char *channel, size_t size)
{
    (void)context;
    (void)channel;
    (void)size;
    note("lost");
}

static void on_state(void *context, enum bus_state state)
{
    (void)context;
    note(state == BUS_UP ? "up" : "down");
}

static void on_closed(void *context)
{
    assert_ptr_equal(context, &test);
    test.is_closed = true;
}

static void on_passed(struct bus_barrier *barrier)
{
    (void)barrier;
    note("passed");
}

static void on_published(struct bus_publish *publish, int error)
{
    (void)publish;
    assert_int_equal(error, 0);
    note("published");
    test.accepted++;
}

/* Runs the loop until `holds`. */
static void run_until(bool (*holds)(const void *context), const void *context)
{
    uint64_t start = uv_hrtime();

    while (!holds(context)) {
        bool goes_on = uv_run(&test.loop.uv, UV_RUN_ONCE) != 0;

        assert_true(goes_on || holds(context));
        if (uv_hrtime() - start > (uint64_t)WAIT_LIMIT_MS * 1000000)
            fail_msg("nothing happens any more");
    }
}

static bool is_up(const void *context)
{
    (void)context;
    return bus_state(test.bus) == BUS_UP;
}

static bool is_closed(const void *context)
{
    (void)context;
    return test.is_closed;
}

static bool is_kept(const struct message *message)
{
    return atomic_load(&message->references) == 2;
}

static bool is_dropped(const void *context)
{
    return !is_kept(context);
}

static const struct bus_events events = {on_deliver, on_subscribed, on_lost, on_state};

static void start(uint64_t history_size, uint64_t ttl_ms, uint64_t memory)
{
    struct bus_settings settings = {
        .node_id = 77,
        .history_size = history_size,
        .history_ttl_ms = ttl_ms,
        .history_memory_bytes = memory,
    };
    char error[256];

    memset(&test, 0, sizeof(test));
    assert_int_equal(loop_init(&test.loop), 0);
    assert_int_equal(bus_open(&test.bus, &test.loop, "local", &settings, &events, &test, error), 0);
}

static void start_up(uint64_t history_size, uint64_t ttl_ms, uint64_t memory)
{
    start(history_size, ttl_ms, memory);
    run_until(is_up, NULL);
    test.log[0] = '\0';
}

static void stop(void)
{
    bus_close(test.bus, on_closed, &test);
    assert_false(test.is_closed);
    run_until(is_closed, NULL);
    assert_int_equal(test.loop.wheel.count, 0);
    loop_deinit(&test.loop);
}

static void subscribe(const char *channel)
{
    bus_subscribe(test.bus, channel, strlen(channel));
}

static void unsubscribe(const char *channel)
{
    bus_unsubscribe(test.bus, channel, strlen(channel));
}

static struct message *publish_bytes(const char *channel, const char *data, size_t size)
{
    struct bus_publish publish = {.published = on_published};
    size_t accepted = test.accepted;

    publish.message = message_create(MESSAGE_TEXT, channel, strlen(channel), data, size);
    bus_publish(test.bus, &publish);
    assert_int_equal(test.accepted, accepted + 1);
    return publish.message;
}

static struct message *publish(const char *channel, const char *text)
{
    return publish_bytes(channel, text, strlen(text));
}

static void subscribed_and_delivered_come_in_order_and_once(void **state)
{
    struct message *messages[3];
    struct bus_barrier barrier = {.passed = on_passed};

    (void)state;
    start_up(10, LONG_MS, MUCH);
    subscribe("a");
    subscribe("b");
    messages[0] = publish("a", "x");
    messages[1] = publish("b", "y");
    messages[2] = publish("a", "z");
    bus_wait(test.bus, &barrier);
    assert_string_equal(test.log, "subscribed:a subscribed:b a:x@1 published b:y@1 published "
                                  "a:z@2 published passed");
    assert_string_equal(messages[0]->epoch, messages[2]->epoch);
    assert_string_not_equal(messages[0]->epoch, messages[1]->epoch);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(messages[i]->publisher, 77);
        assert_int_equal(messages[i]->sequence, i + 1);
        assert_int_equal(strlen(messages[i]->epoch), MESSAGE_EPOCH_LIMIT);
        message_unref(messages[i]);
    }
    stop();
}

static void a_message_without_subscribers_gets_its_place_and_is_kept(void **state)
{
    (void)state;
    start_up(10, LONG_MS, MUCH);

    struct message *first = publish("a", "x");

    assert_string_equal(test.log, "published");
    assert_int_equal(first->offset, 1);
    assert_true(is_kept(first));
    assert_int_equal(metric_read(&bus_stats(test.bus)->subscriptions), 0);
    assert_int_equal(metric_read(&bus_stats(test.bus)->published), 1);
    assert_int_equal(metric_read(&bus_stats(test.bus)->delivered), 0);
    subscribe("a");

    struct message *second = publish("a", "y");

    assert_ptr_equal(test.last, second);
    assert_int_equal(second->offset, 2);
    assert_string_equal(second->epoch, first->epoch);
    message_unref(first);
    message_unref(second);
    stop();
}

static void a_channel_outlives_its_last_subscriber(void **state)
{
    (void)state;
    start_up(10, LONG_MS, MUCH);
    subscribe("a");

    struct message *first = publish("a", "x");

    unsubscribe("a");
    assert_int_equal(metric_read(&bus_stats(test.bus)->subscriptions), 0);
    assert_true(is_kept(first));
    message_unref(publish("b", "other"));
    assert_int_equal(test.delivered, 1);
    subscribe("a");
    assert_int_equal(metric_read(&bus_stats(test.bus)->subscriptions), 1);

    struct message *second = publish("a", "y");

    assert_int_equal(second->offset, 2);
    assert_string_equal(second->epoch, first->epoch);
    assert_true(is_kept(first));
    message_unref(first);
    message_unref(second);
    stop();
}

static void a_silent_channel_without_subscribers_is_forgotten(void **state)
{
    (void)state;
    start_up(10, 1, MUCH);
    subscribe("a");

    struct message *first = publish("a", "x");

    unsubscribe("a");
    run_until(is_dropped, first);
    subscribe("a");

    struct message *second = publish("a", "y");

    assert_int_equal(second->offset, 1);
    assert_string_not_equal(second->epoch, first->epoch);
    message_unref(first);
    message_unref(second);
    stop();
}

static void a_silent_channel_with_subscribers_keeps_its_place(void **state)
{
    (void)state;
    start_up(10, 1, MUCH);
    subscribe("a");

    struct message *first = publish("a", "x");

    run_until(is_dropped, first);

    struct message *second = publish("a", "y");

    assert_int_equal(second->offset, 2);
    assert_string_equal(second->epoch, first->epoch);
    run_until(is_dropped, second);
    unsubscribe("a");

    struct message *third = publish("a", "z");

    assert_int_equal(third->offset, 1);
    assert_string_not_equal(third->epoch, first->epoch);
    message_unref(first);
    message_unref(second);
    message_unref(third);
    stop();
}

#define MANY 100

static struct message *latest;

static bool is_dropped_while_another_talks(const void *context)
{
    if (is_dropped(context))
        return true;
    message_unref(latest);
    latest = publish("talk", "x");
    return false;
}

static void every_history_expires_in_its_turn(void **state)
{
    (void)state;
    latest = NULL;
    start_up(10, 150, MUCH);

    struct message *silent = publish("silent", "x");

    run_until(is_dropped_while_another_talks, silent);
    run_until(is_dropped, latest);
    message_unref(silent);
    message_unref(latest);
    stop();
}

static void without_history_a_channel_is_forgotten_at_once(void **state)
{
    (void)state;
    start_up(0, LONG_MS, MUCH);
    subscribe("a");

    struct message *first = publish("a", "x");
    struct message *second = publish("a", "y");

    assert_false(is_kept(first));
    assert_int_equal(second->offset, 2);
    assert_string_equal(second->epoch, first->epoch);
    unsubscribe("a");

    struct message *third = publish("a", "z");

    assert_int_equal(third->offset, 1);
    assert_string_not_equal(third->epoch, first->epoch);
    subscribe("a");

    struct message *fourth = publish("a", "w");

    assert_int_equal(fourth->offset, 1);
    assert_string_not_equal(fourth->epoch, third->epoch);
    message_unref(first);
    message_unref(second);
    message_unref(third);
    message_unref(fourth);
    stop();
}

static void history_is_limited_by_count(void **state)
{
    struct message *messages[MANY];

    (void)state;
    start_up(10, LONG_MS, MUCH);
    for (size_t i = 0; i < MANY; i++)
        messages[i] = publish("a", "x");
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(is_kept(messages[i]), i >= MANY - 10);
        message_unref(messages[i]);
    }
    stop();
}

static void memory_is_limited_over_all_channels_and_the_oldest_goes(void **state)
{
    enum { LIMIT = 32 * 1024, SIZE = 1000 };
    static const char data[SIZE];
    struct message *messages[MANY];
    size_t kept = 0;

    (void)state;
    start_up(1000, LONG_MS, LIMIT);
    subscribe("c0");

    struct message *lone = publish("lone", "x");

    for (size_t i = 0; i < MANY; i++) {
        char name[16];

        snprintf(name, sizeof(name), "c%zu", i % 3);
        messages[i] = publish_bytes(name, data, SIZE);
    }
    for (size_t i = 0; i < MANY; i++) {
        if (is_kept(messages[i]))
            kept++;
        else
            assert_int_equal(kept, 0); /* nothing younger went before it */
        assert_string_equal(messages[i]->epoch, messages[i % 3]->epoch);
        assert_int_equal(messages[i]->offset, i / 3 + 1);
    }
    assert_in_range(kept, LIMIT / SIZE / 2, LIMIT / SIZE);
    assert_false(is_kept(lone));

    struct message *anew = publish("lone", "y");

    assert_int_equal(anew->offset, 1); /* nothing held the channel any more */
    assert_string_not_equal(anew->epoch, lone->epoch);
    for (size_t i = 0; i < MANY; i++)
        message_unref(messages[i]);
    message_unref(lone);
    message_unref(anew);
    stop();
}

/* Names that clients made up must not fill memory, either. */
static void channels_without_subscribers_count_as_memory(void **state)
{
    enum { LIMIT = 16 * 1024, NAMES = 1000 };
    static struct message *messages[NAMES];
    size_t kept = 0;

    (void)state;
    start_up(1000, LONG_MS, LIMIT);
    for (size_t i = 0; i < NAMES; i++) {
        char name[201];

        snprintf(name, sizeof(name), "%0200zu", i);
        messages[i] = publish(name, "");
    }
    for (size_t i = 0; i < NAMES; i++) {
        kept += is_kept(messages[i]);
        message_unref(messages[i]);
    }
    /* The name is there twice, as the channel's and the message's, and so are their structs. */
    assert_in_range(kept, 1, LIMIT / (2 * (200 + sizeof(struct message))));
    stop();
}

static void leaving_a_channel_in_which_nothing_was_said_leaves_nothing(void **state)
{
    (void)state;
    start_up(10, LONG_MS, MUCH);
    unsubscribe("a");
    subscribe("a");
    unsubscribe("a");
    unsubscribe("a");
    assert_int_equal(metric_read(&bus_stats(test.bus)->subscriptions), 0);
    assert_string_equal(test.log, "subscribed:a");
    stop();
}

static void the_bus_comes_up_from_the_loop(void **state)
{
    (void)state;
    start(10, LONG_MS, MUCH);
    assert_string_equal(test.log, "");
    assert_string_equal(bus_name(test.bus), "local");
    message_unref(publish("a", "x"));
    assert_string_equal(test.log, "published");
    run_until(is_up, NULL);
    assert_string_equal(test.log, "published up");
    stop();
}

static void closing_ends_subscriptions_histories_and_deadlines(void **state)
{
    struct bus_barrier barrier = {.passed = on_passed};

    (void)state;
    start_up(10, LONG_MS, MUCH);
    subscribe("a");
    subscribe("b");

    struct message *message = publish("a", "x");

    message_unref(publish("c", "y"));
    bus_wait(test.bus, &barrier);
    stop();
    assert_false(is_kept(message));
    assert_string_equal(test.log, "subscribed:a subscribed:b a:x@1 published published passed");
    message_unref(message);
}

static void closing_before_the_first_turn_tells_nothing_but_closed(void **state)
{
    (void)state;
    start(10, LONG_MS, MUCH);
    stop();
    assert_string_equal(test.log, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(subscribed_and_delivered_come_in_order_and_once),
        cmocka_unit_test(a_message_without_subscribers_gets_its_place_and_is_kept),
        cmocka_unit_test(a_channel_outlives_its_last_subscriber),
        cmocka_unit_test(a_silent_channel_without_subscribers_is_forgotten),
        cmocka_unit_test(a_silent_channel_with_subscribers_keeps_its_place),
        cmocka_unit_test(every_history_expires_in_its_turn),
        cmocka_unit_test(without_history_a_channel_is_forgotten_at_once),
        cmocka_unit_test(history_is_limited_by_count),
        cmocka_unit_test(memory_is_limited_over_all_channels_and_the_oldest_goes),
        cmocka_unit_test(channels_without_subscribers_count_as_memory),
        cmocka_unit_test(leaving_a_channel_in_which_nothing_was_said_leaves_nothing),
        cmocka_unit_test(the_bus_comes_up_from_the_loop),
        cmocka_unit_test(closing_ends_subscriptions_histories_and_deadlines),
        cmocka_unit_test(closing_before_the_first_turn_tells_nothing_but_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
