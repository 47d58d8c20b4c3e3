/*
 * Most reads of a busy link hold many whole frames, which are handed out where they lie. A frame
 * that is spread over reads gathers in the tail, which is given back once it grew large.
 */
#include "common/framing.h"

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

static int is_bad(const struct framing_reader *reader, size_t length)
{
    return length == 0 || length > reader->limit;
}

static int read_from_tail(struct framing_reader *reader, const unsigned char **data, size_t *size,
                          const unsigned char **frame, size_t *frame_size)
{
    if (reader->tail.size < FRAMING_HEADER_BYTES &&
        !fill_tail(reader, data, size, FRAMING_HEADER_BYTES))
        return 0;

    size_t length = read_header(reader->tail.data);

    if (is_bad(reader, length))
        return UV_EMSGSIZE;
    if (!fill_tail(reader, data, size, FRAMING_HEADER_BYTES + length))
        return 0;
    *frame = reader->tail.data + FRAMING_HEADER_BYTES;
    *frame_size = length;
    return 1;
}

/* Empties the tail whose frame was handed out by the call before. */
static void forget_whole_tail(struct framing_reader *reader)
{
    if (reader->tail.size <= FRAMING_HEADER_BYTES ||
        reader->tail.size < FRAMING_HEADER_BYTES + read_header(reader->tail.data))
        return;
    buffer_clear(&reader->tail, TAIL_KEPT_BYTES);
}

int framing_read(struct framing_reader *reader, const unsigned char **data, size_t *size,
                 const unsigned char **frame, size_t *frame_size)
{
    forget_whole_tail(reader);
    if (reader->tail.size == 0 && *size >= FRAMING_HEADER_BYTES) {
        size_t length = read_header(*data);

        if (is_bad(reader, length))
            return UV_EMSGSIZE;
        if (*size - FRAMING_HEADER_BYTES >= length) {
            *frame = *data + FRAMING_HEADER_BYTES;
            *frame_size = length;
            *data += FRAMING_HEADER_BYTES + length;
            *size -= FRAMING_HEADER_BYTES + length;
            return 1;
        }
    }
    if (*size == 0)
        return 0;
    return read_from_tail(reader, data, size, frame, frame_size);
}
