#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "common/memory.h"
#include "tests/bench/measurement.h"

#define LENGTH 1000000000

static struct processes server;

static int create(void **state)
{
    struct measurement *measurement = memory_zeroed(1, sizeof(*measurement));

    *state = measurement;
    server = (struct processes){.pids = {getpid()}, .count = 1};
    return measurement_init(measurement, &server);
}

static int destroy(void **state)
{
    memory_free(*state);
    return 0;
}

static void nothing_counts_before_it_begins(void **state)
{
    struct measurement *measurement = *state;

    measurement_note_delivery(measurement, 0, 5);
    measurement_note_delivery(measurement, UINT64_MAX - 1, UINT64_MAX);
    assert_int_equal(measurement->deliveries, 0);
    assert_int_equal(measurement->latency.count, 0);
}

static void latency_goes_by_when_a_message_was_due(void **state)
{
    struct measurement *measurement = *state;

    assert_int_equal(measurement_begin(measurement, LENGTH), 0);

    uint64_t from = measurement->from_ns;
    uint64_t end = from + LENGTH;

    measurement_note_delivery(measurement, from - 1, from + 10); /* of the warm-up */
    assert_int_equal(measurement->latency.count, 0);
    measurement_note_delivery(measurement, from, from + 10);
    assert_int_equal(measurement->latency.count, 1);
    measurement_note_delivery(measurement, end - 1, end + 20);
    assert_int_equal(measurement_end(measurement, end + 30), 0);
    measurement_note_delivery(measurement, end - 1, end + 5000); /* long after it */
    assert_int_equal(measurement->latency.count, 3);
    assert_int_equal(measurement->latency.maximum, 5001);
    measurement_note_delivery(measurement, end, end + 5000);
    assert_int_equal(measurement->latency.count, 3);
}

static void deliveries_go_by_when_they_arrive(void **state)
{
    struct measurement *measurement = *state;

    assert_int_equal(measurement_begin(measurement, LENGTH), 0);

    uint64_t from = measurement->from_ns;

    measurement_note_delivery(measurement, from - 1, from + 1);
    measurement_note_delivery(measurement, from, from + 1);
    assert_int_equal(measurement_end(measurement, from + 500), 0);
    measurement_note_delivery(measurement, from, from + 501);
    assert_int_equal(measurement->deliveries, 2);
    assert_int_equal(measurement->length_ns, 500);
}

static void early_end_ends_what_counts(void **state)
{
    struct measurement *measurement = *state;

    assert_int_equal(measurement_begin(measurement, UINT64_MAX), 0);

    uint64_t from = measurement->from_ns;

    assert_int_equal(measurement_end(measurement, from + 500), 0);
    measurement_note_delivery(measurement, from + 499, from + 600);
    measurement_note_delivery(measurement, from + 500, from + 600);
    assert_int_equal(measurement->latency.count, 1);
}

static void server_is_read_at_both_ends(void **state)
{
    struct measurement *measurement = *state;

    assert_true(measurement->alone.resident_bytes > 0);
    assert_int_equal(measurement_begin(measurement, LENGTH), 0);
    assert_non_null(measurement->begin.cpu_source);
    assert_int_equal(measurement_end(measurement, measurement->from_ns + LENGTH), 0);
    assert_true(measurement->end.cpu_ns >= measurement->begin.cpu_ns);
    server.pids[0] = INT32_MAX; /* beyond what Linux gives */
    assert_int_equal(measurement_begin(measurement, LENGTH), -ESRCH);
    assert_int_equal(measurement_end(measurement, measurement->from_ns), -ESRCH);
    assert_null(measurement->end.memory_source);
}

static void processes_of_a_server_are_added_up(void **state)
{
    struct measurement *measurement = *state;
    uint64_t alone = measurement->alone.resident_bytes;

    server = (struct processes){.pids = {getpid(), getpid()}, .count = 2};
    assert_int_equal(measurement_begin(measurement, LENGTH), 0);
    assert_true(measurement->begin.resident_bytes >= 2 * alone);
    assert_string_equal(measurement->begin.cpu_source, measurement->alone.cpu_source);
    server.pids[1] = INT32_MAX;
    assert_int_equal(measurement_end(measurement, measurement->from_ns), -ESRCH);
    assert_null(measurement->end.memory_source);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(nothing_counts_before_it_begins),   CASE(latency_goes_by_when_a_message_was_due),
        CASE(deliveries_go_by_when_they_arrive), CASE(early_end_ends_what_counts),
        CASE(server_is_read_at_both_ends),       CASE(processes_of_a_server_are_added_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
