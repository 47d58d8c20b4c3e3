/* What was published, and who is there: the rules, a question to the bus, its answer. */
#include <stdlib.h>
#include <string.h>

#include "gateway/client_inside.h"

#define ASKS_LIMIT 16 /* of a client, under way at a time */

struct client_ask {
    struct client *client;
    uint32_t id;
    bool only_counts;
};

static bool may(struct client *client, uint32_t id, struct text channel, enum channel_act act)
{
    struct actor actor = client_actor(client, client_subscription_find(client, channel));
    int error = namespaces_check(client_settings(client)->namespaces, channel, act, &actor);

    if (!error && client->asks >= ASKS_LIMIT)
        error = CLIENT_ERROR_TOO_MANY_REQUESTS;
    if (!error)
        return true;
    client_refuse(client, id, (enum client_error)error);
    return false;
}

static struct ask_command *create(struct client *client, uint32_t id, enum ask_kind kind,
                                  struct text channel,
                                  void (*answered)(struct ask_command *command))
{
    struct client_ask *ask = memory_zeroed(1, sizeof(*ask));

    ask->client = client_ref(client);
    ask->id = id;
    client->asks++;
    return ask_create(kind, client->host->channels.worker, channel.data, channel.size, answered,
                      ask);
}

/* Ends the ask; its client, or NULL where that has gone or has been told of an error. The reference
 * is the caller's. */
static bool take(const struct ask_command *command, struct client_ask *ask)
{
    struct client_ask *owner = command->owner;

    *ask = *owner;
    memory_free(owner);
    ask->client->asks--;
    if (!ask->client->session)
        return false;
    if (!command->error)
        return true;
    client_refuse(ask->client, ask->id, client_error_of(command->error));
    return false;
}

#define ENTRY_BYTES 128 /* of a message or of a client in an answer, beside what they say */

/* An answer has the bounds of whatever else is queued for a client: as many of the messages as may
 * be on their way to it, and one at least. It can ask on from the last. */
static size_t count_fitting(const struct client *client, const struct bus_answer *answer)
{
    uint64_t left = client_settings(client)->config.send_queue_limit;
    size_t count = 0;

    while (count < answer->message_count) {
        uint64_t bytes = message_content_size(answer->messages[count]) + ENTRY_BYTES;

        if (count > 0 && bytes > left)
            break;
        left -= bytes < left ? bytes : left;
        count++;
    }
    return count;
}

static void on_history(struct ask_command *command)
{
    const struct bus_answer *answer = &command->answer;
    bool wants_position = command->ask.epoch[0] != '\0' || command->ask.offset > 0;
    struct client_ask ask;

    if (take(command, &ask)) {
        struct client *client = ask.client;
        struct arena arena;

        if (answer->is_lost && wants_position) {
            client_refuse(client, ask.id, CLIENT_ERROR_UNRECOVERABLE_POSITION);
        } else {
            size_t count = count_fitting(client, answer);

            arena_init(&arena, ARENA_UNLIMITED);
            client_write_history(client_replies(client), client_format(client), ask.id,
                                 client_publications_of(answer->messages, count, false, &arena),
                                 count, answer->offset, text_of(answer->epoch));
            arena_deinit(&arena);
            client_send(client);
        }
    }
    client_unref(ask.client);
}

void client_history(struct client *client, uint32_t id,
                    const struct client_history_request *request)
{
    struct ask_command *command;

    if (!may(client, id, request->channel, CHANNEL_HISTORY))
        return;
    if (request->limit < -1 || request->epoch.size > MESSAGE_EPOCH_LIMIT) {
        client_refuse(client, id,
                      request->limit < -1 ? CLIENT_ERROR_BAD_REQUEST
                                          : CLIENT_ERROR_UNRECOVERABLE_POSITION);
        return;
    }
    command = create(client, id, ASK_HISTORY, request->channel, on_history);
    command->ask.limit = request->limit < 0 || request->limit > BUS_PAGE_LIMIT
                             ? BUS_PAGE_LIMIT
                             : (uint64_t)request->limit;
    command->ask.is_reverse = request->reverse;
    if (request->has_since) {
        command->ask.offset = request->offset;
        if (request->epoch.size > 0)
            memcpy(command->ask.epoch, request->epoch.data, request->epoch.size);
    }
    inbox_post(client->host->channels.hub, &command->command.item);
}

