/* For the fuzzers that compare our readers with protobuf-c. */
#ifndef TESTS_FUZZ_PROTOBUF_CHECK_H
#define TESTS_FUZZ_PROTOBUF_CHECK_H

#include <stdbool.h>
#include <string.h>

#include <protobuf-c/protobuf-c.h>

#include "common/buffer.h"

/* True where these are the bytes that protobuf-c writes of the message itself: no number is longer
 * than need be, and no field unknown. */
static inline bool is_canonical(const uint8_t *data, size_t size, const ProtobufCMessage *message)
{
    struct buffer packed = {0};
    size_t packed_size = protobuf_c_message_get_packed_size(message);

    protobuf_c_message_pack(message, buffer_reserve(&packed, packed_size));

    bool is_same = packed_size == size && (size == 0 || memcmp(packed.data, data, size) == 0);

    buffer_deinit(&packed);
    return is_same;
}

#endif
