#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/history.h"
#include "common/memory.h"

#define NO_LIMIT (UINT64_MAX / 2)

/* A channel as an owner has it. */
struct channel {
    struct history history;
    char name[8];
    size_t emptied; /* times that this was told */
};

static struct histories histories;

static void on_emptied(struct history *history)
{
    container_of(history, struct channel, history)->emptied++;
}

static void set_up_limits(uint64_t messages, uint64_t ttl_ms, uint64_t memory)
{
    struct history_limits limits = {messages, ttl_ms, memory};

    histories_init(&histories, &limits, on_emptied);
}

static void open_channel(struct channel *channel, const char *name)
{
    channel->emptied = 0;
    snprintf(channel->name, sizeof(channel->name), "%s", name);
    history_init(&channel->history, &histories, 0);
}

/* Publishes a message of `size` bytes; it has one reference in the history, if it is kept. */
static void say_bytes(struct channel *channel, size_t size, uint64_t now_ms)
{
    char data[4096];
    struct message *message;

    assert_true(size <= sizeof(data));
    memset(data, 'x', size);
    message = message_create(MESSAGE_TEXT, channel->name, strlen(channel->name), data, size);
    message->offset = channel->history.top + 1;
    history_append(&channel->history, message, now_ms);
    message_unref(message);
}

static void say(struct channel *channel, size_t count, uint64_t now_ms)
{
    for (size_t i = 0; i < count; i++)
        say_bytes(channel, 10, now_ms);
}

/* Reads, and checks the answer and the offsets that come, such as "3 4 5". */
static void assert_reads(const struct channel *channel, uint64_t offset, enum history_order order,
                         uint64_t limit, enum history_answer answer, const char *offsets)
{
    struct history_reader reader;
    struct message *message;
    char text[256] = "";

    assert_int_equal(history_read(&channel->history, &reader, offset, order, limit), answer);
    while ((message = history_next(&reader)))
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llu", text[0] ? " " : "",
                 (unsigned long long)message->offset);
    assert_string_equal(text, offsets);
    assert_null(history_next(&reader));
}

static void forward_gives_what_follows_the_offset(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(100, 1000, NO_LIMIT);
    open_channel(&room, "room");
    say(&room, 6, 0);
    assert_reads(&room, 0, HISTORY_FORWARD, 100, HISTORY_FOUND, "1 2 3 4 5 6");
    assert_reads(&room, 3, HISTORY_FORWARD, 100, HISTORY_FOUND, "4 5 6");
    assert_reads(&room, 3, HISTORY_FORWARD, 2, HISTORY_FOUND, "4 5");
    assert_reads(&room, 3, HISTORY_FORWARD, 0, HISTORY_FOUND, "");
    assert_reads(&room, 6, HISTORY_FORWARD, 100, HISTORY_FOUND, "");
    history_deinit(&room.history);
}

static void reverse_gives_what_precedes_the_offset(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(100, 1000, NO_LIMIT);
    open_channel(&room, "room");
    say(&room, 6, 0);
    assert_reads(&room, 7, HISTORY_REVERSE, 100, HISTORY_FOUND, "6 5 4 3 2 1");
    assert_reads(&room, 4, HISTORY_REVERSE, 2, HISTORY_FOUND, "3 2");
    assert_reads(&room, 2, HISTORY_REVERSE, 100, HISTORY_FOUND, "1");
    assert_reads(&room, 1, HISTORY_REVERSE, 100, HISTORY_FOUND, "");
    assert_reads(&room, 0, HISTORY_REVERSE, 100, HISTORY_FOUND, "");
    history_deinit(&room.history);
}

static void an_offset_whose_neighbour_was_dropped_is_told(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(3, 1000, NO_LIMIT);
    open_channel(&room, "room");
    say(&room, 10, 0);
    assert_reads(&room, 7, HISTORY_FORWARD, 100, HISTORY_FOUND, "8 9 10");
    assert_reads(&room, 6, HISTORY_FORWARD, 100, HISTORY_GONE, "8 9 10");
    assert_reads(&room, 0, HISTORY_FORWARD, 2, HISTORY_GONE, "8 9");
    assert_reads(&room, 9, HISTORY_REVERSE, 100, HISTORY_FOUND, "8");
    assert_reads(&room, 8, HISTORY_REVERSE, 100, HISTORY_GONE, "");
    assert_reads(&room, 2, HISTORY_REVERSE, 100, HISTORY_GONE, "");
    assert_reads(&room, 1, HISTORY_REVERSE, 100, HISTORY_FOUND, "");
    history_deinit(&room.history);
}

