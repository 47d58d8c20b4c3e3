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
#define FRAMING_CUT_BYTES    ((size_t)512)

struct framing_reader {
    size_t limit;     /* largest frame */
    size_t cut_limit; /* a larger one, up to here, is cut; 0: none. `limit` is FRAMING_CUT_BYTES at
                         least then */
    size_t skipped;   /* bytes of one that was cut, still to come */
    struct buffer tail; /* the beginning of a frame that has not arrived whole */
};

enum framing_answer {
    FRAMING_MORE = 0,
    FRAMING_WHOLE = 1,
    FRAMING_CUT = 2,
};

/* Writes the header of a frame of `size` bytes. */
void framing_write_header(unsigned char header[FRAMING_HEADER_BYTES], size_t size);

void framing_reader_init(struct framing_reader *reader, size_t limit);
void framing_reader_deinit(struct framing_reader *reader);

/*
 * Takes the next frame out of `*data`, which moves on. Returns FRAMING_WHOLE and the frame, good
 * until the next call; FRAMING_CUT and the first FRAMING_CUT_BYTES of one that is above the limit,
 * whose rest is skipped, however it comes; FRAMING_MORE where more bytes are needed (all were
 * taken); UV_EMSGSIZE where a frame is above both limits, or empty: nothing that follows can be
 * read.
 */
int framing_read(struct framing_reader *reader, const unsigned char **data, size_t *size,
                 const unsigned char **frame, size_t *frame_size);

#endif
