#include "gateway/wires.h"

#include <string.h>

#include "common/buffer.h"
#include "common/memory.h"
#include "gateway/client.h"
#include "gateway/client_message.h"
#include "gateway/plain.h"

#define FIRST_PLAIN_WIRE  1
#define FIRST_CLIENT_WIRE (FIRST_PLAIN_WIRE + DEFLATE_WINDOWS)

#define SCRATCH_KEPT ((size_t)64 * 1024) /* bytes */

_Static_assert(FIRST_CLIENT_WIRE + TRANSPORT_COUNT * DELTA_STAGES * 2 <= UINT8_MAX,
               "a wire is one byte");

uint8_t wire_of_plain(enum deflate_window window)
{
    return (uint8_t)(FIRST_PLAIN_WIRE + (unsigned)window);
}

uint8_t wire_of_client(enum transport transport, enum delta_stage delta, bool takes_joins)
{
    return (uint8_t)(FIRST_CLIENT_WIRE +
                     ((unsigned)transport * DELTA_STAGES + (unsigned)delta) * 2 + takes_joins);
}

static enum transport transport_of(uint8_t wire)
{
    return (enum transport)((wire - FIRST_CLIENT_WIRE) / 2 / DELTA_STAGES);
}

static enum deflate_window window_of(enum transport transport)
{
    if (transport >= TRANSPORT_STREAM_JSON)
        return DEFLATE_OFF;
    return (enum deflate_window)((unsigned)transport % DEFLATE_WINDOWS);
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

struct block *wires_append_frame(struct wires *wires, enum deflate_window window,
                                 struct block *block, enum websocket_opcode opcode,
                                 const void *data, size_t size)
{
    bool is_wanted =
        window != DEFLATE_OFF && wires->compress_min > 0 && size >= wires->compress_min;
    struct text compressed = {NULL, 0};

    if (is_wanted)
        compressed = deflater_compress(&wires->deflater, window, data, size);
    if (!compressed.data)
        return websocket_append_frame(block, opcode, data, size);
    metric_add(&wires->stats->deflate_before, size);
    metric_add(&wires->stats->deflate_after, compressed.size);
    return websocket_append_frame(block, (unsigned)opcode | WEBSOCKET_COMPRESSED, compressed.data,
                                  compressed.size);
}

struct block *transport_append(struct wires *wires, enum transport transport, struct block *block,
                               const void *messages, size_t size)
{
    switch (transport) {
    case TRANSPORT_STREAM_JSON:
        return append_between(block, "", messages, size, "\n");
    case TRANSPORT_STREAM_PROTOBUF:
        return append_between(block, "", messages, size, "");
    case TRANSPORT_EVENTS:
        return append_events(block, messages, size);
    default:
        return wires_append_frame(wires, window_of(transport), block,
                                  transport_format(transport) == CLIENT_JSON ? WEBSOCKET_TEXT
                                                                             : WEBSOCKET_BINARY,
                                  messages, size);
    }
}

static struct block *encode(void *context, uint8_t wire, struct block *block,
                            const struct message *message, const struct message *base)
{
    struct wires *wires = context;
    struct buffer *pushed = &wires->scratch;

    if (wire < FIRST_CLIENT_WIRE)
        return plain_encode(wires, (enum deflate_window)(wire - FIRST_PLAIN_WIRE), block, message);

    enum transport transport = transport_of(wire);

    client_push_message_of_channel(pushed, transport_format(transport), message,
                                   delta_of(wire) == DELTA_ON ? base : NULL,
                                   delta_of(wire) != DELTA_NONE);
    block = transport_append(wires, transport, block, pushed->data, pushed->size);
    buffer_clear(pushed, SCRATCH_KEPT);
    return block;
}

static bool is_plain(const struct subscription *subscription)
{
    return subscription->wire >= FIRST_PLAIN_WIRE && subscription->wire < FIRST_CLIENT_WIRE;
}

/* Sessions are the receivers, of either protocol. */
static void deliver(void *context, void *const *receivers, size_t count, struct block *frames,
                    size_t messages)
{
    struct session_host *host = container_of((struct wires *)context, struct session_host, wires);

    host->events->send(host, (struct session *const *)receivers, count, frames, messages);
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

void wires_init(struct wires *wires, struct worker_stats *stats, uint64_t compress_min)
{
    *wires = (struct wires){
        .sink = {wires, traits, encode, deliver, opened},
        .stats = stats,
        .compress_min = compress_min,
    };
}

void wires_deinit(struct wires *wires)
{
    deflater_deinit(&wires->deflater);
    buffer_deinit(&wires->scratch);
}
