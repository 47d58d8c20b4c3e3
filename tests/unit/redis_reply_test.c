#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "common/buffer.h"
#include "gateway/redis_reply.h"
#include "gateway/redis_script.h"
#include "gateway/redis_script_ask.h"
#include "gateway/redis_senders.h"
#include "gateway/redis_tail.h"

/* Feeds the text byte by byte and returns the first reply, or NULL with the last result. */
static redisReply *read_reply(const char *text, size_t bytes, size_t elements, int *result)
{
    struct redis_reader *reader = redis_reader_create(bytes, elements);
    redisReply *reply = NULL;

    *result = 0;
    for (size_t i = 0; text[i] && !reply && !*result; i++) {
        *result = redis_reader_feed(reader, text + i, 1);
        if (!*result)
            *result = redis_reader_next(reader, &reply);
    }
    if (*result)
        assert_true(redis_reader_error(reader)[0] != '\0');
    redis_reader_destroy(reader);
    return reply;
}

static void assert_refused(const char *text)
{
    int result;

    assert_null(read_reply(text, 10, 4, &result));
    assert_int_equal(result, UV_EPROTO);
}

static void replies_beyond_the_limits_are_refused(void **state)
{
    (void)state;
    assert_refused("$11\r\n12345678901\r\n");
    assert_refused("*5\r\n");
    assert_refused("*2147483647\r\n");
    assert_refused("*2\r\n*3\r\n");
    assert_refused("*2\r\n$6\r\n123456\r\n$6\r\n123456\r\n");
    assert_refused("+12345678901\r\n");
    assert_refused(
        "+a line without an end that goes on and on and on and on and on and on and on ...");
    assert_refused(
        "$900\r\na string that never comes whole but is far longer than what is allowed for");
}

static void replies_within_the_limits_are_read(void **state)
{
    int result;
    redisReply *reply = read_reply("*3\r\n$10\r\n1234567890\r\n:7\r\n$-1\r\n", 10, 4, &result);
    uint64_t number;
    char text[11];

    (void)state;
    assert_non_null(reply);
    assert_true(redis_reply_copy_text(redis_reply_at(reply, 0), text, 10));
    assert_string_equal(text, "1234567890");
    assert_false(redis_reply_copy_text(redis_reply_at(reply, 0), text, 9));
    assert_true(redis_reply_number(redis_reply_at(reply, 1), &number));
    assert_int_equal(number, 7);
    assert_false(redis_reply_number(redis_reply_at(reply, 2), &number));
    assert_null(redis_reply_at(reply, 3));
    assert_null(redis_reply_at(redis_reply_at(reply, 1), 0));
    freeReplyObject(reply);
}

/* The reader hands the bytes on a slice at a time, and these are many slices. */
static void all_replies_of_one_read_are_read(void **state)
{
    enum { COUNT = 1000, LARGE = 5000 };
    struct redis_reader *reader = redis_reader_create(LARGE, 4);
    struct buffer bytes = {0};
    redisReply *reply;

    (void)state;
    for (int i = 0; i < COUNT; i++)
        buffer_printf(&bytes, "*1\r\n:%d\r\n", i);
    buffer_printf(&bytes, "$%d\r\n%0*d\r\n", LARGE, LARGE, 7);
    assert_int_equal(redis_reader_feed(reader, bytes.data, bytes.size), 0);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(redis_reader_next(reader, &reply), 0);
        assert_non_null(reply);
        assert_int_equal(redis_reply_at(reply, 0)->integer, i);
        freeReplyObject(reply);
    }
    assert_int_equal(redis_reader_next(reader, &reply), 0);
    assert_non_null(reply);
    assert_int_equal(reply->len, LARGE);
    freeReplyObject(reply);
    assert_int_equal(redis_reader_next(reader, &reply), 0);
    assert_null(reply);
    redis_reader_destroy(reader);
    buffer_deinit(&bytes);
}

