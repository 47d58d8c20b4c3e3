/* What the files of router_frame.h share: router_frame.c (writing), router_frame_read.c and
 * router_frame_read_frequent.c (reading) and router_frame_ask.c (both, of presence and history). */
#ifndef COMMON_ROUTER_FRAME_PARTS_H
#define COMMON_ROUTER_FRAME_PARTS_H

#include <assert.h>
#include <string.h>

#include "common/envelope.h"
#include "common/router_frame.h"
#include "proto/router.pb-c.h"

typedef Carillon__Router__Frame frame_pb;

/* Numbers of fields. Publish, Deliver and Entry have their envelope in the same one. */
enum {
    ROUTER_ENVELOPE = 1,
    ROUTER_PUBLISH_AFTER,
    ROUTER_PUBLISH_INSIST,
    ROUTER_LIMITED, /* as what follows, of Publish and Entry */
    ROUTER_HISTORY_SIZE,
    ROUTER_HISTORY_TTL,
};
enum { ACK_CHANNEL = 1, ACK_SEQUENCE, ACK_EPOCH, ACK_OFFSET, ACK_REPEAT };

#define CHANNEL_TEXT (MESSAGE_CHANNEL_LIMIT + 1)

/* Writing. */

/* Channel names in frames are not terminated, protobuf-c's strings are. */
static inline char *channel_text(char text[CHANNEL_TEXT], const struct router_frame *frame)
{
    assert(frame->channel_size <= MESSAGE_CHANNEL_LIMIT);
    memcpy(text, frame->channel, frame->channel_size);
    text[frame->channel_size] = '\0';
    return text;
}

static inline char *packed_text(const char *text)
{
    return (char *)(text ? text : ""); /* protobuf-c does not write to it */
}

static inline ProtobufCBinaryData bytes_of(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)data};
}

static inline void pack(struct buffer *output, const frame_pb *frame)
{
    size_t size = carillon__router__frame__get_packed_size(frame);

    carillon__router__frame__pack(frame, buffer_reserve(output, size));
    output->size += size;
}

void router_frame_append_ask(struct buffer *output, const struct router_frame *frame);

/* Reading. */

static inline bool read_channel(struct router_frame *frame, const char *channel)
{
    frame->channel = channel;
    frame->channel_size = strlen(channel);
    return channel_name_is_on_bus(channel, frame->channel_size);
}

static inline bool is_epoch(const char *epoch)
{
    return strlen(epoch) <= MESSAGE_EPOCH_LIMIT;
}

/* Where somebody stands in a channel, or a message is. */
static inline bool is_position(const char *epoch, uint64_t offset)
{
    return is_epoch(epoch) && offset < MESSAGE_OFFSET_LIMIT;
}

static inline bool read_envelope(struct message **message, ProtobufCBinaryData envelope,
                                 size_t data_limit)
{
    return envelope_read(envelope.data, envelope.len, data_limit, message) == 0;
}

/* The same of a message that is in a history. */
static inline bool read_kept(struct message **message, ProtobufCBinaryData envelope,
                             size_t data_limit)
{
    if (!read_envelope(message, envelope, data_limit))
        return false;
    if (!message_is_ephemeral((*message)->kind))
        return true;
    message_unref(*message);
    *message = NULL;
    return false;
}

static inline struct router_limits read_limits(bool are_set, uint64_t size, uint64_t ttl_ms)
{
    struct router_limits limits = {.are_set = are_set};

    if (!are_set || size == 0 || ttl_ms == 0)
        return limits;
    limits.history_size = size < ROUTER_SIZE_LIMIT ? size : ROUTER_SIZE_LIMIT;
    limits.history_ttl_ms = ttl_ms < ROUTER_TTL_LIMIT_MS ? ttl_ms : ROUTER_TTL_LIMIT_MS;
    return limits;
}

/* The channel of a message is the frame's channel. */
static inline bool take_channel(struct router_frame *frame, const struct message *message)
{
    frame->channel = message->channel;
    frame->channel_size = message->channel_size;
    return true;
}

/* Reads a Publish, Deliver, Entry or Ack that is as we write it; false for any other frame, and for
 * what is none. */
bool router_frame_read_frequent(const unsigned char *bytes, size_t size, size_t data_limit,
                                struct router_frame *frame);

/* The capabilities that we know of a list of names. */
unsigned router_frame_capabilities(char *const *names, size_t count);

/* Reads the kinds that router_frame_append_ask writes; false for any other. */
bool router_frame_read_ask(struct router_frame *frame, const frame_pb *packed, size_t data_limit);

/* The messages of a FRAME_HISTORY that was read. */
void router_frame_release_history(struct router_frame *frame);

#endif
