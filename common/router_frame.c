/*
 * protobuf-c's structs stay in here. Writing goes through one `union` of them on the stack, so that
 * it allocates nothing but the output; reading lets the frame point into what protobuf-c unpacked,
 * which lives until the release. What comes and goes with every message of a client does without
 * them (protobuf_field.h).
 */
#include "common/router_frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/envelope.h"
#include "common/protobuf_field.h"
#include "common/router_frame_parts.h"

/* Writing. */

static Carillon__Router__Lineage lineage_of(const struct router_lineage *lineage)
{
    Carillon__Router__Lineage packed = CARILLON__ROUTER__LINEAGE__INIT;

    packed.epoch = (char *)lineage->epoch;
    packed.generation = lineage->generation;
    packed.previous = (char *)lineage->previous;
    packed.fork = lineage->fork;
    packed.offset = lineage->offset;
    return packed;
}

static const char *const capability_names[] = {"presence", "history", "ephemeral",
                                               "keys",     "limits",  "forget"}; /* by bit */

#define CAPABILITY_COUNT (sizeof(capability_names) / sizeof(capability_names[0]))

unsigned router_frame_capabilities(char *const *names, size_t count)
{
    unsigned capabilities = 0;

    for (size_t i = 0; i < count; i++) {
        for (size_t bit = 0; bit < CAPABILITY_COUNT; bit++) {
            if (strcmp(names[i], capability_names[bit]) == 0)
                capabilities |= 1u << bit;
        }
    }
    return capabilities;
}

static size_t name_capabilities(char *names[CAPABILITY_COUNT], unsigned capabilities)
{
    size_t count = 0;

    for (size_t bit = 0; bit < CAPABILITY_COUNT; bit++) {
        if (capabilities & (1u << bit))
            names[count++] = (char *)capability_names[bit];
    }
    return count;
}

static void append_hello(struct buffer *output, const struct router_frame *frame)
{
    Carillon__Router__Hello hello = CARILLON__ROUTER__HELLO__INIT;
    Carillon__Router__Welcome welcome = CARILLON__ROUTER__WELCOME__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;
    ProtobufCBinaryData nonce = bytes_of(frame->hello.nonce, ROUTER_NONCE_BYTES);
    char *capabilities[CAPABILITY_COUNT];
    size_t capability_count = name_capabilities(capabilities, frame->hello.capabilities);

    if (frame->kind == FRAME_HELLO) {
        hello.version = frame->hello.version;
        hello.n_capabilities = capability_count;
        hello.capabilities = capabilities;
        hello.node = frame->hello.node;
        hello.role = (Carillon__Router__Role)frame->hello.role;
        hello.name = packed_text(frame->hello.name);
        hello.shard = frame->hello.shard;
        hello.shards = frame->hello.shards;
        hello.nonce = nonce;
        hello.address = packed_text(frame->hello.address);
        hello.cluster = packed_text(frame->hello.cluster);
        hello.message_limit = frame->hello.message_limit;
        packed.kind_case = CARILLON__ROUTER__FRAME__KIND_HELLO;
        packed.hello = &hello;
    } else {
        welcome.version = frame->hello.version;
        welcome.n_capabilities = capability_count;
        welcome.capabilities = capabilities;
        welcome.node = frame->hello.node;
        welcome.name = packed_text(frame->hello.name);
        welcome.shards = frame->hello.shards;
        welcome.nonce = nonce;
        welcome.proof = bytes_of(frame->hello.proof, frame->hello.proof_size);
        welcome.cluster = packed_text(frame->hello.cluster);
        welcome.message_limit = frame->hello.message_limit;
        packed.kind_case = CARILLON__ROUTER__FRAME__KIND_WELCOME;
        packed.welcome = &welcome;
    }
    pack(output, &packed);
}

static void append_members(struct buffer *output, const struct router_frame *frame)
{
    Carillon__Router__Member items[ROUTER_MEMBER_LIMIT];
    Carillon__Router__Member *pointers[ROUTER_MEMBER_LIMIT];
    Carillon__Router__Members members = CARILLON__ROUTER__MEMBERS__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;

    assert(frame->members.count <= ROUTER_MEMBER_LIMIT);
    for (size_t i = 0; i < frame->members.count; i++) {
        const struct router_member *member = &frame->members.items[i];

        carillon__router__member__init(&items[i]);
        items[i].node = member->node;
        items[i].name = packed_text(member->name);
        items[i].address = packed_text(member->address);
        items[i].leaving = member->is_leaving;
        pointers[i] = &items[i];
    }
    members.n_members = frame->members.count;
    members.members = pointers;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_MEMBERS;
    packed.members = &members;
    pack(output, &packed);
}

