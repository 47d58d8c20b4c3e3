#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/option.h"

/* A program with an option of each type, loaded from what a test gives. */

struct values {
    bool verbose;
    uint64_t workers;
    uint64_t queue_bytes;
    uint64_t pause_ms;
    const char *name;
    struct option_list origins;
    int level;
};

static const char *const levels[] = {"low", "high", NULL};

/* clang-format off: a row is an option */
static const struct option options[] = {
    {.name = "verbose",
     .type = OPTION_FLAG,
     .offset = offsetof(struct values, verbose),
     .fallback = "false",
     .help = "Says more.",
     .group = "All"},
    {.name = "workers",
     .type = OPTION_NUMBER,
     .offset = offsetof(struct values, workers),
     .fallback = "4",
     .argument = "N",
     .minimum = 1,
     .maximum = 64,
     .help = "How many."},
    {.name = "queue-limit",
     .type = OPTION_SIZE,
     .offset = offsetof(struct values, queue_bytes),
     .fallback = "1M",
     .argument = "SIZE",
     .minimum = 1024,
     .help = "How much."},
    {.name = "pause",
     .type = OPTION_TIME,
     .offset = offsetof(struct values, pause_ms),
     .fallback = "10s",
     .argument = "TIME",
     .maximum = 3600000,
     .help = "How long."},
    {.name = "name",
     .type = OPTION_TEXT,
     .offset = offsetof(struct values, name),
     .fallback = "carillon",
     .argument = "TEXT",
     .minimum = 1,
     .maximum = 16,
     .help = "What."},
    {.name = "origins",
     .type = OPTION_LIST,
     .offset = offsetof(struct values, origins),
     .fallback = "*",
     .argument = "ORIGIN,...",
     .help = "Who."},
    {.name = "level",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct values, level),
     .fallback = "low",
     .argument = "LEVEL",
     .choices = levels,
     .help = "Which."},
};
/* clang-format on */

static const struct option_program program = {
    .name = "program",
    .summary = "Does nothing.",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
};

static struct values values;
static char error[OPTION_ERROR_LIMIT];
static char path[] = "/tmp/option_test_XXXXXX";

static enum option_outcome load(char **arguments, char **environment)
{
    char *none[] = {NULL};
    int count = 0;

    options_free(&program, &values);
    memset(&values, 0, sizeof(values));
    while (arguments[count])
        count++;
    return options_load(&program, &values, count, arguments, environment ? environment : none,
                        error);
}

#define ARGUMENTS(...)   ((char *[]){"program", __VA_ARGS__, NULL})
#define ENVIRONMENT(...) ((char *[]){__VA_ARGS__, NULL})

static void write_config(const char *text, size_t size)
{
    int file = open(path, O_WRONLY | O_TRUNC);

    assert_true(file >= 0);
    assert_int_equal(write(file, text, size), (ssize_t)size);
    close(file);
}

static enum option_outcome load_config(const char *text)
{
    write_config(text, strlen(text));
    return load(ARGUMENTS("--config", path), NULL);
}

/* The same options, all fixed. */
static void keep_fixed(const struct values *running, char names[OPTION_NAMES_LIMIT])
{
    struct option rows[sizeof(options) / sizeof(options[0])];
    struct option_program fixed = program;

    memcpy(rows, options, sizeof(options));
    for (size_t i = 0; i < program.option_count; i++)
        rows[i].is_fixed = true;
    fixed.options = rows;
    options_keep_fixed(&fixed, &values, running, names);
}

static int create_config(void **state)
{
    int file = mkstemp(path);

    (void)state;
    if (file < 0)
        return -1;
    return close(file);
}

static int remove_config(void **state)
{
    (void)state;
    options_free(&program, &values);
    return unlink(path);
}

static void assert_bad(enum option_outcome outcome, const char *message)
{
    assert_int_equal(outcome, OPTION_BAD);
    assert_string_equal(error, message);
}

static void defaults_are_taken_where_nothing_is_set(void **state)
{
    (void)state;
    assert_int_equal(load((char *[]){"program", NULL}, NULL), OPTION_RUN);
    assert_false(values.verbose);
    assert_int_equal(values.workers, 4);
    assert_int_equal(values.queue_bytes, 1024 * 1024);
    assert_int_equal(values.pause_ms, 10000);
    assert_string_equal(values.name, "carillon");
    assert_int_equal(values.origins.count, 1);
    assert_string_equal(values.origins.items[0], "*");
    assert_int_equal(values.level, 0);
}