static int compare_users(const void *one, const void *other)
{
    const struct text *a = *(const struct text *const *)one;
    const struct text *b = *(const struct text *const *)other;
    size_t size = a->size < b->size ? a->size : b->size;
    int order = size > 0 ? memcmp(a->data, b->data, size) : 0;

    if (order)
        return order;
    return (a->size > b->size) - (a->size < b->size);
}

uint32_t client_count_users(const struct bus_answer *answer)
{
    const struct text **users = memory_allocate(answer->present_count * sizeof(*users) + 1);
    uint32_t count = 0;

    for (size_t i = 0; i < answer->present_count; i++)
        users[i] = &answer->present[i].user;
    qsort((void *)users, answer->present_count, sizeof(*users), compare_users);
    for (size_t i = 0; i < answer->present_count; i++)
        count += i == 0 || !text_equals(*users[i], *users[i - 1]);
    memory_free((void *)users);
    return count;
}

static void write_presence(struct client *client, uint32_t id, const struct bus_answer *answer)
{
    size_t count = answer->present_count;
    struct client_info *present = memory_zeroed(count + 1, sizeof(*present));
    struct arena arena;

    arena_init(&arena, ARENA_UNLIMITED);
    for (size_t i = 0; i < count; i++) {
        struct client_origin origin;

        client_origin_read(&origin, answer->present[i].info, &arena);
        present[i] = origin.info;
        present[i].client = answer->present[i].client;
        present[i].user = answer->present[i].user;
    }
    client_write_presence(client_replies(client), client_format(client), id, present, count);
    arena_deinit(&arena);
    memory_free(present);
}

static bool is_too_long(const struct client *client, const struct bus_answer *answer)
{
    uint64_t bytes = 0;

    for (size_t i = 0; i < answer->present_count; i++) {
        const struct bus_present *present = &answer->present[i];

        bytes += present->client.size + present->user.size + present->info.size + ENTRY_BYTES;
    }
    return bytes > client_settings(client)->config.send_queue_limit;
}

static void on_presence(struct ask_command *command)
{
    const struct bus_answer *answer = &command->answer;
    struct client_ask ask;

    if (take(command, &ask)) {
        struct client *client = ask.client;

        if (ask.only_counts)
            client_write_presence_stats(client_replies(client), client_format(client), ask.id,
                                        (uint32_t)answer->present_count,
                                        client_count_users(answer));
        else if (is_too_long(client, answer))
            client_refuse(client, ask.id, CLIENT_ERROR_LIMIT_EXCEEDED);
        else
            write_presence(client, ask.id, answer);
        client_send(client);
    }
    client_unref(ask.client);
}

void client_presence(struct client *client, uint32_t id, struct text channel, bool only_counts)
{
    const struct channel_rules *rules;
    struct ask_command *command;

    if (!may(client, id, channel, CHANNEL_PRESENCE))
        return;
    rules = namespaces_find(client_settings(client)->namespaces, channel);
    if (!rules->presence) {
        client_refuse(client, id, CLIENT_ERROR_NOT_AVAILABLE);
        return;
    }
    command = create(client, id, ASK_PRESENCE, channel, on_presence);
    ((struct client_ask *)command->owner)->only_counts = only_counts;
    inbox_post(client->host->channels.hub, &command->command.item);
}

/* What is missed on a channel: asked for all who wait at once (recent.h). */

static void on_recent(struct ask_command *command)
{
    struct session_host *host = command->owner;
    struct channel *channel =
        channels_find(&host->channels, command->channel, command->channel_size);
    struct recent_page page = {
        .error = command->error,
        .offset = command->answer.offset,
        .previous = command->answer.previous,
        .fork = command->answer.fork,
        .is_lost = command->answer.is_lost,
        .messages = command->answer.messages,
        .message_count = command->answer.message_count,
    };

    if (!command->is_shared)
        metric_add(&host->stats->histories_read, 1);
    epoch_copy(page.epoch, command->answer.epoch);
    if (channel && channel_recent(channel))
        recent_answer(channel_recent(channel), command->tag, &page);
}

void client_ask_recent(void *context, const struct recent_question *question)
{
    struct session_host *host = context;
    struct ask_command *command = ask_create(ASK_HISTORY, host->channels.worker, question->channel,
                                             question->channel_size, on_recent, host);

    command->tag = question->generation;
    command->ask.offset = question->offset;
    command->ask.limit = question->limit;
    command->ask.begins = true;
    epoch_copy(command->ask.epoch, question->epoch);
    inbox_post(host->channels.hub, &command->command.item);
}
