#include "common/envelope.h"

#include <stdbool.h>
#include <string.h>
#include <uv.h>

#include "common/channel_name.h"
#include "common/protobuf_field.h"
#include "common/utf8.h"

/* The numbers of the fields in proto/bus.proto. */
enum { CHANNEL = 1, EPOCH, OFFSET, TIME_MS, PUBLISHER, SEQUENCE, KIND, DATA, KEY, ORIGIN };

size_t envelope_size(const struct message *message)
{
    return field_bytes_size(CHANNEL, message->channel_size) +
           field_bytes_size(EPOCH, strlen(message->epoch)) +
           field_fixed64_size(OFFSET, message->offset) +
           field_varint_size(TIME_MS, (uint64_t)message->time_ms) +
           field_fixed64_size(PUBLISHER, message->publisher) +
           field_varint_size(SEQUENCE, message->sequence) + field_varint_size(KIND, message->kind) +
           field_bytes_size(DATA, message->data_size) + field_bytes_size(KEY, message->key.size) +
           field_bytes_size(ORIGIN, message->origin.size);
}

unsigned char *envelope_write(unsigned char *at, const struct message *message)
{
    at = field_bytes_write(at, CHANNEL, message->channel, message->channel_size);
    at = field_bytes_write(at, EPOCH, message->epoch, strlen(message->epoch));
    at = field_fixed64_write(at, OFFSET, message->offset);
    at = field_varint_write(at, TIME_MS, (uint64_t)message->time_ms);
    at = field_fixed64_write(at, PUBLISHER, message->publisher);
    at = field_varint_write(at, SEQUENCE, message->sequence);
    at = field_varint_write(at, KIND, message->kind);
    at = field_bytes_write(at, DATA, message->data, message->data_size);
    at = field_bytes_write(at, KEY, message->key.data, message->key.size);
    return field_bytes_write(at, ORIGIN, message->origin.data, message->origin.size);
}

void envelope_append(struct buffer *output, const struct message *message)
{
    size_t size = envelope_size(message);

    envelope_write(buffer_reserve(output, size), message);
    output->size += size;
}

/* What was read, where it lies. A name ends at its first zero, as everywhere in C; a key is any
 * bytes. */
struct envelope {
    const char *channel;
    size_t channel_size;
    const char *epoch;
    size_t epoch_size;
    uint64_t offset;
    uint64_t time_ms;
    uint64_t publisher;
    uint64_t sequence;
    uint32_t kind;
    const unsigned char *data;
    size_t data_size;
    struct text key;
    struct text origin;
};

static bool has_its_type(const struct protobuf_field *field)
{
    static const enum protobuf_wire_type types[] = {
        [CHANNEL] = PROTOBUF_BYTES,  [EPOCH] = PROTOBUF_BYTES,       [OFFSET] = PROTOBUF_FIXED64,
        [TIME_MS] = PROTOBUF_VARINT, [PUBLISHER] = PROTOBUF_FIXED64, [SEQUENCE] = PROTOBUF_VARINT,
        [KIND] = PROTOBUF_VARINT,    [DATA] = PROTOBUF_BYTES,        [KEY] = PROTOBUF_BYTES,
        [ORIGIN] = PROTOBUF_BYTES,
    };

    return field->number > ORIGIN || field->type == types[field->number];
}

static void take_text(const struct protobuf_field *field, const char **text, size_t *size)
{
    *text = (const char *)field->data;
    *size = strnlen(*text, field->size);
}

/* The last value of a field counts. */
static void take_field(struct envelope *envelope, const struct protobuf_field *field)
{
    switch (field->number) {
    case CHANNEL:
        take_text(field, &envelope->channel, &envelope->channel_size);
        return;
    case EPOCH:
        take_text(field, &envelope->epoch, &envelope->epoch_size);
        return;
    case OFFSET:
        envelope->offset = field->value;
        return;
    case TIME_MS:
        envelope->time_ms = field->value;
        return;
    case PUBLISHER:
        envelope->publisher = field->value;
        return;
    case SEQUENCE:
        envelope->sequence = field->value;
        return;
    case KIND:
        envelope->kind = (uint32_t)field->value;
        return;
    case DATA:
        envelope->data = field->data;
        envelope->data_size = field->size;
        return;
    case KEY:
        envelope->key = (struct text){(const char *)field->data, field->size};
        return;
    case ORIGIN:
        envelope->origin = (struct text){(const char *)field->data, field->size};
        return;
    default: /* a later version's */
        return;
    }
}

