/*
 * A WebSocket message holds one or several replies, each behind its length. Numbers are those of
 * Centrifugo's schema.
 */
#include "tests/bench/protocol.h"

#include <errno.h>
#include <string.h>

#include "common/protobuf_field.h"

enum { COMMAND_ID = 1, COMMAND_CONNECT = 4, COMMAND_SUBSCRIBE = 5, COMMAND_PUBLISH = 7 };
enum { SUBSCRIBE_CHANNEL = 1 };
enum { PUBLISH_CHANNEL = 1, PUBLISH_DATA = 2 };
enum { REPLY_ERROR = 2, REPLY_PUSH = 4, REPLY_SUBSCRIBE = 6 };
enum { PUSH_PUBLICATION = 4, PUSH_DISCONNECT = 11 };
enum { PUBLICATION_DATA = 4 };

/* `size` bytes of a field's message are written next. */
static unsigned char *begin_command(struct buffer *output, unsigned id, unsigned number,
                                    size_t size)
{
    size_t whole = field_varint_size(COMMAND_ID, id) + field_message_size(number, size);
    unsigned char *at = buffer_reserve(output, varint_size(whole) + whole);

    output->size += varint_size(whole) + whole;
    at = varint_write(at, whole);
    at = field_varint_write(at, COMMAND_ID, id);
    return field_message_begin(at, number, size);
}

static void greet(struct buffer *output, const char *channel)
{
    size_t length = strlen(channel);

    begin_command(output, 1, COMMAND_CONNECT, 0);
    field_bytes_write(
        begin_command(output, 2, COMMAND_SUBSCRIBE, field_bytes_size(SUBSCRIBE_CHANNEL, length)),
        SUBSCRIBE_CHANNEL, channel, length);
}

static void publish(struct buffer *output, const char *channel, const void *data, size_t size)
{
    size_t length = strlen(channel);
    unsigned char *at = begin_command(output, 3, COMMAND_PUBLISH,
                                      field_bytes_size(PUBLISH_CHANNEL, length) +
                                          field_bytes_size(PUBLISH_DATA, size));

    at = field_bytes_write(at, PUBLISH_CHANNEL, channel, length);
    field_bytes_write(at, PUBLISH_DATA, data, size);
}

/* The bytes of a message's field of this number, or false. */
static bool find_field(const unsigned char *data, size_t size, unsigned number,
                       struct protobuf_field *field)
{
    const unsigned char *end = data + size;

    while (protobuf_field_read(&data, end, field)) {
        if (field->number == number && field->type == PROTOBUF_BYTES)
            return true;
    }
    return false;
}

static void read_push(const struct protobuf_field *push, struct element *element)
{
    struct protobuf_field field;

    if (find_field(push->data, push->size, PUSH_PUBLICATION, &field)) {
        if (find_field(field.data, field.size, PUBLICATION_DATA, &field))
            *element = (struct element){ELEMENT_MESSAGE, field.data, field.size};
    } else if (find_field(push->data, push->size, PUSH_DISCONNECT, &field)) {
        *element = (struct element){ELEMENT_REFUSAL, field.data, field.size};
    }
}

static int read_reply(const unsigned char *at, size_t size, struct element *element)
{
    const unsigned char *end = at + size;
    struct protobuf_field field;

    while (protobuf_field_read(&at, end, &field)) {
        if (field.type != PROTOBUF_BYTES)
            continue;
        if (field.number == REPLY_PUSH)
            read_push(&field, element);
        else if (field.number == REPLY_SUBSCRIBE)
            element->kind = ELEMENT_READY;
        else if (field.number == REPLY_ERROR)
            *element = (struct element){ELEMENT_REFUSAL, field.data, field.size};
    }
    return at == end ? 0 : -EPROTO;
}

static ssize_t read_element(const unsigned char *data, size_t size, struct element *element)
{
    static const unsigned char pong[] = {0};
    const unsigned char *at = data;
    const unsigned char *end = data + size;
    uint64_t length;

    *element = (struct element){.kind = ELEMENT_OTHER};
    if (!varint_read(&at, end, VARINT_SHORT, &length) || length > (uint64_t)(end - at))
        return -EPROTO;
    if (length == 0)
        *element = (struct element){ELEMENT_PING, pong, sizeof(pong)};
    else if (read_reply(at, (size_t)length, element))
        return -EPROTO;
    return at + length - data;
}

const struct protocol protocol_protobuf = {
    .name = "protobuf",
    .subprotocol = "centrifuge-protobuf",
    .is_binary = true,
    .greet = greet,
    .publish = publish,
    .read = read_element,
};
