/* What buses promise alike: every test runs on the local bus, on a real Redis and on a
 * real router. */
#include "tests/unit/bus_asks_fixture.h"

static void start(struct asks_stage *stage, void **state)
{
    if (strcmp(*state, "router") == 0)
        asks_start_at_router(stage);
    else
        asks_start(stage, strcmp(*state, "redis") == 0);
}

static void say_some(struct asks_stage *stage, const char *texts)
{
    for (char text[2] = {*texts}; *text; text[0] = *++texts)
        asks_say(stage, text);
}

static struct bus_ask from(const struct question *question, uint64_t offset, uint64_t limit,
                           bool is_reverse)
{
    struct bus_ask ask = {.offset = offset, .limit = limit, .is_reverse = is_reverse};

    epoch_copy(ask.epoch, question->epoch);
    return ask;
}

static void assert_history(struct asks_stage *stage, struct bus_ask ask, bool is_lost,
                           const char *text)
{
    struct question question = asks_history(stage, ask);

    assert_string_equal(question.text, text);
    assert_int_equal(question.is_lost, is_lost);
}

static void history_is_read_from_either_end_and_from_a_position(void **state)
{
    struct asks_stage stage;
    struct question all;

    start(&stage, state);
    say_some(&stage, "abcdef");
    all = asks_history(&stage, (struct bus_ask){.limit = 100});
    assert_string_equal(all.text, "a@1 b@2 c@3 d@4 e@5 f@6");
    assert_int_equal(all.offset, 6);
    assert_false(all.is_lost);
    assert_history(&stage, (struct bus_ask){.limit = 2}, false, "a@1 b@2");
    assert_history(&stage, (struct bus_ask){.limit = 2, .is_reverse = true}, false, "f@6 e@5");
    assert_history(&stage, from(&all, 2, 3, false), false, "c@3 d@4 e@5");
    assert_history(&stage, from(&all, 6, 3, false), false, "");
    assert_history(&stage, from(&all, 0, 1, false), false, "a@1");
    assert_history(&stage, from(&all, 3, 100, true), false, "b@2 a@1");
    assert_history(&stage, from(&all, 7, 1, true), false, "f@6");
    assert_history(&stage, from(&all, 1, 100, true), false, "");
    assert_history(&stage, from(&all, 0, 100, true), false, "");
    asks_stop(&stage);
}

static void limit_of_nothing_tells_where_the_channel_stands(void **state)
{
    struct asks_stage stage;
    struct question stand;

    start(&stage, state);
    stand = asks_history(&stage, (struct bus_ask){0});
    assert_string_equal(stand.epoch, "");
    assert_int_equal(stand.offset, 0);
    assert_false(stand.is_lost);
    say_some(&stage, "abc");
    stand = asks_history(&stage, (struct bus_ask){0});
    assert_int_equal(strlen(stand.epoch), MESSAGE_EPOCH_LIMIT);
    assert_int_equal(stand.offset, 3);
    assert_int_equal(stand.count, 0);
    assert_false(stand.is_lost);
    assert_false(asks_history(&stage, from(&stand, 2, 0, false)).is_lost);
    assert_true(asks_history(&stage, from(&stand, 4, 0, false)).is_lost);
    asks_stop(&stage);
}

static void who_asks_for_its_beginning_gives_a_channel_its_epoch(void **state)
{
    struct asks_stage stage;
    struct question first, again;

    start(&stage, state);
    first = asks_history(&stage, (struct bus_ask){.begins = true});
    assert_string_not_equal(first.epoch, "");
    assert_int_equal(first.offset, 0);
    again = asks_history(&stage, (struct bus_ask){.begins = true});
    assert_string_equal(again.epoch, first.epoch);
    say_some(&stage, "ab");
    assert_history(&stage, from(&first, 0, 100, false), false, "a@1 b@2");
    asks_stop(&stage);
}

