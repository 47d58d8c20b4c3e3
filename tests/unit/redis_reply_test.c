#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "gateway/redis_reply.h"
#include "gateway/redis_script.h"
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
        cmocka_unit_test(errors_are_told_apart_by_their_first_word),
        cmocka_unit_test(topics_name_their_channel),
        cmocka_unit_test(repeated_messages_are_known_by_their_sender),
        cmocka_unit_test(tail_keeps_the_newest_within_its_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
