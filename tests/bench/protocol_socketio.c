/*
 * Socket.IO 5 in Engine.IO 4, over WebSocket from the start (path "/socket.io/?EIO=4&transport=
 * websocket"): a WebSocket message is a packet. The first digit is Engine.IO's type (0 open, 2
 * ping, 3 pong, 4 message), the second, of a message, Socket.IO's (0 connect, 2 event, 4 error).
 * There are no channels: everybody is told everything.
 */
#include "tests/bench/protocol.h"

#include <string.h>

#define EVENT "42[\"m\",\""
#define END   "\"]"

static void greet(struct buffer *output, const char *channel)
{
    (void)channel;
    buffer_append_text(output, "40");
}

static void publish(struct buffer *output, const char *channel, const void *data, size_t size)
{
    (void)channel;
    buffer_append_text(output, EVENT);
    buffer_append(output, data, size);
    buffer_append_text(output, END);
}

static ssize_t read_element(const unsigned char *data, size_t size, struct element *element)
{
    static const unsigned char pong[] = "3";
    size_t around = sizeof(EVENT) - 1 + sizeof(END) - 1;

    *element = (struct element){.kind = ELEMENT_OTHER};
    if (size >= around && memcmp(data, EVENT, sizeof(EVENT) - 1) == 0)
        *element = (struct element){ELEMENT_MESSAGE, data + sizeof(EVENT) - 1, size - around};
    else if (data[0] == '2')
        *element = (struct element){ELEMENT_PING, pong, 1};
    else if (size >= 2 && memcmp(data, "40", 2) == 0)
        element->kind = ELEMENT_READY;
    else if (size >= 2 && memcmp(data, "44", 2) == 0)
        *element = (struct element){ELEMENT_REFUSAL, data, size};
    return (ssize_t)size;
}

const struct protocol protocol_socketio = {
    .name = "socketio",
    .greet = greet,
    .publish = publish,
    .read = read_element,
};
