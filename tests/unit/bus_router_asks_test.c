/* The router bus and what it is asked while no router is there, or by whom it cannot be answered.
 */
#include "tests/unit/bus_asks_fixture.h"

static void start_alone(struct asks_stage *stage)
{
    char url[64];

    *stage = (struct asks_stage){0};
    asks_stage = stage;
    log_configure(LOG_LOGFMT, LOG_ERROR);
    assert_int_equal(loop_init(&stage->loop), 0);
    snprintf(url, sizeof(url), "router://127.0.0.1:%u", free_port());
    node_prepare(&stage->nodes[0], 1);
    stage->nodes[0].settings.router_cluster = "test";
    stage->nodes[0].settings.router_secret_file = "";
    stage->nodes[0].events.deliver = asks_on_deliver;
    node_open(&stage->nodes[0], &stage->loop, url);
    node_subscribe(&stage->nodes[0], CHANNEL);
    run_until(&stage->loop, node_is_subscribed, &stage->nodes[0]);
}

static void put_all(struct asks_stage *stage, struct question *questions)
{
    memset(questions, 0, 3 * sizeof(*questions));
    asks_put(&stage->nodes[0], &questions[0], bus_ask_history);
    asks_put(&stage->nodes[0], &questions[1], bus_ask_presence);
    asks_put(&stage->nodes[0], &questions[2], bus_forget_history);
}

static void questions_end_while_no_router_is_there(void **state)
{
    struct asks_stage stage;
    struct question questions[3];

    (void)state;
    start_alone(&stage);
    put_all(&stage, questions);
    for (size_t i = 0; i < 3; i++)
        asks_wait(&stage, &questions[i]);
    assert_int_equal(questions[0].error, UV_ENOTCONN);
    assert_int_equal(questions[1].error, UV_ENOTCONN);
    assert_int_equal(questions[2].error, UV_ENOTCONN);
    put_all(&stage, questions);
    asks_stop(&stage);
    for (size_t i = 0; i < 3; i++)
        assert_true(questions[i].is_answered);
}

static void presence_waits_for_a_router_and_ends_without_one(void **state)
{
    struct asks_stage stage;

    (void)state;
    start_alone(&stage);
    asks_enter(&stage.nodes[0], "c1", "ann", "{}");
    asks_enter(&stage.nodes[0], "c2", "bob", "{}");
    asks_leave(&stage.nodes[0], "c1");
    asks_stop(&stage);
}

static void ephemeral_message_does_not_wait_for_a_router(void **state)
{
    struct asks_stage stage;
    struct saying saying;

    (void)state;
    start_alone(&stage);
    asks_begin_to_say(&stage.nodes[0], &saying, "x", (struct manner){.kind = MESSAGE_JOIN});
    assert_true(saying.is_over);
    assert_int_equal(saying.error, UV_ENOTCONN);
    asks_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_end_while_no_router_is_there),
        cmocka_unit_test(presence_waits_for_a_router_and_ends_without_one),
        cmocka_unit_test(ephemeral_message_does_not_wait_for_a_router),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
