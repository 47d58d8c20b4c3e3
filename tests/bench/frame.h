/* WebSocket frames as a client writes and reads them (RFC 6455 §5.2). */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"

#define FRAME_CONTROL_LIMIT 125 /* bytes of a control frame's payload (§5.5) */

enum frame_opcode {
    FRAME_CONTINUATION = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
};

struct frame {
    unsigned char opcode;
    bool is_final;
    bool is_compressed; /* RSV1 (RFC 7692 §6) */
    bool has_reserved;  /* bits that no extension of ours gives a meaning */
    bool is_masked;
    size_t header_size;
    uint64_t size; /* of the payload */
};

/* Appends a whole frame, masked with `mask`. */
void frame_append(struct buffer *output, enum frame_opcode opcode, uint32_t mask, const void *data,
                  size_t size);

/* Reads a server's frame header. False if it is not complete yet. */
bool frame_read_header(const unsigned char *data, size_t available, struct frame *frame);

#endif
