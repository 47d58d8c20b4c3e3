#include "gateway/wires.h"

#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "gateway/client.h"
#include "gateway/client_message.h"
#include "gateway/plain.h"
#include "gateway/websocket.h"

#define FIRST_CLIENT_WIRE 2

uint8_t wire_of_client(enum transport transport, enum delta_stage delta, bool takes_joins)
{
    return (uint8_t)(FIRST_CLIENT_WIRE +
                     ((unsigned)transport * DELTA_STAGES + (unsigned)delta) * 2 + takes_joins);
}

static enum transport transport_of(uint8_t wire)
{
    return (enum transport)((wire - FIRST_CLIENT_WIRE) / 2 / DELTA_STAGES);
}

static enum delta_stage delta_of(uint8_t wire)
{
    return (enum delta_stage)((wire - FIRST_CLIENT_WIRE) / 2 % DELTA_STAGES);
}

static bool takes_joins(uint8_t wire)
{
    return (wire - FIRST_CLIENT_WIRE) % 2;
}

static struct wire_traits traits(uint8_t wire)
{
    struct wire_traits result = {.next = wire};

    if (wire < FIRST_CLIENT_WIRE)
        return result;
    result.takes_joins = takes_joins(wire);
    result.needs_base = delta_of(wire) != DELTA_NONE;
    if (delta_of(wire) == DELTA_FIRST)
        result.next = wire_of_client(transport_of(wire), DELTA_ON, result.takes_joins);
    return result;
}

static struct block *append_between(struct block *block, const char *before, const void *messages,
                                    size_t size, const char *after)
{
    block = block_reserve(block, strlen(before) + size + strlen(after));
    block_append(block, before, strlen(before));
    block_append(block, messages, size);
    block_append(block, after, strlen(after));
    return block;
}

/* An event is one line of data: each message has an event of its own. */
static struct block *append_events(struct block *block, const char *messages, size_t size)
{
    while (size > 0) {
        const char *end = memchr(messages, '\n', size);
        size_t line = end ? (size_t)(end - messages) : size;

        block = append_between(block, "data: ", messages, line, "\n\n");
        messages += end ? line + 1 : line;
        size -= end ? line + 1 : line;
    }
    return block;
}

struct block *transport_append(enum transport transport, struct block *block, const void *messages,
                               size_t size)
{
    switch (transport) {
    case TRANSPORT_WEBSOCKET_JSON:
        return websocket_append_frame(block, WEBSOCKET_TEXT, messages, size);
    case TRANSPORT_WEBSOCKET_PROTOBUF:
        return websocket_append_frame(block, WEBSOCKET_BINARY, messages, size);
    case TRANSPORT_STREAM_JSON:
        return append_between(block, "", messages, size, "\n");
    case TRANSPORT_EVENTS:
        return append_events(block, messages, size);
    case TRANSPORT_STREAM_PROTOBUF:
    default:
        return append_between(block, "", messages, size, "");
    }
}

static struct block *encode(uint8_t wire, struct block *block, const struct message *message,
                            const struct message *base)
{
    struct buffer pushed = {0};

    if (wire < FIRST_CLIENT_WIRE)
        return plain_encode(block, message);

    enum transport transport = transport_of(wire);

    client_push_message_of_channel(&pushed, transport_format(transport), message,
                                   delta_of(wire) == DELTA_ON ? base : NULL,
                                   delta_of(wire) != DELTA_NONE);
    block = transport_append(transport, block, pushed.data, pushed.size);
    buffer_deinit(&pushed);
    return block;
}

static bool is_plain(const struct subscription *subscription)
{
    return subscription->wire == WIRE_PLAIN;
}

static void deliver(struct subscription *subscription, struct block *frames, size_t messages)
{
    if (is_plain(subscription))
        plain_deliver(subscription, frames, messages);
    else
        client_deliver(subscription, frames, messages);
}

static void opened(struct subscription *subscription, int error)
{
    if (is_plain(subscription))
        plain_opened(subscription, error);
    else
        client_opened(subscription, error);
}

void wires_lost(struct subscription *subscription, void *context)
{
    (void)context;
    if (is_plain(subscription))
        plain_lost(subscription);
    else
        client_lost(subscription);
}

const struct channel_sink wires_sink = {traits, encode, deliver, opened};
