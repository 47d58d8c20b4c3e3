/* Runs of the load generator against a server that does well, and one that does not. */
#include "tests/unit/bare_fixture.h"

#define RATE 200 /* the bare server's fault comes after 100 messages, in half a second */

static void messages_of_a_window_are_counted_and_timed(void **state)
{
    struct bare bare = bare_start("none");
    struct arguments arguments = small_load_on(&bare);

    (void)state;
    arguments.publishers = 3;
    arguments.window = 8;
    arguments.messages = 500;

    struct load_result *result = run_load(&arguments);

    assert_string_equal(result->trouble, "");
    assert_int_equal(result->opened, arguments.clients);
    assert_int_equal(result->total.received, result->total.sent * arguments.clients);
    assert_int_equal(result->measurement.latency.count, arguments.messages * arguments.clients);
    memory_free(result);
    bare_stop(&bare);
}

/* As many messages as the schedule has in a measured second, give or take the one on its edge. */
static void assert_all_due_are_timed(const struct arguments *arguments,
                                     const struct load_result *result)
{
    assert_string_equal(result->trouble, "");
    assert_int_equal(result->measurement.latency.count % arguments->clients, 0);
    assert_in_range(result->measurement.latency.count / arguments->clients, RATE - 1, RATE + 1);
}

static void stall_beyond_the_measured_time_shows_in_the_latency(void **state)
{
    struct bare bare = bare_start("pause");
    struct arguments arguments = small_load_on(&bare);

    (void)state;
    arguments.rate = RATE;

    struct load_result *result = run_load(&arguments);

    assert_all_due_are_timed(&arguments, result);
    assert_true(result->measurement.latency.maximum > 990000000);
    assert_true(latency_histogram_percentile(&result->measurement.latency, 60) > 500000000);
    memory_free(result);
    bare_stop(&bare);
}

static void messages_due_in_the_warm_up_are_not_timed_however_late_they_are(void **state)
{
    struct bare bare = bare_start("pause");
    struct arguments arguments = small_load_on(&bare);

    (void)state;
    arguments.rate = RATE;
    arguments.warmup_ns = 1000000000;

    struct load_result *result = run_load(&arguments);

    assert_all_due_are_timed(&arguments, result);
    memory_free(result);
    bare_stop(&bare);
}

static void server_that_dies_is_not_measured(void **state)
{
    struct bare bare = bare_start("die");
    struct arguments arguments = small_load_on(&bare);

    (void)state;
    arguments.server = (struct processes){.pids = {bare.pid}, .count = 1};
    arguments.duration_ns = 60000000000;

    struct load_result *result = run_load(&arguments);

    assert_string_not_equal(result->trouble, "");
    assert_true(result->has_server_ended);
    assert_non_null(result->measurement.alone.memory_source);
    assert_null(result->measurement.end.memory_source);
    memory_free(result);
    bare_stop(&bare);
}

static void slow_pace_is_no_silence(void **state)
{
    struct bare bare = bare_start("none");
    struct arguments arguments = small_load_on(&bare);

    (void)state;
    arguments.clients = 2;
    arguments.connect_rate = 0.4;
    arguments.timeout_ns = 2000000000;
    arguments.is_idle = true;

    struct load_result *result = run_load(&arguments);

    assert_string_equal(result->trouble, "");
    assert_int_equal(result->opened, 2);
    memory_free(result);
    bare_stop(&bare);
}

/* The bare server sends everything to everybody, whatever the channel. */
static void message_of_another_channel_is_a_fault(void **state)
{
    struct bare bare = bare_start("none");
    struct arguments arguments = small_load_on(&bare);

    (void)state;
    arguments.channels = 2;
    arguments.messages = 10;

    struct load_result *result = run_load(&arguments);

    assert_memory_equal(result->trouble, "channel ", 8);
    assert_int_equal(result->opened, 10);
    assert_true(result->total.doubled + result->total.reordered > 0);
    memory_free(result);
    bare_stop(&bare);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_of_a_window_are_counted_and_timed),
        cmocka_unit_test(stall_beyond_the_measured_time_shows_in_the_latency),
        cmocka_unit_test(messages_due_in_the_warm_up_are_not_timed_however_late_they_are),
        cmocka_unit_test(server_that_dies_is_not_measured),
        cmocka_unit_test(slow_pace_is_no_silence),
        cmocka_unit_test(message_of_another_channel_is_a_fault),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
