/* Messages that zlib has compressed each by itself, inflated again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "tests/bench/decompressor.h"

#define LIMIT 10000

/* As RFC 7692 §7.2.1 has it; returns the size. */
static size_t compress_message(const char *text, size_t size, unsigned char *compressed,
                               size_t capacity)
{
    z_stream stream = {0};

    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (z_const Bytef *)text;
    stream.avail_in = (uInt)size;
    stream.next_out = compressed;
    stream.avail_out = (uInt)capacity;
    assert_int_equal(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    deflateEnd(&stream);
    return capacity - stream.avail_out - 4;
}

static int create(void **state)
{
    *state = decompressor_create(LIMIT);
    return *state == NULL;
}

static int destroy(void **state)
{
    decompressor_destroy(*state);
    return 0;
}

static void assert_inflates(struct decompressor *decompressor, const char *text, size_t size)
{
    unsigned char compressed[2 * LIMIT];
    size_t compressed_size = compress_message(text, size, compressed, sizeof(compressed));
    const unsigned char *inflated;
    size_t inflated_size;

    assert_int_equal(
        decompressor_inflate(decompressor, compressed, compressed_size, &inflated, &inflated_size),
        0);
    assert_int_equal(inflated_size, size);
    assert_memory_equal(inflated, text, size);
}

static void messages_are_inflated_again_and_again(void **state)
{
    char text[64];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) { /* more than are remembered */
            snprintf(text, sizeof(text), "message %d of a thousand, of a thousand", i);
            assert_inflates(*state, text, strlen(text));
        }
    }
}

static void message_up_to_the_limit_is_inflated_and_none_beyond(void **state)
{
    static char text[LIMIT + 1];
    unsigned char compressed[1000];
    const unsigned char *inflated;
    size_t size, inflated_size;

    memset(text, 'x', sizeof(text));
    assert_inflates(*state, text, LIMIT);
    size = compress_message(text, LIMIT + 1, compressed, sizeof(compressed));
    for (int i = 0; i < 2; i++) /* nor is what came out of it remembered */
        assert_int_equal(decompressor_inflate(*state, compressed, size, &inflated, &inflated_size),
                         -EMSGSIZE);
}

static void what_is_not_compressed_is_refused(void **state)
{
    static const unsigned char garbage[] = {0xff, 0xff, 0xff};
    const unsigned char *inflated;
    size_t size;

    for (int i = 0; i < 2; i++)
        assert_int_equal(decompressor_inflate(*state, garbage, sizeof(garbage), &inflated, &size),
                         -EPROTO);
    assert_inflates(*state, "after it", 8);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, create, destroy)
    const struct CMUnitTest tests[] = {
        CASE(messages_are_inflated_again_and_again),
        CASE(message_up_to_the_limit_is_inflated_and_none_beyond),
        CASE(what_is_not_compressed_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
