/* What the Redis bus is asked while gateways die and Redis goes away, and what it leaves behind. */
#include "tests/unit/bus_asks_fixture.h"

static bool everybody_is_listed_everywhere(void *context)
{
    struct asks_stage *stage = context;

    return asks_presence_at(stage, &stage->nodes[0]).count == 2 &&
           asks_presence_at(stage, &stage->nodes[1]).count == 2;
}

/* Not run_until: a question runs the loop itself. */
static void wait_until(bool (*holds)(void *context), void *context)
{
    uint64_t start = uv_hrtime();

    while (!holds(context)) {
        if (uv_hrtime() - start > (uint64_t)WAIT_LIMIT_MS * 1000000)
            fail_msg("nothing happens any more");
    }
}

static void two_come(struct asks_stage *stage)
{
    asks_enter(&stage->nodes[0], "here", "ann", "1");
    asks_enter(&stage->nodes[1], "there", "bob", "2");
    wait_until(everybody_is_listed_everywhere, stage);
}

static void clients_of_all_gateways_are_listed(void **state)
{
    struct asks_stage stage;
    struct question question;

    (void)state;
    asks_start(&stage, true);
    two_come(&stage);
    question = asks_presence_at(&stage, &stage.nodes[0]);
    assert_non_null(strstr(question.text, "[here=ann/1]"));
    assert_non_null(strstr(question.text, "[there=bob/2]"));
    asks_stop(&stage);
}

static bool one_is_left(void *context)
{
    struct asks_stage *stage = context;

    return asks_presence_at(stage, &stage->nodes[0]).count == 1;
}

/* It takes as long as it takes: BUS_PRESENCE_MS. */
static void clients_of_a_dead_gateway_leave_by_themselves(void **state)
{
    struct asks_stage stage;

    (void)state;
    asks_start(&stage, true);
    two_come(&stage);
    node_close(&stage.nodes[1], &stage.loop); /* it removes nobody */
    assert_int_equal(asks_presence_at(&stage, &stage.nodes[0]).count, 2);
    wait_until(one_is_left, &stage);
    assert_int_equal(server_call(&stage.server, "HEXISTS test:{room}:w there"), 0);
    assert_int_equal(server_call(&stage.server, "ZCARD test:{room}:d"), 1);
    asks_stop(&stage);
}

static void nothing_of_presence_stays_behind(void **state)
{
    struct asks_stage stage;

    (void)state;
    asks_start(&stage, true);
    two_come(&stage);
    assert_in_range(server_call(&stage.server, "PTTL test:{room}:w"), 1, BUS_PRESENCE_MS);
    assert_in_range(server_call(&stage.server, "PTTL test:{room}:d"), 1, BUS_PRESENCE_MS);
    asks_leave(&stage.nodes[0], "here");
    asks_leave(&stage.nodes[1], "there");
    while (asks_presence_at(&stage, &stage.nodes[0]).count > 0)
        ;
    assert_int_equal(server_call(&stage.server, "EXISTS test:{room}:w test:{room}:d"), 0);
    asks_stop(&stage);
}

static void whoever_is_there_is_announced_again_and_again(void **state)
{
    struct asks_stage stage;

    (void)state;
    asks_start(&stage, true);
    two_come(&stage);
    server_call(&stage.server, "DEL test:{room}:w test:{room}:d");
    assert_int_equal(asks_presence_at(&stage, &stage.nodes[0]).count, 0);
    wait_until(everybody_is_listed_everywhere, &stage);
    asks_stop(&stage);
}

static void connection_that_comes_back_announces_everybody(void **state)
{
    struct asks_stage stage;

    (void)state;
    asks_start(&stage, true);
    two_come(&stage);
    server_kill(&stage.server);
    run_until(&stage.loop, node_is_down, &stage.nodes[0]);
    run_until(&stage.loop, node_is_down, &stage.nodes[1]);
    server_start(&stage.server, no_files);
    run_until(&stage.loop, node_is_up, &stage.nodes[0]);
    run_until(&stage.loop, node_is_up, &stage.nodes[1]);
    wait_until(everybody_is_listed_everywhere, &stage);
    asks_stop(&stage);
}

