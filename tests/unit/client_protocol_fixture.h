/* Frames of the channel protocol for tests: in JSON as text, in protobuf as protobuf-c packs them,
 * which the gateway itself does not use. */
#ifndef TESTS_UNIT_CLIENT_PROTOCOL_FIXTURE_H
#define TESTS_UNIT_CLIENT_PROTOCOL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buffer.h"
#include "common/protobuf_field.h"
#include "gateway/client_protocol.h"
#include "proto/client.pb-c.h"

#define assert_text(given, string)                                                                 \
    do {                                                                                           \
        struct text given_ = (given);                                                              \
                                                                                                   \
        assert_int_equal(given_.size, strlen(string));                                             \
        assert_memory_equal(given_.data ? given_.data : "", string, given_.size);                  \
    } while (0)

/* Appends the command behind its length. */
static inline void put_command(struct buffer *frame, const Carillon__Client__Command *command)
{
    size_t size = carillon__client__command__get_packed_size(command);
    unsigned char *at = buffer_reserve(frame, size + VARINT_SHORT);
    unsigned char *body = varint_write(at, size);

    carillon__client__command__pack(command, body);
    frame->size += (size_t)(body - at) + size;
}

/* What the frame's only command is. */
static inline enum client_read read_frame(struct client_reader *reader, enum client_format format,
                                          const void *frame, size_t size,
                                          struct client_request *request)
{
    client_reader_init(reader, format, frame, size);
    return client_reader_next(reader, request);
}

/* The reply that the buffer holds alone, behind its length; free with
 * carillon__client__reply__free_unpacked. */
static inline Carillon__Client__Reply *unpack_reply(const struct buffer *out)
{
    const unsigned char *at = out->data;
    const unsigned char *end = at + out->size;
    Carillon__Client__Reply *reply;
    uint64_t size;

    assert_true(varint_read(&at, end, VARINT_SHORT, &size));
    assert_int_equal(size, end - at);
    reply = carillon__client__reply__unpack(NULL, (size_t)size, at);
    assert_non_null(reply);
    return reply;
}

static inline void free_reply(Carillon__Client__Reply *reply)
{
    carillon__client__reply__free_unpacked(reply, NULL);
}

static inline ProtobufCBinaryData bytes_of(const char *text)
{
    return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)text};
}

#define assert_bytes(bytes, string)                                                                \
    assert_text(((struct text){(const char *)(bytes).data, (bytes).len}), string)

#endif
