/* The reading half of router_frame.h, which trusts nothing. */
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/arena.h"
#include "common/cluster_name.h"
#include "common/memory.h"
#include "common/protobuf_field.h"
#include "common/router_frame_parts.h"

/* What a frame may unpack to beside its own bytes: the longest lists come to less than half. */
#define UNPACK_BYTES ((size_t)1024 * 1024)

_Static_assert(ROUTER_NAME_LIMIT == CHANNEL_NAME_LIMIT && ROUTER_TEXT_LIMIT == CHANNEL_NAME_LIMIT,
               "is_text has one limit");

/* Names, addresses and texts of errors go to logs and to /state: the rule of channel names serves
 * for them, too. */
static bool is_text(const char *text)
{
    return text[0] == '\0' || channel_name_is_valid(text, strlen(text));
}

static bool is_name(const char *name)
{
    return name[0] != '\0' && is_text(name);
}

static bool is_cluster(const char *name)
{
    return is_text(name) && strlen(name) <= CLUSTER_NAME_LIMIT;
}

/* The kinds whose size is for messages to fill. */
static bool carries_messages(enum router_frame_kind kind)
{
    return kind == FRAME_PUBLISH || kind == FRAME_DELIVER || kind == FRAME_ENTRY ||
           kind == FRAME_HISTORY;
}

/* Without an epoch there is nothing: no message, and nowhere that it forked from. */
static bool is_lineage(const struct router_lineage *lineage)
{
    if (lineage->offset >= MESSAGE_OFFSET_LIMIT)
        return false;
    if (lineage->epoch[0] == '\0')
        return lineage->offset == 0 && lineage->previous[0] == '\0' && lineage->fork == 0;
    return lineage->fork <= lineage->offset && (lineage->fork == 0 || lineage->previous[0] != '\0');
}

static bool read_lineage(struct router_lineage *lineage, const Carillon__Router__Lineage *packed)
{
    if (!packed || !is_epoch(packed->epoch) || !is_epoch(packed->previous))
        return false;
    memcpy(lineage->epoch, packed->epoch, strlen(packed->epoch) + 1);
    memcpy(lineage->previous, packed->previous, strlen(packed->previous) + 1);
    lineage->generation = packed->generation;
    lineage->fork = packed->fork;
    lineage->offset = packed->offset;
    return is_lineage(lineage);
}

/* Of a copy, which is one of something. */
static bool read_copy(struct router_lineage *lineage, const Carillon__Router__Lineage *packed)
{
    return read_lineage(lineage, packed) && lineage->epoch[0] != '\0';
}

static bool read_hello(struct router_frame *frame, const Carillon__Router__Hello *hello)
{
    frame->hello.version = hello->version;
    frame->hello.capabilities =
        router_frame_capabilities(hello->capabilities, hello->n_capabilities);
    frame->hello.node = hello->node;
    frame->hello.role =
        hello->role == CARILLON__ROUTER__ROLE__ROLE_ROUTER ? ROLE_ROUTER : ROLE_GATEWAY;
    frame->hello.name = hello->name;
    frame->hello.shard = hello->shard;
    frame->hello.shards = hello->shards;
    frame->hello.nonce = hello->nonce.data;
    frame->hello.address = hello->address;
    frame->hello.cluster = hello->cluster;
    frame->hello.message_limit = hello->message_limit;
    return hello->node != 0 && hello->nonce.len == ROUTER_NONCE_BYTES &&
           (frame->hello.role == ROLE_ROUTER ? is_name(hello->name) : is_text(hello->name)) &&
           is_text(hello->address) && is_cluster(hello->cluster);
}

static bool read_welcome(struct router_frame *frame, const Carillon__Router__Welcome *welcome)
{
    frame->hello.version = welcome->version;
    frame->hello.capabilities =
        router_frame_capabilities(welcome->capabilities, welcome->n_capabilities);
    frame->hello.node = welcome->node;
    frame->hello.name = welcome->name;
    frame->hello.shards = welcome->shards;
    frame->hello.nonce = welcome->nonce.data;
    frame->hello.proof = welcome->proof.data;
    frame->hello.proof_size = welcome->proof.len;
    frame->hello.cluster = welcome->cluster;
    frame->hello.message_limit = welcome->message_limit;
    return welcome->node != 0 && welcome->nonce.len == ROUTER_NONCE_BYTES &&
           is_name(welcome->name) && is_cluster(welcome->cluster);
}

