#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/buffer.h"

static void zeroed_buffer_grows_as_needed(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    for (int i = 0; i < 10000; i++)
        buffer_append(&buffer, "0123456789", 10);
    assert_int_equal(buffer.size, 100000);
    assert_memory_equal(buffer.data + 99990, "0123456789", 10);
    buffer_deinit(&buffer);
    assert_int_equal(buffer.size, 0);
    buffer_append_text(&buffer, "again");
    assert_memory_equal(buffer.data, "again", 5);
    buffer_deinit(&buffer);
}

static void reserved_room_does_not_count(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    memcpy(buffer_reserve(&buffer, 100), "xyz", 3);
    assert_int_equal(buffer.size, 0);
    buffer.size = 3;
    buffer_append(&buffer, "", 0);
    assert_int_equal(buffer.size, 3);
    buffer_deinit(&buffer);
}

static void formatted_text_is_appended_whole(void **state)
{
    struct buffer buffer = {0};
    char text[3000];

    (void)state;
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    buffer_printf(&buffer, "%d:%s", 42, "x");
    buffer_printf(&buffer, "%s", text);
    assert_int_equal(buffer.size, 4 + 2999);
    assert_memory_equal(buffer.data, "42:xaaa", 7);
    buffer_deinit(&buffer);
}

static void number_is_appended_in_decimal(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    buffer_append_number(&buffer, 0);
    buffer_append_text(&buffer, " ");
    buffer_append_number(&buffer, 907);
    buffer_append_text(&buffer, " ");
    buffer_append_number(&buffer, UINT64_MAX);
    assert_int_equal(buffer.size, 26);
    assert_memory_equal(buffer.data, "0 907 18446744073709551615", 26);
    buffer_deinit(&buffer);
}

static void consumed_bytes_are_gone(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    buffer_append_text(&buffer, "head and tail");
    buffer_consume(&buffer, 5);
    assert_int_equal(buffer.size, 8);
    assert_memory_equal(buffer.data, "and tail", 8);
    buffer_consume(&buffer, 8);
    assert_int_equal(buffer.size, 0);
    buffer_deinit(&buffer);
}

static void cleared_buffer_keeps_no_more_memory_than_it_may(void **state)
{
    struct buffer buffer = {0};

    (void)state;
    buffer_append(&buffer, "0123456789", 10);

    const unsigned char *before = buffer.data;
    size_t capacity = buffer.capacity;

    buffer_clear(&buffer, capacity);
    assert_int_equal(buffer.size, 0);
    assert_ptr_equal(buffer.data, before);
    buffer_append(&buffer, "01", 2);
    buffer_clear(&buffer, capacity - 1);
    assert_int_equal(buffer.size, 0);
    assert_int_equal(buffer.capacity, 0);
    buffer_deinit(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeroed_buffer_grows_as_needed),
        cmocka_unit_test(reserved_room_does_not_count),
        cmocka_unit_test(formatted_text_is_appended_whole),
        cmocka_unit_test(number_is_appended_in_decimal),
        cmocka_unit_test(consumed_bytes_are_gone),
        cmocka_unit_test(cleared_buffer_keeps_no_more_memory_than_it_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