static void errors_are_told_apart_by_their_first_word(void **state)
{
    (void)state;
    assert_int_equal(redis_fault_of("LOADING dataset"), REDIS_FAULT_SERVER);
    assert_int_equal(redis_fault_of("READONLY"), REDIS_FAULT_SERVER);
    assert_int_equal(redis_fault_of("NOSCRIPT No matching script"), REDIS_FAULT_SCRIPT);
    assert_int_equal(redis_fault_of("OOM command not allowed"), REDIS_FAULT_RETRY);
    assert_int_equal(redis_fault_of("GAP"), REDIS_FAULT_RETRY);
    assert_int_equal(redis_fault_of("WRONGTYPE Operation"), REDIS_FAULT_FINAL);
    assert_int_equal(
        redis_fault_of("NOPERM this user has no permissions to run the 'evalsha' command"),
        REDIS_FAULT_SERVER);
    assert_int_equal(redis_fault_of("NOPERM No permissions to access a key"), REDIS_FAULT_FINAL);
    assert_int_equal(redis_fault_of("NOPERM"), REDIS_FAULT_FINAL);
    assert_int_equal(redis_fault_of("OOMPH"), REDIS_FAULT_FINAL);
    assert_int_equal(redis_fault_of(""), REDIS_FAULT_FINAL);
}

static void topics_name_their_channel(void **state)
{
    struct buffer topic = {0};
    const char *channel;
    size_t size;

    (void)state;
    redis_topic(&topic, "pre", 3, "a}{b", 4);
    assert_string_equal((const char *)topic.data, "pre:3:{a}{b}");
    assert_true(
        redis_topic_channel("pre", 3, (const char *)topic.data, topic.size, &channel, &size));
    assert_int_equal(size, 4);
    assert_memory_equal(channel, "a}{b", 4);
    assert_false(
        redis_topic_channel("pre", 2, (const char *)topic.data, topic.size, &channel, &size));
    assert_false(redis_topic_channel("pre", 3, "pre:3:{}", 8, &channel, &size));
    assert_false(redis_topic_channel("pre", 3, "pre:3:", 6, &channel, &size));
    buffer_deinit(&topic);
}

static redisReply *read_answer(const char *text)
{
    int result;
    redisReply *reply = read_reply(text, 1000, 100, &result);

    assert_int_equal(result, 0);
    assert_non_null(reply);
    return reply;
}

static void answer_to_a_publish_tells_of_repetition(void **state)
{
    struct redis_published published;
    redisReply *reply = read_answer("*4\r\n$2\r\nep\r\n:7\r\n:9\r\n:1\r\n");

    (void)state;
    assert_true(redis_read_published(reply, &published));
    assert_string_equal(published.epoch, "ep");
    assert_int_equal(published.offset, 7);
    assert_int_equal(published.top, 9);
    assert_true(published.is_repeat);
    freeReplyObject(reply);
    reply = read_answer("*3\r\n$2\r\nep\r\n:7\r\n:9\r\n");
    assert_false(redis_read_published(reply, &published));
    freeReplyObject(reply);
}

static void answer_with_history_is_read_entry_by_entry(void **state)
{
    struct redis_history_page page;
    const redisReply *envelope;
    uint64_t offset;
    redisReply *reply = read_answer("*7\r\n$2\r\nep\r\n:9\r\n:0\r\n:1\r\n"
                                    "*4\r\n:7\r\n$1\r\nx\r\n:8\r\n$0\r\n\r\n"
                                    "$3\r\nold\r\n:4\r\n");

    (void)state;
    assert_true(redis_read_history(reply, &page));
    assert_string_equal(page.epoch, "ep");
    assert_int_equal(page.top, 9);
    assert_false(page.is_lost);
    assert_true(page.has_more);
    assert_string_equal(page.previous, "old");
    assert_int_equal(page.fork, 4);
    assert_true(redis_history_entry(&page, 0, &offset, &envelope));
    assert_int_equal(offset, 7);
    assert_string_equal(envelope->str, "x");
    assert_true(redis_history_entry(&page, 1, &offset, &envelope));
    assert_int_equal(envelope->len, 0);
    assert_false(redis_history_entry(&page, 2, &offset, &envelope));
    freeReplyObject(reply);
    reply = read_answer("*5\r\n$2\r\nep\r\n:9\r\n:0\r\n:1\r\n:0\r\n");
    assert_false(redis_read_history(reply, &page));
    freeReplyObject(reply);
}

