/*
 * MQTT 3.1.1 (OASIS, mqtt-v3.1.1), as far as QoS 0 goes. Over WebSocket it is a stream: a message
 * may hold several control packets, or a part of one (§6.0, MQTT-6.0.0-3).
 */
#include "tests/bench/protocol.h"

#include <errno.h>
#include <string.h>

enum packet { CONNECT = 1, CONNACK = 2, PUBLISH = 3, SUBSCRIBE = 8, SUBACK = 9 };

#define LENGTH_BYTES 4 /* of the remaining length, at most (§2.2.3) */

static unsigned char *begin_packet(struct buffer *output, unsigned first_byte, size_t remaining)
{
    unsigned char *at = buffer_reserve(output, 1 + LENGTH_BYTES + remaining);
    unsigned char *start = at;
    size_t length = remaining;

    *at++ = (unsigned char)first_byte;
    do {
        *at++ = (unsigned char)((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
        length >>= 7;
    } while (length > 0);
    output->size += (size_t)(at - start) + remaining;
    return at;
}

static unsigned char *write_text(unsigned char *at, const char *text, size_t size)
{
    *at++ = (unsigned char)(size >> 8);
    *at++ = (unsigned char)size;
    memcpy(at, text, size);
    return at + size;
}

/* A clean session without a name of its own, and without keep-alive (§3.1). */
static void greet(struct buffer *output, const char *channel)
{
    static const unsigned char connect[] = {0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 0, 0, 0};
    static const unsigned char packet_identifier[] = {0, 1};
    size_t length = strlen(channel);
    unsigned char *at = begin_packet(output, CONNECT << 4, sizeof(connect));

    memcpy(at, connect, sizeof(connect));
    at = begin_packet(output, SUBSCRIBE << 4 | 2, 2 + 2 + length + 1);
    memcpy(at, packet_identifier, 2);
    at = write_text(at + 2, channel, length);
    *at = 0; /* QoS */
}

static void publish(struct buffer *output, const char *channel, const void *data, size_t size)
{
    size_t length = strlen(channel);
    unsigned char *at = begin_packet(output, PUBLISH << 4, 2 + length + size);

    memcpy(write_text(at, channel, length), data, size);
}

static int read_packet(unsigned type, const unsigned char *data, size_t size,
                       struct element *element)
{
    size_t topic;

    switch (type) {
    case PUBLISH:
        topic = size < 2 ? size : (size_t)data[0] << 8 | data[1];
        if (size < 2 + topic)
            return -EPROTO;
        *element = (struct element){ELEMENT_MESSAGE, data + 2 + topic, size - 2 - topic};
        return 0;
    case CONNACK: /* its second byte is the return code (§3.2.2.3) */
        if (size != 2)
            return -EPROTO;
        if (data[1] != 0)
            *element = (struct element){.kind = ELEMENT_REFUSAL};
        return 0;
    case SUBACK: /* its last byte is the QoS, or 0x80 for a failure (§3.9.3) */
        if (size != 3)
            return -EPROTO;
        element->kind = data[2] == 0 ? ELEMENT_READY : ELEMENT_REFUSAL;
        return 0;
    default:
        return 0;
    }
}

static ssize_t read_element(const unsigned char *data, size_t size, struct element *element)
{
    size_t remaining = 0;
    size_t head = 1;
    unsigned char byte;

    *element = (struct element){.kind = ELEMENT_OTHER};
    do {
        if (head > LENGTH_BYTES)
            return -EPROTO;
        if (head == size)
            return 0;
        byte = data[head];
        remaining |= (size_t)(byte & 0x7f) << (7 * (head - 1));
        head++;
    } while (byte & 0x80);
    if (size - head < remaining)
        return 0;
    if (read_packet(data[0] >> 4, data + head, remaining, element))
        return -EPROTO;
    return (ssize_t)(head + remaining);
}

const struct protocol protocol_mqtt = {
    .name = "mqtt",
    .subprotocol = "mqtt",
    .is_binary = true,
    .is_stream = true,
    .greet = greet,
    .publish = publish,
    .read = read_element,
};
