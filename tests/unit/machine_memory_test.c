#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "common/machine_memory.h"
#include "tests/unit/control_group_tree.h"

static void assert_quota(uint64_t bytes)
{
    assert_true(machine_memory_quota(membership, root) == bytes);
}

static void lowest_limit_on_the_way_up_counts(void **state)
{
    (void)state;
    write_file("membership", "0::/pod/container\n");
    write_file("pod/container/memory.max", "max\n");
    write_file("pod/memory.max", "536870912\n");
    write_file("memory.max", "1073741824\n");
    assert_quota(536870912);
    write_file("pod/container/memory.max", "268435456\n");
    assert_quota(268435456);
}

static void version_1_has_a_tree_for_memory(void **state)
{
    (void)state;
    write_file("membership", "7:cpu,cpuacct:/docker/1\n11:memory:/docker/1\n");
    write_file("memory/docker/1/memory.limit_in_bytes", "134217728\n");
    write_file("memory/memory.limit_in_bytes", "9223372036854771712\n");
    assert_quota(134217728);
}

static void without_a_limit_there_is_no_quota(void **state)
{
    (void)state;
    assert_quota(0);
    write_file("membership", "0::/\n");
    assert_quota(0);
    write_file("memory.max", "max\n");
    assert_quota(0);
}

static void this_process_has_no_more_than_the_machine(void **state)
{
    (void)state;
    assert_true(machine_memory() > 0 && machine_memory() <= uv_get_total_memory());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TREE(lowest_limit_on_the_way_up_counts),
        IN_TREE(version_1_has_a_tree_for_memory),
        IN_TREE(without_a_limit_there_is_no_quota),
        cmocka_unit_test(this_process_has_no_more_than_the_machine),
    };

    return cmocka_run_group_tests_name("machine_memory", tests, NULL, NULL);
}
