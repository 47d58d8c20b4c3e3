#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "common/envelope.h"

static struct message *round_trip(const struct message *message, size_t data_limit)
{
    struct buffer bytes = {0};
    struct message *read = NULL;

    envelope_append(&bytes, message);
    assert_int_equal(envelope_read(bytes.data, bytes.size, data_limit, &read), 0);
    buffer_deinit(&bytes);
    return read;
}

static void everything_survives_the_way(void **state)
{
    struct message *sent = message_create(MESSAGE_BINARY, "ns:caf\xc3\xa9", 8, "\0\xff\r\n", 4);
    struct message *read;

    (void)state;
    sent->offset = MESSAGE_OFFSET_LIMIT - 1;
    sent->time_ms = 1700000000123;
    sent->publisher = 0xfedcba9876543210u;
    sent->sequence = 1;
    memcpy(sent->epoch, "0123456789abcdef", 17);
    read = round_trip(sent, 4);
    assert_int_equal(read->kind, MESSAGE_BINARY);
    assert_int_equal(read->channel_size, 8);
    assert_string_equal(read->channel, sent->channel);
    assert_int_equal(read->data_size, 4);
    assert_memory_equal(read->data, sent->data, 4);
    assert_true(read->offset == MESSAGE_OFFSET_LIMIT - 1);
    assert_true(read->time_ms == 1700000000123);
    assert_true(read->publisher == sent->publisher);
    assert_true(read->sequence == 1);
    assert_string_equal(read->epoch, "0123456789abcdef");
    message_unref(sent);
    message_unref(read);
}

static void message_without_place_or_data_survives(void **state)
{
    struct message *sent = message_create(MESSAGE_TEXT, "c", 1, "", 0);
    struct message *read;

    (void)state;
    sent->publisher = 1;
    read = round_trip(sent, 0);
    assert_int_equal(read->data_size, 0);
    assert_true(read->offset == 0);
    assert_string_equal(read->epoch, "");
    message_unref(sent);
    message_unref(read);
}

static void assert_refused(const char *channel, const char *epoch, size_t data_size, size_t limit)
{
    static const unsigned char data[64];
    struct message *message =
        message_create(MESSAGE_TEXT, channel, strlen(channel), data, data_size);
    struct message *read = NULL;
    struct buffer bytes = {0};

    message->publisher = 1;
    memcpy(message->epoch, epoch, strlen(epoch));
    envelope_append(&bytes, message);
    assert_int_equal(envelope_read(bytes.data, bytes.size, limit, &read), UV_EPROTO);
    assert_null(read);
    buffer_deinit(&bytes);
    message_unref(message);
}

static void what_breaks_a_limit_is_refused(void **state)
{
    (void)state;
    assert_refused("c", "", 11, 10);
    assert_refused("with\ncontrol", "", 0, 10);
    assert_refused("no\xffutf8", "", 0, 10);
    assert_refused("del\x7f", "", 0, 10);
    assert_refused("c1\xc2\x85", "", 0, 10);
    assert_refused("c", "not\nan epoch", 0, 10);
}

static void offset_that_nothing_could_follow_is_refused(void **state)
{
    struct message *message = message_create(MESSAGE_TEXT, "c", 1, "", 0);
    struct message *read = NULL;
    struct buffer bytes = {0};

    (void)state;
    message->publisher = 1;
    message->offset = MESSAGE_OFFSET_LIMIT;
    envelope_append(&bytes, message);
    assert_int_equal(envelope_read(bytes.data, bytes.size, 0, &read), UV_EPROTO);
    assert_null(read);
    buffer_deinit(&bytes);
    message_unref(message);
}

static void bytes_that_are_no_envelope_are_refused(void **state)
{
    static const char *const texts[] = {"", "\n", "\n\x05lob", "hello", "\xff\xff\xff\xff\xff\xff"};
    struct message *read = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(envelope_read(texts[i], strlen(texts[i]), 1000, &read), UV_EPROTO);
    assert_null(read);
}

static void text_must_be_utf8_and_bytes_need_not(void **state)
{
    struct message *text = message_create(MESSAGE_TEXT, "c", 1, "\xff", 1);
    struct message *bytes = message_create(MESSAGE_BINARY, "c", 1, "\xff", 1);
    struct message *read = NULL;
    struct buffer packed = {0};

    (void)state;
    text->publisher = 1;
    bytes->publisher = 1;
    envelope_append(&packed, text);
    assert_int_equal(envelope_read(packed.data, packed.size, 10, &read), UV_EPROTO);
    read = round_trip(bytes, 10);
    assert_memory_equal(read->data, "\xff", 1);
    buffer_deinit(&packed);
    message_unref(text);
    message_unref(bytes);
    message_unref(read);
}

/* Redis appends epoch and offset to what the publisher packed: the last value of a field counts. */
static void last_value_of_a_field_counts(void **state)
{
    struct message *sent = message_create(MESSAGE_TEXT, "c", 1, "x", 1);
    struct message *read = NULL;
    struct buffer bytes = {0};

    (void)state;
    sent->publisher = 1;
    sent->offset = 1;
    memcpy(sent->epoch, "old", 4);
    envelope_append(&bytes, sent);
    buffer_append(&bytes, "\x12\x03new\x19\x07\0\0\0\0\0\0\0", 14);
    assert_int_equal(envelope_read(bytes.data, bytes.size, 10, &read), 0);
    assert_string_equal(read->epoch, "new");
    assert_true(read->offset == 7);
    buffer_deinit(&bytes);
    message_unref(sent);
    message_unref(read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_survives_the_way),
        cmocka_unit_test(message_without_place_or_data_survives),
        cmocka_unit_test(what_breaks_a_limit_is_refused),
        cmocka_unit_test(offset_that_nothing_could_follow_is_refused),
        cmocka_unit_test(bytes_that_are_no_envelope_are_refused),
        cmocka_unit_test(text_must_be_utf8_and_bytes_need_not),
        cmocka_unit_test(last_value_of_a_field_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
