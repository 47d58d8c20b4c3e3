#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/process_metrics.h"

static double value_of(const struct buffer *text, const char *name)
{
    char wanted[96];
    const char *line;

    snprintf(wanted, sizeof(wanted), "\n%s ", name);
    line = strstr((const char *)text->data, wanted);
    if (!line) {
        fail_msg("no %s in:\n%s", name, (const char *)text->data);
        return 0;
    }
    return strtod(line + strlen(wanted), NULL);
}

static void process_says_who_it_is_and_what_it_uses(void **state)
{
    (void)state;
    struct buffer text = {0};
    time_t before = time(NULL);

    process_started();
    process_append_metrics(&text, "gateway");
    *buffer_reserve(&text, 1) = '\0';
    assert_non_null(strstr((char *)text.data,
                           "\ncarillon_build_info{program=\"gateway\",version=\"" CARILLON_VERSION
                           "\"} 1\n"));
    assert_true(value_of(&text, "carillon_start_time_seconds") >= (double)before);
    assert_true(value_of(&text, "carillon_start_time_seconds") <= (double)time(NULL) + 1);
    assert_true(value_of(&text, "carillon_start_time_seconds") == process_start_time());
    assert_true(value_of(&text, "carillon_open_descriptors") >= 3);
    assert_true(value_of(&text, "carillon_descriptors_limit") >= 64);
    assert_true(value_of(&text, "carillon_resident_memory_bytes") >= 100000);
    assert_true(value_of(&text, "carillon_cpu_seconds_total") > 0);
    buffer_deinit(&text);
}

static void descriptors_are_counted(void **state)
{
    (void)state;
    uint64_t before = process_open_descriptors();
    int held[5];

    for (size_t i = 0; i < 5; i++)
        held[i] = dup(STDERR_FILENO);
    assert_int_equal(process_open_descriptors(), before + 5);
    for (size_t i = 0; i < 5; i++)
        close(held[i]);
    assert_int_equal(process_open_descriptors(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(process_says_who_it_is_and_what_it_uses),
        cmocka_unit_test(descriptors_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
