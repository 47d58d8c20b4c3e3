/*
 * Two ways through: a whole, unfragmented data frame in the caller's buffer is unmasked where it
 * lies and handed out (`read_whole`); everything else goes byte-exactly through the partial, which
 * gathers the header, then the payload as it comes, unmasked and checked at once.
 */
#include "gateway/websocket.h"

#include <stdbool.h>
#include <string.h>
#include <uv.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "common/utf8.h"

struct header {
    bool is_final;
    bool is_compressed;
    uint8_t opcode;
    uint64_t payload_size;
    unsigned char mask[4];
};

enum stage { IN_HEADER, IN_PAYLOAD, HANDED_OUT };

struct websocket_partial {
    enum stage stage;
    unsigned char header_bytes[14];
    size_t header_size;
    struct header header;
    uint64_t remaining; /* payload bytes of the frame that have not arrived */
    unsigned phase;     /* of the mask */
    uint8_t opcode;     /* of the message that the fragments make; 0 outside of one */
    bool is_compressed; /* that message */
    uint8_t utf8;
    struct buffer message;
    size_t noted_size; /* of the message, and 1 more; 0: it has not been noted */
    uint32_t noted_ms; /* when it had grown to that */
    size_t control_size;
    unsigned char control[WEBSOCKET_CONTROL_LIMIT];
};

void websocket_reader_deinit(struct websocket_reader *reader)
{
    if (!reader->partial)
        return;
    buffer_deinit(&reader->partial->message);
    memory_free(reader->partial);
    reader->partial = NULL;
}

static bool is_in_message(const struct websocket_partial *partial)
{
    return partial && partial->opcode != 0 && partial->stage != HANDED_OUT;
}

void websocket_reader_note(struct websocket_reader *reader, uint32_t now_ms)
{
    struct websocket_partial *partial = reader->partial;

    if (!is_in_message(partial) || partial->noted_size == partial->message.size + 1)
        return;
    partial->noted_size = partial->message.size + 1;
    partial->noted_ms = now_ms;
}

uint32_t websocket_reader_stalled_ms(const struct websocket_reader *reader, uint32_t now_ms)
{
    const struct websocket_partial *partial = reader->partial;

    return is_in_message(partial) && partial->noted_size > 0 ? now_ms - partial->noted_ms : 0;
}

unsigned websocket_unmask(unsigned char *data, size_t size, const unsigned char mask[4],
                          unsigned phase)
{
    unsigned char turned[8];
    uint64_t wide;
    uint64_t word;
    size_t i = 0;

    for (unsigned b = 0; b < 8; b++)
        turned[b] = mask[(phase + b) & 3];
    memcpy(&wide, turned, sizeof(wide));
    /* The compiler makes vector instructions of this; memcpy allows any alignment. */
    for (; size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, data + i, sizeof(word));
        word ^= wide;
        memcpy(data + i, &word, sizeof(word));
    }
    for (; i < size; i++)
        data[i] ^= turned[i & 7];
    return (unsigned)((phase + size) & 3);
}

size_t websocket_write_header(unsigned char header[WEBSOCKET_HEADER_LIMIT], unsigned opcode,
                              uint64_t payload_size)
{
    unsigned length_bytes = payload_size < 126 ? 0 : payload_size <= 0xffff ? 2 : 8;

    header[0] = (unsigned char)(0x80u | opcode);
    header[1] = (unsigned char)(length_bytes == 0 ? payload_size : length_bytes == 2 ? 126 : 127);
    for (unsigned i = 0; i < length_bytes; i++)
        header[2 + i] = (unsigned char)(payload_size >> (8 * (length_bytes - 1 - i)));
    return 2 + length_bytes;
}

struct block *websocket_append_frame(struct block *block, unsigned opcode, const void *data,
                                     size_t size)
{
    unsigned char header[WEBSOCKET_HEADER_LIMIT];
    size_t header_size = websocket_write_header(header, opcode, size);

    block = block_reserve(block, header_size + size);
    block_append(block, header, header_size);
    block_append(block, data, size);
    return block;
}

size_t websocket_write_close(unsigned char frame[2 + WEBSOCKET_CONTROL_LIMIT], uint16_t code,
                             const char *reason)
{
    size_t size = strlen(reason);

    frame[0] = 0x80 | WEBSOCKET_CLOSE;
    frame[1] = 0;
    if (code == WEBSOCKET_CLOSE_NO_STATUS)
        return 2;
    if (size > WEBSOCKET_CONTROL_LIMIT - 2) {
        size = WEBSOCKET_CONTROL_LIMIT - 2;
        while (size > 0 && ((unsigned char)reason[size] & 0xc0) == 0x80)
            size--;
    }
    frame[1] = (unsigned char)(2 + size);
    frame[2] = (unsigned char)(code >> 8);
    frame[3] = (unsigned char)code;
    memcpy(frame + 4, reason, size);
    return 4 + size;
}

