#include "common/message.h"

#include <assert.h>
#include <string.h>

#include "common/memory.h"

/* Puts a copy at `*at`, which moves behind it. */
static struct text put(char **at, struct text text)
{
    struct text copy = {*at, text.size};

    if (text.size > 0)
        memcpy(*at, text.data, text.size);
    *at += text.size;
    return copy;
}

struct message *message_write(const struct message_draft *draft)
{
    assert(draft->channel.size > 0 && draft->channel.size <= MESSAGE_CHANNEL_LIMIT);
    assert(draft->key.size <= MESSAGE_KEY_LIMIT && draft->origin.size <= MESSAGE_ORIGIN_LIMIT);

    struct message *message =
        memory_allocate(sizeof(*message) + draft->channel.size + 1 + draft->data.size +
                        draft->key.size + draft->origin.size);
    char *at = (char *)(message + 1);

    *message = (struct message){.kind = draft->kind};
    atomic_init(&message->references, 1);
    message->channel = put(&at, draft->channel).data;
    message->channel_size = draft->channel.size;
    *at++ = '\0';
    message->data = (const unsigned char *)put(&at, draft->data).data;
    message->data_size = draft->data.size;
    message->key = put(&at, draft->key);
    message->origin = put(&at, draft->origin);
    return message;
}

struct message *message_create(enum message_kind kind, const char *channel, size_t channel_size,
                               const void *data, size_t data_size)
{
    return message_write(&(struct message_draft){
        .kind = kind,
        .channel = {channel, channel_size},
        .data = {data, data_size},
    });
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