static void value_stands_behind_the_option_or_behind_an_equals_sign(void **state)
{
    (void)state;
    assert_int_equal(load(ARGUMENTS("--workers", "8", "--name=a=b", "--level", "high"), NULL),
                     OPTION_RUN);
    assert_int_equal(values.workers, 8);
    assert_string_equal(values.name, "a=b");
    assert_int_equal(values.level, 1);
}

static void flag_is_set_and_cleared(void **state)
{
    (void)state;
    assert_int_equal(load(ARGUMENTS("--verbose"), NULL), OPTION_RUN);
    assert_true(values.verbose);
    assert_int_equal(load(ARGUMENTS("--verbose", "--no-verbose"), NULL), OPTION_RUN);
    assert_false(values.verbose);
    assert_int_equal(load(ARGUMENTS("--verbose=yes"), NULL), OPTION_RUN);
    assert_true(values.verbose);
    assert_bad(load(ARGUMENTS("--verbose=maybe"), NULL),
               "--verbose: \"maybe\" is not true or false");
}

static void command_line_beats_environment_beats_file_beats_default(void **state)
{
    const char *text = "workers = 5\nqueue-limit = 5K\npause = 5s\n";

    (void)state;
    write_config(text, strlen(text));
    assert_int_equal(load(ARGUMENTS("--config", path, "--workers=7"),
                          ENVIRONMENT("CARILLON_WORKERS=6", "CARILLON_QUEUE_LIMIT=6K")),
                     OPTION_RUN);
    assert_int_equal(values.workers, 7);
    assert_int_equal(values.queue_bytes, 6 * 1024);
    assert_int_equal(values.pause_ms, 5000);
    assert_string_equal(values.name, "carillon");
}

static void config_file_can_be_named_in_the_environment(void **state)
{
    char variable[64];

    (void)state;
    snprintf(variable, sizeof(variable), "CARILLON_CONFIG=%s", path);
    write_config("workers = 5\n", 12);
    assert_int_equal(load((char *[]){"program", NULL}, ENVIRONMENT(variable)), OPTION_RUN);
    assert_int_equal(values.workers, 5);
}

