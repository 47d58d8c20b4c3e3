/*
 * Frames that come in pieces are those that come in one, and no reader keeps more than one frame.
 * The first byte says in which pieces the rest comes.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/framing.h"
#include "common/memory.h"

#define LIMIT ((size_t)1000)

/* Feeds everything in pieces, and writes down each frame behind its size; returns the error. */
static int feed(const uint8_t *data, size_t size, size_t piece, struct buffer *heard)
{
    struct framing_reader reader;
    int answer = 0;

    framing_reader_init(&reader, LIMIT);
    for (size_t at = 0; at < size && answer == 0; at += piece) {
        size_t left = size - at < piece ? size - at : piece;
        unsigned char *copy = memory_allocate(left); /* reads beyond its end are found */
        const unsigned char *bytes = copy;
        const unsigned char *frame;
        size_t frame_size;

        memcpy(copy, data + at, left);
        while ((answer = framing_read(&reader, &bytes, &left, &frame, &frame_size)) == 1) {
            assert(frame_size > 0 && frame_size <= LIMIT);
            buffer_append(heard, &frame_size, sizeof(frame_size));
            buffer_append(heard, frame, frame_size);
        }
        assert(answer < 0 || left == 0);
        assert(reader.tail.capacity <= 2 * (LIMIT + FRAMING_HEADER_BYTES));
        memory_free(copy);
    }
    framing_reader_deinit(&reader);
    return answer;
}

/* Framed again, what was heard is what was fed, as far as that was whole. */
static void compare(const struct buffer *heard, const uint8_t *data, size_t size)
{
    unsigned char header[FRAMING_HEADER_BYTES];
    size_t frame_size;

    for (size_t at = 0; at < heard->size; at += frame_size) {
        memcpy(&frame_size, heard->data + at, sizeof(frame_size));
        at += sizeof(frame_size);
        framing_write_header(header, frame_size);
        assert(size >= sizeof(header) + frame_size);
        assert(memcmp(data, header, sizeof(header)) == 0);
        assert(memcmp(data + sizeof(header), heard->data + at, frame_size) == 0);
        data += sizeof(header) + frame_size;
        size -= sizeof(header) + frame_size;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = {0};
    struct buffer pieces = {0};

    if (size < 2)
        return 0;
    assert(feed(data + 1, size - 1, size, &whole) ==
           feed(data + 1, size - 1, (size_t)data[0] + 1, &pieces));
    assert(whole.size == pieces.size);
    assert(whole.size == 0 || memcmp(whole.data, pieces.data, whole.size) == 0);
    compare(&whole, data + 1, size - 1);
    buffer_deinit(&whole);
    buffer_deinit(&pieces);
    return 0;
}
