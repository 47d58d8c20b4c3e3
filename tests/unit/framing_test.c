#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "common/framing.h"
#include "common/memory.h"

#define LIMIT 100

static struct framing_reader reader;
static struct buffer heard; /* each frame, with a '|' behind it */

static int make_reader(void **state)
{
    (void)state;
    framing_reader_init(&reader, LIMIT);
    heard = (struct buffer){0};
    return 0;
}

static int drop_reader(void **state)
{
    (void)state;
    framing_reader_deinit(&reader);
    buffer_deinit(&heard);
    return 0;
}

static void append_frame(struct buffer *bytes, const void *data, size_t size)
{
    framing_write_header(buffer_reserve(bytes, FRAMING_HEADER_BYTES), size);
    bytes->size += FRAMING_HEADER_BYTES;
    buffer_append(bytes, data, size);
}

static void append_text(struct buffer *bytes, const char *text)
{
    append_frame(bytes, text, strlen(text));
}

/* Reads all frames of one piece, as from a socket whose buffer is used again for the next. */
static int feed(const void *data, size_t size)
{
    unsigned char *copy = memory_allocate(size + 1);
    const unsigned char *at = copy;
    const unsigned char *frame;
    size_t frame_size;
    int answer;

    memcpy(copy, data, size);
    while ((answer = framing_read(&reader, &at, &size, &frame, &frame_size)) > 0) {
        buffer_append(&heard, frame, frame_size);
        buffer_append_text(&heard, answer == FRAMING_CUT ? "..." : "|");
    }
    if (answer == 0)
        assert_int_equal(size, 0);
    memory_free(copy);
    return answer;
}

static void assert_heard(const char *text)
{
    assert_int_equal(heard.size, strlen(text));
    assert_memory_equal(heard.data, text, heard.size);
    heard.size = 0;
}

static void header_is_the_length_in_big_endian(void **state)
{
    unsigned char header[FRAMING_HEADER_BYTES];

    (void)state;
    framing_write_header(header, 0x01020304);
    assert_memory_equal(header, "\1\2\3\4", 4);
    framing_write_header(header, 7);
    assert_memory_equal(header, "\0\0\0\7", 4);
}

static void whole_frame_is_handed_out_where_it_lies(void **state)
{
    static const unsigned char bytes[] = "\0\0\0\3one\0\0\0\3two";
    const unsigned char *data = bytes;
    size_t size = sizeof(bytes) - 1;
    const unsigned char *frame;
    size_t frame_size;

    (void)state;
    assert_int_equal(framing_read(&reader, &data, &size, &frame, &frame_size), 1);
    assert_ptr_equal(frame, bytes + 4);
    assert_int_equal(frame_size, 3);
    assert_ptr_equal(data, bytes + 7);
    assert_int_equal(framing_read(&reader, &data, &size, &frame, &frame_size), 1);
    assert_ptr_equal(frame, bytes + 11);
    assert_int_equal(size, 0);
    assert_int_equal(framing_read(&reader, &data, &size, &frame, &frame_size), 0);
    assert_int_equal(reader.tail.capacity, 0);
}

static void many_frames_come_out_of_one_read_in_order(void **state)
{
    struct buffer bytes = {0};
    struct buffer expected = {0};

    (void)state;
    for (int i = 0; i < 1000; i++) {
        char text[32];

        snprintf(text, sizeof(text), "frame %d", i);
        append_text(&bytes, text);
        buffer_printf(&expected, "%s|", text);
    }
    assert_int_equal(feed(bytes.data, bytes.size), 0);
    buffer_append(&expected, "", 1);
    assert_heard((const char *)expected.data);
    buffer_deinit(&bytes);
    buffer_deinit(&expected);
}

