#include "common/message.h"

#include <assert.h>
#include <string.h>

#include "common/memory.h"

struct message *message_create(enum message_kind kind, const char *channel, size_t channel_size,
                               const void *data, size_t data_size)
{
    assert(channel_size > 0 && channel_size <= MESSAGE_CHANNEL_LIMIT);

    struct message *message = memory_allocate(sizeof(*message) + channel_size + 1 + data_size);
    char *text = (char *)(message + 1);

    *message = (struct message){
        .kind = kind,
        .channel = text,
        .channel_size = channel_size,
        .data = (unsigned char *)text + channel_size + 1,
        .data_size = data_size,
    };
    atomic_init(&message->references, 1);
    memcpy(text, channel, channel_size);
    text[channel_size] = '\0';
    if (data_size > 0)
        memcpy(text + channel_size + 1, data, data_size);
    return message;
}

struct message *message_ref(struct message *message)
{
    atomic_fetch_add_explicit(&message->references, 1, memory_order_relaxed);
    return message;
}

void message_unref(struct message *message)
{
    if (message && atomic_fetch_sub_explicit(&message->references, 1, memory_order_acq_rel) == 1)
        memory_free(message);
}
