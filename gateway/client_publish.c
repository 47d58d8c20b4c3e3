/* Publishing: the rules, then the hub; the reply comes when the bus has it, with its place. */
#include <string.h>

#include "gateway/client_inside.h"
#include "gateway/site.h"

/* How the data is kept: what is JSON can be shown to everybody, plain clients included. */
static enum message_kind kind_of(const struct client *client, struct text data,
                                 const struct hook_answer *answer)
{
    bool is_from_backend = answer && answer->data_size > 0;

    return (client_format(client) == CLIENT_JSON && !is_from_backend) || client_is_json(data)
               ? MESSAGE_JSON
               : MESSAGE_BINARY;
}

/* The rate of the channel's namespace, beside that of the connection. */
static bool keeps_pace(struct client *client, struct client_subscription *subscription,
                       const struct channel_rules *rules)
{
    return pace_take(subscription ? &subscription->pace : &client->pace, rules->message_rate,
                     rules->message_burst, (uint32_t)loop_now_ms(client->host->loop));
}

static int check(struct client *client, struct client_subscription *subscription,
                 const struct client_publish_request *request)
{
    const struct settings *settings = client_settings(client);
    struct actor actor = client_actor(client, subscription);
    const struct channel_rules *rules;
    int error = namespaces_check(settings->namespaces, request->channel, CHANNEL_PUBLISH, &actor);

    if (error)
        return error;
    rules = namespaces_find(settings->namespaces, request->channel);
    if (request->data.size == 0 || request->idempotency_key.size > MESSAGE_KEY_LIMIT)
        return CLIENT_ERROR_BAD_REQUEST;
    if (request->data.size > rules->message_size)
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    if (!atomic_load(&client->host->status->is_bus_up))
        return CLIENT_ERROR_AWAY;
    if (!keeps_pace(client, subscription, rules))
        return CLIENT_ERROR_TOO_MANY_REQUESTS;
    return 0;
}

/* Who publishes after one that waits for the backend waits for it, too. */
static bool needs_backend(const struct client *client,
                          const struct client_subscription *subscription, struct text channel)
{
    struct actor actor = client_actor(client, subscription);

    return namespaces_asks_backend(client_settings(client)->namespaces, channel, CHANNEL_PUBLISH,
                                   &actor) ||
           client_publish_waits(client, channel);
}

void client_publish(struct client *client, uint32_t id,
                    const struct client_publish_request *request)
{
    struct client_subscription *subscription = client_subscription_find(client, request->channel);
    int error = check(client, subscription, request);

    if (error)
        client_refuse(client, id, (enum client_error)error);
    else if (needs_backend(client, subscription, request->channel))
        client_ask_publish(client, id, request);
    else
        client_publish_now(client, subscription, id, request, NULL);
}

void client_publish_now(struct client *client, const struct client_subscription *subscription,
                        uint32_t id, const struct client_publish_request *request,
                        const struct hook_answer *answer)
{
    const struct channel_rules *rules =
        namespaces_find(client_settings(client)->namespaces, request->channel);
    struct buffer origin = {0};

    struct client_info info = client_who(client, subscription);

    client_origin_write(&origin, &info, NULL, 0);

    struct message_draft draft = {
        .kind = kind_of(client, request->data, answer),
        .channel = request->channel,
        .data = request->data,
        .key = request->idempotency_key,
        .origin = {(const char *)origin.data, origin.size},
    };

    metric_add(&client->host->stats->messages_received, 1);
    if (answer && answer->skip_history)
        draft.kind = message_passing_kind(draft.kind);
    session_publish(client->session, &draft, rules, id);
    buffer_deinit(&origin);
}

void client_published(struct session *session, const struct publish_command *command)
{
    struct client *client = session->client;
    const struct message *message = command->publish.message;

    if (!client)
        return;
    if (command->error) {
        client_refuse(client, (uint32_t)command->tag, client_error_of(command->error));
        return;
    }
    client_write_published(client_replies(client), client_format(client), (uint32_t)command->tag,
                           message->offset, text_of(message->epoch));
    client_send_soon(client);
}
