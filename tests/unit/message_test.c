#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/message.h"

static void message_holds_copies_of_what_it_was_given(void **state)
{
    (void)state;
    char channel[] = "roomXX";
    unsigned char data[] = {0x00, 0xff, 'a', 0x00};
    struct message *message = message_create(MESSAGE_BINARY, channel, 4, data, sizeof(data));

    memset(channel, '-', sizeof(channel));
    memset(data, '-', sizeof(data));
    assert_int_equal(message->kind, MESSAGE_BINARY);
    assert_int_equal(message->channel_size, 4);
    assert_string_equal(message->channel, "room");
    assert_int_equal(message->data_size, sizeof(data));
    assert_memory_equal(message->data,
                        "\x00\xff"
                        "a\x00",
                        sizeof(data));
    message_unref(message);
}

static void message_holds_key_and_origin(void **state)
{
    (void)state;
    char bytes[] = "roomdatakeyorigin";
    struct message *message = message_write(&(struct message_draft){
        .kind = MESSAGE_JSON,
        .channel = {bytes, 4},
        .data = {bytes + 4, 4},
        .key = {bytes + 8, 3},
        .origin = {bytes + 11, 6},
    });

    memset(bytes, '-', sizeof(bytes));
    assert_int_equal(message->kind, MESSAGE_JSON);
    assert_string_equal(message->channel, "room");
    assert_int_equal(message->data_size, 4);
    assert_memory_equal(message->data, "data", 4);
    assert_true(text_is(message->key, "key"));
    assert_true(text_is(message->origin, "origin"));
    assert_int_equal(message_content_size(message), 4 + 3 + 6);
    message_unref(message);
    message = message_create(MESSAGE_TEXT, "a", 1, "x", 1);
    assert_int_equal(message->key.size, 0);
    assert_int_equal(message->origin.size, 0);
    message_unref(message);
}

static void message_of_the_moment_is_ephemeral(void **state)
{
    (void)state;
    assert_false(message_is_ephemeral(MESSAGE_TEXT));
    assert_false(message_is_ephemeral(MESSAGE_BINARY));
    assert_false(message_is_ephemeral(MESSAGE_JSON));
    assert_true(message_is_ephemeral(MESSAGE_JOIN));
    assert_true(message_is_ephemeral(MESSAGE_LEAVE));
    assert_true(message_is_ephemeral(MESSAGE_CONTROL));
}

static void message_has_no_place_until_the_bus_gives_it_one(void **state)
{
    (void)state;
    struct message *message = message_create(MESSAGE_TEXT, "a", 1, "hello", 5);

    assert_int_equal(message->kind, MESSAGE_TEXT);
    assert_int_equal(message->offset, 0);
    assert_string_equal(message->epoch, "");
    assert_int_equal(message->time_ms, 0);
    assert_int_equal(message->publisher, 0);
    assert_int_equal(message->sequence, 0);
    message_unref(message);
}

static void message_may_be_empty(void **state)
{
    (void)state;
    struct message *message = message_create(MESSAGE_TEXT, "a", 1, NULL, 0);

    assert_int_equal(message->data_size, 0);
    message_unref(message);
}

static void channel_name_of_any_allowed_size_is_terminated(void **state)
{
    (void)state;
    char channel[MESSAGE_CHANNEL_LIMIT];

    memset(channel, 'x', sizeof(channel));
    for (size_t size = 1; size <= sizeof(channel); size++) {
        struct message *message = message_create(MESSAGE_TEXT, channel, size, "data", 4);

        assert_int_equal(strlen(message->channel), size);
        assert_memory_equal(message->data, "data", 4);
        message_unref(message);
    }
}

static void message_lives_until_its_last_reference_goes(void **state)
{
    (void)state;
    struct message *message = message_create(MESSAGE_TEXT, "a", 1, "hello", 5);

    assert_ptr_equal(message_ref(message), message);
    message_unref(message);
    assert_memory_equal(message->data, "hello", 5);
    message_unref(message);
    message_unref(NULL);
}

#define THREADS    4
#define REFERENCES 10000

static void take_and_drop_references(void *argument)
{
    struct message *message = argument;

    for (int i = 0; i < REFERENCES; i++) {
        message_ref(message);
        if (message->data[0] != 'h')
            abort(); /* cmocka's assertions are for the main thread */
        message_unref(message);
    }
    message_unref(message);
}

/* The address sanitizer sees a message freed early or never, the thread sanitizer a race. */
static void references_may_be_dropped_on_any_thread(void **state)
{
    (void)state;
    struct message *message = message_create(MESSAGE_TEXT, "a", 1, "hello", 5);
    uv_thread_t threads[THREADS];

    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(
            uv_thread_create(&threads[i], take_and_drop_references, message_ref(message)), 0);
    message_unref(message);
    for (size_t i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_holds_copies_of_what_it_was_given),
        cmocka_unit_test(message_holds_key_and_origin),
        cmocka_unit_test(message_of_the_moment_is_ephemeral),
        cmocka_unit_test(message_has_no_place_until_the_bus_gives_it_one),
        cmocka_unit_test(message_may_be_empty),
        cmocka_unit_test(channel_name_of_any_allowed_size_is_terminated),
        cmocka_unit_test(message_lives_until_its_last_reference_goes),
        cmocka_unit_test(references_may_be_dropped_on_any_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
