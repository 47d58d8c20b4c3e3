#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>
#include <zlib.h>

#include "common/memory.h"
#include "gateway/deflate.h"

#define LIMIT ((size_t)1 << 20)

static struct deflater deflater;
static struct inflater inflater;

static int clear(void **state)
{
    (void)state;
    deflater_deinit(&deflater);
    inflater_deinit(&inflater);
    return 0;
}

static void expect_inflated(const void *payload, size_t size, const void *expected,
                            size_t expected_size)
{
    unsigned char *message;
    size_t message_size;

    assert_int_equal(inflater_inflate(&inflater, payload, size, LIMIT, &message, &message_size), 0);
    assert_int_equal(message_size, expected_size);
    if (expected_size > 0)
        assert_memory_equal(message, expected, expected_size);
}

#define EXPECT_INFLATED(payload, expected)                                                         \
    expect_inflated(payload, sizeof(payload) - 1, expected, sizeof(expected) - 1)

static void expect_error(const void *payload, size_t size, size_t limit, int expected)
{
    unsigned char *message;
    size_t message_size;

    assert_int_equal(inflater_inflate(&inflater, payload, size, limit, &message, &message_size),
                     expected);
}

#define EXPECT_BROKEN(payload) expect_error(payload, sizeof(payload) - 1, LIMIT, UV_EINVAL)

/* The examples of RFC 7692 §7.2.3. */

static void one_block_inflates(void **state)
{
    (void)state;
    EXPECT_INFLATED("\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello");
}

static void stored_block_inflates(void **state)
{
    (void)state;
    EXPECT_INFLATED("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", "Hello");
}

static void last_block_inflates(void **state)
{
    (void)state;
    EXPECT_INFLATED("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", "Hello");
}

static void last_block_inflates_without_the_zero_behind_it(void **state)
{
    (void)state;
    EXPECT_INFLATED("\xf3\x48\xcd\xc9\xc9\x07\x00", "Hello");
}

static void blocks_may_follow_the_last_one(void **state)
{
    (void)state;
    EXPECT_INFLATED("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00", "HelloHello");
}

static void two_blocks_inflate(void **state)
{
    (void)state;
    EXPECT_INFLATED("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", "Hello");
}

static void empty_message_inflates(void **state)
{
    (void)state;
    EXPECT_INFLATED("\x00", "");
    EXPECT_INFLATED("", "");
}

static void each_message_is_inflated_for_itself(void **state)
{
    (void)state;
    EXPECT_INFLATED("\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello");
    /* The second message of §7.2.3.2 refers to the first one, which is not remembered. */
    EXPECT_BROKEN("\xf2\x00\x11\x00\x00");
    EXPECT_INFLATED("\xf2\x48\xcd\xc9\xc9\x07\x00", "Hello");
}

static void nonsense_does_not_inflate(void **state)
{
    (void)state;
    EXPECT_BROKEN("\x06");                 /* a kind of block that there is not */
    EXPECT_BROKEN("\xff\xff\xff\xff");     /* the same */
    EXPECT_BROKEN("\x00\x05\x00\xfa\xfe"); /* a length that contradicts itself */
    EXPECT_BROKEN("Hello");
}

static void message_cut_short_does_not_inflate(void **state)
{
    (void)state;
    static const char stored[] = "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00";
    static const char fixed[] = "\xf2\x48\xcd\xc9\xc9\x07\x00";

    for (size_t size = 2; size < sizeof(stored) - 1; size++) /* the first byte alone is a message */
        expect_error(stored, size, LIMIT, UV_EINVAL);
    for (size_t size = 1; size < sizeof(fixed) - 1; size++)
        expect_error(fixed, size, LIMIT, UV_EINVAL);
}

/* Whoever sends the empty block whole sends four bytes more than needed, and no nonsense. */
static void tail_that_was_not_taken_off_does_no_harm(void **state)
{
    (void)state;
    EXPECT_INFLATED("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff\x00", "Hello");
}

static unsigned char *made_of(size_t size, unsigned variety)
{
    unsigned char *bytes = memory_allocate(size);
    uint32_t random = 1;

    for (size_t i = 0; i < size; i++) {
        random = random * 1664525 + 1013904223;
        bytes[i] = (unsigned char)((random >> 24) % variety);
    }
    return bytes;
}

static void message_of_the_limit_inflates_and_one_byte_more_does_not(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 4095, 4096, 4097, 8192, 65536, 100000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        unsigned char *bytes = made_of(sizes[i] + 1000, 1);
        struct text payload = deflater_compress(&deflater, DEFLATE_WIDE, bytes, sizes[i] + 1000);
        unsigned char *message;
        size_t size;

        assert_int_equal(inflater_inflate(&inflater, payload.data, payload.size, sizes[i] + 1000,
                                          &message, &size),
                         0);
        assert_int_equal(size, sizes[i] + 1000);
        expect_error(payload.data, payload.size, sizes[i] + 999, UV_E2BIG);
        expect_error(payload.data, payload.size, sizes[i], UV_E2BIG);
        memory_free(bytes);
    }
}

/* A thousand times the limit, in a few hundred bytes. */
static void bomb_is_not_made_whole(void **state)
{
    (void)state;
    unsigned char *bytes = made_of((size_t)16 << 20, 1);
    struct text payload = deflater_compress(&deflater, DEFLATE_WIDE, bytes, (size_t)16 << 20);

    assert_true(payload.size < 20000);
    expect_error(payload.data, payload.size, 16384, UV_E2BIG);
    assert_true(inflater.output.capacity <= 32768);
    memory_free(bytes);
}

