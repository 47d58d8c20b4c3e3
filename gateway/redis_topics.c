/*
 * Redis answers in order: once for each channel, or once for a whole command that it refuses, and
 * then without a word on which one. So the commands that are out stand in a queue.
 *
 * A login may be allowed some channels only. A refused SUBSCRIBE of many does not tell which of
 * them was forbidden, so each is asked for alone, and the forbidden one is told to its subscribers
 * and costs nobody else anything. Every other error means that the connection is of no use.
 */
#include "gateway/redis_topics.h"

#include <string.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/memory.h"
#include "gateway/bus_redis.h"

#define SUBSCRIBE_BATCH 100 /* channels in one command */

struct topics_command {
    struct list link;
    bool is_unsubscribe;
    bool is_return; /* sent because the connection came, not because the channel did */
    size_t answered;
    size_t count;
    struct redis_channel *channels[]; /* each counts it in `joins` or `leaves` and so stays */
};

static struct topics_command *first_command(const struct redis_topics *topics)
{
    return list_is_empty(&topics->commands)
               ? NULL
               : container_of(topics->commands.next, struct topics_command, link);
}

static void free_command(struct topics_command *command)
{
    list_remove(&command->link);
    memory_free(command);
}

/* Asking. */

static void send_command(struct redis_bus *bus, bool is_unsubscribe, bool is_return,
                         struct redis_channel *const *channels, size_t count)
{
    size_t size = count * sizeof(*channels);
    struct topics_command *command = memory_allocate(sizeof(*command) + size);

    *command = (struct topics_command){
        .is_unsubscribe = is_unsubscribe, .is_return = is_return, .count = count};
    memcpy(command->channels, channels, size);
    list_append(&bus->topics.commands, &command->link);

    redis_command_begin(&bus->command);
    redis_command_add_text(&bus->command, is_unsubscribe ? "UNSUBSCRIBE" : "SUBSCRIBE");
    for (size_t i = 0; i < count; i++)
        redis_bus_add_topic(bus, channels[i]->name, channels[i]->name_size);
    redis_command_send(&bus->command, &bus->subscriber, NULL, NULL, 0);
}

void redis_topics_subscribe(struct redis_channel *channel)
{
    if (!redis_link_is_ready(&channel->bus->subscriber))
        return;
    channel->joins++;
    send_command(channel->bus, false, false, &channel, 1);
}

void redis_topics_unsubscribe(struct redis_channel *channel)
{
    if (!redis_link_is_ready(&channel->bus->subscriber))
        return;
    channel->leaves++;
    send_command(channel->bus, true, false, &channel, 1);
}

void redis_topics_connected(struct redis_bus *bus)
{
    struct redis_channel *batch[SUBSCRIBE_BATCH];
    size_t count = 0;

    for (struct list *link = bus->channels.all.next; link != &bus->channels.all;
         link = link->next) {
        struct redis_channel *channel = container_of(link, struct redis_channel, link);

        if (channel->stage == REDIS_CHANNEL_LEFT)
            continue;
        channel->joins++;
        bus->topics.returning++;
        batch[count++] = channel;
        if (count == SUBSCRIBE_BATCH) {
            send_command(bus, false, true, batch, count);
            count = 0;
        }
    }
    if (count > 0)
        send_command(bus, false, true, batch, count);
}

void redis_topics_disconnected(struct redis_topics *topics)
{
    while (!list_is_empty(&topics->commands))
        free_command(first_command(topics));
    topics->returning = 0;
}

bool redis_topics_are_heard(const struct redis_bus *bus)
{
    return redis_link_is_ready(&bus->subscriber) && bus->topics.returning == 0;
}

/* Messages. */

/* Whatever was missed meanwhile: it has no place among that. */
static void hand_on_ephemeral(struct redis_channel *channel, struct message *message)
{
    struct bus *bus = &channel->bus->bus;

    if (channel->is_told) {
        metric_add(&bus->stats.delivered, 1);
        bus->events->deliver(bus->context, message);
    }
    message_unref(message);
}

static bool is_of(const struct message *message, const char *name, size_t size)
{
    return message->channel_size == size && memcmp(message->channel, name, size) == 0;
}

