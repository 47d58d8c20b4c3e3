#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/log_tail.h"

static struct buffer text;

static int clear_text(void **state)
{
    (void)state;
    buffer_deinit(&text);
    return 0;
}

static const char *lines_after(uint64_t number)
{
    buffer_deinit(&text);
    log_tail_append(&text, number);
    *buffer_reserve(&text, 1) = '\0';
    return (const char *)text.data;
}

static void keep(const char *line)
{
    log_tail_keep(line, strlen(line));
}

/* The number of the newest line, which the tests before have left. */
static uint64_t newest(void)
{
    uint64_t number = 0;

    for (const char *at = lines_after(0); *at; at = strchr(at, '\n') + 1)
        number = strtoull(at, NULL, 10);
    return number;
}

static void nothing_is_kept_at_first(void **state)
{
    (void)state;
    assert_string_equal(lines_after(0), "");
    assert_string_equal(lines_after(UINT64_MAX), "");
}

static void lines_are_numbered_and_asked_for_by_number(void **state)
{
    (void)state;
    keep("one");
    keep("two words");
    assert_string_equal(lines_after(0), "1 one\n2 two words\n");
    assert_string_equal(lines_after(1), "2 two words\n");
    assert_string_equal(lines_after(2), "");
    assert_string_equal(lines_after(UINT64_MAX), "");
    assert_string_equal(lines_after(UINT64_MAX - 1), "");
}

static void only_the_newest_are_kept(void **state)
{
    (void)state;
    uint64_t before = newest();
    uint64_t oldest = before + 8;
    char first[32];
    size_t count = 0;

    for (unsigned i = 0; i < LOG_TAIL_LINES + 7; i++)
        keep("again");
    for (const char *at = lines_after(0); *at; at = strchr(at, '\n') + 1)
        count++;
    assert_int_equal(count, LOG_TAIL_LINES);
    snprintf(first, sizeof(first), "%llu again\n", (unsigned long long)oldest);
    assert_memory_equal(lines_after(0), first, strlen(first));
    assert_int_equal(newest(), before + LOG_TAIL_LINES + 7);
}

static void keep_many(void *argument)
{
    for (unsigned i = 0; i < 1000; i++)
        keep(argument);
}

static void threads_may_write_while_somebody_reads(void **state)
{
    (void)state;
    uint64_t before = newest();
    uv_thread_t threads[2];
    static char names[2][8] = {"left", "right"};

    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(uv_thread_create(&threads[i], keep_many, names[i]), 0);
    for (unsigned i = 0; i < 100; i++)
        lines_after(before);
    for (unsigned i = 0; i < 2; i++)
        uv_thread_join(&threads[i]);
    assert_int_equal(newest(), before + 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_is_kept_at_first, clear_text),
        cmocka_unit_test_teardown(lines_are_numbered_and_asked_for_by_number, clear_text),
        cmocka_unit_test_teardown(only_the_newest_are_kept, clear_text),
        cmocka_unit_test_teardown(threads_may_write_while_somebody_reads, clear_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
