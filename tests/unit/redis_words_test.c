#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/decimal.h"
#include "gateway/redis_words.h"

static void assert_digits(uint64_t number, const char *text)
{
    char digits[DECIMAL_DIGITS];
    size_t count = decimal_write(digits, number);

    assert_int_equal(count, strlen(text));
    assert_memory_equal(digits, text, count);
}

static void numbers_are_decimal(void **state)
{
    (void)state;
    assert_digits(0, "0");
    assert_digits(9, "9");
    assert_digits(10, "10");
    assert_digits(UINT64_MAX, "18446744073709551615");
}

static void commands_are_arrays_of_strings_behind_what_is_there(void **state)
{
    const char *words[] = {"SET", "a\r\nb", "", "0123456789\0"};
    const size_t sizes[] = {3, 4, 0, 11};
    static const char expected[] =
        "+*4\r\n$3\r\nSET\r\n$4\r\na\r\nb\r\n$0\r\n\r\n$11\r\n0123456789\0\r\n";
    struct block *output = block_create(1);

    (void)state;
    block_append(output, "+", 1);
    output = redis_words_append(output, 4, words, sizes);
    assert_int_equal(output->size, sizeof(expected) - 1);
    assert_memory_equal(output->data, expected, sizeof(expected) - 1);
    block_unref(output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_decimal),
        cmocka_unit_test(commands_are_arrays_of_strings_behind_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