/* Frames for every message of a client. */

/* Room for a frame whose body has `size` bytes; returns where that goes. */
static unsigned char *begin_body(struct buffer *output, const struct router_frame *frame,
                                 size_t size)
{
    size_t whole = field_message_size(frame->kind, size);
    unsigned char *at = buffer_reserve(output, whole);

    output->size += whole;
    return field_message_begin(at, frame->kind, size);
}

/* A delivery has none. */
static struct router_limits limits_of(const struct router_frame *frame)
{
    static const struct router_limits none;
    const struct router_limits *limits =
        frame->kind == FRAME_PUBLISH ? &frame->publish.limits : &frame->deliver.limits;

    return frame->kind == FRAME_DELIVER || !limits->are_set ? none : *limits;
}

static void append_message(struct buffer *output, const struct router_frame *frame)
{
    bool is_publish = frame->kind == FRAME_PUBLISH;
    const struct message *message = is_publish ? frame->publish.message : frame->deliver.message;
    uint64_t after = is_publish ? frame->publish.after : 0;
    bool insist = is_publish && frame->publish.insist;
    struct router_limits limits = limits_of(frame);
    size_t envelope = envelope_size(message);
    unsigned char *at =
        begin_body(output, frame,
                   field_message_size(ROUTER_ENVELOPE, envelope) +
                       field_varint_size(ROUTER_PUBLISH_AFTER, after) +
                       field_varint_size(ROUTER_PUBLISH_INSIST, insist) +
                       field_varint_size(ROUTER_LIMITED, limits.are_set) +
                       field_varint_size(ROUTER_HISTORY_SIZE, limits.history_size) +
                       field_varint_size(ROUTER_HISTORY_TTL, limits.history_ttl_ms));

    at = field_message_begin(at, ROUTER_ENVELOPE, envelope);
    at = envelope_write(at, message);
    at = field_varint_write(at, ROUTER_PUBLISH_AFTER, after);
    at = field_varint_write(at, ROUTER_PUBLISH_INSIST, insist);
    at = field_varint_write(at, ROUTER_LIMITED, limits.are_set);
    at = field_varint_write(at, ROUTER_HISTORY_SIZE, limits.history_size);
    field_varint_write(at, ROUTER_HISTORY_TTL, limits.history_ttl_ms);
}

static void append_ack(struct buffer *output, const struct router_frame *frame)
{
    size_t epoch_size = strlen(frame->ack.epoch);
    unsigned char *at = begin_body(output, frame,
                                   field_bytes_size(ACK_CHANNEL, frame->channel_size) +
                                       field_varint_size(ACK_SEQUENCE, frame->ack.sequence) +
                                       field_bytes_size(ACK_EPOCH, epoch_size) +
                                       field_fixed64_size(ACK_OFFSET, frame->ack.offset) +
                                       field_varint_size(ACK_REPEAT, frame->ack.is_repeat));

    at = field_bytes_write(at, ACK_CHANNEL, frame->channel, frame->channel_size);
    at = field_varint_write(at, ACK_SEQUENCE, frame->ack.sequence);
    at = field_bytes_write(at, ACK_EPOCH, frame->ack.epoch, epoch_size);
    at = field_fixed64_write(at, ACK_OFFSET, frame->ack.offset);
    field_varint_write(at, ACK_REPEAT, frame->ack.is_repeat);
}

enum { MIRRORED_CHANNEL = 1, MIRRORED_EPOCH, MIRRORED_OFFSET };

static void append_mirrored(struct buffer *output, const struct router_frame *frame)
{
    size_t epoch_size = strlen(frame->mirrored.epoch);
    unsigned char *at = begin_body(output, frame,
                                   field_bytes_size(MIRRORED_CHANNEL, frame->channel_size) +
                                       field_bytes_size(MIRRORED_EPOCH, epoch_size) +
                                       field_fixed64_size(MIRRORED_OFFSET, frame->mirrored.offset));

    at = field_bytes_write(at, MIRRORED_CHANNEL, frame->channel, frame->channel_size);
    at = field_bytes_write(at, MIRRORED_EPOCH, frame->mirrored.epoch, epoch_size);
    field_fixed64_write(at, MIRRORED_OFFSET, frame->mirrored.offset);
}

