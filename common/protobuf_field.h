/*
 * Fields of protobuf messages, written and read one by one
 * (protobuf.dev/programming-guides/encoding), for the few messages that every message of a client
 * needs: protobuf-c walks over descriptors, and to write over the message twice, which was measured
 * to be half of all instructions of a busy router.
 *
 * To write, each field has a pair of functions: what it takes, and the writing, which returns where
 * the next one goes. As proto3 wants it, a field that is zero or empty takes nothing.
 */
#ifndef COMMON_PROTOBUF_FIELD_H
#define COMMON_PROTOBUF_FIELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/little_endian.h"

enum protobuf_wire_type {
    PROTOBUF_VARINT = 0,
    PROTOBUF_FIXED64 = 1,
    PROTOBUF_BYTES = 2,
    PROTOBUF_FIXED32 = 5,
};

static inline size_t varint_size(uint64_t value)
{
    size_t size = 1;

    for (; value >= 0x80; value >>= 7)
        size++;
    return size;
}

static inline unsigned char *varint_write(unsigned char *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (unsigned char)(value | 0x80);
    *at++ = (unsigned char)value;
    return at;
}

static inline uint64_t protobuf_tag(unsigned number, enum protobuf_wire_type type)
{
    return (uint64_t)number << 3 | type;
}

/* Integers that are not fixed, enums and booleans. */

static inline size_t field_varint_size(unsigned number, uint64_t value)
{
    return value ? varint_size(protobuf_tag(number, PROTOBUF_VARINT)) + varint_size(value) : 0;
}

static inline unsigned char *field_varint_write(unsigned char *at, unsigned number, uint64_t value)
{
    if (!value)
        return at;
    at = varint_write(at, protobuf_tag(number, PROTOBUF_VARINT));
    return varint_write(at, value);
}

static inline size_t field_fixed64_size(unsigned number, uint64_t value)
{
    return value ? varint_size(protobuf_tag(number, PROTOBUF_FIXED64)) + 8 : 0;
}

static inline unsigned char *field_fixed64_write(unsigned char *at, unsigned number, uint64_t value)
{
    if (!value)
        return at;
    at = varint_write(at, protobuf_tag(number, PROTOBUF_FIXED64));
    return little_endian_store64(at, value);
}

/* A message inside of another, which is written next; it is there even where it is empty. */

static inline size_t field_message_size(unsigned number, size_t size)
{
    return varint_size(protobuf_tag(number, PROTOBUF_BYTES)) + varint_size(size) + size;
}

static inline unsigned char *field_message_begin(unsigned char *at, unsigned number, size_t size)
{
    at = varint_write(at, protobuf_tag(number, PROTOBUF_BYTES));
    return varint_write(at, size);
}

/* Strings and bytes. */

static inline size_t field_bytes_size(unsigned number, size_t size)
{
    return size ? field_message_size(number, size) : 0;
}

static inline unsigned char *field_bytes_write(unsigned char *at, unsigned number, const void *data,
                                               size_t size)
{
    if (!size)
        return at;
    at = field_message_begin(at, number, size);
    memcpy(at, data, size);
    return at + size;
}

/* Reading. */

struct protobuf_field {
    uint64_t number;
    enum protobuf_wire_type type;
    uint64_t value;            /* of an integer */
    const unsigned char *data; /* PROTOBUF_BYTES: where they lie, */
    size_t size;               /* and how many */
};

#define VARINT_LONG  10 /* bytes, for 64 bits */
#define VARINT_SHORT 5  /* of a tag or a length */

/* Takes an integer of at most `limit` bytes from `*at`. False where there is none, which leaves
 * `*at` in front of it. */
bool varint_read(const unsigned char **at, const unsigned char *end, unsigned limit,
                 uint64_t *value);

/* Takes the next field from `*at`. False at `end`, and where there is none, which leaves `*at` in
 * front of it. */
bool protobuf_field_read(const unsigned char **at, const unsigned char *end,
                         struct protobuf_field *field);

/* Takes only the head of the next field, which must be PROTOBUF_BYTES with this number: `*size` is
 * how many follow, there or not. False where it is another one, which leaves `*at` as it is. */
bool protobuf_field_enter(const unsigned char **at, const unsigned char *end, unsigned number,
                          uint64_t *size);

#endif