/* What a call of websocket_read is given beside the bytes. */
struct reading {
    size_t limit;
    struct inflater *inflater; /* NULL: nothing may be compressed */
};

static enum websocket_event broken(struct websocket_frame *frame, uint16_t code, const char *reason)
{
    frame->close_code = code;
    frame->reason = reason;
    return WEBSOCKET_ERROR;
}

/* What a text whose UTF-8 stands in this state is guilty of (§8.1). */
static enum websocket_event broken_text(struct websocket_frame *frame, uint8_t utf8)
{
    return broken(frame, WEBSOCKET_CLOSE_BAD_DATA,
                  utf8 == UTF8_REJECT ? "the text is not UTF-8"
                                      : "the text ends inside a character");
}

/* Bytes of the header whose first two bytes these are. */
static size_t header_size_of(const unsigned char *bytes)
{
    unsigned length = bytes[1] & 0x7f;

    return 2u + (length == 126 ? 2u : length == 127 ? 8u : 0u) + (bytes[1] & 0x80 ? 4u : 0u);
}

static void parse_header(const unsigned char *bytes, size_t size, struct header *header)
{
    unsigned length = bytes[1] & 0x7f;
    unsigned length_bytes = length == 126 ? 2 : length == 127 ? 8 : 0;

    header->is_final = bytes[0] & 0x80;
    header->is_compressed = bytes[0] & WEBSOCKET_COMPRESSED;
    header->opcode = bytes[0] & 0x0f;
    header->payload_size = length_bytes ? 0 : length;
    for (unsigned i = 0; i < length_bytes; i++)
        header->payload_size = header->payload_size << 8 | bytes[2 + i];
    memcpy(header->mask, bytes + size - 4, 4);
}

static bool is_control(uint8_t opcode)
{
    return opcode & 0x8;
}

/* What is wrong with the first two bytes, or NULL (§5.2, §5.5; RFC 7692 §6). */
static const char *check_start(const unsigned char *bytes, bool in_message, bool may_compress)
{
    uint8_t opcode = bytes[0] & 0x0f;
    bool begins_message = opcode == WEBSOCKET_TEXT || opcode == WEBSOCKET_BINARY;
    unsigned allowed = may_compress && begins_message ? WEBSOCKET_COMPRESSED : 0;

    if (bytes[0] & 0x70 & ~allowed)
        return "reserved bits are set";
    if (!(bytes[1] & 0x80))
        return "the frame is not masked";
    if ((opcode > WEBSOCKET_BINARY && opcode < WEBSOCKET_CLOSE) || opcode > WEBSOCKET_PONG)
        return "unknown opcode";
    if (is_control(opcode)) {
        if (!(bytes[0] & 0x80))
            return "a control frame is fragmented";
        return (bytes[1] & 0x7f) > WEBSOCKET_CONTROL_LIMIT ? "a control frame is too long" : NULL;
    }
    if (opcode == WEBSOCKET_CONTINUATION)
        return in_message ? NULL : "a continuation continues nothing";
    return in_message ? "a message begins inside another" : NULL;
}

/* What a message may take on its way. A byte that is compressed in vain takes nine bits of the
 * fixed code of deflate at most (RFC 1951 §3.2.6). */
static size_t size_limit(const struct reading *reading, bool is_compressed)
{
    return is_compressed ? reading->limit + reading->limit / 8 + 16 : reading->limit;
}

/* Checks the whole header; returns WEBSOCKET_MORE if it is good. */
static enum websocket_event check_header(const struct header *header, unsigned length7,
                                         size_t gathered, size_t limit,
                                         struct websocket_frame *frame)
{
    if (header->payload_size >> 63)
        return broken(frame, WEBSOCKET_CLOSE_PROTOCOL_ERROR, "the length is out of range");
    if ((length7 == 126 && header->payload_size < 126) ||
        (length7 == 127 && header->payload_size <= 0xffff))
        return broken(frame, WEBSOCKET_CLOSE_PROTOCOL_ERROR, "the length is not encoded minimally");
    if (!is_control(header->opcode) &&
        (gathered > limit || header->payload_size > limit - gathered))
        return broken(frame, WEBSOCKET_CLOSE_TOO_BIG, "the message is too big");
    return WEBSOCKET_MORE;
}

