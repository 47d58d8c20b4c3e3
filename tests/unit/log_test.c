#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <regex.h>
#include <unistd.h>
#include <uv.h>

#include "common/log.h"

#define TEXT_LIMIT 512
#define LINE_LIMIT 4096
#define TIME       "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"

/* While a test runs, stderr is a file that is read back. */
static FILE *captured;
static int real_stderr;

static int capture(void **state)
{
    (void)state;
    captured = tmpfile();
    real_stderr = dup(STDERR_FILENO);
    return !captured || real_stderr < 0 || dup2(fileno(captured), STDERR_FILENO) < 0;
}

static int release(void **state)
{
    (void)state;
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    fclose(captured);
    log_configure(LOG_LOGFMT, LOG_INFO);
    return 0;
}

/* The next line that was written, without its end; NULL where there is none. */
static const char *next_line(void)
{
    static char line[2 * LINE_LIMIT];

    if (!fgets(line, sizeof(line), captured))
        return NULL;
    assert_int_equal(line[strlen(line) - 1], '\n');
    line[strlen(line) - 1] = '\0';
    return line;
}

static const char *only_line(void)
{
    static char line[2 * LINE_LIMIT];

    rewind(captured);

    const char *first = next_line();

    assert_non_null(first);
    snprintf(line, sizeof(line), "%s", first);
    assert_null(next_line());
    return line;
}

/* `line` is the pattern, an extended regular expression, from its first to its last byte. */
static void assert_matches(const char *line, const char *pattern)
{
    regex_t expression;

    assert_int_equal(regcomp(&expression, pattern, REG_EXTENDED | REG_NOSUB), 0);

    int result = regexec(&expression, line, 0, NULL, 0);

    regfree(&expression);
    if (result != 0)
        assert_string_equal(line, pattern); /* shows both, and not before stderr is back */
}

/* What stands after `level=info `. */
static const char *fields_of(const char *line)
{
    static const char level[] = " level=info ";
    const char *found = strstr(line, level);

    assert_non_null(found);
    return found + sizeof(level) - 1;
}

static void event_is_one_line_of_logfmt(void **state)
{
    (void)state;
    log_event(LOG_INFO, log_name("listening"), log_text("address", "[::1]:8000"),
              log_number("threads", -2));
    assert_matches(only_line(), "^time=" TIME " level=info event=\"listening\" "
                                "address=\\[::1\\]:8000 threads=-2$");
}

static void event_is_one_object_of_json(void **state)
{
    (void)state;
    log_configure(LOG_JSON, LOG_INFO);
    log_event(LOG_WARNING, log_name("bus lost"), log_text("address", "a b"),
              log_number("try", INT64_MAX));
    assert_matches(only_line(), "^\\{\"time\":\"" TIME "\",\"level\":\"warning\","
                                "\"event\":\"bus lost\",\"address\":\"a b\","
                                "\"try\":9223372036854775807\\}$");
}

