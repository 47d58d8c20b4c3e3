/* What is written by hand is, byte for byte, what protobuf-c writes; and what is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/protobuf_field.h"
#include "common/router_frame.h"
#include "proto/bus.pb-c.h"
#include "proto/router.pb-c.h"

#define EPOCH "0123456789abcdef"

/* At the edges of one, two, five and ten bytes of a varint. */
static const uint64_t numbers[] = {
    0, 1, 127, 128, 16383, 16384, UINT32_MAX, (uint64_t)1 << 35, INT64_MAX, UINT64_MAX,
};

#define NUMBER_COUNT (sizeof(numbers) / sizeof(numbers[0]))

typedef Carillon__Router__Frame frame_pb;

static void assert_packs_alike(const struct router_frame *frame, const frame_pb *wanted)
{
    struct buffer bytes = {0};
    struct buffer packed = {0};
    size_t size = carillon__router__frame__get_packed_size(wanted);

    router_frame_append(&bytes, frame);
    carillon__router__frame__pack(wanted, buffer_reserve(&packed, size));
    assert_int_equal(bytes.size, size);
    assert_memory_equal(bytes.data, packed.data, size);
    buffer_deinit(&bytes);
    buffer_deinit(&packed);
}

static ProtobufCBinaryData pack_envelope(struct buffer *output, const struct message *message)
{
    Carillon__Bus__Envelope envelope = CARILLON__BUS__ENVELOPE__INIT;

    envelope.channel = (char *)message->channel;
    envelope.epoch = (char *)message->epoch;
    envelope.offset = message->offset;
    envelope.time_ms = message->time_ms;
    envelope.publisher = message->publisher;
    envelope.sequence = message->sequence;
    envelope.kind = (Carillon__Bus__Kind)message->kind;
    envelope.data.data = (uint8_t *)message->data;
    envelope.data.len = message->data_size;

    size_t size = carillon__bus__envelope__get_packed_size(&envelope);

    carillon__bus__envelope__pack(&envelope, buffer_reserve(output, size));
    return (ProtobufCBinaryData){.len = size, .data = output->data};
}

/* All three kinds of frame that carry it. */
static void assert_message_packs_alike(struct message *message, uint64_t after, bool insist)
{
    struct buffer bytes = {0};
    Carillon__Router__Publish publish = CARILLON__ROUTER__PUBLISH__INIT;
    Carillon__Router__Deliver deliver = CARILLON__ROUTER__DELIVER__INIT;
    Carillon__Router__Entry entry = CARILLON__ROUTER__ENTRY__INIT;
    frame_pb wanted = CARILLON__ROUTER__FRAME__INIT;

    publish.envelope = pack_envelope(&bytes, message);
    publish.after = after;
    publish.insist = insist;
    deliver.envelope = entry.envelope = publish.envelope;
    wanted.kind_case = CARILLON__ROUTER__FRAME__KIND_PUBLISH;
    wanted.publish = &publish;
    assert_packs_alike(
        &(struct router_frame){.kind = FRAME_PUBLISH,
                               .publish = {.message = message, .after = after, .insist = insist}},
        &wanted);
    wanted.kind_case = CARILLON__ROUTER__FRAME__KIND_DELIVER;
    wanted.deliver = &deliver;
    assert_packs_alike(
        &(struct router_frame){.kind = FRAME_DELIVER, .deliver = {.message = message}}, &wanted);
    wanted.kind_case = CARILLON__ROUTER__FRAME__KIND_ENTRY;
    wanted.entry = &entry;
    assert_packs_alike(&(struct router_frame){.kind = FRAME_ENTRY, .deliver = {.message = message}},
                       &wanted);
    buffer_deinit(&bytes);
}

static void messages_pack_alike(void **state)
{
    static const size_t data_sizes[] = {0, 1, 127, 128, 20000};
    static const char data[20000] = "\0\xff";

    (void)state;
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        for (size_t j = 0; j < sizeof(data_sizes) / sizeof(data_sizes[0]); j++) {
            struct message *message = message_create(i % 2 ? MESSAGE_BINARY : MESSAGE_TEXT,
                                                     "ns:caf\xc3\xa9", 8, data, data_sizes[j]);

            message->offset = numbers[i];
            message->time_ms = (int64_t)numbers[i];
            message->publisher = numbers[i];
            message->sequence = numbers[i];
            epoch_copy(message->epoch, i == 0 ? "" : EPOCH);
            assert_message_packs_alike(message, numbers[i], j % 2);
            message_unref(message);
        }
    }
}

