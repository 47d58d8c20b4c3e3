#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/memory.h"
#include "gateway/recent.h"

#define CHANNEL "room"

/* A subscriber, and what it was told. */
struct waiter_of_test {
    struct catch_up catch_up;
    int told;
    int error;
    bool is_recovered;
    uint64_t offset;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    size_t count;
    uint64_t first;
    uint64_t last;
};

static struct recents recents;
static struct recent *recent;
static struct recent_question questions[8];
static size_t question_count;
static struct waiter_of_test people[5];

static void on_ask(void *context, const struct recent_question *question)
{
    assert_ptr_equal(context, &recents);
    assert_true(question_count < 8);
    questions[question_count++] = *question;
}

static void on_done(struct catch_up *catch_up, const struct missed *missed)
{
    struct waiter_of_test *waiter = container_of(catch_up, struct waiter_of_test, catch_up);

    waiter->told++;
    waiter->error = missed->error;
    waiter->is_recovered = missed->is_recovered;
    waiter->offset = missed->offset;
    epoch_copy(waiter->epoch, missed->epoch);
    waiter->count = missed->message_count;
    for (size_t i = 0; i < missed->message_count; i++)
        assert_int_equal(missed->messages[i]->offset, missed->messages[0]->offset + i);
    if (missed->message_count > 0) {
        waiter->first = missed->messages[0]->offset;
        waiter->last = missed->messages[missed->message_count - 1]->offset;
    }
}

static int set_up_with(uint64_t memory, uint64_t reach)
{
    question_count = 0;
    memset(people, 0, sizeof(people));
    recents_init(&recents, memory, reach, on_ask, &recents);
    recent = recent_create(&recents, CHANNEL, strlen(CHANNEL));
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(1 << 20, 100);
}

static int tear_down(void **state)
{
    (void)state;
    recent_destroy(recent);
    assert_int_equal(recents.family.memory, 0);
    recents_deinit(&recents);
    return 0;
}

static struct message *message(const char *epoch, uint64_t offset)
{
    struct message *message = message_create(MESSAGE_TEXT, CHANNEL, strlen(CHANNEL), "x", 1);

    epoch_copy(message->epoch, epoch);
    message->offset = offset;
    return message;
}

static bool hear(const char *epoch, uint64_t offset)
{
    struct message *heard = message(epoch, offset);
    bool is_next = recent_add(recent, heard);

    message_unref(heard);
    return is_next;
}

/* The bus answers the newest question: the channel stands at (epoch, top), and these messages. */
static void answer(const char *epoch, uint64_t top, uint64_t first, uint64_t last, bool is_lost)
{
    struct message *messages[256];
    struct recent_page page = {.offset = top, .is_lost = is_lost, .messages = messages};

    epoch_copy(page.epoch, epoch);
    for (uint64_t offset = first; first > 0 && offset <= last; offset++)
        messages[page.message_count++] = message(epoch, offset);
    recent_answer(recent, questions[question_count - 1].generation, &page);
    for (size_t i = 0; i < page.message_count; i++)
        message_unref(messages[i]);
}

static void come(struct waiter_of_test *waiter, const char *epoch, uint64_t offset)
{
    waiter->told = 0;
    waiter->catch_up = (struct catch_up){.has_position = epoch != NULL, .offset = offset};
    epoch_copy(waiter->catch_up.epoch, epoch ? epoch : "");
    waiter->catch_up.done = on_done;
    recent_catch_up(recent, &waiter->catch_up);
}

static void assert_recovered(const struct waiter_of_test *waiter, uint64_t first, uint64_t last)
{
    assert_int_equal(waiter->told, 1);
    assert_int_equal(waiter->error, 0);
    assert_true(waiter->is_recovered);
    assert_int_equal(waiter->count, last + 1 - first);
    if (waiter->count > 0) {
        assert_int_equal(waiter->first, first);
        assert_int_equal(waiter->last, last);
    }
    assert_int_equal(waiter->offset, last);
}

static void assert_at(const struct waiter_of_test *waiter, const char *epoch, uint64_t offset)
{
    assert_int_equal(waiter->told, 1);
    assert_int_equal(waiter->error, 0);
    assert_false(waiter->is_recovered);
    assert_int_equal(waiter->count, 0);
    assert_string_equal(waiter->epoch, epoch);
    assert_int_equal(waiter->offset, offset);
}

static void asks_once_where_the_channel_stands(void **state)
{
    (void)state;
    for (size_t i = 0; i < 5; i++)
        come(&people[i], NULL, 0);
    recents_end_tick(&recents);
    recents_end_tick(&recents);
    assert_int_equal(question_count, 1);
    assert_int_equal(questions[0].limit, 0);

    answer("e", 7, 0, 0, false);
    for (size_t i = 0; i < 5; i++)
        assert_at(&people[i], "e", 7);
    assert_true(hear("e", 8));
    come(&people[0], NULL, 0);
    assert_at(&people[0], "e", 8);
    assert_int_equal(question_count, 1);
}

