#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/cpu_count.h"
#include "tests/unit/control_group_tree.h"

static unsigned quota(void)
{
    return cpu_quota(membership, root);
}

static void quota_is_rounded_up_to_whole_cores(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned cores;
    } cases[] = {
        {"100000 100000\n", 1}, {"50000 100000\n", 1},  {"1000 100000", 1}, {"150000 100000\n", 2},
        {"400000 100000", 4},   {"6400000 100000", 64}, {"25000 50000", 1},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(cpu_quota_parse(cases[i].text), cases[i].cores);
}

static void what_sets_no_limit_is_no_quota(void **state)
{
    (void)state;
    static const char *const texts[] = {"max 100000\n", "-1 100000", "0 100000",
                                        "100000",       "100000 0",  "",
                                        "max",          "nonsense",  "9223372036854775807 1"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(cpu_quota_parse(texts[i]), 0);
}

static void container_of_version_2_sees_its_quota_at_the_mount(void **state)
{
    (void)state;
    write_file("membership", "0::/\n");
    write_file("cpu.max", "200000 100000\n");
    assert_int_equal(quota(), 2);
}

static void parents_limit_their_groups(void **state)
{
    (void)state;
    write_file("membership", "0::/pod/container\n");
    write_file("pod/container/cpu.max", "max 100000\n");
    write_file("pod/cpu.max", "300000 100000\n");
    write_file("cpu.max", "800000 100000\n");
    assert_int_equal(quota(), 3);
    write_file("pod/container/cpu.max", "100000 100000\n");
    assert_int_equal(quota(), 1);
    write_file("cpu.max", "max 100000\n");
    write_file("pod/cpu.max", "max 100000\n");
    write_file("pod/container/cpu.max", "max 100000\n");
    assert_int_equal(quota(), 0);
}

static void version_1_has_a_tree_for_the_controller(void **state)
{
    (void)state;
    write_file("membership", "11:memory:/memory\n7:cpu,cpuacct:/docker/1\n3:cpuset:/\n0::/\n");
    write_file("cpu/docker/1/cpu.cfs_quota_us", "250000\n");
    write_file("cpu/docker/1/cpu.cfs_period_us", "100000\n");
    write_file("cpu/cpu.cfs_quota_us", "-1\n");
    write_file("cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 3);
}

static void container_of_version_1_sees_its_quota_at_the_mount(void **state)
{
    (void)state;
    write_file("membership", "4:cpuacct,cpu:/docker/not-seen-from-inside\n");
    write_file("cpu/cpu.cfs_quota_us", "50000\n");
    write_file("cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 1);
}

static void other_controllers_do_not_count(void **state)
{
    (void)state;
    write_file("membership", "4:cpuset:/\n5:cpuacct:/\n6:name=systemd:/\nnonsense\n\n");
    write_file("cpu/cpu.cfs_quota_us", "50000\n");
    write_file("cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 0);
}

static void without_cgroups_there_is_no_quota(void **state)
{
    (void)state;
    assert_int_equal(quota(), 0);
    write_file("membership", "0::/gone\n");
    assert_int_equal(quota(), 0);
}

static void path_that_is_too_long_is_left_alone(void **state)
{
    (void)state;
    char line[8192];

    memset(line, 'x', sizeof(line));
    memcpy(line, "0::/", 4);
    line[sizeof(line) - 1] = '\0';
    write_file("membership", line);
    write_file("cpu.max", "100000 100000\n");
    assert_int_equal(quota(), 0);
}

static void this_process_has_a_core_and_no_more_than_there_are(void **state)
{
    (void)state;
    assert_in_range(cpu_count(), 1, uv_available_parallelism());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quota_is_rounded_up_to_whole_cores),
        cmocka_unit_test(what_sets_no_limit_is_no_quota),
        IN_TREE(container_of_version_2_sees_its_quota_at_the_mount),
        IN_TREE(parents_limit_their_groups),
        IN_TREE(version_1_has_a_tree_for_the_controller),
        IN_TREE(container_of_version_1_sees_its_quota_at_the_mount),
        IN_TREE(other_controllers_do_not_count),
        IN_TREE(without_cgroups_there_is_no_quota),
        IN_TREE(path_that_is_too_long_is_left_alone),
        cmocka_unit_test(this_process_has_a_core_and_no_more_than_there_are),
    };

    return cmocka_run_group_tests_name("cpu_count", tests, NULL, NULL);
}