/* An entry that somebody else wrote. */
static void presence_beyond_reading_is_listed_by_its_client_alone(void **state)
{
    struct asks_stage stage;

    (void)state;
    asks_start(&stage, true);
    server_call(&stage.server, "HSET test:{room}:w odd nonsense %s x",
                "a client whose name is longer "
                "than any that there is, and so is none that could be listed here");
    server_call(&stage.server, "ZADD test:{room}:d 9e15 odd");
    assert_string_equal(asks_presence_at(&stage, &stage.nodes[0]).text, "[odd=/]");
    asks_stop(&stage);
}

static void assert_ends(struct asks_stage *stage, struct question *questions, int error)
{
    for (size_t i = 0; i < 3; i++) {
        asks_wait(stage, &questions[i]);
        assert_int_equal(questions[i].error, error);
        assert_int_equal(questions[i].count, 0);
    }
}

static void put_all(struct asks_stage *stage, struct question *questions)
{
    memset(questions, 0, 3 * sizeof(*questions));
    asks_put(&stage->nodes[0], &questions[0], bus_ask_history);
    asks_put(&stage->nodes[0], &questions[1], bus_ask_presence);
    asks_put(&stage->nodes[0], &questions[2], bus_forget_history);
}

static void questions_end_when_redis_goes_and_while_it_is_away(void **state)
{
    struct asks_stage stage;
    struct question questions[3];
    struct saying saying;

    (void)state;
    asks_start(&stage, true);
    put_all(&stage, questions);
    server_kill(&stage.server);
    assert_ends(&stage, questions, UV_ENOTCONN);
    run_until(&stage.loop, node_is_down, &stage.nodes[0]);
    put_all(&stage, questions);
    assert_ends(&stage, questions, UV_ENOTCONN);
    asks_begin_to_say(&stage.nodes[0], &saying, "x", (struct manner){.kind = MESSAGE_JOIN});
    assert_true(saying.is_over);
    assert_int_equal(saying.error, UV_ENOTCONN);
    asks_stop(&stage);
}

static void question_that_redis_refuses_for_good_is_told(void **state)
{
    struct asks_stage stage;
    struct question question = {0};

    (void)state;
    asks_start(&stage, true);
    server_call(&stage.server, "SET test:{room}:w text");
    asks_put(&stage.nodes[0], &question, bus_ask_presence);
    asks_wait(&stage, &question);
    assert_int_equal(question.error, UV_EPROTO);
    asks_stop(&stage);
}

static void scripts_that_were_forgotten_are_loaded_again(void **state)
{
    struct asks_stage stage;

    (void)state;
    asks_start(&stage, true);
    asks_say(&stage, "a");
    server_call(&stage.server, "SCRIPT FLUSH");
    assert_string_equal(asks_history(&stage, (struct bus_ask){.limit = 10}).text, "a@1");
    server_call(&stage.server, "SCRIPT FLUSH");
    two_come(&stage);
    asks_stop(&stage);
}

static bool second_heard_ten(void *context)
{
    return ((struct asks_stage *)context)->nodes[1].heard >= 10;
}

static void ephemeral_message_reaches_every_gateway(void **state)
{
    struct asks_stage stage;

    (void)state;
    asks_start(&stage, true);
    for (size_t i = 0; i < 10; i++)
        asks_say_so(&stage, "e", (struct manner){.kind = MESSAGE_CONTROL});
    run_until(&stage.loop, second_heard_ten, &stage);
    assert_int_equal(server_call(&stage.server, "EXISTS test:{room}:s test:{room}:m"), 0);
    asks_stop(&stage);
}

static void keys_are_known_to_all_gateways_for_a_while(void **state)
{
    struct asks_stage stage;
    struct saying first;
    struct saying second;

    (void)state;
    asks_start(&stage, true);
    first = asks_say_so(&stage, "a", (struct manner){.key = "k"});
    asks_begin_to_say(&stage.nodes[1], &second, "a", (struct manner){.key = "k"});
    run_until(&stage.loop, saying_is_over, &second);
    assert_int_equal(second.error, 0);
    assert_true(second.publish.is_repeat);
    assert_int_equal(second.offset, first.offset);
    assert_string_equal(second.epoch, first.epoch);
    assert_in_range(server_call(&stage.server, "PTTL test:{room}:key:k:"), 1, BUS_KEY_WINDOW_MS);
    asks_stop(&stage);
}