static void asks_once_for_all_who_come_back(void **state)
{
    (void)state;
    come(&people[0], "e", 5);
    come(&people[1], "e", 3);
    come(&people[2], "e", 9);
    come(&people[3], NULL, 0);
    come(&people[4], "old", 3);
    recents_end_tick(&recents);
    assert_int_equal(question_count, 1);
    assert_int_equal(questions[0].offset, 3);
    assert_string_equal(questions[0].epoch, "e");
    assert_int_equal(questions[0].limit, 100);

    answer("e", 9, 4, 9, false);
    assert_recovered(&people[0], 6, 9);
    assert_recovered(&people[1], 4, 9);
    assert_recovered(&people[2], 10, 9);
    assert_at(&people[3], "e", 9);
    assert_at(&people[4], "e", 9);
}

static void keeps_what_comes_live(void **state)
{
    (void)state;
    come(&people[0], NULL, 0);
    recents_end_tick(&recents);
    answer("e", 2, 0, 0, false);
    for (uint64_t offset = 3; offset <= 20; offset++)
        assert_true(hear("e", offset));
    come(&people[1], "e", 2);
    assert_recovered(&people[1], 3, 20);
    come(&people[2], "e", 19);
    assert_recovered(&people[2], 20, 20);
    assert_int_equal(question_count, 1);
}

static void puts_the_answer_and_what_came_meanwhile_together(void **state)
{
    (void)state;
    come(&people[0], "e", 3);
    assert_true(hear("e", 6));
    recents_end_tick(&recents);
    assert_true(hear("e", 7));
    answer("e", 6, 4, 6, false);
    assert_recovered(&people[0], 4, 7);
    come(&people[1], "e", 4);
    assert_recovered(&people[1], 5, 7);
    assert_int_equal(question_count, 1);
}

static void takes_an_answer_that_is_ahead_of_what_came(void **state)
{
    (void)state;
    come(&people[0], "e", 3);
    recents_end_tick(&recents);
    assert_true(hear("e", 5));
    answer("e", 7, 4, 7, false); /* 6 and 7 are still on their way here */
    assert_recovered(&people[0], 4, 5);
    assert_true(hear("e", 6));
    assert_true(hear("e", 7));
    come(&people[1], NULL, 0);
    assert_at(&people[1], "e", 7);
}

static void who_lacks_more_than_was_asked_waits_for_the_next_answer(void **state)
{
    (void)state;
    come(&people[0], "e", 8);
    recents_end_tick(&recents);
    come(&people[1], "e", 2);
    answer("e", 10, 9, 10, false);
    assert_recovered(&people[0], 9, 10);
    assert_int_equal(people[1].told, 0);

    recents_end_tick(&recents);
    assert_int_equal(question_count, 2);
    assert_int_equal(questions[1].offset, 2);
    answer("e", 10, 3, 10, false);
    assert_recovered(&people[1], 3, 10);
}

static void says_so_where_history_is_gone(void **state)
{
    (void)state;
    come(&people[0], "e", 2);
    come(&people[1], "e", 8);
    recents_end_tick(&recents);
    answer("e", 10, 5, 10, true);
    assert_at(&people[0], "e", 10);
    assert_recovered(&people[1], 9, 10);
}

static void does_not_reach_farther_than_its_limit(void **state)
{
    (void)state;
    come(&people[0], NULL, 0);
    recents_end_tick(&recents);
    answer("e", 500, 0, 0, false);
    come(&people[1], "e", 399);
    assert_at(&people[1], "e", 500);
    come(&people[2], "e", 501); /* nobody has seen that */
    assert_at(&people[2], "e", 500);
    come(&people[3], "e", 400);
    assert_int_equal(people[3].told, 0);
    recents_end_tick(&recents);
    answer("e", 500, 401, 500, false);
    assert_recovered(&people[3], 401, 500);
}

static void who_saw_an_empty_channel_gets_all_from_the_first(void **state)
{
    (void)state;
    come(&people[0], NULL, 0);
    recents_end_tick(&recents);
    answer("", 0, 0, 0, false);
    assert_at(&people[0], "", 0);
    assert_true(hear("e", 1));
    assert_true(hear("e", 2));
    come(&people[1], "", 0);
    assert_recovered(&people[1], 1, 2);
    come(&people[2], "e", 1);
    assert_recovered(&people[2], 2, 2);
}

static void notices_a_hole_and_another_life(void **state)
{
    (void)state;
    come(&people[0], NULL, 0);
    recents_end_tick(&recents);
    answer("e", 4, 0, 0, false);
    assert_true(hear("e", 5));
    assert_false(hear("e", 7));
    assert_false(hear("f", 6));
    assert_false(hear("e", 5));
    recent_lost(recent);
    assert_true(hear("f", 1));
    come(&people[1], NULL, 0);
    recents_end_tick(&recents);
    assert_int_equal(question_count, 2);
    answer("f", 1, 0, 0, false);
    assert_at(&people[1], "f", 1);
}

