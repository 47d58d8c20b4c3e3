/* What the report says of a server whose figures are there, or are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "tests/bench/report.h"

static const struct arguments arguments = {
    .urls = {{.text = "ws://h"}},
    .url_count = 1,
    .channels = 1,
    .clients = 10,
    .publishers = 1,
    .window = 1,
    .size = 64,
    .protocol = &protocol_plain,
};

typedef void report_function(FILE *file, const struct arguments *arguments,
                             const struct load_result *result);

/* Valid until the next call. */
static const char *report_of(report_function *report, const struct load_result *result)
{
    static char *text;
    size_t size;

    free(text);
    text = NULL;

    FILE *file = open_memstream(&text, &size);

    report(file, &arguments, result);
    fclose(file);
    return text;
}

static void assert_says(report_function *report, const struct load_result *result, const char *part)
{
    const char *text = report_of(report, result);

    if (!strstr(text, part))
        fail_msg("\"%s\" is not in:\n%s", part, text);
}

static void assert_does_not_say(report_function *report, const struct load_result *result,
                                const char *part)
{
    const char *text = report_of(report, result);

    if (strstr(text, part))
        fail_msg("\"%s\" is in:\n%s", part, text);
}

static int create(void **state)
{
    struct load_result *result = memory_zeroed(1, sizeof(*result));

    result->opened = 10;
    result->measurement.length_ns = 1000000000;
    result->measurement.deliveries = 1000;
    result->measurement.alone = (struct process_usage){0, 1 << 20, "schedstat", "statm"};
    result->measurement.connected = (struct process_usage){20000, 2 << 20, "schedstat", "statm"};
    result->measurement.begin = (struct process_usage){1000, 2 << 20, "schedstat", "statm"};
    result->measurement.end = (struct process_usage){51000, 3 << 20, "schedstat", "statm"};
    *state = result;
    return 0;
}

static int destroy(void **state)
{
    memory_free(*state);
    return 0;
}

static void server_is_reported_by_delivery_and_by_connection(void **state)
{
    const struct load_result *result = *state;

    assert_says(report_text, result, "server       50 ns of processor time per delivery");
    assert_says(report_text, result, "memory       209715 bytes per connection, 3.0 MiB in all");
    assert_says(report_json, result, "\"cpu_ns_per_delivery\":50,");
    assert_says(report_json, result, "\"bytes_per_connection\":209715.2}");
}

static void handshakes_are_reported_by_their_rate_and_their_cost(void **state)
{
    struct load_result *result = *state;

    result->connect_ns = 2000000;
    result->measurement.own_connect_cpu_ns = 500000;
    assert_says(report_json, result, "\"handshakes_per_second\":5000,");
    assert_says(report_json, result, "\"generator_connect_cpu_share\":0.25,");
    assert_says(report_json, result, "\"cpu_ns_per_handshake\":2000,");
}

static void server_that_ended_has_no_figures(void **state)
{
    struct load_result *result = *state;

    result->measurement.end = (struct process_usage){0};
    result->has_server_ended = true;
    assert_says(report_text, result, "server       ended, not measured\n");
    assert_does_not_say(report_text, result, "memory");
    assert_does_not_say(report_json, result, "\"server\"");
}

static void figures_that_cannot_be_compared_are_left_out(void **state)
{
    struct load_result *result = *state;

    result->measurement.end.cpu_source = "stat";
    result->measurement.end.resident_bytes = 1 << 19;
    assert_says(report_text, result, "server       no processor time that can be compared\n");
    assert_says(report_text, result,
                "memory       0.5 MiB in all (resident, statm), no growth to tell\n");
    assert_says(report_json, result, "\"resident_bytes\":524288}");
    assert_does_not_say(report_json, result, "cpu_ns_per_delivery");
    assert_does_not_say(report_json, result, "\"cpu_share\"");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(server_is_reported_by_delivery_and_by_connection),
        CASE(handshakes_are_reported_by_their_rate_and_their_cost),
        CASE(server_that_ended_has_no_figures),
        CASE(figures_that_cannot_be_compared_are_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
