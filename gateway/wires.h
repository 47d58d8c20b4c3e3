/*
 * The wires of this gateway: what the numbers of channel.h stand for, and the sink through which a
 * worker's channels reach their subscribers. A wire of the channel protocol is a transport, whether
 * joins and leaves are wanted, and how far its subscribers are with deltas.
 */
#ifndef GATEWAY_WIRES_H
#define GATEWAY_WIRES_H

#include "gateway/channel.h"
#include "gateway/client_protocol.h"

#define WIRE_PLAIN ((uint8_t)1)

/* How frames of the channel protocol travel. */
enum transport {
    TRANSPORT_WEBSOCKET_JSON,
    TRANSPORT_WEBSOCKET_PROTOBUF,
    TRANSPORT_STREAM_JSON,     /* HTTP streaming: a line each */
    TRANSPORT_STREAM_PROTOBUF, /* HTTP streaming, lengths before them */
    TRANSPORT_EVENTS,          /* Server-Sent Events */
    TRANSPORT_COUNT,
};

enum delta_stage {
    DELTA_NONE,
    DELTA_FIRST, /* the next message is whole; the ones after it are deltas */
    DELTA_ON,
    DELTA_STAGES,
};

#define WIRE_COUNT (2 + TRANSPORT_COUNT * DELTA_STAGES * 2)

uint8_t wire_of_client(enum transport transport, enum delta_stage delta, bool takes_joins);

static inline enum client_format transport_format(enum transport transport)
{
    return transport == TRANSPORT_WEBSOCKET_PROTOBUF || transport == TRANSPORT_STREAM_PROTOBUF
               ? CLIENT_PROTOBUF
               : CLIENT_JSON;
}

/* Appends messages of the protocol (client_protocol.h) as one frame of the transport. */
struct block *transport_append(enum transport transport, struct block *block, const void *messages,
                               size_t size);

/* Messages of the channel were lost: tells a subscriber, which leaves. For channel_each. */
void wires_lost(struct subscription *subscription, void *context);

extern const struct channel_sink wires_sink;

#endif
