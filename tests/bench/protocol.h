/*
 * What a client speaks inside of its WebSocket: how it joins a channel, publishes there, and what
 * it is told. A protocol does no I/O and keeps nothing: bytes in, elements out. It reads no more
 * of what it is sent than finding the payload takes, because the generator must cost about the
 * same whatever is spoken; the payload itself is checked by the ledger.
 *
 * Payloads are put into texts as they are: they must not hold what a JSON string escapes.
 */
#ifndef BENCH_PROTOCOL_H
#define BENCH_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/buffer.h"

enum element_kind {
    ELEMENT_OTHER,   /* nothing to us */
    ELEMENT_READY,   /* the channel is joined */
    ELEMENT_MESSAGE, /* `data` is a payload */
    ELEMENT_PING,    /* `data` is the answer that is due */
    ELEMENT_REFUSAL, /* the server says no; `data` are its words */
};

struct element {
    enum element_kind kind;
    const unsigned char *data;
    size_t size;
};

struct protocol {
    const char *name;        /* on the command line */
    const char *subprotocol; /* to be asked for (RFC 6455 §1.9), or NULL */
    bool is_binary;
    bool is_stream; /* WebSocket messages may cut it anywhere */
    /* Appends what a client says first, to be answered by ELEMENT_READY. NULL: nothing, and it is
     * in the channel that its URL names. */
    void (*greet)(struct buffer *output, const char *channel);
    void (*publish)(struct buffer *output, const char *channel, const void *data, size_t size);
    /* Reads the first element of at least one byte. Returns how many bytes it takes; 0 if it is
     * not all there, which only a stream may say; -EPROTO if this is not the protocol. */
    ssize_t (*read)(const unsigned char *data, size_t size, struct element *element);
};

#define PROTOCOL_NAMES "plain, json, protobuf, mqtt, nats or socketio"

extern const struct protocol protocol_plain;    /* a WebSocket message is a message */
extern const struct protocol protocol_json;     /* Centrifugo's client protocol, version 2 */
extern const struct protocol protocol_protobuf; /* the same in protobuf */
extern const struct protocol protocol_mqtt;     /* MQTT 3.1.1, QoS 0 */
extern const struct protocol protocol_nats;     /* the NATS client protocol */
extern const struct protocol protocol_socketio; /* Socket.IO 5 over Engine.IO 4, event "m" */

/* NULL if there is none of this name. */
const struct protocol *protocol_find(const char *name);

#endif