static bool read_members(struct router_frame *frame, const Carillon__Router__Members *members)
{
    if (members->n_members > ROUTER_MEMBER_LIMIT)
        return false;

    struct router_member *items = memory_zeroed(members->n_members + 1, sizeof(*items));

    frame->list = items;
    for (size_t i = 0; i < members->n_members; i++) {
        const Carillon__Router__Member *member = members->members[i];

        if (member->node == 0 || !is_name(member->name) || !is_text(member->address))
            return false;
        items[i] = (struct router_member){.node = member->node,
                                          .name = member->name,
                                          .address = member->address,
                                          .is_leaving = member->leaving};
    }
    frame->members.items = items;
    frame->members.count = members->n_members;
    return true;
}

static bool read_producers(struct router_frame *frame, Carillon__Router__Producer *const *producers,
                           size_t count)
{
    if (count > ROUTER_PRODUCER_LIMIT)
        return false;

    struct router_producer *items = memory_zeroed(count + 1, sizeof(*items));

    frame->list = items;
    for (size_t i = 0; i < count; i++)
        items[i] = (struct router_producer){producers[i]->publisher, producers[i]->sequence,
                                            producers[i]->offset};
    frame->given.producers = (struct router_producers){items, count};
    return true;
}

static bool read_given(struct router_frame *frame, const Carillon__Router__Given *given)
{
    frame->given.claim = given->claim;
    frame->given.has_title = given->title;
    frame->given.start = given->start;
    frame->given.forgotten = given->forgotten;
    return read_channel(frame, given->channel) &&
           read_copy(&frame->given.lineage, given->lineage) &&
           given->start <= frame->given.lineage.offset && given->forgotten <= given->start &&
           read_producers(frame, given->producers, given->n_producers);
}

static bool read_mirror_open(struct router_frame *frame, const Carillon__Router__MirrorOpen *open)
{
    frame->given.start = open->start;
    frame->given.forgotten = open->forgotten;
    return read_channel(frame, open->channel) && read_copy(&frame->given.lineage, open->lineage) &&
           open->start <= frame->given.lineage.offset && open->forgotten <= open->start &&
           read_producers(frame, open->producers, open->n_producers);
}

static bool read_owning(struct router_frame *frame, const Carillon__Router__Owning *owning)
{
    if (owning->n_channels > ROUTER_OWNING_LIMIT)
        return false;
    for (size_t i = 0; i < owning->n_channels; i++) {
        if (!channel_name_is_on_bus(owning->channels[i], strlen(owning->channels[i])))
            return false;
    }
    frame->owning.channels = owning->channels;
    frame->owning.count = owning->n_channels;
    return true;
}

static bool read_inquire(struct router_frame *frame, const Carillon__Router__Inquire *inquire)
{
    frame->inquire.claim = inquire->claim;
    frame->inquire.insist = inquire->insist;
    frame->inquire.nodes = inquire->nodes;
    frame->inquire.node_count = inquire->n_nodes;
    return inquire->n_nodes <= ROUTER_MEMBER_LIMIT && read_channel(frame, inquire->channel);
}

static bool read_head(struct router_frame *frame, const Carillon__Router__Head *head)
{
    if (head->state > CARILLON__ROUTER__HEAD_STATE__HEAD_REFUSED)
        return false;
    frame->head.claim = head->claim;
    frame->head.state = (enum router_head)head->state;
    frame->head.has_title = head->title;
    frame->head.node = head->node;
    return read_channel(frame, head->channel) &&
           read_lineage(&frame->head.lineage, head->lineage) &&
           (frame->head.state != HEAD_COPY || frame->head.lineage.epoch[0] != '\0');
}

