/*
 * What the tests of the frame reader share: what a peer sends, byte by byte, and the story that the
 * reader tells of it, which must be the same however the bytes are cut.
 */
#ifndef TESTS_WEBSOCKET_FIXTURE_H
#define TESTS_WEBSOCKET_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "gateway/websocket.h"

#define LIMIT ((size_t)1 << 20)

#define FIN       0x80
#define FIN_TEXT  (FIN | WEBSOCKET_TEXT)
#define FIN_BIN   (FIN | WEBSOCKET_BINARY)
#define FIN_CONT  (FIN | WEBSOCKET_CONTINUATION)
#define FIN_CLOSE (FIN | WEBSOCKET_CLOSE)
#define FIN_PING  (FIN | WEBSOCKET_PING)
#define FIN_PONG  (FIN | WEBSOCKET_PONG)

static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* What the peer sends, and what the reader made of it. */
static struct buffer wire;
static struct buffer story;
static struct inflater *inflater; /* NULL: nothing may be compressed */

static inline int clear(void **state)
{
    (void)state;
    buffer_deinit(&wire);
    buffer_deinit(&story);
    return 0;
}

static inline void add_byte(unsigned byte)
{
    buffer_append(&wire, &(unsigned char){(unsigned char)byte}, 1);
}

/* A header whose 7-bit length is `form`, with the `length_bytes` of an extended length. */
static inline void add_header(unsigned first, unsigned form, unsigned length_bytes, uint64_t length)
{
    add_byte(first);
    add_byte(0x80 | form);
    for (unsigned i = length_bytes; i-- > 0;)
        add_byte((length >> (8 * i)) & 0xff);
    buffer_append(&wire, mask, 4);
}

static inline void add_masked(const void *payload, size_t size)
{
    for (size_t i = 0; i < size; i++)
        add_byte(((const unsigned char *)payload)[i] ^ mask[i & 3]);
}

static inline void add_frame(unsigned first, const void *payload, size_t size)
{
    if (size < 126)
        add_header(first, (unsigned)size, 0, 0);
    else if (size <= 0xffff)
        add_header(first, 126, 2, size);
    else
        add_header(first, 127, 8, size);
    add_masked(payload, size);
}

static inline void add_text(unsigned first, const char *text)
{
    add_frame(first, text, strlen(text));
}

static inline void add_close(unsigned code, const char *reason)
{
    char payload[WEBSOCKET_CONTROL_LIMIT];
    int size = snprintf(payload, sizeof(payload), "..%s", reason);

    payload[0] = (char)(code >> 8);
    payload[1] = (char)code;
    add_frame(FIN_CLOSE, payload, (size_t)size);
}

static inline const char *event_name(const struct websocket_frame *frame)
{
    switch (frame->opcode) {
    case WEBSOCKET_TEXT:
        return "text";
    case WEBSOCKET_BINARY:
        return "binary";
    case WEBSOCKET_CLOSE:
        return "close";
    case WEBSOCKET_PING:
        return "ping";
    case WEBSOCKET_PONG:
        return "pong";
    default:
        return "nonsense";
    }
}

static inline void tell(enum websocket_event event, const struct websocket_frame *frame)
{
    if (event == WEBSOCKET_ERROR) {
        assert_non_null(frame->reason);
        buffer_printf(&story, "error %d;", frame->close_code);
        return;
    }
    buffer_append_text(&story, event_name(frame));
    assert_int_equal(event == WEBSOCKET_CONTROL, (frame->opcode & 0x8) != 0);
    if (frame->opcode == WEBSOCKET_CLOSE)
        buffer_printf(&story, " %d", frame->close_code);
    buffer_append_text(&story, ":");
    buffer_append(&story, frame->data, frame->size);
    buffer_append_text(&story, ";");
}

/* Reads one piece out of a copy of just its size, so that reading past its end is seen. */
static inline enum websocket_event feed(struct websocket_reader *reader, const unsigned char *bytes,
                                        size_t size, size_t limit)
{
    unsigned char *copy = memory_allocate(size);
    unsigned char *data = copy;
    enum websocket_event event = WEBSOCKET_MORE;
    struct websocket_frame frame;

    memcpy(copy, bytes, size);
    do {
        event = websocket_read(reader, &data, &size, limit, inflater, &frame);
        if (event != WEBSOCKET_MORE)
            tell(event, &frame);
    } while (event != WEBSOCKET_MORE && event != WEBSOCKET_ERROR);
    assert_true(event == WEBSOCKET_ERROR || size == 0);
    memory_free(copy);
    return event;
}

static inline void read_in_pieces(size_t piece, size_t limit)
{
    struct websocket_reader reader = {0};
    enum websocket_event event = WEBSOCKET_MORE;

    buffer_deinit(&story);
    for (size_t at = 0; at < wire.size && event == WEBSOCKET_MORE; at += piece)
        event =
            feed(&reader, wire.data + at, wire.size - at < piece ? wire.size - at : piece, limit);
    websocket_reader_deinit(&reader);
    buffer_append(&story, "", 1);
}

/* The frames on the wire, however they are cut, tell this story; then the wire is empty. */
static inline void expect_limited(size_t limit, const char *expected)
{
    static const size_t pieces[] = {SIZE_MAX / 2, 1, 2, 3, 5, 8, 13, 64};

    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        read_in_pieces(pieces[i], limit);
        assert_string_equal((const char *)story.data, expected);
    }
    buffer_deinit(&wire);
}

static inline void expect(const char *expected)
{
    expect_limited(LIMIT, expected);
}

#endif
