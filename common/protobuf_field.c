#include "common/protobuf_field.h"

/* Nearly all tags and lengths are one byte. */
static inline bool read_short(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
    if (*at < end && **at < 0x80) {
        *value = *(*at)++;
        return true;
    }
    return varint_read(at, end, VARINT_SHORT, value);
}

bool varint_read(const unsigned char **at, const unsigned char *end, unsigned limit,
                 uint64_t *value)
{
    const unsigned char *from = *at;

    *value = 0;
    for (unsigned i = 0; i < limit && from < end; i++) {
        *value |= (uint64_t)(*from & 0x7f) << 7 * i;
        if ((*from++ & 0x80) == 0) {
            *at = from;
            return true;
        }
    }
    return false;
}

static bool read_fixed64(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
    if (end - *at < 8)
        return false;
    *value = little_endian_load64(*at);
    *at += 8;
    return true;
}

static bool read_fixed32(const unsigned char **at, const unsigned char *end, uint64_t *value)
{
    if (end - *at < 4)
        return false;
    *value = little_endian_load32(*at);
    *at += 4;
    return true;
}

static bool read_bytes(const unsigned char **at, const unsigned char *end,
                       struct protobuf_field *field)
{
    uint64_t size;

    if (!read_short(at, end, &size) || size > (size_t)(end - *at))
        return false;
    field->data = *at;
    field->size = (size_t)size;
    *at += size;
    return true;
}

static bool read_value(const unsigned char **at, const unsigned char *end,
                       struct protobuf_field *field)
{
    switch (field->type) {
    case PROTOBUF_VARINT:
        return varint_read(at, end, VARINT_LONG, &field->value);
    case PROTOBUF_FIXED64:
        return read_fixed64(at, end, &field->value);
    case PROTOBUF_BYTES:
        return read_bytes(at, end, field);
    case PROTOBUF_FIXED32:
        return read_fixed32(at, end, &field->value);
    default: /* groups are no part of proto3 */
        return false;
    }
}

bool protobuf_field_read(const unsigned char **at, const unsigned char *end,
                         struct protobuf_field *field)
{
    const unsigned char *from = *at;
    uint64_t tag;

    if (!read_short(&from, end, &tag))
        return false;
    field->number = tag >> 3;
    field->type = (enum protobuf_wire_type)(tag & 7);
    if (field->number == 0 || !read_value(&from, end, field))
        return false;
    *at = from;
    return true;
}

bool protobuf_field_enter(const unsigned char **at, const unsigned char *end, unsigned number,
                          uint64_t *size)
{
    const unsigned char *from = *at;
    uint64_t tag;

    if (!varint_read(&from, end, VARINT_SHORT, &tag) ||
        tag != protobuf_tag(number, PROTOBUF_BYTES) || !varint_read(&from, end, VARINT_SHORT, size))
        return false;
    *at = from;
    return true;
}
