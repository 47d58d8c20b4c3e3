#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/metrics.h"

#define MICROSECOND UINT64_C(1000)
#define SECOND      UINT64_C(1000000000)

static struct buffer text;

static int clear_text(void **state)
{
    (void)state;
    buffer_deinit(&text);
    return 0;
}

/* What was appended so far, with a zero behind it. */
static const char *printed(void)
{
    *buffer_reserve(&text, 1) = '\0';
    return (const char *)text.data;
}

static void assert_line(const char *line)
{
    const char *found = strstr(printed(), line);

    if (!found || found[strlen(line)] != '\n' || (found != printed() && found[-1] != '\n'))
        fail_msg("no line %s in:\n%s", line, printed());
}

static void metric_is_what_was_added_and_set(void **state)
{
    (void)state;
    struct metric metric = {0};

    assert_int_equal(metric_read(&metric), 0);
    metric_add(&metric, 3);
    metric_add(&metric, UINT64_C(1) << 40);
    assert_int_equal(metric_read(&metric), (UINT64_C(1) << 40) + 3);
    metric_set(&metric, 7);
    assert_int_equal(metric_read(&metric), 7);
    metric_add(&metric, (uint64_t)-1); /* a gauge goes down */
    assert_int_equal(metric_read(&metric), 6);
}

static void description_has_help_and_type(void **state)
{
    (void)state;
    metrics_describe(&text, "carillon_a_total", METRIC_COUNTER, "What happened.");
    metrics_describe(&text, "carillon_b", METRIC_GAUGE, "What is.");
    metrics_describe(&text, "carillon_c_seconds", METRIC_HISTOGRAM, "How long.");
    assert_string_equal(printed(), "# HELP carillon_a_total What happened.\n"
                                   "# TYPE carillon_a_total counter\n"
                                   "# HELP carillon_b What is.\n"
                                   "# TYPE carillon_b gauge\n"
                                   "# HELP carillon_c_seconds How long.\n"
                                   "# TYPE carillon_c_seconds histogram\n");
}

static void sample_is_a_line_with_or_without_labels(void **state)
{
    (void)state;
    metrics_sample(&text, "a", "", 0);
    metrics_sample(&text, "b", "code=\"1001\",kind=\"x\"", 42);
    metrics_sample(&text, "c", "", 0.5);
    assert_string_equal(printed(), "a 0\nb{code=\"1001\",kind=\"x\"} 42\nc 0.5\n");
}

static void single_metric_is_described_and_has_one_value(void **state)
{
    (void)state;
    metrics_single(&text, "a_total", METRIC_COUNTER, "What happened.", 3);
    assert_string_equal(printed(), "# HELP a_total What happened.\n"
                                   "# TYPE a_total counter\n"
                                   "a_total 3\n");
}

static void large_counts_are_printed_to_the_last_digit(void **state)
{
    (void)state;
    metrics_sample(&text, "a", "", 9007199254740991.0);
    assert_string_equal(printed(), "a 9007199254740991\n");
}

static void empty_histogram_prints_every_bucket(void **state)
{
    (void)state;
    static const struct histogram histogram;
    size_t lines = 0;

    metrics_histogram(&text, "h", &histogram);
    for (const char *at = printed(); (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, HISTOGRAM_BUCKETS + 3);
    assert_line("h_bucket{le=\"0.0001\"} 0");
    assert_line("h_bucket{le=\"0.0002\"} 0");
    assert_line("h_bucket{le=\"0.1024\"} 0");
    assert_line("h_bucket{le=\"3.2768\"} 0");
    assert_line("h_bucket{le=\"+Inf\"} 0");
    assert_line("h_sum 0.000000000");
    assert_line("h_count 0");
}

static void histogram_counts_at_most_and_cumulatively(void **state)
{
    (void)state;
    struct histogram histogram = {0};

    histogram_record(&histogram, 0);
    histogram_record(&histogram, 100 * MICROSECOND); /* a bound belongs to its bucket */
    histogram_record(&histogram, 100 * MICROSECOND + 1);
    histogram_record(&histogram, 3276800 * MICROSECOND);
    histogram_record(&histogram, 3276800 * MICROSECOND + 1);
    histogram_record(&histogram, 3600 * SECOND);
    metrics_histogram(&text, "h", &histogram);
    assert_line("h_bucket{le=\"0.0001\"} 2");
    assert_line("h_bucket{le=\"0.0002\"} 3");
    assert_line("h_bucket{le=\"1.6384\"} 3");
    assert_line("h_bucket{le=\"3.2768\"} 4");
    assert_line("h_bucket{le=\"+Inf\"} 6");
    assert_line("h_sum 3606.553800002");
    assert_line("h_count 6");
}

static void merged_histogram_is_the_sum_of_its_parts(void **state)
{
    (void)state;
    struct histogram parts[3] = {0};
    struct histogram whole = {0};

    for (size_t i = 0; i < 3; i++) {
        histogram_record(&parts[i], 50 * MICROSECOND);
        histogram_record(&parts[i], (i + 1) * SECOND);
        histogram_merge(&whole, &parts[i]);
    }
    metrics_histogram(&text, "h", &whole);
    assert_line("h_bucket{le=\"0.0001\"} 3");
    assert_line("h_bucket{le=\"1.6384\"} 4");
    assert_line("h_bucket{le=\"3.2768\"} 6");
    assert_line("h_count 6");
    assert_line("h_sum 6.000150000");
    assert_int_equal(metric_read(&parts[0].sum), SECOND + 50 * MICROSECOND);
}

#define RECORDS 20000u

static void record_many(void *argument)
{
    for (unsigned i = 0; i < RECORDS; i++)
        histogram_record(argument, 50 * MICROSECOND);
}

static void value_of_a_label_is_escaped(void **state)
{
    (void)state;
    metrics_escape(&text, "C:\\a \"b\"\nc\xc3\xa9");
    metrics_escape(&text, " d\xff\xc3");
    assert_string_equal(printed(), "C:\\\\a \\\"b\\\"\\nc\xc3\xa9 d??");
}

static void values_may_be_read_while_their_thread_counts(void **state)
{
    (void)state;
    static struct histogram histogram;
    uv_thread_t thread;
    uint64_t seen = 0;

    assert_int_equal(uv_thread_create(&thread, record_many, &histogram), 0);
    while (seen < RECORDS) {
        uint64_t now = metric_read(&histogram.buckets[0]);

        assert_true(now >= seen);
        seen = now;
    }
    uv_thread_join(&thread);
    assert_int_equal(metric_read(&histogram.buckets[0]), RECORDS);
    assert_int_equal(metric_read(&histogram.sum), 50 * MICROSECOND * RECORDS);
}

#define PRINTING(test) cmocka_unit_test_teardown(test, clear_text)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metric_is_what_was_added_and_set),
        PRINTING(description_has_help_and_type),
        PRINTING(sample_is_a_line_with_or_without_labels),
        PRINTING(single_metric_is_described_and_has_one_value),
        PRINTING(large_counts_are_printed_to_the_last_digit),
        PRINTING(empty_histogram_prints_every_bucket),
        PRINTING(histogram_counts_at_most_and_cumulatively),
        PRINTING(value_of_a_label_is_escaped),
        PRINTING(merged_histogram_is_the_sum_of_its_parts),
        cmocka_unit_test(values_may_be_read_while_their_thread_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
