/*
 * Frames made by hand, field by field, because our own writer makes none that break a limit or that
 * come from next year's. Included by one test program at a time, after cmocka.
 */
#ifndef TESTS_UNIT_ROUTER_FRAME_FIXTURE_H
#define TESTS_UNIT_ROUTER_FRAME_FIXTURE_H

#include <string.h>

#include "common/memory.h"
#include "common/router_frame.h"

#define DATA_LIMIT 1000
#define UNKNOWN    99 /* a field or kind of next year's */

/* Protobuf: a varint holds `number << 3 | type` of a field. */
enum wire_type { VARINT = 0, FIXED64 = 1, BYTES = 2 };

static struct buffer body; /* of the frame under construction */

static void put_varint(struct buffer *bytes, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        buffer_append(bytes, &(unsigned char){(unsigned char)(value | 0x80)}, 1);
    buffer_append(bytes, &(unsigned char){(unsigned char)value}, 1);
}

static void put_number(unsigned field, uint64_t value)
{
    put_varint(&body, field << 3 | VARINT);
    put_varint(&body, value);
}

static void put_fixed(unsigned field, uint64_t value)
{
    put_varint(&body, field << 3 | FIXED64);
    for (int i = 0; i < 8; i++)
        buffer_append(&body, &(unsigned char){(unsigned char)(value >> 8 * i)}, 1);
}

static void put_bytes(unsigned field, const void *data, size_t size)
{
    put_varint(&body, field << 3 | BYTES);
    put_varint(&body, size);
    buffer_append(&body, data, size);
}

static void put_text(unsigned field, const char *text)
{
    put_bytes(field, text, strlen(text));
}

static int read_bytes(const void *bytes, size_t size, struct router_frame *frame)
{
    /* On its own memory, so that a read beyond its end is found. */
    unsigned char *copy = memory_allocate(size > 0 ? size : 1);
    int answer;

    if (size > 0)
        memcpy(copy, bytes, size);
    answer = router_frame_read(copy, size, DATA_LIMIT, frame);
    memory_free(copy);
    return answer;
}

/* Reads what was put, as a frame of a kind; what was put is gone afterwards. */
static int read_put(unsigned kind, struct router_frame *frame)
{
    struct buffer inner = body;
    int answer;

    body = (struct buffer){0};
    put_bytes(kind, inner.data, inner.size);
    answer = read_bytes(body.data, body.size, frame);
    buffer_deinit(&inner);
    buffer_deinit(&body);
    return answer;
}

static int answer_to(unsigned kind)
{
    struct router_frame frame;
    int answer = read_put(kind, &frame);

    if (answer == 0)
        router_frame_release(&frame);
    return answer;
}

#endif