static void acknowledgements_pack_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUMBER_COUNT; i++) {
        const char *epoch = i == 0 ? "" : EPOCH;
        Carillon__Router__Ack ack = CARILLON__ROUTER__ACK__INIT;
        Carillon__Router__Mirrored mirrored = CARILLON__ROUTER__MIRRORED__INIT;
        frame_pb wanted = CARILLON__ROUTER__FRAME__INIT;

        ack.channel = mirrored.channel = "room";
        ack.epoch = mirrored.epoch = (char *)epoch;
        ack.offset = mirrored.offset = numbers[i];
        ack.sequence = numbers[i];
        wanted.kind_case = CARILLON__ROUTER__FRAME__KIND_ACK;
        wanted.ack = &ack;
        assert_packs_alike(&(struct router_frame){.kind = FRAME_ACK,
                                                  .channel = "room and more",
                                                  .channel_size = 4,
                                                  .ack = {numbers[i], epoch, numbers[i], false}},
                           &wanted);
        wanted.kind_case = CARILLON__ROUTER__FRAME__KIND_MIRRORED;
        wanted.mirrored = &mirrored;
        assert_packs_alike(
            &(struct router_frame){.kind = FRAME_MIRRORED,
                                   .channel = "room and more",
                                   .channel_size = 4,
                                   .mirrored = {.epoch = epoch, .offset = numbers[i]}},
            &wanted);
    }
}

static bool read_one(const char *bytes, size_t size, struct protobuf_field *field, size_t *used)
{
    const unsigned char *begin = (const unsigned char *)bytes;
    const unsigned char *at = begin;
    bool is_read = protobuf_field_read(&at, begin + size, field);

    *used = (size_t)(at - begin);
    return is_read;
}

#define READ(bytes, field, used) read_one(bytes, sizeof(bytes) - 1, field, used)

static void every_type_of_field_is_read(void **state)
{
    struct protobuf_field field;
    size_t used;

    (void)state;
    assert_true(READ("\x08\xac\x02rest", &field, &used));
    assert_int_equal(field.number, 1);
    assert_int_equal(field.type, PROTOBUF_VARINT);
    assert_int_equal(field.value, 300);
    assert_int_equal(used, 3);
    assert_true(READ("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &field, &used));
    assert_true(field.value == UINT64_MAX);
    assert_true(READ("\x11\1\2\3\4\5\6\7\x80", &field, &used));
    assert_int_equal(field.type, PROTOBUF_FIXED64);
    assert_true(field.value == 0x8007060504030201u);
    assert_true(READ("\x9a\x01\x02hi", &field, &used));
    assert_int_equal(field.number, 19);
    assert_int_equal(field.size, 2);
    assert_memory_equal(field.data, "hi", 2);
    assert_true(READ("\x15\1\0\0\0x", &field, &used));
    assert_int_equal(used, 5);
}

static void what_is_no_field_is_left_where_it_is(void **state)
{
    static const char *const bad[] = {
        "\x08",                                             /* no value */
        "\x80",                                             /* half a tag */
        "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", /* a varint without end */
        "\x11\1\2\3\4\5\6\7",                               /* a byte too few */
        "\x15\1\2\3",
        "\x12\x03hi",
        "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x", /* more than there can be */
        "\x02\x01x",                                     /* the number that there is not */
        "\x0b\x0c",                                      /* a group */
        "\x0f\x01",                                      /* a type that there is not */
        "\xff\xff\xff\xff\xff\xff\x01\x01",              /* too large a number */
    };
    struct protobuf_field field;
    size_t used;

    (void)state;
    assert_false(read_one("", 0, &field, &used));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(read_one(bad[i], strlen(bad[i]), &field, &used));
        assert_int_equal(used, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_pack_alike),
        cmocka_unit_test(acknowledgements_pack_alike),
        cmocka_unit_test(every_type_of_field_is_read),
        cmocka_unit_test(what_is_no_field_is_left_where_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
