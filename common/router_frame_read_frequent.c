/*
 * The frames that every message causes, read without protobuf-c, which costs as much as all else
 * that the message causes. What is not as we write it, say because it comes from a later version,
 * is left to protobuf-c.
 */
#include <string.h>

#include "common/memory.h"
#include "common/protobuf_field.h"
#include "common/router_frame_parts.h"

/* The body of a Publish, Deliver or Entry, as far as it has it. */
struct body {
    struct protobuf_field envelope;
    uint64_t after;
    bool insist;
    bool is_limited;
    uint64_t history_size;
    uint64_t history_ttl_ms;
};

/* False for a field that is not as we write it. */
static bool take_body_field(struct body *body, const struct protobuf_field *field)
{
    if (field->number == ROUTER_ENVELOPE) {
        body->envelope = *field;
        return field->type == PROTOBUF_BYTES;
    }
    switch (field->number) {
    case ROUTER_PUBLISH_AFTER:
        body->after = field->value;
        break;
    case ROUTER_PUBLISH_INSIST:
        body->insist = field->value != 0;
        break;
    case ROUTER_LIMITED:
        body->is_limited = field->value != 0;
        break;
    case ROUTER_HISTORY_SIZE:
        body->history_size = field->value;
        break;
    case ROUTER_HISTORY_TTL:
        body->history_ttl_ms = field->value;
        break;
    default:
        return false;
    }
    return field->type == PROTOBUF_VARINT;
}

static bool read_body(const struct protobuf_field *bytes, struct body *body)
{
    const unsigned char *at = bytes->data;
    const unsigned char *end = at + bytes->size;
    struct protobuf_field field;

    while (protobuf_field_read(&at, end, &field)) {
        if (!take_body_field(body, &field))
            return false;
    }
    return at == end;
}

static bool read_message(const struct protobuf_field *bytes, size_t data_limit,
                         struct router_frame *frame)
{
    enum router_frame_kind kind = (enum router_frame_kind)bytes->number;
    struct body body = {0};
    struct router_limits limits;
    struct message *message;
    ProtobufCBinaryData envelope;

    if (!read_body(bytes, &body))
        return false;
    envelope = bytes_of(body.envelope.data, body.envelope.size);
    if (!(kind == FRAME_ENTRY ? read_kept(&message, envelope, data_limit)
                              : read_envelope(&message, envelope, data_limit)))
        return false;
    limits = read_limits(body.is_limited, body.history_size, body.history_ttl_ms);
    *frame = (struct router_frame){.kind = kind};
    if (kind == FRAME_PUBLISH) {
        frame->publish.message = message;
        frame->publish.after = body.after;
        frame->publish.insist = body.insist;
        frame->publish.limits = limits;
    } else {
        frame->deliver.message = message;
        if (kind == FRAME_ENTRY)
            frame->deliver.limits = limits;
    }
    return take_channel(frame, message);
}

struct ack {
    struct protobuf_field channel;
    struct protobuf_field epoch;
    uint64_t sequence;
    uint64_t offset;
    bool is_repeat;
};

static bool take_ack_field(struct ack *ack, const struct protobuf_field *field)
{
    switch (field->number) {
    case ACK_CHANNEL:
        ack->channel = *field;
        return field->type == PROTOBUF_BYTES;
    case ACK_SEQUENCE:
        ack->sequence = field->value;
        return field->type == PROTOBUF_VARINT;
    case ACK_EPOCH:
        ack->epoch = *field;
        return field->type == PROTOBUF_BYTES;
    case ACK_OFFSET:
        ack->offset = field->value;
        return field->type == PROTOBUF_FIXED64;
    case ACK_REPEAT:
        ack->is_repeat = field->value != 0;
        return field->type == PROTOBUF_VARINT;
    default:
        return false;
    }
}

/* The field as a string behind `at`; a zero inside of it ends it, as in protobuf-c. Returns where
 * the next one goes. */
static char *copy_text(char *at, const struct protobuf_field *field)
{
    if (field->size > 0)
        memcpy(at, field->data, field->size);
    at[field->size] = '\0';
    return at + field->size + 1;
}

static bool read_ack(const struct protobuf_field *bytes, struct router_frame *frame)
{
    const unsigned char *at = bytes->data;
    const unsigned char *end = at + bytes->size;
    struct protobuf_field field;
    struct ack ack = {0};

    while (protobuf_field_read(&at, end, &field)) {
        if (!take_ack_field(&ack, &field))
            return false;
    }
    if (at != end || ack.channel.size > MESSAGE_CHANNEL_LIMIT ||
        ack.epoch.size > MESSAGE_EPOCH_LIMIT)
        return false;

    char *channel = memory_allocate(ack.channel.size + ack.epoch.size + 2);
    char *epoch = copy_text(channel, &ack.channel);

    copy_text(epoch, &ack.epoch);
    *frame = (struct router_frame){.kind = FRAME_ACK, .list = channel};
    frame->ack.epoch = epoch;
    frame->ack.sequence = ack.sequence;
    frame->ack.offset = ack.offset;
    frame->ack.is_repeat = ack.is_repeat;
    if (read_channel(frame, channel) && is_position(epoch, ack.offset))
        return true;
    router_frame_release(frame);
    return false;
}

bool router_frame_read_frequent(const unsigned char *bytes, size_t size, size_t data_limit,
                                struct router_frame *frame)
{
    const unsigned char *at = bytes;
    struct protobuf_field field;

    if (!protobuf_field_read(&at, bytes + size, &field) || at != bytes + size ||
        field.type != PROTOBUF_BYTES)
        return false;
    switch (field.number) {
    case FRAME_PUBLISH:
    case FRAME_DELIVER:
    case FRAME_ENTRY:
        return read_message(&field, data_limit, frame);
    case FRAME_ACK:
        return read_ack(&field, frame);
    default:
        return false;
    }
}
