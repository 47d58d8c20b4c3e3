#include "tests/bench/frame.h"

#include <string.h>

static size_t write_header(unsigned char *header, enum frame_opcode opcode, size_t size)
{
    size_t length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;

    header[0] = (unsigned char)(0x80 | opcode);
    header[1] = (unsigned char)(0x80 | (length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127));
    for (size_t i = 0; i < length_bytes; i++)
        header[2 + i] = (unsigned char)((uint64_t)size >> (8 * (length_bytes - 1 - i)));
    return 2 + length_bytes;
}

void frame_append(struct buffer *output, enum frame_opcode opcode, uint32_t mask, const void *data,
                  size_t size)
{
    unsigned char *frame = buffer_reserve(output, 14 + size);
    size_t header = write_header(frame, opcode, size);
    const unsigned char *from = data;
    unsigned char *to = frame + header + 4;
    unsigned char key[4];

    memcpy(key, &mask, 4);
    memcpy(frame + header, key, 4);
    for (size_t i = 0; i < size; i++)
        to[i] = from[i] ^ key[i & 3];
    output->size += header + 4 + size;
}

bool frame_read_header(const unsigned char *data, size_t available, struct frame *frame)
{
    if (available < 2)
        return false;
    frame->is_final = data[0] & 0x80;
    frame->is_compressed = data[0] & 0x40;
    frame->has_reserved = data[0] & 0x30;
    frame->opcode = data[0] & 0x0f;
    frame->is_masked = data[1] & 0x80;
    frame->size = data[1] & 0x7f;
    frame->header_size = 2;
    if (frame->size < 126)
        return true;
    frame->header_size = frame->size == 126 ? 4 : 10;
    if (available < frame->header_size)
        return false;
    frame->size = 0;
    for (size_t i = 2; i < frame->header_size; i++)
        frame->size = frame->size << 8 | data[i];
    return true;
}
