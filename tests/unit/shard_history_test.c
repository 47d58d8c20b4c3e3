/* What gateways read of a history. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "tests/unit/virtual_cluster.h"

/* Asks for history from (epoch, offset). */
static void assert_answer(const char *epoch, uint64_t offset, uint64_t limit, bool is_reverse,
                          bool is_lost, const char *expected)
{
    struct question question;

    prepare(&question, "news");
    epoch_copy(question.ask.epoch, epoch);
    question.ask.offset = offset;
    question.ask.limit = limit;
    question.ask.is_reverse = is_reverse;
    ask_history(&gateways[1], &question);
    assert_int_equal(question.answers, 1);
    assert_int_equal(question.error, 0);
    assert_string_equal(question.text, expected);
    assert_int_equal(question.offset, 5);
    assert_int_equal(question.is_lost, is_lost);
}

static void assert_history(const char *epoch, uint64_t offset, uint64_t limit, bool is_reverse,
                           const char *expected)
{
    assert_answer(epoch, offset, limit, is_reverse, false, expected);
}

static void say_five(char epoch[MESSAGE_EPOCH_LIMIT + 1])
{
    static const char *const texts[] = {"one", "two", "three", "four", "five"};
    struct question question;

    for (int i = 0; i < 5; i++)
        say(&gateways[0], "news", texts[i]);
    prepare(&question, "news");
    ask_history(&gateways[0], &question);
    epoch_copy(epoch, question.epoch);
}

static void history_is_read_from_either_end(void **state)
{
    char epoch[MESSAGE_EPOCH_LIMIT + 1];

    (void)state;
    set_up(2);
    say_five(epoch);
    assert_history("", 0, UINT64_MAX, false, "one two three four five");
    assert_history("", 0, 2, false, "one two");
    assert_history("", 0, UINT64_MAX, true, "five four three two one");
    assert_history("", 0, 2, true, "five four");
    assert_history("", 0, 0, false, "");
    assert_history("", 0, 0, true, "");
    tear_down();
}

static void history_is_read_from_a_position(void **state)
{
    char epoch[MESSAGE_EPOCH_LIMIT + 1];

    (void)state;
    set_up(2);
    say_five(epoch);
    assert_history(epoch, 3, UINT64_MAX, false, "four five");
    assert_history(epoch, 3, 1, false, "four");
    assert_history(epoch, 5, UINT64_MAX, false, "");
    assert_history(epoch, 3, UINT64_MAX, true, "two one");
    assert_history(epoch, 3, 1, true, "two");
    assert_history(epoch, 1, UINT64_MAX, true, "");
    tear_down();
}

static void a_position_that_is_none_is_lost_and_the_rest_is_told(void **state)
{
    char epoch[MESSAGE_EPOCH_LIMIT + 1];

    (void)state;
    set_up(2);
    say_five(epoch);
    assert_answer("another", 3, UINT64_MAX, false, true, "one two three four five");
    assert_answer("another", 3, 2, true, true, "five four");
    assert_answer(epoch, 6, 1, false, true, "one");
    assert_answer(epoch, 7, 1, true, true, "five");
    assert_answer(epoch, 6, 1, true, false, "five");
    tear_down();
}

static void a_long_history_comes_in_pieces_and_is_one_answer(void **state)
{
    static char data[50000];
    struct publish publish;
    struct question question;

    (void)state;
    memset(data, 'x', sizeof(data));
    set_up(1);
    for (int i = 0; i < 10; i++)
        say_bytes(&gateways[0], &publish, "news", data, sizeof(data));
    sent[FRAME_HISTORY] = 0;
    prepare(&question, "news");
    ask_history(&gateways[1], &question);
    assert_int_equal(question.answers, 1);
    assert_int_equal(question.count, 10);
    assert_int_equal(sent[FRAME_HISTORY], 10); /* no two fit together */
    tear_down();
}

static void what_is_not_committed_is_not_told(void **state)
{
    struct publish publish;
    struct question question;

    (void)state;
    set_up(2);
    say(&gateways[0], "news", "one");
    run(1000); /* the mirror is in sync */
    is_held = true;
    say_bytes(&gateways[0], &publish, "news", "two", 3);
    assert_false(publish.is_done);
    for (int i = 0; i < 2; i++) {
        prepare(&question, "news");
        question.ask.is_reverse = i == 1;
        ask_history(&gateways[1], &question);
        assert_int_equal(question.answers, 1);
        assert_int_equal(question.offset, 1);
        assert_string_equal(question.text, "one");
    }
    is_held = false;
    run(STEP_MS);
    assert_true(publish.is_done);
    prepare(&question, "news");
    ask_history(&gateways[1], &question);
    assert_int_equal(question.offset, 2);
    assert_string_equal(question.text, "one two");
    tear_down();
}

static void history_outlives_its_router(void **state)
{
    char epoch[MESSAGE_EPOCH_LIMIT + 1];

    (void)state;
    set_up(2);
    subscribe(&gateways[0], "news");
    say_five(epoch);
    run(1000);
    kill_process(owner_of("news"));
    run(3000);
    assert_history(epoch, 2, UINT64_MAX, false, "three four five");
    tear_down();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(history_is_read_from_either_end),
        cmocka_unit_test(history_is_read_from_a_position),
        cmocka_unit_test(a_position_that_is_none_is_lost_and_the_rest_is_told),
        cmocka_unit_test(a_long_history_comes_in_pieces_and_is_one_answer),
        cmocka_unit_test(what_is_not_committed_is_not_told),
        cmocka_unit_test(history_outlives_its_router),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
