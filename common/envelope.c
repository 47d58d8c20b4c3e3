#include "common/envelope.h"

#include <string.h>
#include <uv.h>

#include "common/utf8.h"
#include "proto/bus.pb-c.h"

#define OVERHEAD_LIMIT 2048 /* everything in an envelope but the data, unknown fields included */

void envelope_append(struct buffer *output, const struct message *message)
{
    Carillon__Bus__Envelope envelope = CARILLON__BUS__ENVELOPE__INIT;

    envelope.channel = (char *)(uintptr_t)message->channel;
    envelope.epoch = (char *)(uintptr_t)message->epoch;
    envelope.offset = message->offset;
    envelope.time_ms = message->time_ms;
    envelope.publisher = message->publisher;
    envelope.sequence = message->sequence;
    envelope.kind = message->kind == MESSAGE_TEXT ? CARILLON__BUS__KIND__KIND_TEXT
                                                  : CARILLON__BUS__KIND__KIND_BINARY;
    envelope.data.data = (uint8_t *)(uintptr_t)message->data;
    envelope.data.len = message->data_size;

    size_t size = carillon__bus__envelope__get_packed_size(&envelope);

    carillon__bus__envelope__pack(&envelope, buffer_reserve(output, size));
    output->size += size;
}

static int is_channel(const char *channel, size_t size)
{
    if (size == 0 || size > MESSAGE_CHANNEL_LIMIT ||
        !utf8_is_valid((const unsigned char *)channel, size))
        return 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)channel[i];

        if (byte < 0x20 || byte == 0x7f ||
            (byte == 0xc2 && (unsigned char)channel[i + 1] < 0xa0))
            return 0;
    }
    return 1;
}

static int is_epoch(const char *epoch)
{
    size_t size = strlen(epoch);

    for (size_t i = 0; i < size; i++) {
        if (epoch[i] <= ' ' || epoch[i] > '~')
            return 0;
    }
    return size <= MESSAGE_EPOCH_LIMIT;
}

static struct message *to_message(const Carillon__Bus__Envelope *envelope, size_t data_limit)
{
    size_t channel_size = strlen(envelope->channel);

    if (!is_channel(envelope->channel, channel_size) || !is_epoch(envelope->epoch) ||
        envelope->publisher == 0 || envelope->data.len > data_limit ||
        (envelope->kind != CARILLON__BUS__KIND__KIND_TEXT &&
         envelope->kind != CARILLON__BUS__KIND__KIND_BINARY))
        return NULL;

    struct message *message =
        message_create(envelope->kind == CARILLON__BUS__KIND__KIND_TEXT ? MESSAGE_TEXT
                                                                        : MESSAGE_BINARY,
                       envelope->channel, channel_size, envelope->data.data, envelope->data.len);

    memcpy(message->epoch, envelope->epoch, strlen(envelope->epoch) + 1);
    message->offset = envelope->offset;
    message->time_ms = envelope->time_ms;
    message->publisher = envelope->publisher;
    message->sequence = envelope->sequence;
    return message;
}

int envelope_read(const void *bytes, size_t size, size_t data_limit, struct message **message)
{
    if (size > data_limit + OVERHEAD_LIMIT)
        return UV_EPROTO;

    Carillon__Bus__Envelope *envelope = carillon__bus__envelope__unpack(NULL, size, bytes);

    if (!envelope)
        return UV_EPROTO;
    *message = to_message(envelope, data_limit);
    carillon__bus__envelope__free_unpacked(envelope, NULL);
    return *message ? 0 : UV_EPROTO;
}
