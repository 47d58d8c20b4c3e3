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

static struct message *write_message(enum message_kind kind, const char *channel, struct text key,
                                     struct text origin)
{
    struct message *message = message_write(&(struct message_draft){
        .kind = kind,
        .channel = text_of(channel),
        .data = text_of("{}"),
        .key = key,
        .origin = origin,
    });

    message->publisher = 1;
    return message;
}

static void every_kind_survives_with_key_and_origin(void **state)
{
    struct text key = {"k\0y", 3};
    struct text origin = {"\x0a\x03zoe\xff", 6};

    (void)state;
    for (int kind = MESSAGE_TEXT; kind <= MESSAGE_PASSING_BINARY; kind++) {
        struct message *sent = write_message((enum message_kind)kind, "\x01room", key, origin);
        struct message *read = round_trip(sent, 2);

        assert_int_equal(read->kind, kind);
        assert_string_equal(read->channel, "\x01room");
        assert_true(text_equals(read->key, key));
        assert_true(text_equals(read->origin, origin));
        assert_memory_equal(read->data, "{}", 2);
        message_unref(sent);
        message_unref(read);
    }
}

static int read_result(const struct message *message, const char *more, size_t more_size)
{
    struct message *read = NULL;
    struct buffer bytes = {0};
    int result;

    envelope_append(&bytes, message);
    buffer_append(&bytes, more, more_size);
    result = envelope_read(bytes.data, bytes.size, 10, &read);
    message_unref(read);
    buffer_deinit(&bytes);
    return result;
}

static void ephemeral_message_bears_no_place(void **state)
{
    struct message *join = write_message(MESSAGE_JOIN, "c", (struct text){0}, (struct text){0});
    struct message *json = write_message(MESSAGE_JSON, "c", (struct text){0}, (struct text){0});

    (void)state;
    assert_int_equal(read_result(join, "", 0), 0);
    assert_int_equal(read_result(join, "\x12\x03new", 5), UV_EPROTO);
    assert_int_equal(read_result(join, "\x19\x07\0\0\0\0\0\0\0", 9), UV_EPROTO);
    assert_int_equal(read_result(json, "\x12\x03new", 5), 0);
    assert_int_equal(read_result(json, "\x38\x08", 2), UV_EPROTO); /* an unknown kind */
    message_unref(join);
    message_unref(json);
}

static void json_must_be_utf8(void **state)
{
    struct message *json = write_message(MESSAGE_JSON, "c", (struct text){0}, (struct text){0});

    (void)state;
    assert_int_equal(read_result(json, "\x42\x01\xff", 3), UV_EPROTO);
    message_unref(json);
}

/* A field by hand, because message_write takes no more than the limit. */
static int read_with_field(char tag, size_t size)
{
    struct message *message = write_message(MESSAGE_TEXT, "c", (struct text){0}, (struct text){0});
    struct buffer field = {0};
    unsigned char head[4] = {(unsigned char)tag, (unsigned char)(size | 0x80),
                             (unsigned char)(size >> 7 | 0x80), (unsigned char)(size >> 14)};
    int result;

    buffer_append(&field, head, sizeof(head));
    memset(buffer_reserve(&field, size), 'x', size);
    field.size += size;
    result = read_result(message, (const char *)field.data, field.size);
    buffer_deinit(&field);
    message_unref(message);
    return result;
}

static void key_and_origin_have_limits(void **state)
{
    (void)state;
    assert_int_equal(read_with_field(0x4a, MESSAGE_KEY_LIMIT), 0);
    assert_int_equal(read_with_field(0x4a, MESSAGE_KEY_LIMIT + 1), UV_EPROTO);
    assert_int_equal(read_with_field(0x52, MESSAGE_ORIGIN_LIMIT), 0);
    assert_int_equal(read_with_field(0x52, MESSAGE_ORIGIN_LIMIT + 1), UV_EPROTO);
}

static void data_without_a_limit_is_read(void **state)
{
    struct message *sent = message_create(MESSAGE_BINARY, "c", 1, NULL, 0);
    struct message *read;

    (void)state;
    sent->publisher = 1;
    read = round_trip(sent, SIZE_MAX);
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
        cmocka_unit_test(every_kind_survives_with_key_and_origin),
        cmocka_unit_test(ephemeral_message_bears_no_place),
        cmocka_unit_test(json_must_be_utf8),
        cmocka_unit_test(key_and_origin_have_limits),
        cmocka_unit_test(data_without_a_limit_is_read),
        cmocka_unit_test(what_breaks_a_limit_is_refused),
        cmocka_unit_test(offset_that_nothing_could_follow_is_refused),
        cmocka_unit_test(bytes_that_are_no_envelope_are_refused),
        cmocka_unit_test(text_must_be_utf8_and_bytes_need_not),
        cmocka_unit_test(last_value_of_a_field_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
