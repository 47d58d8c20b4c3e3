#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "common/memory.h"
#include "tests/bench/frame.h"

#define MASK 0x78563412u /* 12 34 56 78 in memory */

/* Appends a frame, checks what stands before the mask, and unmasks the payload. */
static void assert_frame(enum frame_opcode opcode, size_t size, const char *header,
                         size_t header_size)
{
    struct buffer output = {0};
    unsigned char *payload = memory_allocate(size + 1);
    static const unsigned char key[4] = {0x12, 0x34, 0x56, 0x78};

    for (size_t i = 0; i < size; i++)
        payload[i] = (unsigned char)(i * 7);
    frame_append(&output, opcode, MASK, payload, size);
    assert_int_equal(output.size, header_size + 4 + size);
    assert_memory_equal(output.data, header, header_size);
    assert_memory_equal(output.data + header_size, key, 4);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(output.data[header_size + 4 + i] ^ key[i & 3], payload[i]);
    buffer_deinit(&output);
    memory_free(payload);
}

static void frame_has_the_shortest_length_and_is_masked(void **state)
{
    (void)state;
    assert_frame(FRAME_PING, 0, "\x89\x80", 2);
    assert_frame(FRAME_TEXT, 125, "\x81\xfd", 2);
    assert_frame(FRAME_TEXT, 126, "\x81\xfe\x00\x7e", 4);
    assert_frame(FRAME_BINARY, 65535, "\x82\xfe\xff\xff", 4);
    assert_frame(FRAME_TEXT, 65536, "\x81\xff\0\0\0\0\0\x01\0\0", 10);
}

static void assert_header(const char *bytes, size_t size, const struct frame *expected)
{
    struct frame frame = {0};

    for (size_t available = 0; available < size; available++)
        assert_false(frame_read_header((const unsigned char *)bytes, available, &frame));
    assert_true(frame_read_header((const unsigned char *)bytes, size, &frame));
    assert_int_equal(frame.opcode, expected->opcode);
    assert_int_equal(frame.is_final, expected->is_final);
    assert_int_equal(frame.is_masked, expected->is_masked);
    assert_int_equal(frame.is_compressed, expected->is_compressed);
    assert_int_equal(frame.has_reserved, expected->has_reserved);
    assert_int_equal(frame.header_size, size);
    assert_true(frame.size == expected->size);
}

static void header_is_read_once_it_is_complete(void **state)
{
    (void)state;
    assert_header("\x81\x7d", 2, &(struct frame){.opcode = 1, .is_final = true, .size = 125});
    assert_header("\x02\x7e\x01\x00", 4, &(struct frame){.opcode = 2, .size = 256});
    assert_header("\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10,
                  &(struct frame){.is_final = true, .size = UINT64_MAX});
    assert_header("\xc1\x00", 2,
                  &(struct frame){.opcode = 1, .is_final = true, .is_compressed = true});
    assert_header("\x92\x00", 2,
                  &(struct frame){.opcode = 2, .is_final = true, .has_reserved = true});
    assert_header("\x8a\x83", 2,
                  &(struct frame){.opcode = 10, .is_final = true, .is_masked = true, .size = 3});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frame_has_the_shortest_length_and_is_masked),
        cmocka_unit_test(header_is_read_once_it_is_complete),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
