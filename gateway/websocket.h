/*
 * The WebSocket wire format (RFC 6455 §5), server side: bytes in, events out, no I/O, no loop, no
 * channels.
 *
 * The reader parses straight out of the caller's buffer and unmasks in place: a whole frame that
 * arrived in one read is never copied. Only what has not arrived whole (a partial frame, a message
 * in fragments) is kept, in a `struct websocket_partial` that exists just as long, so that an idle
 * connection pays one pointer.
 *
 * Where permessage-deflate was agreed on (RFC 7692 §6), the reader inflates what is compressed, and
 * hands out messages as if it had never been.
 */
#ifndef GATEWAY_WEBSOCKET_H
#define GATEWAY_WEBSOCKET_H

#include <stddef.h>
#include <stdint.h>

#include "common/block.h"
#include "gateway/deflate.h"

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0x0,
    WEBSOCKET_TEXT = 0x1,
    WEBSOCKET_BINARY = 0x2,
    WEBSOCKET_CLOSE = 0x8,
    WEBSOCKET_PING = 0x9,
    WEBSOCKET_PONG = 0xA,
};

/* Close codes (RFC 6455 §7.4.1 and the IANA registry). */
enum websocket_close {
    WEBSOCKET_CLOSE_NORMAL = 1000,
    WEBSOCKET_CLOSE_GOING_AWAY = 1001,
    WEBSOCKET_CLOSE_PROTOCOL_ERROR = 1002,
    WEBSOCKET_CLOSE_NO_STATUS = 1005, /* never sent: the peer's close frame was empty */
    WEBSOCKET_CLOSE_BAD_DATA = 1007,
    WEBSOCKET_CLOSE_POLICY = 1008,
    WEBSOCKET_CLOSE_TOO_BIG = 1009,
    WEBSOCKET_CLOSE_INTERNAL = 1011,
    WEBSOCKET_CLOSE_RESTART = 1012,
    WEBSOCKET_CLOSE_TRY_LATER = 1013,
};

#define WEBSOCKET_COMPRESSED 0x40 /* RSV1, beside the opcode of a message (RFC 7692 §6) */

#define WEBSOCKET_HEADER_LIMIT  10  /* bytes of a header that a server sends (it masks nothing) */
#define WEBSOCKET_CONTROL_LIMIT 125 /* payload bytes of a control frame (§5.5) */

enum websocket_event {
    WEBSOCKET_MORE,    /* everything was taken; nothing is whole yet */
    WEBSOCKET_MESSAGE, /* a whole text or binary message */
    WEBSOCKET_CONTROL, /* a ping, pong or close frame */
    WEBSOCKET_ERROR,   /* the peer broke the protocol: close with `close_code`, read no more */
};

struct websocket_frame {
    enum websocket_opcode opcode; /* TEXT, BINARY, PING, PONG or CLOSE */
    unsigned char *data;          /* until the reader is called again, or another one with the same
                                     inflater; may be NULL if empty */
    size_t size;
    uint16_t close_code; /* CLOSE: the peer's code, 1005 if it gave none; ERROR: what to send */
    const char *reason;  /* ERROR: what was wrong, for the close frame and the log */
};

struct websocket_reader {
    struct websocket_partial *partial; /* NULL between messages */
};

/* A reader of zero bytes is ready. Frees what is kept. */
void websocket_reader_deinit(struct websocket_reader *reader);

/*
 * Parses on from `*data` (`*size` bytes), moves both past what it took, and tells what it found;
 * call again until WEBSOCKET_MORE. A message of more than `message_limit` bytes (fragments
 * together) is an error 1009 as soon as a header announces it. Text is checked as UTF-8 while it
 * arrives: the first bad byte is an error 1007, even in the middle of a frame.
 *
 * `inflater` is NULL where no message may be compressed. One that is may be a little larger than
 * the limit on its way, since there is text that deflate makes longer; that it inflates to more is
 * an error 1009 all the same, found without making more of it, and that it does not inflate one of
 * 1007. Its text is checked once it is whole.
 */
enum websocket_event websocket_read(struct websocket_reader *reader, unsigned char **data,
                                    size_t *size, size_t message_limit, struct inflater *inflater,
                                    struct websocket_frame *frame);

/* Notes the time (ms, wrapping) if a message has begun, or has gained payload, since the last call.
 */
void websocket_reader_note(struct websocket_reader *reader, uint32_t now_ms);

/* For how long a message that has begun has gained nothing, as far as was noted; 0 between
 * messages. Control frames in the middle of it make no difference. */
uint32_t websocket_reader_stalled_ms(const struct websocket_reader *reader, uint32_t now_ms);

/* XORs `size` bytes with the mask, which starts at its byte `phase` (0 to 3); returns the next
 * phase (§5.3). Wide registers where the compiler has them. */
unsigned websocket_unmask(unsigned char *data, size_t size, const unsigned char mask[4],
                          unsigned phase);

/* Appends an unfragmented frame to a block, which may move, and returns it. The opcode may have
 * WEBSOCKET_COMPRESSED with it. */
struct block *websocket_append_frame(struct block *block, unsigned opcode, const void *data,
                                     size_t size);

/* Writes the header of an unfragmented frame; returns its size (2, 4 or 10). */
size_t websocket_write_header(unsigned char header[WEBSOCKET_HEADER_LIMIT], unsigned opcode,
                              uint64_t payload_size);

/* Writes a whole close frame (at most 4 + 123 bytes of reason, cut at a character); returns its
 * size. WEBSOCKET_CLOSE_NO_STATUS gives an empty one. */
size_t websocket_write_close(unsigned char frame[2 + WEBSOCKET_CONTROL_LIMIT], uint16_t code,
                             const char *reason);

#endif
