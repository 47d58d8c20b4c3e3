/*
 * The frames of one connection, read in one piece, byte by byte, and in pieces as the input itself
 * chooses: all must tell the same story. The first byte sets the message limit, and where it is odd
 * messages may be compressed; the next four are the sizes of the pieces, in turn; the rest is what
 * the peer sends.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "common/utf8.h"
#include "gateway/websocket.h"

#define CUTS 4

struct telling {
    struct websocket_reader reader;
    struct inflater *inflater; /* NULL: nothing may be compressed */
    size_t limit;
    size_t taken; /* bytes of the input before the present piece */
    struct buffer story;
};

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_close(const struct websocket_frame *frame)
{
    uint16_t code = frame->close_code;

    if (frame->size == 0) {
        require(code == WEBSOCKET_CLOSE_NO_STATUS);
        return;
    }
    require(frame->size >= 2 && code == (frame->data[0] << 8 | frame->data[1]));
    require(code >= 1000 && code < 5000 && code != 1004 && code != 1005 && code != 1006);
    require(code < 1015 || code >= 3000);
    require(utf8_is_valid(frame->data + 2, frame->size - 2));
}

static void check_frame(enum websocket_event event, const struct websocket_frame *frame,
                        size_t limit)
{
    if (event == WEBSOCKET_MESSAGE) {
        require(frame->opcode == WEBSOCKET_TEXT || frame->opcode == WEBSOCKET_BINARY);
        require(frame->size <= limit);
        require(frame->opcode != WEBSOCKET_TEXT || utf8_is_valid(frame->data, frame->size));
    } else {
        require(frame->size <= WEBSOCKET_CONTROL_LIMIT);
        require(frame->opcode >= WEBSOCKET_CLOSE && frame->opcode <= WEBSOCKET_PONG);
        if (frame->opcode == WEBSOCKET_CLOSE)
            check_close(frame);
    }
}

static void tell(struct telling *telling, enum websocket_event event,
                 const struct websocket_frame *frame, size_t at)
{
    if (event == WEBSOCKET_ERROR) {
        require(frame->close_code == WEBSOCKET_CLOSE_PROTOCOL_ERROR ||
                frame->close_code == WEBSOCKET_CLOSE_BAD_DATA ||
                frame->close_code == WEBSOCKET_CLOSE_TOO_BIG);
        buffer_printf(&telling->story, "error %d %s\n", frame->close_code, frame->reason);
        return;
    }
    check_frame(event, frame, telling->limit);
    buffer_printf(&telling->story, "up to %zu: %d %d %zu\n", at, event, frame->opcode, frame->size);
    if (frame->opcode == WEBSOCKET_CLOSE)
        buffer_printf(&telling->story, "code %d\n", frame->close_code);
    buffer_append(&telling->story, frame->data, frame->size);
}

/* Reads out of a copy of just the piece's size, which the sanitizer guards on both sides. */
static enum websocket_event read_piece(struct telling *telling, const uint8_t *bytes, size_t size)
{
    unsigned char *copy = memory_allocate(size);
    unsigned char *data = copy;
    size_t left = size;
    enum websocket_event event;

    memcpy(copy, bytes, size);
    do {
        struct websocket_frame frame = {0};
        size_t before = left;

        event = websocket_read(&telling->reader, &data, &left, telling->limit, telling->inflater,
                               &frame);
        require(left <= before && data == copy + (size - left));
        if (event != WEBSOCKET_MORE)
            tell(telling, event, &frame, telling->taken + size - left);
    } while (event != WEBSOCKET_MORE && event != WEBSOCKET_ERROR);
    require(event == WEBSOCKET_ERROR || left == 0);
    telling->taken += size;
    memory_free(copy);
    return event;
}

static struct buffer read_all(const uint8_t *data, size_t size, size_t limit, bool may_compress,
                              const size_t pieces[CUTS])
{
    struct inflater inflater = {0};
    struct telling telling = {.limit = limit, .inflater = may_compress ? &inflater : NULL};
    enum websocket_event event = WEBSOCKET_MORE;
    size_t at = 0;

    for (size_t i = 0; at < size && event == WEBSOCKET_MORE; i++) {
        size_t piece = pieces[i % CUTS] < size - at ? pieces[i % CUTS] : size - at;

        event = read_piece(&telling, data + at, piece);
        at += piece;
    }
    websocket_reader_deinit(&telling.reader);
    inflater_deinit(&inflater);
    return telling.story;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t ways[3][CUTS] = {
        {SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX},
        {1, 1, 1, 1},
    };
    struct buffer stories[3];

    if (size < 1 + CUTS)
        return 0;
    for (size_t i = 0; i < CUTS; i++)
        ways[2][i] = data[1 + i] + 1u;
    for (size_t i = 0; i < 3; i++)
        stories[i] =
            read_all(data + 1 + CUTS, size - 1 - CUTS, (size_t)data[0] * 4, data[0] & 1, ways[i]);
    for (size_t i = 1; i < 3; i++)
        require(stories[i].size == stories[0].size &&
                (stories[0].size == 0 ||
                 memcmp(stories[i].data, stories[0].data, stories[0].size) == 0));
    for (size_t i = 0; i < 3; i++)
        buffer_deinit(&stories[i]);
    return 0;
}