static void less_urgent_events_than_asked_for_are_not_written(void **state)
{
    (void)state;
    static const enum log_level levels[] = {LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
    static const char *const names[] = {"error", "warning", "info", "debug"};

    for (size_t least = 0; least < 4; least++) {
        rewind(captured);
        assert_int_equal(ftruncate(fileno(captured), 0), 0);
        log_configure(LOG_LOGFMT, levels[least]);
        for (size_t i = 0; i < 4; i++)
            log_event(levels[i], log_name("x"));
        rewind(captured);
        for (size_t i = 0; i <= least; i++) {
            char pattern[128];
            const char *line = next_line();

            assert_non_null(line);
            snprintf(pattern, sizeof(pattern), "^time=" TIME " level=%s event=\"x\"$", names[i]);
            assert_matches(line, pattern);
        }
        assert_null(next_line());
    }
}

static void logfmt_values_are_quoted_where_they_need_it(void **state)
{
    (void)state;
    log_event(LOG_INFO, log_text("a", ""), log_text("b", NULL), log_text("c", "x y"),
              log_text("d", "x=y"), log_text("e", "x\"y"), log_text("f", "x\\y"),
              log_text("g", "x/y:z"), log_text("h", "\x7f"));
    assert_string_equal(fields_of(only_line()),
                        "a=\"\" b=\"\" c=\"x y\" d=\"x=y\" e=\"x\\\"y\" f=\"x\\\\y\" g=x/y:z "
                        "h=\"\\u007f\"");
}

static void value_can_neither_end_its_line_nor_forge_another(void **state)
{
    (void)state;
    log_event(LOG_INFO, log_text("a", "x\nlevel=error\r\t\x1b[31m"), log_text("b", "\xc3\xa4"));
    assert_string_equal(fields_of(only_line()),
                        "a=\"x\\u000alevel=error\\u000d\\u0009\\u001b[31m\" "
                        "b=\"ä\"");
}

static void json_strings_are_escaped(void **state)
{
    (void)state;
    log_configure(LOG_JSON, LOG_INFO);
    log_event(LOG_INFO, log_text("a", "\"},{\\\n\xff"));
    assert_matches(only_line(), ",\"a\":\"\\\\\"\\},\\{\\\\\\\\\\\\u000a\\\\u00ff\"\\}$");
}

static void long_values_are_cut(void **state)
{
    (void)state;
    char text[TEXT_LIMIT + 100];
    char expected[TEXT_LIMIT + 100];

    memset(text, 'x', sizeof(text));
    text[TEXT_LIMIT + 1] = '\0';
    log_event(LOG_INFO, log_text("a", text), log_number("b", 1));
    snprintf(expected, sizeof(expected), "a=\"%.*s\" b=1", TEXT_LIMIT, text);
    assert_string_equal(fields_of(only_line()), expected);
}

static void value_as_long_as_the_limit_is_whole(void **state)
{
    (void)state;
    char text[TEXT_LIMIT + 1];
    char expected[TEXT_LIMIT + 100];

    memset(text, 'x', TEXT_LIMIT);
    text[TEXT_LIMIT] = '\0';
    log_event(LOG_INFO, log_text("a", text));
    snprintf(expected, sizeof(expected), "a=%s", text);
    assert_string_equal(fields_of(only_line()), expected);
}

/* Six bytes for each of the value's: the second does not fit any more. */
static void fields_that_do_not_fit_are_left_out_whole(void **state)
{
    (void)state;
    char text[TEXT_LIMIT + 1];

    memset(text, '\n', TEXT_LIMIT);
    text[TEXT_LIMIT] = '\0';
    log_configure(LOG_JSON, LOG_INFO);
    log_event(LOG_INFO, log_text("a", text), log_text("b", text), log_number("c", 1));

    const char *line = only_line();

    assert_true(strlen(line) < LINE_LIMIT);
    assert_matches(line, ",\"a\":\"(\\\\u000a)+\"\\}$");
    assert_null(strstr(line, "\"b\""));
    assert_null(strstr(line, "\"c\""));
}

#define THREADS         4
#define LINES_OF_THREAD 500

static void write_lines(void *argument)
{
    const char *name = argument;

    for (int i = 0; i < LINES_OF_THREAD; i++)
        log_event(LOG_INFO, log_name("x"), log_text("thread", name), log_number("line", i));
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    (void)state;
    static char names[THREADS][2] = {"0", "1", "2", "3"};
    uv_thread_t threads[THREADS];
    int lines[THREADS] = {0};
    const char *line;

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(uv_thread_create(&threads[i], write_lines, names[i]), 0);
    for (size_t i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
    rewind(captured);
    while ((line = next_line())) {
        int thread;
        int number;
        int end = 0;

        assert_int_equal(
            sscanf(fields_of(line), "event=\"x\" thread=%d line=%d%n", &thread, &number, &end), 2);
        assert_int_equal(fields_of(line)[end], '\0');
        assert_in_range(thread, 0, THREADS - 1);
        assert_int_equal(number, lines[thread]++);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(lines[i], LINES_OF_THREAD);
}

static void format_may_change_while_others_write(void **state)
{
    (void)state;
    static char name[] = "0";
    uv_thread_t thread;
    const char *line;
    int lines = 0;

    assert_int_equal(uv_thread_create(&thread, write_lines, name), 0);
    for (int i = 0; i < LINES_OF_THREAD; i++)
        log_configure(i % 2 ? LOG_LOGFMT : LOG_JSON, LOG_INFO);
    uv_thread_join(&thread);
    rewind(captured);
    for (; (line = next_line()); lines++)
        assert_matches(line, "^(time=" TIME " level=info event=\"x\" thread=0 line=[0-9]+|"
                             "\\{\"time\":\"" TIME "\",\"level\":\"info\",\"event\":\"x\","
                             "\"thread\":\"0\",\"line\":[0-9]+\\})$");
    assert_int_equal(lines, LINES_OF_THREAD);
}

#define CAPTURED(test) cmocka_unit_test_setup_teardown(test, capture, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CAPTURED(event_is_one_line_of_logfmt),
        CAPTURED(event_is_one_object_of_json),
        CAPTURED(less_urgent_events_than_asked_for_are_not_written),
        CAPTURED(logfmt_values_are_quoted_where_they_need_it),
        CAPTURED(value_can_neither_end_its_line_nor_forge_another),
        CAPTURED(json_strings_are_escaped),
        CAPTURED(long_values_are_cut),
        CAPTURED(value_as_long_as_the_limit_is_whole),
        CAPTURED(fields_that_do_not_fit_are_left_out_whole),
        CAPTURED(lines_of_several_threads_do_not_mix),
        CAPTURED(format_may_change_while_others_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
