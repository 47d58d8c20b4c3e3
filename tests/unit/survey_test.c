/* Surveys of workers that answer only when the test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "gateway/channels.h"
#include "gateway/worker.h"

#define WORKERS 2
#define MANY    5000

static struct loop loop;
static struct inbox hub; /* to which channels tell what nobody listens to */
static struct survey survey;
static struct worker *workers[WORKERS];
static struct survey_command *asked[WORKERS]; /* what each worker was sent last */
static struct subscription subscriptions[MANY];
static size_t joined;
static uint64_t answered_ms; /* when workers answer */

static void forget(struct inbox *inbox, struct inbox_item *item)
{
    (void)inbox;
    memory_free(
        container_of(container_of(item, struct command, item), struct channel_command, command));
}

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct worker *worker = container_of(inbox, struct worker, inbox);
    struct command *command = container_of(item, struct command, item);

    assert_int_equal(command->kind, COMMAND_SURVEY);
    assert_null(asked[worker->index]);
    asked[worker->index] = container_of(command, struct survey_command, command);
}

static struct channels *channels_of(unsigned worker)
{
    return &workers[worker]->connections.sessions.channels;
}

static void begin_nothing(struct subscription *subscription, int error)
{
    (void)subscription;
    (void)error;
}

static const struct channel_sink sink = {.opened = begin_nothing};

static void join(unsigned worker, const char *channel)
{
    channels_join(channels_of(worker), channel, strlen(channel), &subscriptions[joined++], NULL, 1);
}

static void join_many(unsigned worker, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[32];

        snprintf(name, sizeof(name), "room %zu", joined);
        join(worker, name);
    }
}

static int set_up(void **state)
{
    (void)state;
    joined = 0;
    answered_ms = 1050;
    memset(asked, 0, sizeof(asked));
    memset(subscriptions, 0, sizeof(subscriptions));
    survey = (struct survey){0};
    if (loop_init(&loop) || inbox_init(&hub, &loop.uv, forget) || survey_init(&survey))
        return -1;
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = memory_zeroed(1, sizeof(*workers[i]));
        workers[i]->index = i;
        workers[i]->has_thread = true;
        channels_init(channels_of(i), &sink, workers[i], &hub, &workers[i]->stats);
        if (inbox_init(&workers[i]->inbox, &loop.uv, receive))
            return -1;
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < joined; i++)
        channel_leave(&subscriptions[i]);
    for (unsigned i = 0; i < WORKERS; i++) {
        channels_deinit(channels_of(i));
        inbox_close(&workers[i]->inbox);
    }
    inbox_drain(&hub);
    inbox_close(&hub);
    loop_deinit(&loop);
    for (unsigned i = 0; i < WORKERS; i++)
        memory_free(workers[i]);
    survey_deinit(&survey);
    return 0;
}

static const struct survey_result *take(uint64_t now_ms)
{
    const struct survey_result *result = survey_take(&survey, workers, WORKERS, now_ms);

    for (unsigned i = 0; i < WORKERS; i++)
        inbox_drain(&workers[i]->inbox);
    return result;
}

/* The worker looks at all; returns how often it had to. */
static unsigned answer(unsigned worker)
{
    struct slow_clients *slow = &workers[worker]->connections.slow;
    unsigned looks = 1;

    assert_non_null(asked[worker]);
    while (!survey_look(asked[worker], channels_of(worker)))
        looks++;
    survey_answer(asked[worker], slow, answered_ms);
    asked[worker] = NULL;
    return looks;
}

/* As where it is asked for amid an iteration, whose end would wait for the answers. */
static void workers_are_woken_before_it_waits(void **state)
{
    static const uv_loop_t polling; /* somebody's */

    (void)state;
    join(0, "lobby");
    inbox_begin_poll(&polling);
    survey_take(&survey, workers, WORKERS, 1000);
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    for (unsigned i = 0; i < WORKERS; i++)
        answer(i);
    assert_int_equal(take(1100)->taken_ms, 1050);
    inbox_end_poll();
}

