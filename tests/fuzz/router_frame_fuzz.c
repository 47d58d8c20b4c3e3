/*
 * Frames come from whoever connects. What is accepted keeps its limits, and survives being packed
 * and read again.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/cluster_name.h"
#include "common/router_frame.h"

#define DATA_LIMIT 1024

static void check_epoch(const char *epoch)
{
    assert(strlen(epoch) <= MESSAGE_EPOCH_LIMIT);
}

static void check_lineage(const struct router_lineage *lineage)
{
    check_epoch(lineage->epoch);
    check_epoch(lineage->previous);
    assert(lineage->fork <= lineage->offset);
}

static void check_text(const char *text)
{
    assert(text[0] == '\0' || channel_name_is_valid(text, strlen(text)));
}

static void check_message(const struct router_frame *frame, const struct message *message)
{
    assert(message->publisher != 0 && message->data_size <= DATA_LIMIT);
    assert(frame->channel_size == message->channel_size);
    check_epoch(message->epoch);
}

static void check_kept(const struct router_frame *frame, const struct message *message)
{
    check_message(frame, message);
    assert(!message_is_ephemeral(message->kind));
}

static void check_limits(const struct router_limits *limits)
{
    assert(limits->history_size <= ROUTER_SIZE_LIMIT);
    assert(limits->history_ttl_ms <= ROUTER_TTL_LIMIT_MS);
    assert((limits->history_size == 0) == (limits->history_ttl_ms == 0));
}

static void check_members(const struct router_frame *frame)
{
    assert(frame->members.count <= ROUTER_MEMBER_LIMIT);
    for (size_t i = 0; i < frame->members.count; i++) {
        assert(frame->members.items[i].node != 0 && frame->members.items[i].name[0] != '\0');
        check_text(frame->members.items[i].name);
        check_text(frame->members.items[i].address);
    }
}

static void check_owning(const struct router_frame *frame)
{
    assert(frame->owning.count <= ROUTER_OWNING_LIMIT);
    for (size_t i = 0; i < frame->owning.count; i++)
        assert(
            channel_name_is_on_bus(frame->owning.channels[i], strlen(frame->owning.channels[i])));
}

static void check_present(const struct router_present *who)
{
    assert(who->client_size > 0 && who->client_size <= ROUTER_CLIENT_LIMIT);
    assert(who->user_size <= ROUTER_USER_LIMIT && who->info_size <= ROUTER_INFO_LIMIT);
}

static void check_presence_list(const struct router_frame *frame)
{
    assert(frame->presence_list.count <= ROUTER_PIECE_LIMIT);
    for (size_t i = 0; i < frame->presence_list.count; i++)
        check_present(&frame->presence_list.items[i]);
}

static void check_history(const struct router_frame *frame)
{
    check_epoch(frame->history.epoch);
    assert(frame->history.count <= ROUTER_PIECE_LIMIT);
    for (size_t i = 0; i < frame->history.count; i++)
        check_kept(frame, frame->history.messages[i]);
}

/* Frames that concern no channel; false for the others. */
static bool check_outer(const struct router_frame *frame)
{
    switch (frame->kind) {
    case FRAME_HELLO:
        check_text(frame->hello.address);
        /* fallthrough */
    case FRAME_WELCOME:
        assert(frame->hello.node != 0);
        check_text(frame->hello.name);
        check_text(frame->hello.cluster);
        assert(strlen(frame->hello.cluster) <= CLUSTER_NAME_LIMIT);
        return true;
    case FRAME_ERROR:
        check_text(frame->error.text);
        return true;
    case FRAME_MEMBERS:
        check_members(frame);
        return true;
    case FRAME_OWNING:
        check_owning(frame);
        return true;
    default:
        return frame->kind <= FRAME_MEMBERS;
    }
}

static void check_about_channel(const struct router_frame *frame)
{
    assert(channel_name_is_on_bus(frame->channel, frame->channel_size));
    switch (frame->kind) {
    case FRAME_SUBSCRIBE:
        check_epoch(frame->subscribe.epoch);
        return;
    case FRAME_SUBSCRIBED:
        check_epoch(frame->subscribed.epoch);
        return;
    case FRAME_ACK:
        check_epoch(frame->ack.epoch);
        return;
    case FRAME_PUBLISH:
        check_message(frame, frame->publish.message);
        check_limits(&frame->publish.limits);
        return;
    case FRAME_ENTRY:
        check_kept(frame, frame->deliver.message);
        check_limits(&frame->deliver.limits);
        return;
    case FRAME_DELIVER:
        check_message(frame, frame->deliver.message);
        return;
    case FRAME_PRESENCE_SET:
        check_present(&frame->presence.who);
        return;
    case FRAME_PRESENCE_LIST:
        check_presence_list(frame);
        return;
    case FRAME_HISTORY_ASK:
        check_epoch(frame->history_ask.epoch);
        return;
    case FRAME_HISTORY:
        check_history(frame);
        return;
    case FRAME_INQUIRE:
        assert(frame->inquire.node_count <= ROUTER_MEMBER_LIMIT);
        return;
    case FRAME_HEAD:
        check_lineage(&frame->head.lineage);
        return;
    case FRAME_TAKE:
        check_epoch(frame->take.epoch);
        return;
    case FRAME_GIVEN:
    case FRAME_MIRROR_OPEN:
        check_lineage(&frame->given.lineage);
        assert(frame->given.start <= frame->given.lineage.offset);
        assert(frame->given.forgotten <= frame->given.start);
        assert(frame->given.producers.count <= ROUTER_PRODUCER_LIMIT);
        return;
    case FRAME_MIRROR_HAVE:
    case FRAME_MIRRORED:
    case FRAME_FORGET:
        check_epoch(frame->mirrored.epoch);
        return;
    default:
        return;
    }
}

/* The beginning of a Publish that is above the limit: what its publisher is answered with. */
static void check_large(const uint8_t *data, size_t size)
{
    struct envelope_large large;

    if (!router_frame_read_large(data, size, DATA_LIMIT, &large))
        return;
    assert(large.sequence != 0 && channel_name_is_on_bus(large.channel, large.channel_size));
    assert((const uint8_t *)large.channel >= data &&
           (const uint8_t *)large.channel + large.channel_size <= data + size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct router_frame frame;
    struct router_frame again;
    struct buffer packed = {0};
    struct buffer repacked = {0};

    check_large(data, size);
    if (router_frame_read(data, size, DATA_LIMIT, &frame))
        return 0;
    if (!check_outer(&frame))
        check_about_channel(&frame);
    router_frame_append(&packed, &frame);
    assert(router_frame_read(packed.data, packed.size, DATA_LIMIT, &again) == 0);
    assert(again.kind == frame.kind);
    router_frame_append(&repacked, &again);
    assert(packed.size == repacked.size);
    assert(memcmp(packed.data, repacked.data, packed.size) == 0);
    router_frame_release(&frame);
    router_frame_release(&again);
    buffer_deinit(&packed);
    buffer_deinit(&repacked);
    return 0;
}