/* Connections and gateways. UV_ENOSYS for the kinds of the other function. */
static bool read_outer(struct router_frame *frame, const frame_pb *packed, size_t data_limit)
{
    switch (packed->kind_case) {
    case CARILLON__ROUTER__FRAME__KIND_HELLO:
        return read_hello(frame, packed->hello);
    case CARILLON__ROUTER__FRAME__KIND_WELCOME:
        return read_welcome(frame, packed->welcome);
    case CARILLON__ROUTER__FRAME__KIND_PROOF:
        frame->proof.data = packed->proof->proof.data;
        frame->proof.size = packed->proof->proof.len;
        return true;
    case CARILLON__ROUTER__FRAME__KIND_READY:
        return true;
    case CARILLON__ROUTER__FRAME__KIND_ERROR:
        frame->error.code = (enum router_error)packed->error->code;
        frame->error.text = packed->error->text;
        return is_text(packed->error->text);
    case CARILLON__ROUTER__FRAME__KIND_PING:
        frame->ping.time = packed->ping->time;
        return true;
    case CARILLON__ROUTER__FRAME__KIND_PONG:
        frame->ping.time = packed->pong->time;
        return true;
    case CARILLON__ROUTER__FRAME__KIND_MEMBERS:
        return read_members(frame, packed->members);
    case CARILLON__ROUTER__FRAME__KIND_SUBSCRIBE:
        frame->subscribe.epoch = packed->subscribe->epoch;
        frame->subscribe.offset = packed->subscribe->offset;
        frame->subscribe.insist = packed->subscribe->insist;
        frame->subscribe.acknowledged = packed->subscribe->acknowledged;
        return read_channel(frame, packed->subscribe->channel) &&
               is_position(packed->subscribe->epoch, packed->subscribe->offset);
    case CARILLON__ROUTER__FRAME__KIND_SUBSCRIBED:
        frame->subscribed.epoch = packed->subscribed->epoch;
        frame->subscribed.offset = packed->subscribed->offset;
        frame->subscribed.outcome = packed->subscribed->outcome ? OUTCOME_LOST : OUTCOME_CONTINUED;
        return read_channel(frame, packed->subscribed->channel) &&
               is_position(packed->subscribed->epoch, packed->subscribed->offset);
    case CARILLON__ROUTER__FRAME__KIND_UNSUBSCRIBE:
        return read_channel(frame, packed->unsubscribe->channel);
    case CARILLON__ROUTER__FRAME__KIND_PUBLISH:
        frame->publish.after = packed->publish->after;
        frame->publish.insist = packed->publish->insist;
        frame->publish.limits = read_limits(packed->publish->limited, packed->publish->history_size,
                                            packed->publish->history_ttl);
        return read_envelope(&frame->publish.message, packed->publish->envelope, data_limit) &&
               take_channel(frame, frame->publish.message);
    case CARILLON__ROUTER__FRAME__KIND_ACK:
        frame->ack.sequence = packed->ack->sequence;
        frame->ack.epoch = packed->ack->epoch;
        frame->ack.offset = packed->ack->offset;
        frame->ack.is_repeat = packed->ack->repeat;
        return read_channel(frame, packed->ack->channel) &&
               is_position(packed->ack->epoch, packed->ack->offset);
    case CARILLON__ROUTER__FRAME__KIND_REFUSED:
        frame->refused.sequence = packed->refused->sequence;
        frame->refused.reason = packed->refused->reason > CARILLON__ROUTER__REASON__REASON_INVALID
                                    ? REASON_BUSY /* one of tomorrow's: try again */
                                    : (enum router_reason)packed->refused->reason;
        frame->refused.node = packed->refused->node;
        frame->refused.request = packed->refused->request;
        return read_channel(frame, packed->refused->channel);
    case CARILLON__ROUTER__FRAME__KIND_DELIVER:
        return read_envelope(&frame->deliver.message, packed->deliver->envelope, data_limit) &&
               take_channel(frame, frame->deliver.message);
    case CARILLON__ROUTER__FRAME__KIND_MOVED:
        frame->moved.node = packed->moved->node;
        return read_channel(frame, packed->moved->channel);
    default:
        return router_frame_read_ask(frame, packed, data_limit);
    }
}

