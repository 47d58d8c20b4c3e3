/*
 * The wires of this gateway: what the numbers of channel.h stand for, and the sink through which a
 * worker's channels reach their subscribers. A wire of the plain protocol is how its messages are
 * compressed; one of the channel protocol is a transport, whether joins and leaves are wanted, and
 * how far its subscribers are with deltas. So a message is compressed once for all of a wire.
 */
#ifndef GATEWAY_WIRES_H
#define GATEWAY_WIRES_H

#include "common/buffer.h"
#include "gateway/channel.h"
#include "gateway/client_protocol.h"
#include "gateway/deflate.h"
#include "gateway/stats.h"
#include "gateway/websocket.h"

/* How frames of the channel protocol travel. Behind each of the WebSocket's come the same ones
 * compressed, in the order of the windows. */
enum transport {
    TRANSPORT_WEBSOCKET_JSON = 0 * DEFLATE_WINDOWS,
    TRANSPORT_WEBSOCKET_PROTOBUF = 1 * DEFLATE_WINDOWS,
    TRANSPORT_STREAM_JSON = 2 * DEFLATE_WINDOWS, /* HTTP streaming: a line each */
    TRANSPORT_STREAM_PROTOBUF,                   /* HTTP streaming, lengths before them */
    TRANSPORT_EVENTS,                            /* Server-Sent Events */
    TRANSPORT_COUNT,
};

enum delta_stage {
    DELTA_NONE,
    DELTA_FIRST, /* the next message is whole; the ones after it are deltas */
    DELTA_ON,
    DELTA_STAGES,
};

/* A worker's sink, and what it compresses with. */
struct wires {
    struct channel_sink sink;
    struct deflater deflater;
    struct buffer scratch; /* where a push is written before it is framed */
    struct worker_stats *stats;
    uint64_t compress_min; /* smaller messages are not compressed; 0: none is */
};

void wires_init(struct wires *wires, struct worker_stats *stats, uint64_t compress_min);
void wires_deinit(struct wires *wires);

/* Appends a message as one frame, compressed where the window is one, the message is large enough,
 * and it gets smaller by that. */
struct block *wires_append_frame(struct wires *wires, enum deflate_window window,
                                 struct block *block, enum websocket_opcode opcode,
                                 const void *data, size_t size);

uint8_t wire_of_plain(enum deflate_window window);
uint8_t wire_of_client(enum transport transport, enum delta_stage delta, bool takes_joins);

static inline enum transport transport_of_websocket(enum client_format format,
                                                    enum deflate_window window)
{
    return (enum transport)(
        (format == CLIENT_PROTOBUF ? TRANSPORT_WEBSOCKET_PROTOBUF : TRANSPORT_WEBSOCKET_JSON) +
        (int)window);
}

static inline enum client_format transport_format(enum transport transport)
{
    bool is_protobuf =
        (transport >= TRANSPORT_WEBSOCKET_PROTOBUF && transport < TRANSPORT_STREAM_JSON) ||
        transport == TRANSPORT_STREAM_PROTOBUF;

    return is_protobuf ? CLIENT_PROTOBUF : CLIENT_JSON;
}

/* Appends messages of the protocol (client_protocol.h) as one frame of the transport. */
struct block *transport_append(struct wires *wires, enum transport transport, struct block *block,
                               const void *messages, size_t size);

/* Messages of the channel were lost: tells a subscriber, which leaves. For channel_each. */
void wires_lost(struct subscription *subscription, void *context);

#endif