static void every_window_and_size_survives(void **state)
{
    (void)state;
    static const size_t sizes[] = {16, 100, 511, 512, 513, 4096, 32768, 65536, 300000};

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (int window = DEFLATE_WIDE; window < DEFLATE_WINDOWS; window++) {
            unsigned char *bytes = made_of(sizes[i], 3);
            struct text payload =
                deflater_compress(&deflater, (enum deflate_window)window, bytes, sizes[i]);

            assert_non_null(payload.data);
            assert_true(payload.size < sizes[i]);
            expect_inflated(payload.data, payload.size, bytes, sizes[i]);
            memory_free(bytes);
        }
    }
}

/* What is said to a client with a window of that many bits must inflate with it. */
static bool inflates_with(int bits, struct text payload, size_t expected_size)
{
    static unsigned char output[100000];
    z_stream stream = {
        .next_in = (unsigned char *)payload.data,
        .avail_in = (unsigned)payload.size,
    };
    bool is_good = true;

    assert_int_equal(inflateInit2(&stream, -bits), Z_OK);
    while (is_good && stream.avail_in > 0) {
        /* A little at a time, for what is still in the output is no part of the window. */
        stream.next_out = output;
        stream.avail_out = 100;
        is_good = inflate(&stream, Z_SYNC_FLUSH) == Z_OK;
    }
    while (is_good && stream.avail_out == 0) {
        stream.next_out = output;
        stream.avail_out = 100;
        is_good = inflate(&stream, Z_SYNC_FLUSH) != Z_DATA_ERROR;
    }
    is_good = is_good && stream.total_out == expected_size;
    inflateEnd(&stream);
    return is_good;
}

static void narrow_window_is_narrow(void **state)
{
    (void)state;
    /* 2,000 bytes of noise, and once more the same. */
    unsigned char *bytes = made_of(4000, 256);
    struct text payload;

    memcpy(bytes + 2000, bytes, 2000);
    memset(bytes, 'x', 100);
    memset(bytes + 3900, 'x', 100);
    payload = deflater_compress(&deflater, DEFLATE_WIDE, bytes, 4000);
    assert_true(payload.size < 2500);
    assert_true(inflates_with(15, payload, 4000));
    assert_false(inflates_with(9, payload, 4000));
    payload = deflater_compress(&deflater, DEFLATE_NARROW, bytes, 4000);
    assert_non_null(payload.data);
    assert_true(inflates_with(9, payload, 4000));
    memory_free(bytes);
}

static void what_gets_no_smaller_is_not_compressed(void **state)
{
    (void)state;
    unsigned char *noise = made_of(100000, 256);

    assert_null(deflater_compress(&deflater, DEFLATE_WIDE, noise, 100000).data);
    assert_null(deflater_compress(&deflater, DEFLATE_NARROW, noise, 100).data);
    assert_null(deflater_compress(&deflater, DEFLATE_WIDE, "a", 1).data);
    assert_null(deflater_compress(&deflater, DEFLATE_WIDE, "abcdefgh", 8).data);
    assert_null(deflater_compress(&deflater, DEFLATE_WIDE, "", 0).data);
    assert_null(deflater_compress(&deflater, DEFLATE_OFF, "aaaaaaaaaaaaaaaaaaaaaa", 22).data);
    /* And whatever comes after it is compressed as ever. */
    assert_true(deflater_compress(&deflater, DEFLATE_WIDE, "aaaaaaaaaaaaaaaaaaaaaa", 22).size < 10);
    memory_free(noise);
}

static void same_message_is_the_same_payload(void **state)
{
    (void)state;
    static const char text[] = "the same text, the same text, the same text";
    struct text payload = deflater_compress(&deflater, DEFLATE_WIDE, text, sizeof(text));
    size_t size = payload.size;
    char first[64];

    assert_true(size < sizeof(first));
    memcpy(first, payload.data, size);
    deflater_compress(&deflater, DEFLATE_WIDE, "something else, something else", 30);
    payload = deflater_compress(&deflater, DEFLATE_WIDE, text, sizeof(text));
    assert_int_equal(payload.size, size);
    assert_memory_equal(payload.data, first, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(one_block_inflates, clear),
        cmocka_unit_test_teardown(stored_block_inflates, clear),
        cmocka_unit_test_teardown(last_block_inflates, clear),
        cmocka_unit_test_teardown(last_block_inflates_without_the_zero_behind_it, clear),
        cmocka_unit_test_teardown(blocks_may_follow_the_last_one, clear),
        cmocka_unit_test_teardown(two_blocks_inflate, clear),
        cmocka_unit_test_teardown(empty_message_inflates, clear),
        cmocka_unit_test_teardown(each_message_is_inflated_for_itself, clear),
        cmocka_unit_test_teardown(nonsense_does_not_inflate, clear),
        cmocka_unit_test_teardown(message_cut_short_does_not_inflate, clear),
        cmocka_unit_test_teardown(tail_that_was_not_taken_off_does_no_harm, clear),
        cmocka_unit_test_teardown(message_of_the_limit_inflates_and_one_byte_more_does_not, clear),
        cmocka_unit_test_teardown(bomb_is_not_made_whole, clear),
        cmocka_unit_test_teardown(every_window_and_size_survives, clear),
        cmocka_unit_test_teardown(narrow_window_is_narrow, clear),
        cmocka_unit_test_teardown(what_gets_no_smaller_is_not_compressed, clear),
        cmocka_unit_test_teardown(same_message_is_the_same_payload, clear),
    };

    return cmocka_run_group_tests_name("deflate", tests, NULL, NULL);
}
