#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/websocket.h"

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* RFC 6455 §5.3 */
static void unmask_is_the_same_as_byte_by_byte(void **state)
{
    (void)state;
    unsigned char bytes[160];
    unsigned char expected[160];

    for (size_t align = 0; align < 16; align++) {
        for (size_t size = 0; size < 130; size++) {
            for (unsigned phase = 0; phase < 4; phase++) {
                for (size_t i = 0; i < sizeof(bytes); i++)
                    bytes[i] = expected[i] = (unsigned char)(i * 31 + size);
                for (size_t i = 0; i < size; i++)
                    expected[align + i] ^= mask[(phase + i) % 4];
                assert_int_equal(websocket_unmask(bytes + align, size, mask, phase),
                                 (phase + size) % 4);
                assert_memory_equal(bytes, expected, sizeof(bytes));
            }
        }
    }
}

static void header_takes_the_shortest_length(void **state)
{
    (void)state;
    static const struct {
        uint64_t payload_size;
        size_t size;
        unsigned char bytes[WEBSOCKET_HEADER_LIMIT];
    } cases[] = {
        {0, 2, {0x81, 0}},
        {125, 2, {0x81, 125}},
        {126, 4, {0x81, 126, 0, 126}},
        {65535, 4, {0x81, 126, 0xff, 0xff}},
        {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
        {0x0123456789abcdef, 10, {0x81, 127, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}},
    };
    unsigned char header[WEBSOCKET_HEADER_LIMIT];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(websocket_write_header(header, WEBSOCKET_TEXT, cases[i].payload_size),
                         cases[i].size);
        assert_memory_equal(header, cases[i].bytes, cases[i].size);
    }
    websocket_write_header(header, WEBSOCKET_BINARY, 1);
    assert_int_equal(header[0], 0x82);
}

static void close_frame_carries_code_and_reason(void **state)
{
    (void)state;
    unsigned char frame[2 + WEBSOCKET_CONTROL_LIMIT];

    assert_int_equal(websocket_write_close(frame, 1001, "bye"), 7);
    assert_memory_equal(frame,
                        "\x88\x05\x03\xe9"
                        "bye",
                        7);
    assert_int_equal(websocket_write_close(frame, 1000, ""), 4);
    assert_memory_equal(frame, "\x88\x02\x03\xe8", 4);
    assert_int_equal(websocket_write_close(frame, WEBSOCKET_CLOSE_NO_STATUS, "never sent"), 2);
    assert_memory_equal(frame, "\x88\x00", 2);
}

static void close_reason_is_cut_between_characters(void **state)
{
    (void)state;
    unsigned char frame[2 + WEBSOCKET_CONTROL_LIMIT];
    char reason[200] = {0};

    for (size_t before = 118; before <= 124; before++) {
        size_t kept = before >= 120 && before <= 122 ? before : 123;

        memset(reason, 'a', sizeof(reason) - 1);
        memcpy(reason + before, "\xf0\x9f\x94\x94", 4);
        assert_int_equal(websocket_write_close(frame, 1008, reason), 4 + kept);
        assert_int_equal(frame[1], 2 + kept);
        assert_memory_equal(frame + 4, reason, kept);
    }
    memset(reason, 'a', 123);
    reason[123] = '\0';
    assert_int_equal(websocket_write_close(frame, 1008, reason), sizeof(frame));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unmask_is_the_same_as_byte_by_byte),
        cmocka_unit_test(header_takes_the_shortest_length),
        cmocka_unit_test(close_frame_carries_code_and_reason),
        cmocka_unit_test(close_reason_is_cut_between_characters),
    };

    return cmocka_run_group_tests_name("websocket output", tests, NULL, NULL);
}
