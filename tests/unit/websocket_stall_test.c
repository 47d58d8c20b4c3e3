/* For how long a message that has begun has not grown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/websocket.h"

#define LIMIT 1000

/* Frames under a mask of zeros, so that what stands here is what they say. */
#define MASK       "\0\0\0\0"
#define BEGIN      "\x01\x83" MASK "abc"
#define GO_ON      "\x00\x82" MASK "de"
#define EMPTY      "\x00\x80" MASK
#define LAST       "\x80\x81" MASK "f"
#define PING       "\x89\x81" MASK "?"
#define WHOLE      "\x81\x81" MASK "x"
#define LONG_START "\x82\x8a" MASK "0123"

static struct websocket_reader reader;

/* Reads the bytes at that time, as a connection does. */
static void read_at(uint32_t now_ms, const char *bytes, size_t size)
{
    unsigned char copy[64];
    unsigned char *data = copy;
    struct websocket_frame frame;
    enum websocket_event event;

    memcpy(copy, bytes, size);
    do {
        event = websocket_read(&reader, &data, &size, LIMIT, NULL, &frame);
        assert_int_not_equal(event, WEBSOCKET_ERROR);
    } while (event != WEBSOCKET_MORE);
    websocket_reader_note(&reader, now_ms);
}

#define READ_AT(now_ms, literal) read_at(now_ms, literal, sizeof(literal) - 1)

static void expect_stalled(uint32_t now_ms, uint32_t expected_ms)
{
    assert_int_equal(websocket_reader_stalled_ms(&reader, now_ms), expected_ms);
}

static int clear(void **state)
{
    (void)state;
    websocket_reader_deinit(&reader);
    return 0;
}

static void nothing_stalls_between_messages(void **state)
{
    (void)state;
    expect_stalled(1000, 0);
    READ_AT(1000, WHOLE);
    expect_stalled(2000, 0);
    READ_AT(2000, "\x89"); /* half a ping is no message */
    expect_stalled(3000, 0);
}

static void message_stalls_from_its_last_payload(void **state)
{
    (void)state;
    READ_AT(1000, BEGIN);
    expect_stalled(1000, 0);
    expect_stalled(1500, 500);
    READ_AT(1500, GO_ON);
    expect_stalled(1500, 0);
    expect_stalled(1700, 200);
    READ_AT(1800, LAST);
    expect_stalled(5000, 0);
    READ_AT(5000, BEGIN);
    expect_stalled(5100, 100);
}

static void control_frames_and_empty_fragments_do_not_help(void **state)
{
    (void)state;
    READ_AT(1000, BEGIN);
    READ_AT(2000, PING);
    expect_stalled(2000, 1000);
    READ_AT(3000, EMPTY PING EMPTY);
    expect_stalled(3000, 2000);
}

static void message_that_begins_empty_stalls_from_its_beginning(void **state)
{
    (void)state;
    READ_AT(1000, "\x01\x80" MASK);
    READ_AT(1400, PING);
    expect_stalled(1500, 500);
}

static void bytes_of_a_frame_count_before_it_is_whole(void **state)
{
    (void)state;
    READ_AT(1000, LONG_START);
    expect_stalled(1300, 300);
    READ_AT(1300, "4");
    expect_stalled(1400, 100);
    READ_AT(1500, "56789");
    expect_stalled(2000, 0);
}

static void clock_may_wrap(void **state)
{
    (void)state;
    READ_AT(UINT32_MAX, BEGIN);
    expect_stalled(99, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_stalls_between_messages, clear),
        cmocka_unit_test_teardown(message_stalls_from_its_last_payload, clear),
        cmocka_unit_test_teardown(control_frames_and_empty_fragments_do_not_help, clear),
        cmocka_unit_test_teardown(message_that_begins_empty_stalls_from_its_beginning, clear),
        cmocka_unit_test_teardown(bytes_of_a_frame_count_before_it_is_whole, clear),
        cmocka_unit_test_teardown(clock_may_wrap, clear),
    };

    return cmocka_run_group_tests_name("websocket_stall", tests, NULL, NULL);
}