static void position_that_never_was_is_lost_and_the_rest_is_given(void **state)
{
    struct asks_stage stage;
    struct question foreign = {.epoch = "elsewhere"};
    struct question all;

    start(&stage, state);
    assert_history(&stage, from(&foreign, 1, 10, false), true, "");
    say_some(&stage, "abc");
    all = asks_history(&stage, (struct bus_ask){.limit = 10});
    assert_history(&stage, from(&foreign, 2, 10, false), true, "a@1 b@2 c@3");
    assert_history(&stage, from(&foreign, 2, 10, true), true, "c@3 b@2 a@1");
    assert_history(&stage, from(&all, 4, 10, false), true, "a@1 b@2 c@3");
    assert_history(&stage, from(&all, UINT64_MAX, 2, false), true, "a@1 b@2");
    assert_history(&stage, from(&all, UINT64_MAX, 2, true), true, "c@3 b@2");
    asks_stop(&stage);
}

static const struct manner keep_three = {.has_limits = true, .history_size = 3};
static const struct manner keep_nothing = {.has_limits = true};

static void what_is_kept_no_more_is_lost(void **state)
{
    struct asks_stage stage;
    struct question all;

    start(&stage, state);
    say_some(&stage, "abcd");
    asks_say_so(&stage, "e", keep_three);
    all = asks_history(&stage, (struct bus_ask){.limit = 10});
    assert_string_equal(all.text, "c@3 d@4 e@5");
    assert_false(all.is_lost);
    assert_history(&stage, from(&all, 2, 10, false), false, "c@3 d@4 e@5");
    assert_history(&stage, from(&all, 1, 10, false), true, "c@3 d@4 e@5");
    assert_true(asks_history(&stage, from(&all, 1, 0, false)).is_lost);
    assert_history(&stage, from(&all, 4, 10, true), false, "c@3");
    assert_history(&stage, from(&all, 3, 10, true), true, "");
    asks_stop(&stage);
}

static void message_that_is_not_kept_has_its_place(void **state)
{
    struct asks_stage stage;
    struct saying saying;
    struct question all;

    start(&stage, state);
    say_some(&stage, "ab");
    saying = asks_say_so(&stage, "c", keep_nothing);
    assert_int_equal(saying.error, 0);
    assert_int_equal(saying.offset, 3);
    asks_assert_heard(&stage, "a@1 b@2 c@3");
    all = asks_history(&stage, (struct bus_ask){.limit = 10});
    assert_string_equal(all.text, "");
    assert_int_equal(all.offset, 3);
    assert_history(&stage, from(&all, 2, 10, false), true, "");
    assert_history(&stage, from(&all, 3, 10, false), false, "");
    say_some(&stage, "d");
    assert_history(&stage, from(&all, 3, 10, false), false, "d@4");
    assert_history(&stage, from(&all, 2, 10, false), true, "d@4");
    assert_int_equal(stage.nodes[0].lost, 0);
    asks_stop(&stage);
}

static void long_history_comes_whole(void **state)
{
    struct asks_stage stage;
    struct saying sayings[1300];
    struct question question;

    start(&stage, state);
    for (size_t i = 0; i < 1300; i++)
        asks_begin_to_say(&stage.nodes[0], &sayings[i], "x", (struct manner){0});
    run_until(&stage.loop, saying_is_over, &sayings[1299]);
    question = asks_history(&stage, (struct bus_ask){.limit = BUS_PAGE_LIMIT});
    assert_int_equal(question.count, 1300);
    question = asks_history(&stage, from(&question, 1299, 1200, true));
    assert_int_equal(question.count, 1200);
    question = asks_history(&stage, from(&question, 100, 1100, false));
    assert_int_equal(question.count, 1100);
    assert_false(question.is_lost);
    asks_stop(&stage);
}