static void frames_cut_at_any_two_bytes_are_the_same(void **state)
{
    struct buffer bytes = {0};

    (void)state;
    append_text(&bytes, "a");
    append_text(&bytes, "somewhat longer");
    append_text(&bytes, "end");
    for (size_t first = 0; first <= bytes.size; first++) {
        for (size_t second = first; second <= bytes.size; second++) {
            assert_int_equal(feed(bytes.data, first), 0);
            assert_int_equal(feed(bytes.data + first, second - first), 0);
            assert_int_equal(feed(bytes.data + second, bytes.size - second), 0);
            assert_heard("a|somewhat longer|end|");
        }
    }
    buffer_deinit(&bytes);
}

static void frames_come_byte_by_byte(void **state)
{
    struct buffer bytes = {0};

    (void)state;
    append_text(&bytes, "one");
    append_text(&bytes, "two");
    for (size_t i = 0; i < bytes.size; i++)
        assert_int_equal(feed(bytes.data + i, 1), 0);
    assert_heard("one|two|");
    buffer_deinit(&bytes);
}

static void frame_is_given_as_soon_as_its_last_byte_is_there(void **state)
{
    (void)state;
    assert_int_equal(feed("\0\0\0\5hell", 8), 0);
    assert_heard("");
    assert_int_equal(feed("o\0\0\0", 4), 0);
    assert_heard("hello|");
    assert_int_equal(feed("\2hi", 3), 0);
    assert_heard("hi|");
}

static void largest_frame_passes_and_a_larger_one_is_refused(void **state)
{
    char text[LIMIT + 2] = {0};
    struct buffer bytes = {0};

    (void)state;
    memset(text, 'x', LIMIT + 1);
    append_frame(&bytes, text, LIMIT);
    append_frame(&bytes, text, LIMIT + 1);
    assert_int_equal(feed(bytes.data, bytes.size), UV_EMSGSIZE);
    text[LIMIT] = '|';
    text[LIMIT + 1] = '\0';
    assert_heard(text);
    buffer_deinit(&bytes);
}

/* Nothing is kept for a frame that its header already forbids, however the header comes. */
static void header_alone_refuses_a_frame(void **state)
{
    static const char *const headers[] = {"\0\0\0\x65", "\xff\xff\xff\xff", "\0\0\0\0"};

    (void)state;
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        for (size_t cut = 0; cut < FRAMING_HEADER_BYTES; cut++) {
            framing_reader_deinit(&reader);
            assert_int_equal(feed(headers[i], cut), 0);
            assert_int_equal(feed(headers[i] + cut, FRAMING_HEADER_BYTES - cut), UV_EMSGSIZE);
            assert_in_range(reader.tail.capacity, 0, 64);
        }
    }
    assert_heard("");
}

static void whole_frames_before_a_bad_one_are_given(void **state)
{
    (void)state;
    assert_int_equal(feed("\0\0\0\2ok\0\0\0\0\0\0\0\2no", 16), UV_EMSGSIZE);
    assert_heard("ok|");
}

static void nothing_more_is_needed_than_what_was_fed(void **state)
{
    (void)state;
    assert_int_equal(feed("", 0), 0);
    assert_int_equal(feed("\0\0", 2), 0);
    assert_int_equal(feed("", 0), 0);
    assert_int_equal(feed("\0\1x", 3), 0);
    assert_int_equal(feed("", 0), 0);
    assert_heard("x|");
}

/* Feeds a frame of `size` bytes in two pieces, so that it passes through the tail. */
static void feed_through_tail(size_t size)
{
    unsigned char *data = memory_zeroed(size, 1);
    struct buffer bytes = {0};

    append_frame(&bytes, data, size);
    assert_int_equal(feed(bytes.data, 10), 0);
    assert_int_equal(feed(bytes.data + 10, bytes.size - 10), 0);
    assert_int_equal(heard.size, size + 1);
    heard.size = 0;
    buffer_deinit(&bytes);
    memory_free(data);
}