static void on_message(struct redis_bus *bus, const char *name, size_t size,
                       const redisReply *payload)
{
    struct redis_channel *channel = redis_channel_find(bus, name, size);
    struct message *message = NULL;
    int error = UV_EPROTO;

    if (!channel || channel->stage == REDIS_CHANNEL_LEFT)
        return;
    if (payload->type == REDIS_REPLY_STRING)
        error = envelope_read(payload->str, (size_t)payload->len,
                              (size_t)bus->bus.settings.message_limit_bytes, &message);
    if (!error && is_of(message, name, size) && message_is_ephemeral(message->kind)) {
        hand_on_ephemeral(channel, message);
        return;
    }
    if (!error && is_of(message, name, size) && message->offset > 0 && message->epoch[0] != '\0') {
        redis_channel_pin(channel);
        redis_channel_hear(channel, message);
        redis_channel_unpin(channel);
        return;
    }
    message_unref(message);
    if (redis_bus_may_warn(bus, REDIS_WARNING_GARBAGE))
        log_event(LOG_WARNING, log_name("redis message is garbage"),
                  log_text("channel", channel->name), log_number("bytes", (int64_t)payload->len));
}

/* Answers. */

static bool is_about_a_channel(const char *error)
{
    return strncmp(error, "NOPERM", 6) == 0 && redis_fault_of(error) == REDIS_FAULT_FINAL;
}

/* A channel of a command that was refused as a whole: asks again where that still matters. */
static void ask_alone(struct redis_channel *channel, bool is_return)
{
    struct redis_bus *bus = channel->bus;

    if (channel->stage != REDIS_CHANNEL_LEFT && channel->joins == 1) {
        send_command(bus, false, is_return, &channel, 1);
        return;
    }
    /* Nobody wants it any more, or a later SUBSCRIBE will tell. */
    redis_channel_pin(channel);
    channel->joins--;
    if (is_return)
        bus->topics.returning--;
    redis_channel_unpin(channel);
}

static void on_error(struct redis_bus *bus, const char *error)
{
    struct topics_command *command = first_command(&bus->topics);

    if (!command || command->is_unsubscribe || command->answered > 0 ||
        !is_about_a_channel(error)) {
        redis_link_drop(&bus->subscriber, error);
        return;
    }
    list_remove(&command->link);
    if (command->count > 1) {
        for (size_t i = 0; i < command->count; i++)
            ask_alone(command->channels[i], command->is_return);
    } else {
        if (command->is_return)
            bus->topics.returning--;
        redis_channel_refused(command->channels[0], error);
    }
    free_command(command);
}

/* The channel that the oldest command is answered for next, if it is the one that is named. */
static struct redis_channel *take_answer(struct redis_bus *bus, bool is_unsubscribe,
                                         const char *name, size_t size)
{
    struct topics_command *command = first_command(&bus->topics);
    struct redis_channel *channel;

    if (!command || command->is_unsubscribe != is_unsubscribe)
        return NULL;
    channel = command->channels[command->answered];
    if (channel->name_size != size || memcmp(channel->name, name, size) != 0)
        return NULL;
    if (command->is_return)
        bus->topics.returning--;
    if (++command->answered == command->count)
        free_command(command);
    return channel;
}

static void on_confirmed(struct redis_bus *bus, bool is_unsubscribe, const char *name, size_t size)
{
    struct redis_channel *channel = take_answer(bus, is_unsubscribe, name, size);

    if (!channel)
        redis_link_drop(&bus->subscriber, "answer to something never asked");
    else if (is_unsubscribe)
        redis_channel_left(channel);
    else
        redis_channel_joined(channel);
}

void redis_topics_pushed(struct redis_bus *bus, const redisReply *reply)
{
    const redisReply *verb = redis_reply_at(reply, 0);
    const redisReply *topic = redis_reply_at(reply, 1);
    const redisReply *payload = redis_reply_at(reply, 2);
    const char *name;
    size_t size;

    if (redis_reply_is_error(reply)) {
        on_error(bus, reply->str);
        return;
    }
    if (!verb || !topic || !payload || verb->type != REDIS_REPLY_STRING ||
        topic->type != REDIS_REPLY_STRING) {
        redis_link_drop(&bus->subscriber, "answer that no subscriber gets");
        return;
    }
    if (!redis_topic_channel(bus->prefix, bus->url.database, topic->str, (size_t)topic->len, &name,
                             &size))
        return;
    if (strcmp(verb->str, "message") == 0)
        on_message(bus, name, size, payload);
    else if (strcmp(verb->str, "subscribe") == 0)
        on_confirmed(bus, false, name, size);
    else if (strcmp(verb->str, "unsubscribe") == 0)
        on_confirmed(bus, true, name, size);
}

void redis_topics_init(struct redis_topics *topics)
{
    list_init(&topics->commands);
    topics->returning = 0;
}