/* Larger together than what is collected at a time. */
static void history_of_large_messages_comes_whole(void **state)
{
    struct asks_stage stage;
    char *large = memory_zeroed(1, 400001);
    struct question question;

    start(&stage, state);
    memset(large, 'x', 400000);
    for (size_t i = 0; i < 7; i++)
        asks_say(&stage, large);
    question = asks_history(&stage, (struct bus_ask){.limit = 6});
    assert_int_equal(question.count, 6);
    question = asks_history(&stage, (struct bus_ask){.limit = 100, .is_reverse = true});
    assert_int_equal(question.count, 7);
    memory_free(large);
    asks_stop(&stage);
}

static void forgotten_history_is_gone_and_the_order_goes_on(void **state)
{
    struct asks_stage stage;
    struct question before;
    struct question forget = {0};

    start(&stage, state);
    say_some(&stage, "abc");
    before = asks_history(&stage, (struct bus_ask){.limit = 10});
    asks_put(&stage.nodes[0], &forget, bus_forget_history);
    asks_wait(&stage, &forget);
    assert_int_equal(forget.error, 0);
    assert_string_equal(forget.epoch, "");
    assert_history(&stage, (struct bus_ask){.limit = 10}, false, "");
    assert_history(&stage, from(&before, 3, 10, false), false, "");
    assert_history(&stage, from(&before, 2, 10, false), true, "");
    assert_int_equal(asks_say(&stage, "d"), 4);
    assert_history(&stage, from(&before, 3, 10, false), false, "d@4");
    assert_int_equal(stage.nodes[0].lost, 0);
    asks_stop(&stage);
}

static void assert_present(const struct question *question, const char *who)
{
    if (!strstr(question->text, who))
        fail_msg("%s is not in %s", who, question->text);
}

static void whoever_comes_is_listed_until_they_go(void **state)
{
    struct asks_stage stage;
    struct question question;

    start(&stage, state);
    assert_int_equal(asks_presence_at(&stage, &stage.nodes[0]).count, 0);
    asks_enter(&stage.nodes[0], "c1", "ann", "{}");
    asks_enter(&stage.nodes[0], "c2", "", "");
    question = asks_presence_at(&stage, &stage.nodes[0]);
    assert_int_equal(question.count, 2);
    assert_present(&question, "[c1=ann/{}]");
    assert_present(&question, "[c2=/]");
    assert_string_equal(question.epoch, "");
    asks_enter(&stage.nodes[0], "c1", "ann", "{\"away\":true}");
    asks_leave(&stage.nodes[0], "c2");
    asks_leave(&stage.nodes[0], "c3");
    question = asks_presence_at(&stage, &stage.nodes[0]);
    assert_string_equal(question.text, "[c1=ann/{\"away\":true}]");
    asks_leave(&stage.nodes[0], "c1");
    assert_int_equal(asks_presence_at(&stage, &stage.nodes[0]).count, 0);
    asks_stop(&stage);
}

static void info_beyond_its_limit_is_left_out(void **state)
{
    struct asks_stage stage;
    char info[BUS_INFO_LIMIT + 2];
    struct question question;

    start(&stage, state);
    memset(info, 'x', sizeof(info));
    info[BUS_INFO_LIMIT + 1] = '\0';
    asks_enter(&stage.nodes[0], "c1", "ann", info);
    question = asks_presence_at(&stage, &stage.nodes[0]);
    assert_string_equal(question.text, "[c1=ann/]");
    info[BUS_INFO_LIMIT] = '\0';
    asks_enter(&stage.nodes[0], "c1", "ann", info);
    question = asks_presence_at(&stage, &stage.nodes[0]);
    assert_true(strlen(question.text) > BUS_INFO_LIMIT);
    asks_stop(&stage);
}