static void an_answer_from_before_a_loss_does_not_count(void **state)
{
    struct recent_page page = {.offset = 9, .epoch = "e"};

    (void)state;
    come(&people[0], NULL, 0);
    recents_end_tick(&recents);
    recent_lost(recent);
    recent_answer(recent, questions[0].generation, &page);
    assert_int_equal(people[0].told, 0);
    recents_end_tick(&recents);
    assert_int_equal(question_count, 2);
    answer("f", 3, 0, 0, false);
    assert_at(&people[0], "f", 3);
}

static void an_epoch_that_changed_between_message_and_answer_is_asked_anew(void **state)
{
    (void)state;
    come(&people[0], NULL, 0);
    recents_end_tick(&recents);
    assert_true(hear("e", 5));
    answer("f", 1, 0, 0, false);
    assert_int_equal(people[0].told, 0);
    recents_end_tick(&recents);
    answer("f", 1, 0, 0, false);
    assert_at(&people[0], "f", 1);
}

static void an_epoch_that_goes_on_in_the_next_one_counts_up_to_the_fork(void **state)
{
    struct recent_page page = {.offset = 9, .epoch = "f", .previous = "e", .fork = 6};

    (void)state;
    come(&people[0], NULL, 0);
    recents_end_tick(&recents);
    recent_answer(recent, questions[0].generation, &page);
    come(&people[1], "e", 5);
    come(&people[2], "e", 7); /* said by a side that is gone */
    come(&people[3], "d", 5);
    assert_int_equal(people[1].told, 0);
    assert_at(&people[2], "f", 9);
    assert_at(&people[3], "f", 9);
    recents_end_tick(&recents);
    assert_string_equal(questions[1].epoch, "f");
    assert_int_equal(questions[1].offset, 5);
    answer("f", 9, 6, 9, false);
    assert_recovered(&people[1], 6, 9);
}

static void an_error_is_for_those_who_asked(void **state)
{
    struct recent_page page = {.error = UV_ENOTCONN};

    (void)state;
    come(&people[0], "e", 1);
    recents_end_tick(&recents);
    come(&people[1], "e", 1);
    recent_answer(recent, questions[0].generation, &page);
    assert_int_equal(people[0].told, 1);
    assert_int_equal(people[0].error, UV_ENOTCONN);
    assert_int_equal(people[1].told, 0);
    recents_end_tick(&recents);
    answer("e", 1, 0, 0, false);
    assert_recovered(&people[1], 2, 1);
}

static void who_leaves_is_not_told(void **state)
{
    (void)state;
    come(&people[0], "e", 1);
    come(&people[1], "e", 1);
    recents_end_tick(&recents);
    recent_forget(&people[0].catch_up);
    recent_forget(&people[0].catch_up);
    assert_false(recent_is_waiting(&people[0].catch_up));
    assert_true(recent_is_waiting(&people[1].catch_up));
    answer("e", 2, 2, 2, false);
    assert_int_equal(people[0].told, 0);
    assert_recovered(&people[1], 2, 2);

    struct catch_up never = {0};

    recent_forget(&never);
}

static int set_up_without_memory(void **state)
{
    (void)state;
    return set_up_with(1, 100);
}

static void a_flood_that_outruns_the_answers_ends_as_not_recovered(void **state)
{
    (void)state;
    come(&people[0], NULL, 0);
    recents_end_tick(&recents);
    answer("e", 1, 0, 0, false);
    assert_true(hear("e", 2)); /* and is not kept */
    come(&people[1], "e", 1);
    for (uint64_t offset = 3; people[1].told == 0; offset++) {
        assert_true(offset < 10);
        recents_end_tick(&recents);
        assert_true(hear("e", offset));
        answer("e", offset - 1, 2, offset - 1, false); /* one behind */
    }
    assert_false(people[1].is_recovered);

    come(&people[2], "e", people[1].offset - 1);
    recents_end_tick(&recents);
    answer("e", people[1].offset, people[1].offset, people[1].offset, false);
    assert_recovered(&people[2], people[1].offset, people[1].offset);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asks_once_where_the_channel_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(asks_once_for_all_who_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keeps_what_comes_live, set_up, tear_down),
        cmocka_unit_test_setup_teardown(puts_the_answer_and_what_came_meanwhile_together, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(takes_an_answer_that_is_ahead_of_what_came, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_lacks_more_than_was_asked_waits_for_the_next_answer,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(says_so_where_history_is_gone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_reach_farther_than_its_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_saw_an_empty_channel_gets_all_from_the_first, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(notices_a_hole_and_another_life, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_from_before_a_loss_does_not_count, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            an_epoch_that_changed_between_message_and_answer_is_asked_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_epoch_that_goes_on_in_the_next_one_counts_up_to_the_fork,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_is_for_those_who_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_leaves_is_not_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flood_that_outruns_the_answers_ends_as_not_recovered,
                                        set_up_without_memory, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