static void memory_of_a_large_frame_is_given_back_and_of_a_small_one_is_kept(void **state)
{
    (void)state;
    reader.limit = 4000000;
    feed_through_tail(1000);
    assert_in_range(reader.tail.capacity, 1000, 4096);
    feed_through_tail(3000000);
    assert_int_equal(reader.tail.capacity, 0);
    feed_through_tail(1000);
    assert_in_range(reader.tail.capacity, 1000, 4096);
}

/* A frame of 'x' that is `size` long stands between two texts; it comes in pieces. */
static void assert_cut_in_pieces(size_t size, size_t piece)
{
    unsigned char *large = memory_allocate(size);
    struct buffer sent = {0};
    struct buffer expected = {0};

    memset(large, 'x', size);
    append_text(&sent, "before");
    append_frame(&sent, large, size);
    append_text(&sent, "after");
    buffer_append_text(&expected, "before|");
    buffer_append(&expected, large, FRAMING_CUT_BYTES);
    buffer_append(&expected, "...after|", 10); /* with its end */
    for (size_t at = 0; at < sent.size; at += piece)
        assert_int_equal(feed(sent.data + at, sent.size - at < piece ? sent.size - at : piece), 0);
    assert_heard((const char *)expected.data);
    assert_true(reader.tail.capacity <= 4 * FRAMING_CUT_BYTES);
    buffer_deinit(&expected);
    buffer_deinit(&sent);
    memory_free(large);
}

static void frame_above_the_limit_is_cut_where_that_is_wanted(void **state)
{
    static const size_t pieces[] = {1, 3, FRAMING_HEADER_BYTES, 511, 512, 513, 1000, 100000};

    (void)state;
    reader.limit = FRAMING_CUT_BYTES;
    reader.cut_limit = 50000;
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_cut_in_pieces(FRAMING_CUT_BYTES + 1, pieces[i]);
        assert_cut_in_pieces(50000, pieces[i]);
    }
}

static void frame_above_both_limits_is_an_error(void **state)
{
    unsigned char header[FRAMING_HEADER_BYTES];

    (void)state;
    reader.limit = FRAMING_CUT_BYTES;
    reader.cut_limit = 50000;
    framing_write_header(header, 50001);
    assert_int_equal(feed(header, sizeof(header)), UV_EMSGSIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_is_the_length_in_big_endian),
        cmocka_unit_test_setup_teardown(whole_frame_is_handed_out_where_it_lies, make_reader,
                                        drop_reader),
        cmocka_unit_test_setup_teardown(many_frames_come_out_of_one_read_in_order, make_reader,
                                        drop_reader),
        cmocka_unit_test_setup_teardown(frames_cut_at_any_two_bytes_are_the_same, make_reader,
                                        drop_reader),
        cmocka_unit_test_setup_teardown(frames_come_byte_by_byte, make_reader, drop_reader),
        cmocka_unit_test_setup_teardown(frame_is_given_as_soon_as_its_last_byte_is_there,
                                        make_reader, drop_reader),
        cmocka_unit_test_setup_teardown(largest_frame_passes_and_a_larger_one_is_refused,
                                        make_reader, drop_reader),
        cmocka_unit_test_setup_teardown(header_alone_refuses_a_frame, make_reader, drop_reader),
        cmocka_unit_test_setup_teardown(whole_frames_before_a_bad_one_are_given, make_reader,
                                        drop_reader),
        cmocka_unit_test_setup_teardown(nothing_more_is_needed_than_what_was_fed, make_reader,
                                        drop_reader),
        cmocka_unit_test_setup_teardown(
            memory_of_a_large_frame_is_given_back_and_of_a_small_one_is_kept, make_reader,
            drop_reader),
        cmocka_unit_test_setup_teardown(frame_above_the_limit_is_cut_where_that_is_wanted,
                                        make_reader, drop_reader),
        cmocka_unit_test_setup_teardown(frame_above_both_limits_is_an_error, make_reader,
                                        drop_reader),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