static void an_offset_beyond_the_newest_is_told(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(3, 1000, NO_LIMIT);
    open_channel(&room, "room");
    assert_reads(&room, 0, HISTORY_FORWARD, 100, HISTORY_FOUND, "");
    assert_reads(&room, 1, HISTORY_REVERSE, 100, HISTORY_FOUND, "");
    assert_reads(&room, 1, HISTORY_FORWARD, 100, HISTORY_AHEAD, "");
    say(&room, 2, 0);
    assert_reads(&room, 3, HISTORY_FORWARD, 100, HISTORY_AHEAD, "");
    assert_reads(&room, UINT64_MAX, HISTORY_FORWARD, 100, HISTORY_AHEAD, "");
    assert_reads(&room, 4, HISTORY_REVERSE, 100, HISTORY_AHEAD, "");
    assert_reads(&room, UINT64_MAX, HISTORY_REVERSE, UINT64_MAX, HISTORY_AHEAD, "");
    history_deinit(&room.history);
}

static void an_emptied_history_still_knows_where_it_stands(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(100, 1000, NO_LIMIT);
    open_channel(&room, "room");
    say(&room, 5, 0);
    histories_expire(&histories, 1000);
    assert_int_equal(room.emptied, 1);
    assert_reads(&room, 5, HISTORY_FORWARD, 100, HISTORY_FOUND, "");
    assert_reads(&room, 4, HISTORY_FORWARD, 100, HISTORY_GONE, "");
    assert_reads(&room, 6, HISTORY_REVERSE, 100, HISTORY_GONE, "");
    say(&room, 2, 2000);
    assert_reads(&room, 5, HISTORY_FORWARD, 100, HISTORY_FOUND, "6 7");
    assert_reads(&room, 4, HISTORY_FORWARD, 100, HISTORY_GONE, "6 7");
    history_deinit(&room.history);
}

static void an_empty_history_can_be_taken_over_at_a_later_offset(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(100, 1000, NO_LIMIT);
    open_channel(&room, "room");
    struct message *message = message_create(MESSAGE_TEXT, "room", 4, "x", 1);

    message->offset = 41;
    history_append(&room.history, message, 0);
    message_unref(message);
    say(&room, 1, 0);
    assert_reads(&room, 40, HISTORY_FORWARD, 100, HISTORY_FOUND, "41 42");
    assert_reads(&room, 39, HISTORY_FORWARD, 100, HISTORY_GONE, "41 42");
    history_deinit(&room.history);
}

static void a_history_of_one_keeps_the_newest(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(1, 1000, NO_LIMIT);
    open_channel(&room, "room");
    say(&room, 9, 0);
    assert_reads(&room, 8, HISTORY_FORWARD, 100, HISTORY_FOUND, "9");
    assert_int_equal(room.emptied, 0);
    history_deinit(&room.history);
}

static void a_history_of_none_counts_and_keeps_nothing(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(0, 1000, NO_LIMIT);
    open_channel(&room, "room");
    say(&room, 3, 0);
    assert_int_equal(room.emptied, 3);
    assert_int_equal(room.history.top, 3);
    assert_int_equal(histories.memory, 0);
    assert_true(histories_due_ms(&histories) == UINT64_MAX);
    assert_reads(&room, 2, HISTORY_FORWARD, 100, HISTORY_GONE, "");
    history_deinit(&room.history);
}

static void a_history_expires_whole_when_its_last_message_is_old(void **state)
{
    struct channel room;
    struct channel hall;

    (void)state;
    set_up_limits(100, 1000, NO_LIMIT);
    open_channel(&room, "room");
    open_channel(&hall, "hall");
    say(&room, 1, 0);
    say(&hall, 1, 500);
    assert_int_equal(histories_due_ms(&histories), 1000);
    say(&room, 1, 900);
    assert_int_equal(histories_due_ms(&histories), 1500);
    histories_expire(&histories, 1499);
    assert_int_equal(hall.emptied, 0);
    histories_expire(&histories, 1500);
    assert_int_equal(hall.emptied, 1);
    assert_reads(&room, 0, HISTORY_FORWARD, 100, HISTORY_FOUND, "1 2");
    assert_int_equal(histories_due_ms(&histories), 1900);
    histories_expire(&histories, 10000);
    assert_int_equal(room.emptied, 1);
    assert_true(histories_due_ms(&histories) == UINT64_MAX);
    assert_int_equal(histories.memory, 0);
}