static bool may_be_sent(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum websocket_event control_event(uint8_t opcode, unsigned char *data, size_t size,
                                          struct websocket_frame *frame)
{
    frame->opcode = (enum websocket_opcode)opcode;
    frame->data = data;
    frame->size = size;
    if (opcode != WEBSOCKET_CLOSE)
        return WEBSOCKET_CONTROL;
    frame->close_code = WEBSOCKET_CLOSE_NO_STATUS;
    if (size == 0)
        return WEBSOCKET_CONTROL;
    if (size == 1)
        return broken(frame, WEBSOCKET_CLOSE_PROTOCOL_ERROR, "half a close code");
    frame->close_code = (uint16_t)(data[0] << 8 | data[1]);
    if (!may_be_sent(frame->close_code))
        return broken(frame, WEBSOCKET_CLOSE_PROTOCOL_ERROR, "a close code that is not allowed");
    if (!utf8_is_valid(data + 2, size - 2))
        return broken(frame, WEBSOCKET_CLOSE_BAD_DATA, "the close reason is not UTF-8");
    return WEBSOCKET_CONTROL;
}

/* A whole message, whose text has not been checked. */
static enum websocket_event whole_message(uint8_t opcode, unsigned char *data, size_t size,
                                          struct websocket_frame *frame)
{
    frame->opcode = (enum websocket_opcode)opcode;
    frame->data = data;
    frame->size = size;
    if (opcode == WEBSOCKET_TEXT) {
        uint8_t utf8 = utf8_continue(UTF8_START, data, size);

        if (utf8 != UTF8_START)
            return broken_text(frame, utf8);
    }
    return WEBSOCKET_MESSAGE;
}

static enum websocket_event compressed_message(const struct reading *reading, uint8_t opcode,
                                               const unsigned char *data, size_t size,
                                               struct websocket_frame *frame)
{
    unsigned char *message;
    size_t message_size;
    int error =
        inflater_inflate(reading->inflater, data, size, reading->limit, &message, &message_size);

    if (error == UV_E2BIG)
        return broken(frame, WEBSOCKET_CLOSE_TOO_BIG, "the message inflates to too much");
    if (error)
        return broken(frame, WEBSOCKET_CLOSE_BAD_DATA, "the message does not inflate");
    return whole_message(opcode, message, message_size, frame);
}

/* A whole unfragmented frame at `*data`: no copy. Returns WEBSOCKET_MORE if it is not that. */
static enum websocket_event read_whole(const struct reading *reading, unsigned char **data,
                                       size_t *size, struct websocket_frame *frame)
{
    unsigned char *bytes = *data;
    struct header header;
    size_t header_size;

    if (*size < 2 || check_start(bytes, false, reading->inflater) || !(bytes[0] & 0x80))
        return WEBSOCKET_MORE;
    header_size = header_size_of(bytes);
    if (*size < header_size)
        return WEBSOCKET_MORE;
    parse_header(bytes, header_size, &header);
    if (header.payload_size > *size - header_size ||
        check_header(&header, bytes[1] & 0x7f, 0, size_limit(reading, header.is_compressed),
                     frame) != WEBSOCKET_MORE)
        return WEBSOCKET_MORE; /* the careful way finds the same and says so */

    size_t payload_size = (size_t)header.payload_size;

    *data += header_size + payload_size;
    *size -= header_size + payload_size;
    websocket_unmask(bytes + header_size, payload_size, header.mask, 0);
    if (is_control(header.opcode))
        return control_event(header.opcode, bytes + header_size, payload_size, frame);
    if (header.is_compressed)
        return compressed_message(reading, header.opcode, bytes + header_size, payload_size, frame);
    return whole_message(header.opcode, bytes + header_size, payload_size, frame);
}

static enum websocket_event begin_frame(struct websocket_partial *partial,
                                        const struct reading *reading,
                                        struct websocket_frame *frame)
{
    struct header *header = &partial->header;

    parse_header(partial->header_bytes, partial->header_size, header);

    size_t limit =
        size_limit(reading, header->opcode == WEBSOCKET_CONTINUATION ? partial->is_compressed
                                                                     : header->is_compressed);
    enum websocket_event event =
        check_header(header, partial->header_bytes[1] & 0x7f, partial->message.size, limit, frame);

    if (event != WEBSOCKET_MORE)
        return event;
    partial->stage = IN_PAYLOAD;
    partial->remaining = header->payload_size;
    partial->phase = 0;
    partial->control_size = 0;
    if (!is_control(header->opcode) && header->opcode != WEBSOCKET_CONTINUATION) {
        partial->opcode = header->opcode;
        partial->is_compressed = header->is_compressed;
        partial->utf8 = UTF8_START;
    }
    return WEBSOCKET_MORE;
}

static void take_header_byte(struct websocket_partial *partial, unsigned char **data, size_t *size)
{
    partial->header_bytes[partial->header_size++] = **data;
    ++*data;
    --*size;
}

static enum websocket_event take_header(struct websocket_partial *partial,
                                        const struct reading *reading, unsigned char **data,
                                        size_t *size, struct websocket_frame *frame)
{
    while (*size > 0) {
        take_header_byte(partial, data, size);
        if (partial->header_size < 2)
            continue;
        if (partial->header_size == 2) {
            const char *wrong =
                check_start(partial->header_bytes, partial->opcode != 0, reading->inflater);

            if (wrong)
                return broken(frame, WEBSOCKET_CLOSE_PROTOCOL_ERROR, wrong);
        }
        if (partial->header_size == header_size_of(partial->header_bytes))
            return begin_frame(partial, reading, frame);
    }
    return WEBSOCKET_MORE;
}

static enum websocket_event take_payload(struct websocket_partial *partial, unsigned char **data,
                                         size_t *size, struct websocket_frame *frame)
{
    size_t take = *size < partial->remaining ? *size : (size_t)partial->remaining;
    unsigned char *bytes = *data;

    *data += take;
    *size -= take;
    partial->remaining -= take;
    partial->phase = websocket_unmask(bytes, take, partial->header.mask, partial->phase);
    if (is_control(partial->header.opcode)) {
        if (take > 0)
            memcpy(partial->control + partial->control_size, bytes, take);
        partial->control_size += take;
        return WEBSOCKET_MORE;
    }
    buffer_append(&partial->message, bytes, take);
    if (partial->opcode == WEBSOCKET_TEXT && !partial->is_compressed) {
        partial->utf8 = utf8_continue(partial->utf8, bytes, take);
        if (partial->utf8 == UTF8_REJECT)
            return broken_text(frame, partial->utf8);
    }
    return WEBSOCKET_MORE;
}

static enum websocket_event end_frame(struct websocket_partial *partial,
                                      const struct reading *reading, struct websocket_frame *frame)
{
    partial->stage = IN_HEADER;
    partial->header_size = 0;
    if (is_control(partial->header.opcode)) {
        if (partial->opcode == 0)
            partial->stage = HANDED_OUT;
        return control_event(partial->header.opcode, partial->control, partial->control_size,
                             frame);
    }
    if (!partial->header.is_final)
        return WEBSOCKET_MORE;
    if (partial->opcode == WEBSOCKET_TEXT && partial->utf8 != UTF8_START)
        return broken_text(frame, partial->utf8);
    partial->stage = HANDED_OUT;
    if (partial->is_compressed)
        return compressed_message(reading, partial->opcode, partial->message.data,
                                  partial->message.size, frame);
    frame->opcode = (enum websocket_opcode)partial->opcode;
    frame->data = partial->message.data;
    frame->size = partial->message.size;
    return WEBSOCKET_MESSAGE;
}

static enum websocket_event read_partial(struct websocket_partial *partial,
                                         const struct reading *reading, unsigned char **data,
                                         size_t *size, struct websocket_frame *frame)
{
    enum websocket_event event = WEBSOCKET_MORE;

    while (event == WEBSOCKET_MORE) {
        if (partial->stage == IN_HEADER) {
            if (*size == 0)
                return WEBSOCKET_MORE;
            event = take_header(partial, reading, data, size, frame);
        } else {
            if (*size == 0 && partial->remaining > 0)
                return WEBSOCKET_MORE;
            event = take_payload(partial, data, size, frame);
            if (event == WEBSOCKET_MORE && partial->remaining == 0)
                event = end_frame(partial, reading, frame);
        }
    }
    return event;
}

enum websocket_event websocket_read(struct websocket_reader *reader, unsigned char **data,
                                    size_t *size, size_t message_limit, struct inflater *inflater,
                                    struct websocket_frame *frame)
{
    struct reading reading = {message_limit, inflater};

    if (reader->partial && reader->partial->stage == HANDED_OUT)
        websocket_reader_deinit(reader);
    if (!reader->partial) {
        if (*size == 0)
            return WEBSOCKET_MORE;

        enum websocket_event event = read_whole(&reading, data, size, frame);

        if (event != WEBSOCKET_MORE)
            return event;
        reader->partial = memory_zeroed(1, sizeof(*reader->partial));
    }
    return read_partial(reader->partial, &reading, data, size, frame);
}