/* FRAME_GIVEN and FRAME_MIRROR_OPEN: a copy's lineage and producers. */
static void append_given(struct buffer *output, const struct router_frame *frame)
{
    char channel[CHANNEL_TEXT];
    Carillon__Router__Producer items[ROUTER_PRODUCER_LIMIT];
    Carillon__Router__Producer *pointers[ROUTER_PRODUCER_LIMIT];
    Carillon__Router__Lineage lineage = lineage_of(&frame->given.lineage);
    Carillon__Router__Given given = CARILLON__ROUTER__GIVEN__INIT;
    Carillon__Router__MirrorOpen open = CARILLON__ROUTER__MIRROR_OPEN__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;
    size_t count = frame->given.producers.count;

    assert(count <= ROUTER_PRODUCER_LIMIT);
    for (size_t i = 0; i < count; i++) {
        const struct router_producer *producer = &frame->given.producers.items[i];

        carillon__router__producer__init(&items[i]);
        items[i].publisher = producer->publisher;
        items[i].sequence = producer->sequence;
        items[i].offset = producer->offset;
        pointers[i] = &items[i];
    }
    if (frame->kind == FRAME_GIVEN) {
        given.channel = channel_text(channel, frame);
        given.claim = frame->given.claim;
        given.lineage = &lineage;
        given.title = frame->given.has_title;
        given.start = frame->given.start;
        given.n_producers = count;
        given.producers = pointers;
        given.forgotten = frame->given.forgotten;
        packed.kind_case = CARILLON__ROUTER__FRAME__KIND_GIVEN;
        packed.given = &given;
    } else {
        open.channel = channel_text(channel, frame);
        open.lineage = &lineage;
        open.start = frame->given.start;
        open.n_producers = count;
        open.producers = pointers;
        open.forgotten = frame->given.forgotten;
        packed.kind_case = CARILLON__ROUTER__FRAME__KIND_MIRROR_OPEN;
        packed.mirror_open = &open;
    }
    pack(output, &packed);
}

static void append_head(struct buffer *output, const struct router_frame *frame)
{
    char channel[CHANNEL_TEXT];
    Carillon__Router__Lineage lineage = lineage_of(&frame->head.lineage);
    Carillon__Router__Head head = CARILLON__ROUTER__HEAD__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;

    head.channel = channel_text(channel, frame);
    head.claim = frame->head.claim;
    head.state = (Carillon__Router__HeadState)frame->head.state;
    head.lineage = &lineage;
    head.title = frame->head.has_title;
    head.node = frame->head.node;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_HEAD;
    packed.head = &head;
    pack(output, &packed);
}