/* The key is in what the gateways give back to a Redis that lost everything. */
static void keys_survive_the_loss_of_the_history(void **state)
{
    struct asks_stage stage;
    struct saying again;

    (void)state;
    asks_start(&stage, true);
    asks_say(&stage, "a");
    asks_say_so(&stage, "b", (struct manner){.key = "k"});
    server_kill(&stage.server);
    run_until(&stage.loop, node_is_down, &stage.nodes[0]);
    server_start(&stage.server, no_files);
    run_until(&stage.loop, node_is_up, &stage.nodes[0]);
    again = asks_say_so(&stage, "b", (struct manner){.key = "k"});
    assert_int_equal(again.error, 0);
    assert_true(again.publish.is_repeat);
    assert_int_equal(again.offset, 2);
    assert_int_equal(asks_say(&stage, "c"), 3);
    asks_assert_heard(&stage, "a@1 b@2 c@3");
    assert_int_equal(stage.nodes[0].lost, 0);
    asks_stop(&stage);
}

/* Whose history has another epoch since, up to the fork of which both are the same. */
static void position_before_the_fork_is_a_position(void **state)
{
    struct asks_stage stage;
    struct question before;
    struct question after;

    (void)state;
    asks_start(&stage, true);
    asks_say(&stage, "a");
    asks_say(&stage, "b");
    before = asks_history(&stage, (struct bus_ask){.limit = 10});
    server_kill(&stage.server);
    run_until(&stage.loop, node_is_down, &stage.nodes[0]);
    server_start(&stage.server, no_files);
    run_until(&stage.loop, node_is_up, &stage.nodes[0]);
    assert_int_equal(asks_say(&stage, "c"), 3);
    before.ask = (struct bus_ask){.offset = 1, .limit = 10};
    epoch_copy(before.ask.epoch, before.epoch);
    after = asks_history(&stage, before.ask);
    assert_string_equal(after.text, "b@2 c@3");
    assert_false(after.is_lost);
    assert_string_not_equal(after.epoch, before.epoch);
    asks_stop(&stage);
}

static bool first_lost(void *context)
{
    return ((struct asks_stage *)context)->nodes[0].lost > 0;
}

/* Messages that nobody kept, published while a gateway could not hear them. */
static void hole_that_was_never_kept_is_told(void **state)
{
    struct asks_stage stage;
    struct saying sayings[3];
    struct manner manner = {.has_limits = true};

    (void)state;
    asks_start(&stage, true);
    asks_say_so(&stage, "a", manner);
    run_until(&stage.loop, node_is_up, &stage.nodes[1]);
    server_call(&stage.server, "HINCRBY test:{room}:m o 2");
    for (size_t i = 0; i < 3; i++)
        asks_begin_to_say(&stage.nodes[1], &sayings[i], "b", manner);
    run_until(&stage.loop, first_lost, &stage);
    for (size_t i = 0; i < 3; i++) {
        run_until(&stage.loop, saying_is_over, &sayings[i]);
        assert_int_equal(sayings[i].error, 0);
    }
    assert_int_equal(asks_say_so(&stage, "end", manner).offset, 7);
    assert_non_null(strstr(stage.heard, "end@7"));
    assert_int_equal(server_call(&stage.server, "EXISTS test:{room}:s"), 0);
    asks_stop(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_of_all_gateways_are_listed),
        cmocka_unit_test(clients_of_a_dead_gateway_leave_by_themselves),
        cmocka_unit_test(nothing_of_presence_stays_behind),
        cmocka_unit_test(whoever_is_there_is_announced_again_and_again),
        cmocka_unit_test(connection_that_comes_back_announces_everybody),
        cmocka_unit_test(presence_beyond_reading_is_listed_by_its_client_alone),
        cmocka_unit_test(questions_end_when_redis_goes_and_while_it_is_away),
        cmocka_unit_test(question_that_redis_refuses_for_good_is_told),
        cmocka_unit_test(scripts_that_were_forgotten_are_loaded_again),
        cmocka_unit_test(ephemeral_message_reaches_every_gateway),
        cmocka_unit_test(keys_are_known_to_all_gateways_for_a_while),
        cmocka_unit_test(keys_survive_the_loss_of_the_history),
        cmocka_unit_test(position_before_the_fork_is_a_position),
        cmocka_unit_test(hole_that_was_never_kept_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
