/*
 * Envelopes come from a Redis that others can write to. What is accepted keeps its limits, survives
 * being packed and read again, and is what protobuf-c reads; what protobuf-c writes is accepted.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/envelope.h"
#include "common/utf8.h"
#include "proto/bus.pb-c.h"
#include "tests/fuzz/protobuf_check.h"

#define DATA_LIMIT 1024

static void compare(const struct message *one, const struct message *two)
{
    assert(one->kind == two->kind);
    assert(one->offset == two->offset);
    assert(one->time_ms == two->time_ms);
    assert(one->publisher == two->publisher);
    assert(one->sequence == two->sequence);
    assert(strcmp(one->epoch, two->epoch) == 0);
    assert(one->channel_size == two->channel_size);
    assert(memcmp(one->channel, two->channel, one->channel_size) == 0);
    assert(one->data_size == two->data_size);
    assert(one->data_size == 0 || memcmp(one->data, two->data, one->data_size) == 0);
    assert(text_equals(one->key, two->key));
    assert(text_equals(one->origin, two->origin));
}

static bool is_data(const Carillon__Bus__Envelope *envelope)
{
    switch (envelope->kind) {
    case CARILLON__BUS__KIND__KIND_TEXT:
    case CARILLON__BUS__KIND__KIND_JSON:
        return utf8_is_valid(envelope->data.data, envelope->data.len);
    case CARILLON__BUS__KIND__KIND_BINARY:
        return true;
    case CARILLON__BUS__KIND__KIND_JOIN:
    case CARILLON__BUS__KIND__KIND_LEAVE:
    case CARILLON__BUS__KIND__KIND_CONTROL:
    case CARILLON__BUS__KIND__KIND_PASSING_BINARY:
        return envelope->epoch[0] == '\0' && envelope->offset == 0;
    case CARILLON__BUS__KIND__KIND_PASSING_JSON:
        return envelope->epoch[0] == '\0' && envelope->offset == 0 &&
               utf8_is_valid(envelope->data.data, envelope->data.len);
    default:
        return false;
    }
}

static bool is_good(const Carillon__Bus__Envelope *envelope)
{
    for (const char *at = envelope->epoch; *at != '\0'; at++) {
        if (*at <= ' ' || *at > '~')
            return false;
    }
    return strlen(envelope->epoch) <= MESSAGE_EPOCH_LIMIT && envelope->publisher != 0 &&
           envelope->offset < MESSAGE_OFFSET_LIMIT &&
           channel_name_is_on_bus(envelope->channel, strlen(envelope->channel)) &&
           envelope->data.len <= DATA_LIMIT && is_data(envelope) &&
           strlen(envelope->key) <= MESSAGE_KEY_LIMIT &&
           envelope->origin.len <= MESSAGE_ORIGIN_LIMIT;
}

/* `message` is what we made of the bytes, NULL where we refused them. */
static void compare_with_protobuf(const uint8_t *data, size_t size, const struct message *message)
{
    Carillon__Bus__Envelope *envelope = carillon__bus__envelope__unpack(NULL, size, data);

    assert(message ? envelope && is_good(envelope)
                   : !envelope || !is_good(envelope) || !is_canonical(data, size, &envelope->base));
    if (message) {
        assert((int)message->kind == (int)envelope->kind);
        assert(message->offset == envelope->offset);
        assert(message->time_ms == envelope->time_ms);
        assert(message->publisher == envelope->publisher);
        assert(message->sequence == envelope->sequence);
        assert(strcmp(message->epoch, envelope->epoch) == 0);
        assert(strcmp(message->channel, envelope->channel) == 0);
        assert(message->data_size == envelope->data.len);
        assert(message->data_size == 0 ||
               memcmp(message->data, envelope->data.data, message->data_size) == 0);
        /* A key is any bytes, protobuf-c's string ends at a zero. */
        assert(message->key.size >= strlen(envelope->key));
        assert(message->key.size == 0 ||
               memcmp(message->key.data, envelope->key, strlen(envelope->key)) == 0);
        assert(text_equals(message->origin, (struct text){(const char *)envelope->origin.data,
                                                          envelope->origin.len}));
    }
    if (envelope)
        carillon__bus__envelope__free_unpacked(envelope, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer packed = {0};
    struct message *message = NULL;
    struct message *again;
    int error = envelope_read(data, size, DATA_LIMIT, &message);

    if (size <= DATA_LIMIT)
        compare_with_protobuf(data, size, message);
    if (error)
        return 0;
    assert(channel_name_is_on_bus(message->channel, message->channel_size));
    assert(message->data_size <= DATA_LIMIT);
    envelope_append(&packed, message);
    assert(envelope_read(packed.data, packed.size, DATA_LIMIT, &again) == 0);
    compare(message, again);
    message_unref(message);
    message_unref(again);
    buffer_deinit(&packed);
    return 0;
}