static void result_is_what_all_workers_have_found(void **state)
{
    (void)state;
    join(0, "lobby");
    join(0, "lobby");
    join(0, "mine");
    join(1, "lobby");
    assert_int_equal(take(1000)->taken_ms, 0); /* nobody has answered */
    answer(0);
    assert_int_equal(take(1100)->taken_ms, 0);
    answer(1);

    const struct survey_result *result = take(1200);

    assert_int_equal(result->taken_ms, 1050);
    assert_int_equal(result->top.count, 2);
    assert_memory_equal(result->top.items[0].name, "lobby", 5);
    assert_int_equal(result->top.items[0].subscribers, 3);
    assert_memory_equal(result->top.items[1].name, "mine", 4);
}

static void nobody_is_asked_twice_in_a_moment(void **state)
{
    (void)state;
    take(1000);
    answered_ms = 1010;
    answer(0);
    answer(1);
    assert_int_equal(take(1010)->taken_ms, 1010);
    take(1010 + SURVEY_REST_MS - 1);
    assert_null(asked[0]);

    const struct survey_result *result = take(1010 + SURVEY_REST_MS);

    assert_non_null(asked[0]);
    assert_int_equal(result->taken_ms, 1010); /* the last one stands meanwhile */
    answered_ms = 2000;
    answer(0);
    answer(1);
    assert_int_equal(take(2000)->taken_ms, 2000);
}

static void result_that_nobody_took_in_time_is_as_old_as_it_is(void **state)
{
    (void)state;
    take(1000);
    answer(0);
    answer(1);
    assert_int_equal(take(5000)->taken_ms, 1050);
    answered_ms = 5001; /* they were asked anew by that */
    answer(0);
    answer(1);
    assert_int_equal(take(5002)->taken_ms, 5001);
}

static void many_channels_are_looked_at_a_little_at_a_time(void **state)
{
    (void)state;
    size_t slots;

    join_many(0, 3000);
    join(0, "room 77");
    slots = channels_of(0)->by_name.slot_count;
    take(1000);
    assert_int_equal(answer(0), (slots + SURVEY_SLICE - 1) / SURVEY_SLICE);
    assert_int_equal(answer(1), 1);

    const struct survey_result *result = take(1100);

    assert_int_equal(result->top.count, TOP_CHANNELS);
    assert_memory_equal(result->top.items[0].name, "room 77", 7);
    assert_int_equal(result->top.items[0].subscribers, 2);
    assert_int_equal(result->top.items[1].subscribers, 1);
}

static void channels_that_come_meanwhile_are_counted_once(void **state)
{
    (void)state;
    join_many(0, 2000);
    join(0, "room 5");
    take(1000);
    assert_false(survey_look(asked[0], channels_of(0)));
    join_many(0, 2900); /* the table grows, and all stand elsewhere */
    answer(0);
    answer(1);

    const struct survey_result *result = take(1100);

    assert_memory_equal(result->top.items[0].name, "room 5", 6);
    assert_int_equal(result->top.items[0].subscribers, 2);
    for (size_t i = 1; i < result->top.count; i++)
        assert_int_equal(result->top.items[i].subscribers, 1);
}

static void worker_that_stops_answers_with_what_it_has(void **state)
{
    (void)state;
    join_many(0, 3000);
    take(1000);
    assert_false(survey_look(asked[0], channels_of(0)));
    survey_answer(asked[0], &workers[0]->connections.slow, answered_ms);
    asked[0] = NULL;
    answer(1);
    assert_int_equal(take(1100)->top.count, TOP_CHANNELS);
}

static void slow_clients_of_all_are_told(void **state)
{
    (void)state;
    struct slow_client *place;

    for (unsigned i = 0; i < SLOW_CLIENTS; i++) {
        slow_clients_note(&workers[0]->connections.slow, 100 + i, i, false, 1000 + i, &place);
        slow_clients_note(&workers[1]->connections.slow, 200 + i, i, true, 2000 + i, &place);
    }
    take(3000);
    answer(0);
    answer(1);
    assert_int_equal(take(3100)->slow_count, 2 * SLOW_CLIENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(workers_are_woken_before_it_waits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(result_is_what_all_workers_have_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_asked_twice_in_a_moment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(result_that_nobody_took_in_time_is_as_old_as_it_is, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_channels_are_looked_at_a_little_at_a_time, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(channels_that_come_meanwhile_are_counted_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(worker_that_stops_answers_with_what_it_has, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(slow_clients_of_all_are_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
