/*
 * Frames on a byte stream: a length in four bytes, big endian, then that many bytes. A reader is
 * fed what arrives and gives whole frames, in place where a frame came whole; only the tail of an
 * incomplete one is kept. Pure: no I/O.
 */
#ifndef COMMON_FRAMING_H
#define COMMON_FRAMING_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

#define FRAMING_HEADER_BYTES 4

struct framing_reader {
    size_t limit;       /* largest frame */
    struct buffer tail; /* the beginning of a frame that has not arrived whole */
};

/* Writes the header of a frame of `size` bytes. */
void framing_write_header(unsigned char header[FRAMING_HEADER_BYTES], size_t size);

void framing_reader_init(struct framing_reader *reader, size_t limit);
void framing_reader_deinit(struct framing_reader *reader);

/*
 * Takes the next frame out of `*data`, which moves on. Returns 1 and the frame, good until the next
 * call; 0 where more bytes are needed (all were taken); UV_EMSGSIZE where a frame is above the
 * limit or empty: nothing that follows can be read.
 */
int framing_read(struct framing_reader *reader, const unsigned char **data, size_t *size,
                 const unsigned char **frame, size_t *frame_size);

#endif
