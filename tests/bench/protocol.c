#include "tests/bench/protocol.h"

#include <string.h>

static void publish(struct buffer *output, const char *channel, const void *data, size_t size)
{
    (void)channel;
    buffer_append(output, data, size);
}

static ssize_t read_element(const unsigned char *data, size_t size, struct element *element)
{
    *element = (struct element){ELEMENT_MESSAGE, data, size};
    return (ssize_t)size;
}

const struct protocol protocol_plain = {
    .name = "plain",
    .publish = publish,
    .read = read_element,
};

const struct protocol *protocol_find(const char *name)
{
    static const struct protocol *const protocols[] = {&protocol_plain,    &protocol_json,
                                                       &protocol_protobuf, &protocol_mqtt,
                                                       &protocol_nats,     &protocol_socketio};

    for (size_t i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++) {
        if (strcmp(protocols[i]->name, name) == 0)
            return protocols[i];
    }
    return NULL;
}