/* What a channel with one message of 1000 bytes costs. */
static uint64_t cost_of_one(void)
{
    struct channel room;
    uint64_t cost;

    set_up_limits(100, 1000, NO_LIMIT);
    open_channel(&room, "room");
    say_bytes(&room, 1000, 0);
    cost = histories.memory;
    history_deinit(&room.history);
    return cost;
}

static void memory_goes_first_from_the_oldest_message_of_all_channels(void **state)
{
    struct channel room;
    struct channel hall;
    uint64_t one = cost_of_one();

    (void)state;
    assert_true(one > 1000);
    set_up_limits(100, 1000, 3 * one);
    open_channel(&room, "room");
    open_channel(&hall, "hall");
    say_bytes(&hall, 1000, 1);
    say_bytes(&room, 1000, 2);
    say_bytes(&hall, 1000, 3);
    assert_reads(&hall, 0, HISTORY_FORWARD, 100, HISTORY_FOUND, "1 2");
    say_bytes(&room, 1000, 4);
    assert_reads(&hall, 0, HISTORY_FORWARD, 100, HISTORY_GONE, "2");
    assert_reads(&room, 0, HISTORY_FORWARD, 100, HISTORY_FOUND, "1 2");
    say_bytes(&room, 1000, 5);
    assert_reads(&hall, 0, HISTORY_FORWARD, 100, HISTORY_GONE, "2");
    assert_reads(&room, 0, HISTORY_FORWARD, 100, HISTORY_GONE, "2 3");
    say_bytes(&room, 1000, 6);
    assert_int_equal(hall.emptied, 1);
    assert_reads(&room, 0, HISTORY_FORWARD, 100, HISTORY_GONE, "2 3 4");
    assert_true(histories.memory <= 3 * one);
    history_deinit(&room.history);
    assert_int_equal(histories.memory, 0);
}

static void what_just_fits_into_memory_is_kept(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(100, 1000, cost_of_one());
    open_channel(&room, "room");
    say_bytes(&room, 1000, 0);
    assert_int_equal(room.emptied, 0);
    say_bytes(&room, 1000, 0);
    assert_reads(&room, 1, HISTORY_FORWARD, 100, HISTORY_FOUND, "2");
    history_deinit(&room.history);
}

static void a_message_larger_than_all_memory_is_not_kept(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(100, 1000, 1000);
    open_channel(&room, "room");
    say_bytes(&room, 10, 0);
    say_bytes(&room, 2000, 0);
    assert_int_equal(room.emptied, 1);
    assert_int_equal(histories.memory, 0);
    say_bytes(&room, 10, 0);
    assert_reads(&room, 2, HISTORY_FORWARD, 100, HISTORY_FOUND, "3");
    history_deinit(&room.history);
}

static void what_the_owner_keeps_counts_while_there_are_messages(void **state)
{
    uint64_t one = cost_of_one();
    struct channel room = {.name = "room"};

    (void)state;
    set_up_limits(100, 1000, NO_LIMIT);
    history_init(&room.history, &histories, 500);
    assert_int_equal(histories.memory, 0);
    say_bytes(&room, 1000, 0);
    assert_int_equal(histories.memory, one + 500);
    histories_expire(&histories, 1000);
    assert_int_equal(histories.memory, 0);
}

static void dropped_messages_are_released(void **state)
{
    struct channel room;
    struct message *messages[20];

    (void)state;
    set_up_limits(5, 1000, NO_LIMIT);
    open_channel(&room, "room");
    for (size_t i = 0; i < 20; i++) {
        messages[i] = message_create(MESSAGE_TEXT, "room", 4, "x", 1);
        messages[i]->offset = i + 1;
        history_append(&room.history, messages[i], 0);
    }
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(atomic_load(&messages[i]->references), i < 15 ? 1 : 2);
    history_deinit(&room.history);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(atomic_load(&messages[i]->references), 1);
        message_unref(messages[i]);
    }
}

