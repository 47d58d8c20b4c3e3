#include "gateway/redis_command.h"

#include <string.h>

#include "common/decimal.h"
#include "common/envelope.h"
#include "common/memory.h"

#define LARGE_BYTES ((size_t)1024 * 1024) /* a buffer grown beyond this is not kept */

void redis_command_begin(struct redis_command *command)
{
    if (command->bytes.capacity > LARGE_BYTES)
        buffer_deinit(&command->bytes);
    command->bytes.size = 0;
    command->count = 0;
}

void redis_command_end_word(struct redis_command *command)
{
    if (command->count == command->capacity) {
        command->capacity = command->capacity ? command->capacity * 2 : 32;
        command->ends = memory_resize(command->ends, command->capacity * sizeof(*command->ends));
        command->sizes = memory_resize(command->sizes, command->capacity * sizeof(*command->sizes));
        command->words = memory_resize(command->words, command->capacity * sizeof(*command->words));
    }
    command->ends[command->count++] = command->bytes.size;
}

void redis_command_add(struct redis_command *command, const void *word, size_t size)
{
    buffer_append(&command->bytes, word, size);
    redis_command_end_word(command);
}

void redis_command_add_text(struct redis_command *command, const char *word)
{
    redis_command_add(command, word, strlen(word));
}

void redis_command_add_number(struct redis_command *command, uint64_t number)
{
    char digits[DECIMAL_DIGITS];

    redis_command_add(command, digits, decimal_write(digits, number));
}

void redis_command_add_envelope(struct redis_command *command, const struct message *message)
{
    /* A message that was delivered is shared with other threads, so it is not changed but copied.
     */
    struct message bare = {
        .kind = message->kind,
        .time_ms = message->time_ms,
        .publisher = message->publisher,
        .sequence = message->sequence,
        .channel = message->channel,
        .channel_size = message->channel_size,
        .data = message->data,
        .data_size = message->data_size,
        .key = message->key,
        .origin = message->origin,
    };

    envelope_append(&command->bytes, &bare);
    redis_command_end_word(command);
}

void redis_command_send(struct redis_command *command, struct redis_link *link,
                        redis_answered *answered, void *context, uint64_t tag)
{
    size_t start = 0;

    for (size_t i = 0; i < command->count; i++) {
        command->words[i] = (const char *)command->bytes.data + start;
        command->sizes[i] = command->ends[i] - start;
        start = command->ends[i];
    }
    redis_link_send(link, command->count, command->words, command->sizes, answered, context, tag);
}

void redis_command_deinit(struct redis_command *command)
{
    buffer_deinit(&command->bytes);
    memory_free(command->ends);
    memory_free(command->words);
    memory_free(command->sizes);
    *command = (struct redis_command){0};
}
