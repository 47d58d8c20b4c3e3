#include "gateway/redis_publish.h"

#include "gateway/bus_redis.h"

static void add_key(struct redis_bus *bus, const struct message *message, const char *end)
{
    redis_bus_add_key(bus, message->channel, message->channel_size, end);
}

static void add_producer(struct redis_bus *bus, const struct message *message)
{
    char end[sizeof(REDIS_KEY_PRODUCER) + REDIS_ID_SIZE] = REDIS_KEY_PRODUCER;

    redis_format_id(end + sizeof(REDIS_KEY_PRODUCER) - 1, message->publisher);
    add_key(bus, message, end);
}

/* Nobody can choose a key that makes it the name of something else: no other ends like it. */
static void add_idempotency_key(struct redis_bus *bus, const struct message *message)
{
    struct buffer *bytes = &bus->command.bytes;

    redis_key(bytes, bus->prefix, message->channel, message->channel_size, REDIS_KEY_KEY);
    buffer_append(bytes, message->key.data, message->key.size);
    buffer_append_text(bytes, REDIS_KEY_KEY_END);
    redis_command_end_word(&bus->command);
}

/* What is restored one day is to be kept no longer than what was published. */
static void note_limits(struct redis_bus *bus, const struct message *message,
                        const struct redis_limits *limits)
{
    struct redis_channel *channel;

    if (!limits->are_set)
        return;
    channel = redis_channel_find(bus, message->channel, message->channel_size);
    if (channel)
        channel->limits = *limits;
}

void redis_publish_write(struct redis_bus *bus, const struct message *message, uint64_t previous,
                         const struct redis_limits *limits)
{
    bool has_key = message->key.size > 0;
    struct redis_command *command = redis_bus_begin(bus, REDIS_SCRIPT_PUBLISH, has_key ? 4 : 3);

    add_key(bus, message, REDIS_KEY_STREAM);
    add_key(bus, message, REDIS_KEY_META);
    add_producer(bus, message);
    if (has_key)
        add_idempotency_key(bus, message);
    redis_command_add_number(command, message->sequence);
    redis_command_add_number(command, previous);
    redis_command_add_envelope(command, message);
    redis_bus_add_history(bus, limits);
    redis_bus_add_fresh_epoch(bus);
    redis_bus_add_topic(bus, message->channel, message->channel_size);
    redis_command_add_number(command, BUS_KEY_WINDOW_MS);
    note_limits(bus, message, limits);
}
