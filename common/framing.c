/*
 * Most reads of a busy link hold many whole frames, which are handed out where they lie. A frame
 * that is spread over reads gathers in the tail, which is given back once it grew large.
 */
#include "common/framing.h"

#include <stdbool.h>
#include <uv.h>

#define TAIL_KEPT_BYTES ((size_t)256 * 1024)

void framing_write_header(unsigned char header[FRAMING_HEADER_BYTES], size_t size)
{
    header[0] = (unsigned char)(size >> 24);
    header[1] = (unsigned char)(size >> 16);
    header[2] = (unsigned char)(size >> 8);
    header[3] = (unsigned char)size;
}

static size_t read_header(const unsigned char *header)
{
    return (size_t)header[0] << 24 | (size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3];
}

void framing_reader_init(struct framing_reader *reader, size_t limit)
{
    *reader = (struct framing_reader){.limit = limit};
}

void framing_reader_deinit(struct framing_reader *reader)
{
    buffer_deinit(&reader->tail);
}

/* Moves bytes to the tail until it holds `wanted`; true if it does. */
static int fill_tail(struct framing_reader *reader, const unsigned char **data, size_t *size,
                     size_t wanted)
{
    size_t missing = wanted - reader->tail.size;

    if (missing > *size)
        missing = *size;
    buffer_append(&reader->tail, *data, missing);
    *data += missing;
    *size -= missing;
    return reader->tail.size == wanted;
}

static bool is_cut(const struct framing_reader *reader, size_t length)
{
    return length > reader->limit;
}

static bool is_bad(const struct framing_reader *reader, size_t length)
{
    return length == 0 || (is_cut(reader, length) && length > reader->cut_limit);
}

/* How many bytes of a frame are handed out. */
static size_t wanted_of(const struct framing_reader *reader, size_t length)
{
    return is_cut(reader, length) ? FRAMING_CUT_BYTES : length;
}

static int hand_out(struct framing_reader *reader, size_t length, const unsigned char *bytes,
                    const unsigned char **frame, size_t *frame_size)
{
    *frame = bytes;
    *frame_size = wanted_of(reader, length);
    reader->skipped = length - *frame_size;
    return is_cut(reader, length) ? FRAMING_CUT : FRAMING_WHOLE;
}

static int read_from_tail(struct framing_reader *reader, const unsigned char **data, size_t *size,
                          const unsigned char **frame, size_t *frame_size)
{
    if (reader->tail.size < FRAMING_HEADER_BYTES &&
        !fill_tail(reader, data, size, FRAMING_HEADER_BYTES))
        return FRAMING_MORE;

    size_t length = read_header(reader->tail.data);

    if (is_bad(reader, length))
        return UV_EMSGSIZE;
    if (!fill_tail(reader, data, size, FRAMING_HEADER_BYTES + wanted_of(reader, length)))
        return FRAMING_MORE;
    return hand_out(reader, length, reader->tail.data + FRAMING_HEADER_BYTES, frame, frame_size);
}

/* Empties the tail whose frame was handed out by the call before. */
static void forget_whole_tail(struct framing_reader *reader)
{
    if (reader->tail.size <= FRAMING_HEADER_BYTES ||
        reader->tail.size <
            FRAMING_HEADER_BYTES + wanted_of(reader, read_header(reader->tail.data)))
        return;
    buffer_clear(&reader->tail, TAIL_KEPT_BYTES);
}

static void skip(struct framing_reader *reader, const unsigned char **data, size_t *size)
{
    size_t skipped = reader->skipped < *size ? reader->skipped : *size;

    reader->skipped -= skipped;
    *data += skipped;
    *size -= skipped;
}

int framing_read(struct framing_reader *reader, const unsigned char **data, size_t *size,
                 const unsigned char **frame, size_t *frame_size)
{
    forget_whole_tail(reader);
    skip(reader, data, size);
    if (reader->tail.size == 0 && *size >= FRAMING_HEADER_BYTES) {
        const unsigned char *start = *data + FRAMING_HEADER_BYTES;
        size_t length = read_header(*data);
        size_t wanted = wanted_of(reader, length);

        if (is_bad(reader, length))
            return UV_EMSGSIZE;
        if (*size - FRAMING_HEADER_BYTES >= wanted) {
            *data += FRAMING_HEADER_BYTES + wanted;
            *size -= FRAMING_HEADER_BYTES + wanted;
            return hand_out(reader, length, start, frame, frame_size);
        }
    }
    if (*size == 0)
        return FRAMING_MORE;
    return read_from_tail(reader, data, size, frame, frame_size);
}