static void free_owner(struct history *history)
{
    memory_free(container_of(history, struct channel, history));
}

static void an_emptied_history_may_be_freed_at_once(void **state)
{
    struct history_limits limits = {100, 1000, 20000};

    (void)state;
    histories_init(&histories, &limits, free_owner);
    for (uint64_t i = 0; i < 100; i++) {
        struct channel *channel = memory_zeroed(1, sizeof(*channel));

        channel->name[0] = 'a';
        history_init(&channel->history, &histories, sizeof(*channel));
        say_bytes(channel, 1000, i);
    }
    assert_true(histories.memory > 10000 && histories.memory <= 20000);
    histories_expire(&histories, 5000);
    assert_int_equal(histories.memory, 0);
}

#define CROWD 7

static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return *seed >> 33;
}

/* Under a memory limit alone, what is kept is always the end of all that was said. */
static void rings_that_grow_and_shrink_keep_the_newest_of_all(void **state)
{
    static struct {
        size_t speaker;
        uint64_t offset;
    } said[20000];
    struct channel crowd[CROWD];
    uint64_t seed = 3;
    size_t most = 0;

    (void)state;
    set_up_limits(NO_LIMIT, NO_LIMIT, 60000);
    for (size_t i = 0; i < CROWD; i++)
        open_channel(&crowd[i], "crowd");
    for (size_t n = 0; n < sizeof(said) / sizeof(said[0]); n++) {
        /* Now one talks, now another, so that rings fill and run empty. */
        size_t speaker = next_random(&seed) % 10 ? n / 1000 % CROWD : next_random(&seed) % CROWD;
        size_t kept = 0;
        uint64_t oldest[CROWD];

        say_bytes(&crowd[speaker], next_random(&seed) % (n / 2000 % 2 ? 10 : 4000), n);
        said[n].speaker = speaker;
        said[n].offset = crowd[speaker].history.top;
        assert_true(histories.memory <= 60000);
        for (size_t i = 0; i < CROWD; i++) {
            kept += crowd[i].history.count;
            assert_true(crowd[i].history.capacity <= 4 * crowd[i].history.count);
            most = crowd[i].history.count > most ? crowd[i].history.count : most;
            oldest[i] = crowd[i].history.top - crowd[i].history.count + 1;
        }
        assert_true(kept > 0 && kept <= n + 1);
        for (size_t k = n + 1; k-- > n + 1 - kept;) {
            struct history_reader reader;
            const struct message *message;

            assert_true(said[k].offset >= oldest[said[k].speaker]);
            assert_int_equal(history_read(&crowd[said[k].speaker].history, &reader,
                                          said[k].offset - 1, HISTORY_FORWARD, 1),
                             HISTORY_FOUND);
            message = history_next(&reader);
            assert_non_null(message);
            assert_true(message->offset == said[k].offset);
        }
    }
    assert_true(most > 100);
    for (size_t i = 0; i < CROWD; i++)
        history_deinit(&crowd[i].history);
    assert_int_equal(histories.memory, 0);
    assert_true(list_is_empty(&histories.messages) && list_is_empty(&histories.ages));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_gives_what_follows_the_offset),
        cmocka_unit_test(reverse_gives_what_precedes_the_offset),
        cmocka_unit_test(an_offset_whose_neighbour_was_dropped_is_told),
        cmocka_unit_test(an_offset_beyond_the_newest_is_told),
        cmocka_unit_test(an_emptied_history_still_knows_where_it_stands),
        cmocka_unit_test(an_empty_history_can_be_taken_over_at_a_later_offset),
        cmocka_unit_test(a_history_of_one_keeps_the_newest),
        cmocka_unit_test(a_history_of_none_counts_and_keeps_nothing),
        cmocka_unit_test(a_history_expires_whole_when_its_last_message_is_old),
        cmocka_unit_test(memory_goes_first_from_the_oldest_message_of_all_channels),
        cmocka_unit_test(what_just_fits_into_memory_is_kept),
        cmocka_unit_test(a_message_larger_than_all_memory_is_not_kept),
        cmocka_unit_test(what_the_owner_keeps_counts_while_there_are_messages),
        cmocka_unit_test(dropped_messages_are_released),
        cmocka_unit_test(an_emptied_history_may_be_freed_at_once),
        cmocka_unit_test(rings_that_grow_and_shrink_keep_the_newest_of_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
