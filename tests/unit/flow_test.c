#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <uv.h>

#include "gateway/flow.h"

#define HALF (FLOW_LIMIT_BYTES / 2)

static void depth_is_what_was_posted_and_not_taken(void **state)
{
    (void)state;
    struct flow flow = {0};

    assert_int_equal(flow_depth(&flow), 0);
    flow_post(&flow, 300);
    flow_post(&flow, 200);
    assert_int_equal(flow_depth(&flow), 500);
    assert_false(flow_take(&flow, 300));
    assert_int_equal(flow_depth(&flow), 200);
    assert_int_equal(flow_taken(&flow), 300);
}

static void sender_stops_beyond_the_limit_and_is_told_at_half_of_it(void **state)
{
    (void)state;
    struct flow flow = {0};

    flow_post(&flow, FLOW_LIMIT_BYTES);
    assert_false(flow_is_full(&flow));
    flow_post(&flow, 1);
    assert_true(flow_is_full(&flow));
    assert_false(flow_take(&flow, HALF));
    assert_true(flow_take(&flow, 1));
    assert_false(flow_take(&flow, 1)); /* it knows */
    assert_false(flow_is_full(&flow));
    flow_post(&flow, FLOW_LIMIT_BYTES);
    assert_true(flow_is_full(&flow));
    assert_true(flow_take(&flow, FLOW_LIMIT_BYTES));
}

static void sender_that_did_not_look_is_not_told(void **state)
{
    (void)state;
    struct flow flow = {0};

    flow_post(&flow, 3 * FLOW_LIMIT_BYTES);
    assert_false(flow_take(&flow, 3 * FLOW_LIMIT_BYTES));
}

static void one_message_may_be_larger_than_the_limit(void **state)
{
    (void)state;
    struct flow flow = {0};

    flow_post(&flow, 16 * FLOW_LIMIT_BYTES);
    assert_true(flow_is_full(&flow));
    assert_true(flow_take(&flow, 16 * FLOW_LIMIT_BYTES));
    assert_false(flow_is_full(&flow));
}

/* A sender that waits whenever it has to, and a receiver that wakes it whenever it is asked to:
 * should one wake-up be lost, the two never end. */

#define POSTS  200000
#define WEIGHT (FLOW_LIMIT_BYTES / 8)

static struct flow shared;
static uv_sem_t posted;
static uv_sem_t room;
static bool stays_in_bounds = true;

static void receive(void *argument)
{
    (void)argument;
    for (int i = 0; i < POSTS; i++) {
        uv_sem_wait(&posted);
        if (flow_depth(&shared) > FLOW_LIMIT_BYTES + WEIGHT)
            stays_in_bounds = false;
        if (flow_take(&shared, WEIGHT))
            uv_sem_post(&room);
    }
}

static void no_wake_up_is_lost_between_threads(void **state)
{
    (void)state;
    uv_thread_t receiver;

    assert_int_equal(uv_sem_init(&posted, 0), 0);
    assert_int_equal(uv_sem_init(&room, 0), 0);
    assert_int_equal(uv_thread_create(&receiver, receive, NULL), 0);
    for (int i = 0; i < POSTS; i++) {
        while (flow_is_full(&shared))
            uv_sem_wait(&room);
        flow_post(&shared, WEIGHT);
        uv_sem_post(&posted);
    }
    uv_thread_join(&receiver);
    assert_int_equal(flow_depth(&shared), 0);
    assert_true(stays_in_bounds);
    uv_sem_destroy(&posted);
    uv_sem_destroy(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_is_what_was_posted_and_not_taken),
        cmocka_unit_test(sender_stops_beyond_the_limit_and_is_told_at_half_of_it),
        cmocka_unit_test(sender_that_did_not_look_is_not_told),
        cmocka_unit_test(one_message_may_be_larger_than_the_limit),
        cmocka_unit_test(no_wake_up_is_lost_between_threads),
    };

    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