static void crowd_is_listed_whole_and_leaves_with_the_channel(void **state)
{
    struct asks_stage stage;
    char info[1000];

    start(&stage, state);
    memset(info, 'x', sizeof(info));
    info[sizeof(info) - 1] = '\0';
    for (size_t i = 0; i < 1500; i++) {
        char client[16];

        snprintf(client, sizeof(client), "c%zu", i);
        asks_enter(&stage.nodes[0], client, "somebody", info);
    }
    while (asks_presence_at(&stage, &stage.nodes[0]).count < 1500)
        ; /* announced in several turns */
    assert_int_equal(asks_presence_at(&stage, &stage.nodes[0]).count, 1500);
    bus_unsubscribe(stage.nodes[0].bus, CHANNEL, strlen(CHANNEL));
    assert_int_equal(asks_presence_at(&stage, &stage.nodes[0]).count, 0);
    asks_stop(&stage);
}

static void repeated_key_is_acknowledged_again_and_not_delivered(void **state)
{
    struct asks_stage stage;
    struct saying first;
    struct saying second;

    start(&stage, state);
    asks_say(&stage, "a");
    first = asks_say_so(&stage, "b", (struct manner){.key = "k"});
    asks_say(&stage, "c");
    second = asks_say_so(&stage, "b", (struct manner){.key = "k"});
    assert_int_equal(first.error, 0);
    assert_int_equal(first.offset, 2);
    assert_false(first.publish.is_repeat);
    assert_int_equal(second.error, 0);
    assert_int_equal(second.offset, 2);
    assert_true(second.publish.is_repeat);
    assert_string_equal(second.epoch, first.epoch);
    assert_int_equal(asks_say_so(&stage, "d", (struct manner){.key = "other"}).offset, 4);
    asks_assert_heard(&stage, "a@1 b@2 c@3 d@4");
    assert_history(&stage, (struct bus_ask){.limit = 10}, false, "a@1 b@2 c@3 d@4");
    asks_stop(&stage);
}

/* The next message names the repeated one as the one before it. */
static void repetition_in_the_middle_of_a_burst_holds_nothing_up(void **state)
{
    struct asks_stage stage;
    struct saying sayings[5];

    start(&stage, state);
    for (size_t i = 0; i < 5; i++)
        asks_begin_to_say(&stage.nodes[0], &sayings[i], "x",
                          (struct manner){.key = i == 1 || i == 3 ? "k" : NULL});
    run_until(&stage.loop, saying_is_over, &sayings[4]);
    assert_int_equal(sayings[1].offset, 2);
    assert_int_equal(sayings[3].offset, 2);
    assert_true(sayings[3].publish.is_repeat);
    assert_int_equal(sayings[4].offset, 4);
    for (size_t i = 0; i < 5; i++)
        assert_true(sayings[i].is_over && sayings[i].error == 0);
    asks_say(&stage, "end");
    asks_assert_heard(&stage, "x@1 x@2 x@3 x@4 end@5");
    asks_stop(&stage);
}

static void key_of_a_message_that_is_not_kept_counts(void **state)
{
    struct asks_stage stage;
    struct manner manner = {.key = "k", .has_limits = true};

    start(&stage, state);
    assert_int_equal(asks_say_so(&stage, "a", manner).offset, 1);
    assert_int_equal(asks_say_so(&stage, "a", manner).offset, 1);
    asks_assert_heard(&stage, "a@1");
    asks_stop(&stage);
}

static void key_counts_where_nobody_is_subscribed(void **state)
{
    struct asks_stage stage;
    struct manner manner = {.key = "k", .has_limits = true};
    struct saying first;
    struct saying second;

    start(&stage, state);
    bus_unsubscribe(stage.nodes[0].bus, CHANNEL, strlen(CHANNEL));
    first = asks_say_so(&stage, "a", manner);
    asks_say_so(&stage, "b", keep_nothing);
    second = asks_say_so(&stage, "a", manner);
    assert_int_equal(first.error, 0);
    assert_true(second.publish.is_repeat);
    assert_int_equal(second.offset, first.offset);
    assert_string_equal(second.epoch, first.epoch);
    asks_assert_heard(&stage, "");
    asks_stop(&stage);
}