static void sizes_and_times_take_their_units(void **state)
{
    uint64_t value;

    (void)state;
    assert_int_equal(option_parse_size("0", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(option_parse_size("64K", &value), 0);
    assert_int_equal(value, 65536);
    assert_int_equal(option_parse_size("2G", &value), 0);
    assert_true(value == 2ull << 30);
    assert_int_equal(option_parse_time("0", &value), 0);
    assert_int_equal(value, 0);
    assert_int_equal(option_parse_time("500ms", &value), 0);
    assert_int_equal(value, 500);
    assert_int_equal(option_parse_time("5m", &value), 0);
    assert_int_equal(value, 300000);
    assert_int_equal(option_parse_time("1h", &value), 0);
    assert_int_equal(value, 3600000);
}

static void malformed_quantities_are_refused(void **state)
{
    static const char *const sizes[] = {"",
                                        "K",
                                        "-1",
                                        "+1",
                                        " 1",
                                        "1 K",
                                        "1k",
                                        "1KB",
                                        "1.5M",
                                        "0x10",
                                        "18446744073709551616",
                                        "18014398509481984K",
                                        "1T"};
    static const char *const times[] = {"", "5", "5 s", "5sec", "-5s", "1d", "5124095576030431h"};
    uint64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        assert_int_not_equal(option_parse_size(sizes[i], &value), 0);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        assert_int_not_equal(option_parse_time(times[i], &value), 0);
    assert_int_equal(option_parse_size("18446744073709551615", &value), 0);
    assert_true(value == UINT64_MAX);
}

static void values_out_of_range_are_refused_with_the_limit(void **state)
{
    (void)state;
    assert_bad(load(ARGUMENTS("--workers=0"), NULL), "--workers: must be at least 1");
    assert_bad(load(ARGUMENTS("--workers=65"), NULL), "--workers: must be at most 64");
    assert_bad(load(ARGUMENTS("--queue-limit=1023"), NULL), "--queue-limit: must be at least 1K");
    assert_bad(load(ARGUMENTS("--pause=61m"), NULL), "--pause: must be at most 1h");
    assert_bad(load(ARGUMENTS("--name="), NULL), "--name: must be at least 1 characters");
    assert_bad(load(ARGUMENTS("--name=12345678901234567"), NULL),
               "--name: must be at most 16 characters");
    assert_bad(load(ARGUMENTS("--level=middle"), NULL),
               "--level: \"middle\" is not one of low, high");
    assert_bad(load(ARGUMENTS("--pause=5"), NULL),
               "--pause: \"5\" is not a time with its unit, such as 500ms, 10s, 5m or 1h");
}

static void list_grows_within_a_source_and_is_replaced_by_a_stronger_one(void **state)
{
    (void)state;
    assert_int_equal(load(ARGUMENTS("--origins", "a, b", "--origins=c"), NULL), OPTION_RUN);
    assert_int_equal(values.origins.count, 3);
    assert_string_equal(values.origins.items[0], "a");
    assert_string_equal(values.origins.items[1], "b");
    assert_string_equal(values.origins.items[2], "c");
    assert_int_equal(load_config("origins = a\norigins = b\n"), OPTION_RUN);
    assert_int_equal(values.origins.count, 2);
    assert_bad(load(ARGUMENTS("--origins=a,,b"), NULL), "--origins: an item of the list is empty");
}

static void unknown_option_names_the_nearest_one(void **state)
{
    (void)state;
    assert_bad(load(ARGUMENTS("--worker=1"), NULL),
               "--worker: unknown option; did you mean workers? (--help lists all)");
    assert_bad(load(ARGUMENTS("--frobnicate"), NULL),
               "--frobnicate: unknown option (--help lists all)");
    assert_bad(load((char *[]){"program", NULL}, ENVIRONMENT("CARILLON_QUEUE_LIMITS=1")),
               "CARILLON_QUEUE_LIMITS: unknown option; did you mean queue-limit? "
               "(--help lists all)");
}

static void argument_without_its_value_is_refused(void **state)
{
    (void)state;
    assert_bad(load(ARGUMENTS("--workers"), NULL), "--workers: expected a value");
    assert_bad(load(ARGUMENTS("--config"), NULL), "--config: expected a value");
    assert_bad(load(ARGUMENTS("stray"), NULL),
               "\"stray\": expected an option such as --listen (--help lists all)");
    assert_bad(load(ARGUMENTS("--"), NULL),
               "\"--\": expected an option such as --listen (--help lists all)");
}

static void variables_of_a_kubernetes_service_named_like_us_are_ignored(void **state)
{
    (void)state;
    assert_int_equal(
        load((char *[]){"program", NULL},
             ENVIRONMENT("CARILLON_SERVICE_HOST=10.0.0.1", "CARILLON_SERVICE_PORT_HTTP=8000",
                         "CARILLON_PORT=tcp://10.0.0.1:8000",
                         "CARILLON_PORT_8000_TCP_ADDR=10.0.0.1", "PATH=/bin")),
        OPTION_RUN);
}

static void file_takes_comments_and_blank_lines(void **state)
{
    (void)state;
    assert_int_equal(load_config("# comment\n\n  \nworkers = 3 ; three\n; more\nname=x"),
                     OPTION_RUN);
    assert_int_equal(values.workers, 3);
    assert_string_equal(values.name, "x");
}

static void assert_bad_line(const char *text, int line, const char *message)
{
    char expected[OPTION_ERROR_LIMIT];

    snprintf(expected, sizeof(expected), "%s:%d: %s", path, line, message);
    assert_bad(load_config(text), expected);
}

static void errors_of_the_file_name_the_line(void **state)
{
    char text[300] = "\nname = ";

    (void)state;
    assert_bad_line("workers = 3\n\nwrkers = 4\n", 3,
                    "wrkers: unknown option; did you mean workers? (--help lists all)");
    assert_bad_line("workers = many\n", 1, "workers: \"many\" is not a whole number");
    assert_bad_line("workers = 3\nworkers = 4\n", 2, "workers: is set twice in this file");
    assert_bad_line("workers\n", 1, "expected name = value");
    assert_bad_line("\n[room hall]\nworkers = 3\n", 2,
                    "[room hall]: there are no sections in this file");
    memset(text + strlen(text), 'x', 250);
    assert_bad_line(text, 2, "the line is longer than 198 characters");
}

static void zero_byte_in_the_file_is_refused(void **state)
{
    char expected[OPTION_ERROR_LIMIT];

    (void)state;
    write_config("workers = 3\0 4\n", 15);
    snprintf(expected, sizeof(expected), "%s:1: the line holds a zero byte", path);
    assert_bad(load(ARGUMENTS("--config", path), NULL), expected);
}

static void file_that_cannot_be_read_is_named(void **state)
{
    (void)state;
    assert_bad(load(ARGUMENTS("--config=/nonexistent/x"), NULL),
               "--config: cannot read /nonexistent/x: no such file or directory");
    assert_bad(load(ARGUMENTS("--config=/"), NULL),
               "--config: cannot read /: illegal operation on a directory");
    assert_bad(load(ARGUMENTS("--config=/dev/zero"), NULL),
               "--config: cannot read /dev/zero: file too large");
}

static void fixed_options_keep_the_value_that_runs(void **state)
{
    (void)state;
    char names[OPTION_NAMES_LIMIT];

    assert_int_equal(load(ARGUMENTS("--name", "bell", "--origins", "a,b", "--workers", "3"), NULL),
                     OPTION_RUN);

    struct values running = values;

    values = (struct values){0};
    assert_int_equal(load(ARGUMENTS("--verbose", "--workers", "5", "--queue-limit", "2M", "--pause",
                                    "7s", "--name", "clock", "--origins", "a,c", "--level", "high"),
                          NULL),
                     OPTION_RUN);
    keep_fixed(&running, names);
    assert_string_equal(names, "verbose, workers, queue-limit, pause, name, origins, level");
    assert_false(values.verbose);
    assert_int_equal(values.workers, 3);
    assert_int_equal(values.queue_bytes, running.queue_bytes);
    assert_int_equal(values.pause_ms, running.pause_ms);
    assert_string_equal(values.name, "bell");
    assert_int_equal(values.origins.count, 2);
    assert_string_equal(values.origins.items[1], "b");
    assert_int_equal(values.level, running.level);

    keep_fixed(&running, names);
    assert_string_equal(names, "");
    options_free(&program, &running);
}

static void other_options_are_changed(void **state)
{
    (void)state;
    char names[OPTION_NAMES_LIMIT];
    struct values running = {.name = "bell"};

    assert_int_equal(load(ARGUMENTS("--name", "clock"), NULL), OPTION_RUN);
    options_keep_fixed(&program, &values, &running, names);
    assert_string_equal(names, "");
    assert_string_equal(values.name, "clock");
}

/* A list that grew or shrank is another one. */
static void lists_differ_in_length_too(void **state)
{
    (void)state;
    char names[OPTION_NAMES_LIMIT];
    const char *items[] = {"a", "b"};
    struct values running;

    assert_int_equal(load(ARGUMENTS("--origins", "a"), NULL), OPTION_RUN);
    running = values;
    running.origins = (struct option_list){2, items};
    keep_fixed(&running, names);
    assert_string_equal(names, "origins");
    assert_int_equal(values.origins.count, 2);
    running.origins = (struct option_list){0};
    keep_fixed(&running, names);
    assert_string_equal(names, "origins");
    assert_int_equal(values.origins.count, 0);
}

static char reports[1024];
static size_t report_size;

static void note(void *context, const char *problem)
{
    (void)context;
    report_size +=
        (size_t)snprintf(reports + report_size, sizeof(reports) - report_size, "%s\n", problem);
}

static enum option_outcome check(char **arguments, char **environment)
{
    int count = 0;

    options_free(&program, &values);
    memset(&values, 0, sizeof(values));
    reports[0] = '\0';
    report_size = 0;
    while (arguments[count])
        count++;
    return options_check(&program, &values, count, arguments, environment, note, NULL);
}

static void check_tells_everything_that_is_wrong(void **state)
{
    (void)state;
    static const char text[] = "workers = 65\nworkres = 1\nname = bell\npause = 1s\npause = 2s\n";
    char expected[1024];

    write_config(text, strlen(text));
    assert_int_equal(check(ARGUMENTS("--config", path, "--queue-limit", "x", "--origns", "a",
                                     "stray", "--check-config", "--level=high", "--pause"),
                           ENVIRONMENT("CARILLON_LEVEL=no", "CARILLON_NOTHING_LIKE_IT=1")),
                     OPTION_RUN);
    snprintf(expected, sizeof(expected),
             "%s:1: workers: must be at most 64\n"
             "%s:2: workres: unknown option; did you mean workers? (--help lists all)\n"
             "%s:5: pause: is set twice in this file\n"
             "CARILLON_LEVEL: \"no\" is not one of low, high\n"
             "CARILLON_NOTHING_LIKE_IT: unknown option (--help lists all)\n"
             "--queue-limit: \"x\" is not a size such as 512, 64K, 1M or 2G\n"
             "--origns: unknown option; did you mean origins? (--help lists all)\n"
             "\"stray\": expected an option such as --listen (--help lists all)\n"
             "--pause: expected a value\n",
             path, path, path);
    assert_string_equal(reports, expected);
    assert_int_equal(values.workers, 4);
    assert_int_equal(values.pause_ms, 1000);
    assert_int_equal(values.level, 1);
    assert_string_equal(values.name, "bell");
}

static void check_has_nothing_to_say_of_what_is_right(void **state)
{
    (void)state;
    char *none[] = {NULL};

    assert_int_equal(check(ARGUMENTS("--check-config", "--workers", "2"), none), OPTION_RUN);
    assert_string_equal(reports, "");
    assert_int_equal(values.workers, 2);
    assert_int_equal(check(ARGUMENTS("--check-config", "--config"), none), OPTION_RUN);
    assert_string_equal(reports, "--config: expected a value\n");
    assert_int_equal(check(ARGUMENTS("--check-config", "--config", "/nowhere"), none), OPTION_RUN);
    assert_non_null(strstr(reports, "cannot read /nowhere"));
}

static void check_is_asked_for_by_its_argument_alone(void **state)
{
    (void)state;
    assert_true(options_ask_for_check(3, ARGUMENTS("--workers=2", "--check-config")));
    assert_false(options_ask_for_check(3, ARGUMENTS("--workers=2", "--check-config=yes")));
    assert_false(options_ask_for_check(1, ARGUMENTS("--check-config")));
    assert_int_equal(load(ARGUMENTS("--check-config=yes"), NULL), OPTION_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_taken_where_nothing_is_set),
        cmocka_unit_test(value_stands_behind_the_option_or_behind_an_equals_sign),
        cmocka_unit_test(flag_is_set_and_cleared),
        cmocka_unit_test(command_line_beats_environment_beats_file_beats_default),
        cmocka_unit_test(config_file_can_be_named_in_the_environment),
        cmocka_unit_test(sizes_and_times_take_their_units),
        cmocka_unit_test(malformed_quantities_are_refused),
        cmocka_unit_test(values_out_of_range_are_refused_with_the_limit),
        cmocka_unit_test(list_grows_within_a_source_and_is_replaced_by_a_stronger_one),
        cmocka_unit_test(unknown_option_names_the_nearest_one),
        cmocka_unit_test(argument_without_its_value_is_refused),
        cmocka_unit_test(variables_of_a_kubernetes_service_named_like_us_are_ignored),
        cmocka_unit_test(file_takes_comments_and_blank_lines),
        cmocka_unit_test(errors_of_the_file_name_the_line),
        cmocka_unit_test(zero_byte_in_the_file_is_refused),
        cmocka_unit_test(file_that_cannot_be_read_is_named),
        cmocka_unit_test(fixed_options_keep_the_value_that_runs),
        cmocka_unit_test(other_options_are_changed),
        cmocka_unit_test(lists_differ_in_length_too),
        cmocka_unit_test(check_tells_everything_that_is_wrong),
        cmocka_unit_test(check_has_nothing_to_say_of_what_is_right),
        cmocka_unit_test(check_is_asked_for_by_its_argument_alone),
    };

    return cmocka_run_group_tests(tests, create_config, remove_config);
}
