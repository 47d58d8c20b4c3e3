/*
 * The NATS client protocol: lines that end with CR LF, and payloads behind two of them. The server
 * sends INFO, takes commands unanswered (verbose is off), and has heard all that stands before a
 * PING when it answers with PONG.
 */
#include "tests/bench/protocol.h"

#include <errno.h>
#include <string.h>

#define LINE_LIMIT    ((size_t)64 * 1024) /* INFO tells a lot */
#define PAYLOAD_LIMIT ((size_t)128 * 1024 * 1024)

#define STARTS_WITH(line, size, text)                                                              \
    ((size) >= sizeof(text) - 1 && memcmp(line, text, sizeof(text) - 1) == 0)

static void greet(struct buffer *output, const char *channel)
{
    buffer_printf(output,
                  "CONNECT {\"verbose\":false,\"pedantic\":false,\"echo\":true}\r\n"
                  "SUB %s 1\r\nPING\r\n",
                  channel);
}

static void publish(struct buffer *output, const char *channel, const void *data, size_t size)
{
    buffer_printf(output, "PUB %s %zu\r\n", channel, size);
    buffer_append(output, data, size);
    buffer_append_text(output, "\r\n");
}

/* The last word of "MSG subject id [reply] bytes". */
static bool read_length(const unsigned char *line, size_t size, size_t *length)
{
    const unsigned char *word = memrchr(line, ' ', size);

    *length = 0;
    if (!word || word + 1 == line + size)
        return false;
    for (word++; word < line + size; word++) {
        if (*word < '0' || *word > '9' || *length > PAYLOAD_LIMIT)
            return false;
        *length = *length * 10 + (size_t)(*word - '0');
    }
    return *length <= PAYLOAD_LIMIT;
}

/* `used` bytes have been the line. */
static ssize_t read_message(const unsigned char *data, size_t size, size_t used,
                            struct element *element)
{
    size_t length;

    if (!read_length(data, used - 2, &length))
        return -EPROTO;
    if (size - used < length + 2)
        return 0;
    if (memcmp(data + used + length, "\r\n", 2) != 0)
        return -EPROTO;
    *element = (struct element){ELEMENT_MESSAGE, data + used, length};
    return (ssize_t)(used + length + 2);
}

static ssize_t read_element(const unsigned char *data, size_t size, struct element *element)
{
    static const unsigned char pong[] = "PONG\r\n";
    const unsigned char *end = memchr(data, '\n', size);
    size_t used = end ? (size_t)(end - data) + 1 : size;

    *element = (struct element){.kind = ELEMENT_OTHER};
    if (used > LINE_LIMIT)
        return -EPROTO;
    if (!end)
        return 0;
    if (used < 2 || end[-1] != '\r')
        return -EPROTO;
    if (STARTS_WITH(data, used, "MSG "))
        return read_message(data, size, used, element);
    if (STARTS_WITH(data, used, "PING"))
        *element = (struct element){ELEMENT_PING, pong, sizeof(pong) - 1};
    else if (STARTS_WITH(data, used, "PONG"))
        element->kind = ELEMENT_READY;
    else if (STARTS_WITH(data, used, "-ERR"))
        *element = (struct element){ELEMENT_REFUSAL, data, used - 2};
    return (ssize_t)used;
}

const struct protocol protocol_nats = {
    .name = "nats",
    .is_binary = true,
    .is_stream = true,
    .greet = greet,
    .publish = publish,
    .read = read_element,
};
