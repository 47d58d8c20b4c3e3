/* Times are of one clock: the link was heard at HEARD_MS last, and the other side had us in sight
 * at ECHOED_MS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/placement.h"
#include "router/node.h"
#include "router/shard.h"

#define HEARD_MS  10000
#define ECHOED_MS 9900
#define LOST_MS   10500
#define FENCE_END (HEARD_MS + NODE_FENCE_MS)

static struct node *node;
static struct shard_link link;

static int make_node(void **state)
{
    (void)state;
    node = node_create(7, "router-1", "10.0.0.1:9000");
    return 0;
}

static int make_lost_node(void **state)
{
    make_node(state);
    node_linked(node, &link);
    node->echoed_ms = ECHOED_MS;
    node_lost(node, HEARD_MS, LOST_MS);
    return 0;
}

static int drop_node(void **state)
{
    (void)state;
    node->shard_link = NULL;
    node_destroy(node);
    return 0;
}

static void node_is_known_by_id_name_and_address(void **state)
{
    (void)state;
    assert_true(node->id == 7);
    assert_string_equal(node->name, "router-1");
    assert_string_equal(node->address, "10.0.0.1:9000");
    assert_true(node->seed == placement_seed("router-1"));
    assert_null(node->shard_link);
    assert_int_equal(node->fate, NODE_GONE);
}

static void longest_name_is_kept_whole(void **state)
{
    char name[ROUTER_NAME_LIMIT + 1] = {0};
    struct node *one;

    (void)state;
    memset(name, 'x', ROUTER_NAME_LIMIT);
    one = node_create(8, name, name);
    assert_string_equal(one->name, name);
    assert_string_equal(one->address, name);
    node_destroy(one);
}

static void linking_voids_what_was_concluded(void **state)
{
    (void)state;
    node_died(node);
    node->is_leaving = true;
    node_linked(node, &link);
    assert_ptr_equal(node->shard_link, &link);
    assert_int_equal(node->fate, NODE_LINKED);
    assert_false(node->is_dead);
    assert_false(node->is_leaving);
    assert_true(node->echoed_ms == 0); /* what it saw of us before counts no more */
}

static void linked_node_is_not_dead_whatever_is_said(void **state)
{
    (void)state;
    node_linked(node, &link);
    node_died(node);
    assert_false(node->is_dead);
    assert_int_equal(node->fate, NODE_LINKED);
    assert_false(node_expire(node, UINT64_MAX));
    assert_int_equal(node->fate, NODE_LINKED);
}

static void lost_node_may_be_back_until_its_fence_is_passed(void **state)
{
    (void)state;
    assert_null(node->shard_link);
    assert_int_equal(node->fate, NODE_MISSED);
    assert_false(node_expire(node, FENCE_END - 1));
    assert_int_equal(node->fate, NODE_MISSED);
    assert_true(node_expire(node, FENCE_END));
    assert_int_equal(node->fate, NODE_GONE);
    assert_false(node_expire(node, FENCE_END + 1)); /* decided already */
}

static void node_that_died_is_gone_at_once(void **state)
{
    (void)state;
    node_died(node);
    assert_true(node->is_dead);
    assert_int_equal(node->fate, NODE_GONE);
    assert_false(node_expire(node, FENCE_END)); /* decided already */
}

static void fence_is_passed_once_its_time_is_over(void **state)
{
    (void)state;
    assert_false(node_fence_is_passed(node, LOST_MS));
    assert_false(node_fence_is_passed(node, FENCE_END - 1));
    assert_true(node_fence_is_passed(node, FENCE_END));
}

static void fence_is_passed_at_once_for_the_dead_however_late_that_is_known(void **state)
{
    (void)state;
    node_died(node);
    assert_true(node_fence_is_passed(node, LOST_MS));
    drop_node(state);
    make_lost_node(state);
    node_expire(node, FENCE_END);
    node_died(node);
    assert_true(node_fence_is_passed(node, LOST_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(node_is_known_by_id_name_and_address, make_node, drop_node),
        cmocka_unit_test(longest_name_is_kept_whole),
        cmocka_unit_test_setup_teardown(linking_voids_what_was_concluded, make_lost_node,
                                        drop_node),
        cmocka_unit_test_setup_teardown(linked_node_is_not_dead_whatever_is_said, make_node,
                                        drop_node),
        cmocka_unit_test_setup_teardown(lost_node_may_be_back_until_its_fence_is_passed,
                                        make_lost_node, drop_node),
        cmocka_unit_test_setup_teardown(node_that_died_is_gone_at_once, make_lost_node, drop_node),
        cmocka_unit_test_setup_teardown(fence_is_passed_once_its_time_is_over, make_lost_node,
                                        drop_node),
        cmocka_unit_test_setup_teardown(
            fence_is_passed_at_once_for_the_dead_however_late_that_is_known, make_lost_node,
            drop_node),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
