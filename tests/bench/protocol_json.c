/*
 * A WebSocket message holds one or several replies, a line each. A push is told by how it begins;
 * in it the payload is the first text that is called "data": what may stand before it (the name of
 * a channel of ours, who published) has no such field.
 */
#include "tests/bench/protocol.h"

#include <string.h>

#define PUSH  "{\"push\":"
#define DATA  "\"data\":\""
#define READY "{\"id\":2,\"subscribe\":"
#define ERROR "\"error\":"
#define ENDED "\"disconnect\":"

#define STARTS_WITH(data, size, text)                                                              \
    ((size) >= sizeof(text) - 1 && memcmp(data, text, sizeof(text) - 1) == 0)

static void greet(struct buffer *output, const char *channel)
{
    buffer_printf(output,
                  "{\"id\":1,\"connect\":{}}\n{\"id\":2,\"subscribe\":{\"channel\":\"%s\"}}",
                  channel);
}

static void publish(struct buffer *output, const char *channel, const void *data, size_t size)
{
    buffer_printf(output, "{\"id\":3,\"publish\":{\"channel\":\"%s\",\"data\":\"", channel);
    buffer_append(output, data, size);
    buffer_append_text(output, "\"}}");
}

static void read_push(const unsigned char *line, size_t size, struct element *element)
{
    const unsigned char *data = memmem(line, size, DATA, sizeof(DATA) - 1);
    const unsigned char *end = NULL;

    if (data) {
        data += sizeof(DATA) - 1;
        end = memchr(data, '"', size - (size_t)(data - line));
    }
    if (end)
        *element = (struct element){ELEMENT_MESSAGE, data, (size_t)(end - data)};
}

static void read_reply(const unsigned char *line, size_t size, struct element *element)
{
    static const unsigned char pong[] = "{}";

    if (size == 2 && memcmp(line, pong, 2) == 0)
        *element = (struct element){ELEMENT_PING, pong, 2};
    else if (STARTS_WITH(line, size, READY))
        element->kind = ELEMENT_READY;
    else if (memmem(line, size, ERROR, sizeof(ERROR) - 1) ||
             memmem(line, size, ENDED, sizeof(ENDED) - 1))
        *element = (struct element){ELEMENT_REFUSAL, line, size};
}

static ssize_t read_element(const unsigned char *data, size_t size, struct element *element)
{
    const unsigned char *end = memchr(data, '\n', size);
    size_t length = end ? (size_t)(end - data) : size;

    *element = (struct element){.kind = ELEMENT_OTHER};
    if (STARTS_WITH(data, length, PUSH))
        read_push(data, length, element);
    else
        read_reply(data, length, element);
    return (ssize_t)(end ? length + 1 : length);
}

const struct protocol protocol_json = {
    .name = "json",
    .greet = greet,
    .publish = publish,
    .read = read_element,
};
