/*
 * Commands as protobuf (proto/client.proto), read field by field: protobuf-c would end texts at
 * their first zero byte, and allocate up to fifty times the size of a frame that is made for it.
 */
#include "common/protobuf_field.h"
#include "common/utf8.h"
#include "gateway/client_protocol_inside.h"

enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 }; /* of a map */

static struct text bytes_of(const struct protobuf_field *field)
{
    return (struct text){(const char *)field->data, field->size};
}

static bool read_text(const struct protobuf_field *field, struct text *text)
{
    *text = bytes_of(field);
    return utf8_is_valid(field->data, field->size);
}

/* Negative ones are 64 bits on the wire. */
static bool read_int32(uint64_t value, int32_t *result)
{
    *result = (int32_t)(uint32_t)value;
    return (uint64_t)(int64_t)*result == value;
}

static bool read_message(struct client_reader *reader, struct text bytes,
                         const struct client_message *message, void *target);

/* An entry of the map. Either of its fields may be missing, as they may be empty. */
static bool read_sub(struct client_reader *reader, struct text entry,
                     const struct client_message *message, struct client_connect_request *connect)
{
    const unsigned char *at = (const unsigned char *)entry.data;
    const unsigned char *end = at + entry.size;
    struct client_subscribe_request *sub;
    struct protobuf_field field;
    struct text channel = {0};
    struct text value = {0};

    while (protobuf_field_read(&at, end, &field)) {
        if (field.number != ENTRY_KEY && field.number != ENTRY_VALUE)
            continue;
        if (field.type != PROTOBUF_BYTES)
            return false;
        if (field.number == ENTRY_VALUE)
            value = bytes_of(&field);
        else if (!read_text(&field, &channel))
            return false;
    }
    sub = at == end ? client_reader_add_sub(reader, connect, channel) : NULL;
    if (!sub || (value.size > 0 && !read_message(reader, value, message, sub)))
        return false;
    sub->channel = channel;
    return true;
}

static bool is_integer(const struct client_field *field)
{
    return field->type == CLIENT_FIELD_BOOL || field->type == CLIENT_FIELD_INT32 ||
           field->type == CLIENT_FIELD_UINT64;
}

static bool read_field(struct client_reader *reader, const struct protobuf_field *value,
                       const struct client_field *field, void *target)
{
    void *place = client_field_target(field, target);

    if (value->type != (is_integer(field) ? PROTOBUF_VARINT : PROTOBUF_BYTES))
        return false;
    switch (field->type) {
    case CLIENT_FIELD_TEXT:
        return read_text(value, place);
    case CLIENT_FIELD_DATA:
        *(struct text *)place = bytes_of(value);
        return true;
    case CLIENT_FIELD_BOOL:
        *(bool *)place = value->value != 0;
        return true;
    case CLIENT_FIELD_INT32:
        return read_int32(value->value, place);
    case CLIENT_FIELD_UINT64:
        *(uint64_t *)place = value->value;
        return true;
    case CLIENT_FIELD_MESSAGE:
        *(bool *)place = true;
        return read_message(reader, bytes_of(value), field->message, target);
    case CLIENT_FIELD_SUBS:
        return read_sub(reader, bytes_of(value), field->message, target);
    }
    return false;
}

static bool read_message(struct client_reader *reader, struct text bytes,
                         const struct client_message *message, void *target)
{
    const unsigned char *at = (const unsigned char *)bytes.data;
    const unsigned char *end = at + bytes.size;
    struct protobuf_field value;

    while (protobuf_field_read(&at, end, &value)) {
        const struct client_field *field = client_field_find(message, NULL, value.number);

        if (field && !read_field(reader, &value, field, target))
            return false;
    }
    return at == end;
}

/* A field of a command. */
static bool read_part(struct client_reader *reader, const struct protobuf_field *field,
                      struct client_request *request)
{
    const struct client_command *command;

    if (field->number == CLIENT_ID_NUMBER) {
        request->id = (uint32_t)field->value;
        return field->type == PROTOBUF_VARINT && field->value <= UINT32_MAX;
    }
    command = client_command_find(NULL, field->number);
    if (!command)
        return true;
    if (field->type != PROTOBUF_BYTES || request->method != CLIENT_METHOD_UNKNOWN)
        return false;
    request->method = command->method;
    return read_message(reader, bytes_of(field), command->message, client_request_target(request));
}

bool client_protobuf_read(struct client_reader *reader, struct text command,
                          struct client_request *request)
{
    const unsigned char *at = (const unsigned char *)command.data;
    const unsigned char *end = at + command.size;
    struct protobuf_field field;

    while (protobuf_field_read(&at, end, &field)) {
        if (!read_part(reader, &field, request))
            return false;
    }
    return at == end;
}