static void whoever_is_there_survives_the_way_through_redis(void **state)
{
    struct bus_present who = {text_of("c1"), text_of("ann"), text_of("{}")};
    struct bus_present read;
    struct buffer packed = {0};
    char text[128];
    redisReply *reply;
    struct redis_present_page page;

    (void)state;
    redis_present_append(&packed, &who);
    snprintf(text, sizeof(text),
             "*2\r\n$1\r\n0\r\n*6\r\n"
             "$2\r\nc1\r\n$%zu\r\n%.*s\r\n$0\r\n\r\n$1\r\nx\r\n$2\r\nc2\r\n$4\r\nodd!\r\n",
             packed.size, (int)packed.size, (const char *)packed.data);
    reply = read_answer(text);
    assert_true(redis_read_present(reply, &page));
    assert_string_equal(page.cursor, "0");
    assert_int_equal(redis_present_count(&page), 3);
    assert_true(redis_present_entry(&page, 0, &read));
    assert_true(text_is(read.client, "c1"));
    assert_true(text_is(read.user, "ann"));
    assert_true(text_equals(read.info, who.info));
    assert_false(redis_present_entry(&page, 1, &read));
    assert_true(redis_present_entry(&page, 2, &read));
    assert_true(text_is(read.client, "c2"));
    assert_int_equal(read.user.size + read.info.size, 0);
    freeReplyObject(reply);
    buffer_deinit(&packed);
}

static void repeated_messages_are_known_by_their_sender(void **state)
{
    struct redis_senders senders = {0};

    (void)state;
    assert_true(redis_senders_accept(&senders, 1, 5, 0));
    assert_false(redis_senders_accept(&senders, 1, 5, 0));
    assert_false(redis_senders_accept(&senders, 1, 4, 0));
    assert_true(redis_senders_accept(&senders, 2, 4, 0));
    assert_true(redis_senders_accept(&senders, 1, 6, 0));
    assert_true(redis_senders_accept(&senders, 0, 6, 0));
    assert_true(redis_senders_accept(&senders, 0, 6, 0));
    /* Strangers beyond the limit push out the one that was silent for longest. */
    for (uint64_t i = 0; i < 1000; i++)
        assert_true(redis_senders_accept(&senders, 100 + i, 1, 1 + i));
    assert_false(redis_senders_accept(&senders, 1099, 1, 1001));
    assert_true(redis_senders_accept(&senders, 1, 6, 1001));
    redis_senders_deinit(&senders);
}

static void tail_keeps_the_newest_within_its_limits(void **state)
{
    struct redis_tails tails;
    struct redis_tail tail;
    struct message *message = message_create(MESSAGE_TEXT, "c", 1, "x", 1);

    (void)state;
    redis_tails_init(&tails, 10);
    redis_tail_init(&tail);
    for (uint64_t offset = 1; offset <= 25; offset++)
        redis_tail_append(&tails, &tail, message, offset, offset * 1000);
    assert_int_equal(tail.count, 10);
    assert_int_equal(redis_tail_at(&tail, 0)->offset, 16);
    assert_null(redis_tail_find(&tail, 15));
    assert_int_equal(redis_tail_find(&tail, 25)->offset, 25);
    assert_null(redis_tail_find(&tail, 26));
    redis_tails_expire(&tails, 50500);
    assert_int_equal(redis_tail_at(&tail, 0)->offset, 21);
    redis_tails_expire(&tails, 100000);
    assert_int_equal(tail.count, 0);
    assert_int_equal(tails.bytes, 0);
    redis_tail_append(&tails, &tail, message, 26, 100000);
    redis_tail_clear(&tails, &tail);
    assert_true(list_is_empty(&tails.members));
    assert_int_equal(atomic_load(&message->references), 1);
    message_unref(message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_beyond_the_limits_are_refused),
        cmocka_unit_test(replies_within_the_limits_are_read),
        cmocka_unit_test(all_replies_of_one_read_are_read),
        cmocka_unit_test(errors_are_told_apart_by_their_first_word),
        cmocka_unit_test(topics_name_their_channel),
        cmocka_unit_test(answer_to_a_publish_tells_of_repetition),
        cmocka_unit_test(answer_with_history_is_read_entry_by_entry),
        cmocka_unit_test(whoever_is_there_survives_the_way_through_redis),
        cmocka_unit_test(repeated_messages_are_known_by_their_sender),
        cmocka_unit_test(tail_keeps_the_newest_within_its_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