/* All kinds that are a few plain fields. */
static void append_simple(struct buffer *output, const struct router_frame *frame)
{
    char channel[CHANNEL_TEXT] = "";
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;
    union {
        Carillon__Router__Proof proof;
        Carillon__Router__Ready ready;
        Carillon__Router__Error error;
        Carillon__Router__Ping ping;
        Carillon__Router__Pong pong;
        Carillon__Router__Subscribe subscribe;
        Carillon__Router__Subscribed subscribed;
        Carillon__Router__Unsubscribe unsubscribe;
        Carillon__Router__Refused refused;
        Carillon__Router__Moved moved;
        Carillon__Router__Inquire inquire;
        Carillon__Router__Take take;
        Carillon__Router__MirrorHave mirror_have;
        Carillon__Router__MirrorClose mirror_close;
        Carillon__Router__MirrorClosed mirror_closed;
        Carillon__Router__Owning owning;
        Carillon__Router__Offer offer;
        Carillon__Router__Forget forget;
    } body;

    if (frame->channel)
        channel_text(channel, frame);
    packed.kind_case = (Carillon__Router__Frame__KindCase)frame->kind;
    packed.ready = &body.ready; /* all members of the oneof are one pointer */
    switch (frame->kind) {
    case FRAME_PROOF:
        carillon__router__proof__init(&body.proof);
        body.proof.proof = bytes_of(frame->proof.data, frame->proof.size);
        break;
    case FRAME_READY:
        carillon__router__ready__init(&body.ready);
        break;
    case FRAME_ERROR:
        carillon__router__error__init(&body.error);
        body.error.code = (Carillon__Router__ErrorCode)frame->error.code;
        body.error.text = packed_text(frame->error.text);
        break;
    case FRAME_PING:
        carillon__router__ping__init(&body.ping);
        body.ping.time = frame->ping.time;
        break;
    case FRAME_PONG:
        carillon__router__pong__init(&body.pong);
        body.pong.time = frame->ping.time;
        break;
    case FRAME_SUBSCRIBE:
        carillon__router__subscribe__init(&body.subscribe);
        body.subscribe.channel = channel;
        body.subscribe.epoch = packed_text(frame->subscribe.epoch);
        body.subscribe.offset = frame->subscribe.offset;
        body.subscribe.insist = frame->subscribe.insist;
        body.subscribe.acknowledged = frame->subscribe.acknowledged;
        break;
    case FRAME_SUBSCRIBED:
        carillon__router__subscribed__init(&body.subscribed);
        body.subscribed.channel = channel;
        body.subscribed.epoch = packed_text(frame->subscribed.epoch);
        body.subscribed.offset = frame->subscribed.offset;
        body.subscribed.outcome = (Carillon__Router__Outcome)frame->subscribed.outcome;
        break;
    case FRAME_UNSUBSCRIBE:
        carillon__router__unsubscribe__init(&body.unsubscribe);
        body.unsubscribe.channel = channel;
        break;
    case FRAME_REFUSED:
        carillon__router__refused__init(&body.refused);
        body.refused.channel = channel;
        body.refused.sequence = frame->refused.sequence;
        body.refused.reason = (Carillon__Router__Reason)frame->refused.reason;
        body.refused.node = frame->refused.node;
        body.refused.request = frame->refused.request;
        break;
    case FRAME_MOVED:
        carillon__router__moved__init(&body.moved);
        body.moved.channel = channel;
        body.moved.node = frame->moved.node;
        break;
    case FRAME_INQUIRE:
        carillon__router__inquire__init(&body.inquire);
        body.inquire.channel = channel;
        body.inquire.claim = frame->inquire.claim;
        body.inquire.insist = frame->inquire.insist;
        body.inquire.n_nodes = frame->inquire.node_count;
        body.inquire.nodes = (uint64_t *)frame->inquire.nodes;
        break;
    case FRAME_TAKE:
        carillon__router__take__init(&body.take);
        body.take.channel = channel;
        body.take.claim = frame->take.claim;
        body.take.epoch = packed_text(frame->take.epoch);
        body.take.offset = frame->take.offset;
        break;
    case FRAME_MIRROR_HAVE:
        carillon__router__mirror_have__init(&body.mirror_have);
        body.mirror_have.channel = channel;
        body.mirror_have.epoch = packed_text(frame->mirrored.epoch);
        body.mirror_have.offset = frame->mirrored.offset;
        body.mirror_have.refused = frame->mirrored.is_refused;
        body.mirror_have.node = frame->mirrored.node;
        break;
    case FRAME_MIRROR_CLOSE:
        carillon__router__mirror_close__init(&body.mirror_close);
        body.mirror_close.channel = channel;
        body.mirror_close.forget = frame->mirror_close.forget;
        break;
    case FRAME_MIRROR_CLOSED:
        carillon__router__mirror_closed__init(&body.mirror_closed);
        body.mirror_closed.channel = channel;
        break;
    case FRAME_OWNING:
        carillon__router__owning__init(&body.owning);
        body.owning.n_channels = frame->owning.count;
        body.owning.channels = (char **)frame->owning.channels;
        break;
    case FRAME_OFFER:
        carillon__router__offer__init(&body.offer);
        body.offer.channel = channel;
        break;
    case FRAME_FORGET:
        carillon__router__forget__init(&body.forget);
        body.forget.channel = channel;
        body.forget.epoch = packed_text(frame->mirrored.epoch);
        body.forget.offset = frame->mirrored.offset;
        break;
    default:
        abort(); /* router_frame_append has the others */
    }
    pack(output, &packed);
}

void router_frame_append(struct buffer *output, const struct router_frame *frame)
{
    switch (frame->kind) {
    case FRAME_HELLO:
    case FRAME_WELCOME:
        append_hello(output, frame);
        return;
    case FRAME_MEMBERS:
        append_members(output, frame);
        return;
    case FRAME_PUBLISH:
    case FRAME_DELIVER:
    case FRAME_ENTRY:
        append_message(output, frame);
        return;
    case FRAME_ACK:
        append_ack(output, frame);
        return;
    case FRAME_MIRRORED:
        append_mirrored(output, frame);
        return;
    case FRAME_HEAD:
        append_head(output, frame);
        return;
    case FRAME_GIVEN:
    case FRAME_MIRROR_OPEN:
        append_given(output, frame);
        return;
    case FRAME_PRESENCE_SET:
    case FRAME_PRESENCE_REMOVE:
    case FRAME_PRESENCE_ASK:
    case FRAME_PRESENCE_LIST:
    case FRAME_HISTORY_ASK:
    case FRAME_HISTORY:
    case FRAME_HISTORY_FORGET:
    case FRAME_HISTORY_FORGOTTEN:
        router_frame_append_ask(output, frame);
        return;
    default:
        append_simple(output, frame);
        return;
    }
}