static bool read_fields(struct envelope *envelope, const unsigned char *at,
                        const unsigned char *end)
{
    struct protobuf_field field;

    while (protobuf_field_read(&at, end, &field)) {
        if (!has_its_type(&field))
            return false;
        take_field(envelope, &field);
    }
    return at == end;
}

static bool is_epoch(const char *epoch, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (epoch[i] <= ' ' || epoch[i] > '~')
            return false;
    }
    return size <= MESSAGE_EPOCH_LIMIT;
}

static bool is_data(const struct envelope *envelope, size_t data_limit)
{
    if (envelope->data_size > data_limit)
        return false;
    switch (envelope->kind) {
    case MESSAGE_TEXT: /* it will stand in a text frame, */
    case MESSAGE_JSON: /* and so will these */
    case MESSAGE_PASSING_JSON:
        return utf8_is_valid(envelope->data, envelope->data_size);
    case MESSAGE_BINARY:
    case MESSAGE_JOIN:
    case MESSAGE_LEAVE:
    case MESSAGE_CONTROL:
    case MESSAGE_PASSING_BINARY:
        return true;
    default:
        return false;
    }
}

/* What is ephemeral has no place, on no bus. */
static bool is_place(const struct envelope *envelope)
{
    if (message_is_ephemeral((enum message_kind)envelope->kind))
        return envelope->epoch_size == 0 && envelope->offset == 0;
    return is_epoch(envelope->epoch, envelope->epoch_size);
}

static bool is_good(const struct envelope *envelope, size_t data_limit)
{
    return channel_name_is_on_bus(envelope->channel, envelope->channel_size) &&
           envelope->offset < MESSAGE_OFFSET_LIMIT && envelope->publisher != 0 &&
           is_data(envelope, data_limit) && is_place(envelope) &&
           envelope->key.size <= MESSAGE_KEY_LIMIT && envelope->origin.size <= MESSAGE_ORIGIN_LIMIT;
}

static struct message *to_message(const struct envelope *envelope)
{
    struct message *message = message_write(&(struct message_draft){
        .kind = (enum message_kind)envelope->kind,
        .channel = {envelope->channel, envelope->channel_size},
        .data = {(const char *)envelope->data, envelope->data_size},
        .key = envelope->key,
        .origin = envelope->origin,
    });

    if (envelope->epoch_size > 0)
        memcpy(message->epoch, envelope->epoch, envelope->epoch_size);
    message->offset = envelope->offset;
    message->time_ms = (int64_t)envelope->time_ms;
    message->publisher = envelope->publisher;
    message->sequence = envelope->sequence;
    return message;
}

int envelope_read(const void *bytes, size_t size, size_t data_limit, struct message **message)
{
    const unsigned char *at = bytes;
    struct envelope envelope = {0};

    if (size == 0 || (size > ENVELOPE_EXTRA_LIMIT && size - ENVELOPE_EXTRA_LIMIT > data_limit) ||
        !read_fields(&envelope, at, at + size) || !is_good(&envelope, data_limit))
        return UV_EPROTO;
    *message = to_message(&envelope);
    return 0;
}

bool envelope_read_large(const void *bytes, size_t size, size_t data_limit,
                         struct envelope_large *large)
{
    const unsigned char *at = bytes;
    const unsigned char *end = at + size;
    struct envelope envelope = {0};
    struct protobuf_field field;
    uint64_t data_size;

    while (!protobuf_field_enter(&at, end, DATA, &data_size)) {
        if (!protobuf_field_read(&at, end, &field) || !has_its_type(&field))
            return false;
        take_field(&envelope, &field);
    }
    *large = (struct envelope_large){envelope.channel, envelope.channel_size, envelope.sequence};
    return data_size > data_limit && envelope.sequence != 0 &&
           channel_name_is_on_bus(envelope.channel, envelope.channel_size);
}
