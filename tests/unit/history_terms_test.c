/* Histories under terms of their own, and such as were cleared. */
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

static void say_as(struct channel *channel, uint64_t limit, uint64_t ttl_ms, uint64_t now_ms)
{
    struct message *message =
        message_create(MESSAGE_TEXT, channel->name, strlen(channel->name), "x", 1);

    message->offset = channel->history.top + 1;
    history_append_as(&channel->history, message, &(struct history_terms){limit, ttl_ms}, now_ms);
    message_unref(message);
}

/* Says something short so many times under the family's terms. */
static void say(struct channel *channel, size_t count, uint64_t now_ms)
{
    while (count-- > 0)
        say_as(channel, histories.limits.message_limit, histories.limits.ttl_ms, now_ms);
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

static void channel_may_have_terms_of_its_own(void **state)
{
    struct channel room;
    struct channel other;

    (void)state;
    set_up_limits(100, 1000, NO_LIMIT);
    open_channel(&room, "room");
    open_channel(&other, "other");
    say(&room, 10, 0);
    say_as(&room, 3, 5000, 100);
    assert_reads(&room, 8, HISTORY_FORWARD, 100, HISTORY_FOUND, "9 10 11");
    say(&other, 1, 200);
    assert_int_equal(histories_due_ms(&histories), 1200);
    say_as(&other, 5, 50, 300);
    assert_int_equal(histories_due_ms(&histories), 350);
    histories_expire(&histories, 350);
    assert_int_equal(other.emptied, 1);
    assert_false(history_is_held(&other.history));
    assert_int_equal(histories_due_ms(&histories), 5100);
    histories_expire(&histories, 5100);
    assert_int_equal(room.emptied, 1);
    assert_int_equal(histories.memory, 0);
    assert_true(list_is_empty(&histories.ages));
}

static void message_that_is_not_kept_ends_what_was(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(100, 1000, NO_LIMIT);
    open_channel(&room, "room");
    say(&room, 3, 0);
    say_as(&room, 0, 1000, 1);
    assert_int_equal(room.emptied, 1);
    assert_int_equal(room.history.top, 4);
    assert_reads(&room, 3, HISTORY_FORWARD, 100, HISTORY_GONE, "");
    say(&room, 1, 2);
    assert_reads(&room, 4, HISTORY_FORWARD, 100, HISTORY_FOUND, "5");
    history_deinit(&room.history);
    assert_int_equal(histories.memory, 0);
}

static void cleared_history_is_held_until_its_messages_would_have_gone(void **state)
{
    struct channel room;

    (void)state;
    set_up_limits(100, 1000, NO_LIMIT);
    open_channel(&room, "room");
    history_clear(&room.history);
    assert_false(history_is_held(&room.history));
    say(&room, 20, 50);
    history_clear(&room.history);
    assert_int_equal(room.emptied, 0);
    assert_true(history_is_held(&room.history));
    assert_reads(&room, 20, HISTORY_FORWARD, 100, HISTORY_FOUND, "");
    assert_reads(&room, 19, HISTORY_FORWARD, 100, HISTORY_GONE, "");
    say(&room, 1, 60);
    assert_reads(&room, 20, HISTORY_FORWARD, 100, HISTORY_FOUND, "21");
    history_clear(&room.history);
    histories_expire(&histories, 1060);
    assert_int_equal(room.emptied, 1);
    assert_int_equal(histories.memory, 0);
}

static void cleared_histories_make_room_too(void **state)
{
    struct channel rooms[8];

    (void)state;
    set_up_limits(100, 1000, 700);
    for (size_t i = 0; i < 8; i++) {
        open_channel(&rooms[i], "room");
        say(&rooms[i], 1, i);
        history_clear(&rooms[i].history);
        assert_true(histories.memory <= 700);
    }
    assert_int_equal(rooms[0].emptied, 1);
    assert_true(history_is_held(&rooms[7].history));
    for (size_t i = 0; i < 8; i++)
        history_deinit(&rooms[i].history);
    assert_int_equal(histories.memory, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(channel_may_have_terms_of_its_own),
        cmocka_unit_test(message_that_is_not_kept_ends_what_was),
        cmocka_unit_test(cleared_history_is_held_until_its_messages_would_have_gone),
        cmocka_unit_test(cleared_histories_make_room_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
