/*
 * Frames that come in pieces are those that come in one, and no reader keeps more than one frame.
 * The first byte says in which pieces the rest comes.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/framing.h"
#include "common/memory.h"

#define LIMIT     ((size_t)1000)
#define CUT_LIMIT ((size_t)3000)

/* Feeds everything in pieces, and writes down each frame behind its size; returns the error. */
static int feed(const uint8_t *data, size_t size, size_t piece, size_t cut_limit,
                struct buffer *heard)
{
    struct framing_reader reader;
    int answer = 0;

    framing_reader_init(&reader, LIMIT);
    reader.cut_limit = cut_limit;
    for (size_t at = 0; at < size && answer == 0; at += piece) {
        size_t left = size - at < piece ? size - at : piece;
        unsigned char *copy = memory_allocate(left); /* reads beyond its end are found */
        const unsigned char *bytes = copy;
        const unsigned char *frame;
        size_t frame_size;

        memcpy(copy, data + at, left);
        while ((answer = framing_read(&reader, &bytes, &left, &frame, &frame_size)) > 0) {
            assert(frame_size > 0 && frame_size <= LIMIT);
            assert(answer == FRAMING_WHOLE || (cut_limit > 0 && frame_size == FRAMING_CUT_BYTES));
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

/* The same in one piece and in many. */
static void compare_pieces(const uint8_t *data, size_t size, size_t piece, size_t cut_limit,
                           struct buffer *whole)
{
    struct buffer pieces = {0};
    int answer = feed(data, size, size, cut_limit, whole);
    int answer_to_pieces = feed(data, size, piece, cut_limit, &pieces);

    assert(answer == answer_to_pieces);
    assert(whole->size == pieces.size);
    assert(whole->size == 0 || memcmp(whole->data, pieces.data, whole->size) == 0);
    buffer_deinit(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = {0};
    struct buffer cut = {0};

    if (size < 2)
        return 0;
    compare_pieces(data + 1, size - 1, (size_t)data[0] + 1, 0, &whole);
    compare_pieces(data + 1, size - 1, (size_t)data[0] + 1, CUT_LIMIT, &cut);
    assert(cut.size >= whole.size);
    assert(whole.size == 0 || memcmp(cut.data, whole.data, whole.size) == 0);
    compare(&whole, data + 1, size - 1);
    buffer_deinit(&whole);
    buffer_deinit(&cut);
    return 0;
}