static bool something_ephemeral_was_heard(void *context)
{
    return strstr(((struct asks_stage *)context)->heard, "!") != NULL;
}

static void ephemeral_message_is_delivered_and_leaves_no_trace(void **state)
{
    static const enum message_kind kinds[] = {MESSAGE_JOIN, MESSAGE_LEAVE, MESSAGE_CONTROL};
    struct asks_stage stage;

    start(&stage, state);
    asks_say(&stage, "a");
    stage.heard[0] = '\0';
    for (size_t i = 0; i < 3; i++) {
        struct saying saying = asks_say_so(&stage, "e", (struct manner){.kind = kinds[i]});

        assert_int_equal(saying.error, 0);
        assert_int_equal(saying.offset, 0);
        assert_string_equal(saying.epoch, "");
        run_until(&stage.loop, something_ephemeral_was_heard, &stage);
        asks_assert_heard(&stage, "e!");
    }
    assert_int_equal(asks_say(&stage, "b"), 2);
    asks_assert_heard(&stage, "b@2");
    assert_history(&stage, (struct bus_ask){.limit = 10}, false, "a@1 b@2");
    assert_int_equal(stage.nodes[0].lost, 0);
    asks_stop(&stage);
}

static void json_and_origin_come_over_the_bus(void **state)
{
    struct asks_stage stage;

    start(&stage, state);
    asks_say_so(&stage, "{\"a\":1}", (struct manner){.kind = MESSAGE_JSON});
    asks_assert_heard(&stage, "{\"a\":1}@1");
    assert_history(&stage, (struct bus_ask){.limit = 10}, false, "{\"a\":1}@1");
    asks_stop(&stage);
}

static void questions_end_with_the_bus(void **state)
{
    struct asks_stage stage;
    struct question questions[3] = {0};

    start(&stage, state);
    asks_put(&stage.nodes[0], &questions[0], bus_ask_history);
    asks_put(&stage.nodes[0], &questions[1], bus_ask_presence);
    asks_put(&stage.nodes[0], &questions[2], bus_forget_history);
    node_close(&stage.nodes[0], &stage.loop);
    for (size_t i = 0; i < 3; i++) {
        assert_true(questions[i].is_answered);
        assert_int_equal(questions[i].error, UV_ECANCELED);
    }
    asks_stop(&stage);
}

#define ON(test, bus)                                                                              \
    {                                                                                              \
#test " on " bus, test, NULL, NULL, (void *)(bus)                                          \
    }
#define ON_ALL(test) ON(test, "local"), ON(test, "redis"), ON(test, "router")

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_ALL(history_is_read_from_either_end_and_from_a_position),
        ON_ALL(limit_of_nothing_tells_where_the_channel_stands),
        ON_ALL(who_asks_for_its_beginning_gives_a_channel_its_epoch),
        ON_ALL(position_that_never_was_is_lost_and_the_rest_is_given),
        ON_ALL(what_is_kept_no_more_is_lost),
        ON_ALL(message_that_is_not_kept_has_its_place),
        ON_ALL(long_history_comes_whole),
        ON_ALL(history_of_large_messages_comes_whole),
        ON_ALL(forgotten_history_is_gone_and_the_order_goes_on),
        ON_ALL(whoever_comes_is_listed_until_they_go),
        ON_ALL(info_beyond_its_limit_is_left_out),
        ON_ALL(crowd_is_listed_whole_and_leaves_with_the_channel),
        ON_ALL(repeated_key_is_acknowledged_again_and_not_delivered),
        ON_ALL(repetition_in_the_middle_of_a_burst_holds_nothing_up),
        ON_ALL(key_of_a_message_that_is_not_kept_counts),
        ON_ALL(key_counts_where_nobody_is_subscribed),
        ON_ALL(ephemeral_message_is_delivered_and_leaves_no_trace),
        ON_ALL(json_and_origin_come_over_the_bus),
        ON_ALL(questions_end_with_the_bus),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