/* Between routers. */
static bool read_inner(struct router_frame *frame, const frame_pb *packed, size_t data_limit)
{
    switch (packed->kind_case) {
    case CARILLON__ROUTER__FRAME__KIND_INQUIRE:
        return read_inquire(frame, packed->inquire);
    case CARILLON__ROUTER__FRAME__KIND_HEAD:
        return read_head(frame, packed->head);
    case CARILLON__ROUTER__FRAME__KIND_TAKE:
        frame->take.claim = packed->take->claim;
        frame->take.epoch = packed->take->epoch;
        frame->take.offset = packed->take->offset;
        return read_channel(frame, packed->take->channel) &&
               is_position(packed->take->epoch, packed->take->offset);
    case CARILLON__ROUTER__FRAME__KIND_GIVEN:
        return read_given(frame, packed->given);
    case CARILLON__ROUTER__FRAME__KIND_ENTRY:
        frame->deliver.limits = read_limits(packed->entry->limited, packed->entry->history_size,
                                            packed->entry->history_ttl);
        return read_kept(&frame->deliver.message, packed->entry->envelope, data_limit) &&
               take_channel(frame, frame->deliver.message);
    case CARILLON__ROUTER__FRAME__KIND_MIRROR_OPEN:
        return read_mirror_open(frame, packed->mirror_open);
    case CARILLON__ROUTER__FRAME__KIND_MIRROR_HAVE:
        frame->mirrored.epoch = packed->mirror_have->epoch;
        frame->mirrored.offset = packed->mirror_have->offset;
        frame->mirrored.is_refused = packed->mirror_have->refused;
        frame->mirrored.node = packed->mirror_have->node;
        return read_channel(frame, packed->mirror_have->channel) &&
               is_position(packed->mirror_have->epoch, packed->mirror_have->offset);
    case CARILLON__ROUTER__FRAME__KIND_MIRRORED:
        frame->mirrored.epoch = packed->mirrored->epoch;
        frame->mirrored.offset = packed->mirrored->offset;
        return read_channel(frame, packed->mirrored->channel) &&
               is_position(packed->mirrored->epoch, packed->mirrored->offset);
    case CARILLON__ROUTER__FRAME__KIND_MIRROR_CLOSE:
        frame->mirror_close.forget = packed->mirror_close->forget;
        return read_channel(frame, packed->mirror_close->channel);
    case CARILLON__ROUTER__FRAME__KIND_MIRROR_CLOSED:
        return read_channel(frame, packed->mirror_closed->channel);
    case CARILLON__ROUTER__FRAME__KIND_OWNING:
        return read_owning(frame, packed->owning);
    case CARILLON__ROUTER__FRAME__KIND_OFFER:
        return read_channel(frame, packed->offer->channel);
    case CARILLON__ROUTER__FRAME__KIND_FORGET:
        frame->mirrored.epoch = packed->forget->epoch;
        frame->mirrored.offset = packed->forget->offset;
        return read_channel(frame, packed->forget->channel) &&
               is_position(packed->forget->epoch, packed->forget->offset);
    default:
        return false;
    }
}

int router_frame_read(const void *bytes, size_t size, size_t data_limit, struct router_frame *frame)
{
    if (size > data_limit + ROUTER_OVERHEAD_BYTES)
        return UV_EPROTO;
    if (router_frame_read_frequent(bytes, size, data_limit, frame))
        return 0;

    struct arena *arena = memory_allocate(sizeof(*arena));

    arena_init(arena, size + UNPACK_BYTES);
    *frame = (struct router_frame){.storage = arena};

    const frame_pb *packed = carillon__router__frame__unpack(&arena->allocator, size, bytes);

    if (!packed) {
        router_frame_release(frame);
        return UV_EPROTO;
    }
    frame->kind = (enum router_frame_kind)packed->kind_case;
    if (packed->kind_case == CARILLON__ROUTER__FRAME__KIND__NOT_SET) {
        router_frame_release(frame);
        return UV_ENOSYS;
    }
    if (size > ROUTER_OVERHEAD_BYTES && !carries_messages(frame->kind)) {
        router_frame_release(frame);
        return UV_EPROTO;
    }
    if (packed->kind_case < CARILLON__ROUTER__FRAME__KIND_INQUIRE
            ? read_outer(frame, packed, data_limit)
            : read_inner(frame, packed, data_limit))
        return 0;
    router_frame_release(frame);
    return UV_EPROTO;
}

void router_frame_release(struct router_frame *frame)
{
    if (frame->kind == FRAME_HISTORY)
        router_frame_release_history(frame);
    else if (frame->kind == FRAME_PUBLISH)
        message_unref(frame->publish.message);
    else if (frame->kind == FRAME_DELIVER || frame->kind == FRAME_ENTRY)
        message_unref(frame->deliver.message);
    memory_free(frame->list);
    if (frame->storage) {
        arena_deinit(frame->storage);
        memory_free(frame->storage);
    }
    *frame = (struct router_frame){0};
}

bool router_frame_read_large(const void *bytes, size_t size, size_t data_limit,
                             struct envelope_large *large)
{
    const unsigned char *at = bytes;
    const unsigned char *end = at + size;
    uint64_t whole;

    return protobuf_field_enter(&at, end, FRAME_PUBLISH, &whole) &&
           protobuf_field_enter(&at, end, ROUTER_ENVELOPE, &whole) &&
           envelope_read_large(at, (size_t)(end - at), data_limit, large);
}
