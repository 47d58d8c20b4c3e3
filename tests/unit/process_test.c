#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/process.h"

static void living_process_has_memory_and_processor_time(void **state)
{
    struct process_usage begin, end;
    uint64_t cpu_ns;

    (void)state;
    assert_int_equal(process_read_usage(getpid(), &begin), 0);
    assert_true(begin.resident_bytes > 0);
    assert_non_null(begin.memory_source);
    assert_int_equal(process_read_usage(getpid(), &end), 0);
    assert_true(process_cpu_between(&begin, &end, &cpu_ns));
}

static void process_that_ended_is_none(void **state)
{
    struct process_usage usage;
    siginfo_t info;
    pid_t child = fork();

    (void)state;
    if (child == 0)
        _exit(0);
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(process_read_usage(child, &usage), -ESRCH); /* not waited for yet */
    assert_null(usage.memory_source);
    assert_int_equal(waitpid(child, NULL, 0), child);
    assert_int_equal(process_read_usage(child, &usage), -ESRCH);
    assert_null(usage.memory_source);
}

static void only_growth_between_equal_sources_is_told(void **state)
{
    const struct process_usage begin = {10, 1000, "stat", "statm"};
    struct process_usage end = {15, 1000, "stat", "statm"};
    uint64_t cpu_ns, bytes;

    (void)state;
    assert_true(process_cpu_between(&begin, &end, &cpu_ns));
    assert_int_equal(cpu_ns, 5);
    assert_true(process_memory_between(&begin, &end, &bytes));
    assert_int_equal(bytes, 0);

    end = (struct process_usage){9, 999, "stat", "statm"};
    assert_false(process_cpu_between(&begin, &end, &cpu_ns));
    assert_false(process_memory_between(&begin, &end, &bytes));

    end = (struct process_usage){15, 2000, "schedstat", "smaps_rollup"};
    assert_false(process_cpu_between(&begin, &end, &cpu_ns));
    assert_false(process_memory_between(&begin, &end, &bytes));

    end = (struct process_usage){0};
    assert_false(process_cpu_between(&begin, &end, &cpu_ns));
    assert_false(process_memory_between(&begin, &end, &bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(living_process_has_memory_and_processor_time),
        cmocka_unit_test(process_that_ended_is_none),
        cmocka_unit_test(only_growth_between_equal_sources_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
