/* Publishing: the rules, then the hub; the reply comes when the bus has it, with its place. */
#include <string.h>

#include "gateway/client_inside.h"
#include "gateway/site.h"

/* How the data is kept: what is JSON can be shown to everybody, plain clients included. */
static enum message_kind kind_of(const struct client *client, struct text data)
{
    return client_format(client) == CLIENT_JSON || client_is_json(data) ? MESSAGE_JSON
                                                                        : MESSAGE_BINARY;
}

static int check(const struct client *client, const struct client_publish_request *request)
{
    const struct settings *settings = client_settings(client);
    struct actor actor = client_actor(client, request->channel);
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
        return CLIENT_ERROR_NOT_AVAILABLE;
    return 0;
}

void client_publish(struct client *client, uint32_t id,
                    const struct client_publish_request *request)
{
    const struct client_subscription *subscription;
    struct buffer origin = {0};
    int error = check(client, request);

    if (error) {
        client_refuse(client, id, (enum client_error)error);
        return;
    }
    subscription = client_subscription_find(client, request->channel);

    struct client_info info = client_who(client, subscription);

    client_origin_write(&origin, &info, NULL, 0);

    struct message_draft draft = {
        .kind = kind_of(client, request->data),
        .channel = request->channel,
        .data = request->data,
        .key = request->idempotency_key,
        .origin = {(const char *)origin.data, origin.size},
    };

    metric_add(&client->host->stats->messages_received, 1);
    session_publish(client->session, &draft,
                    namespaces_find(client_settings(client)->namespaces, request->channel), id);
    buffer_deinit(&origin);
}

static enum client_error error_of(int error)
{
    switch (error) {
    case UV_ENOBUFS:
    case UV_ECANCELED:
        return CLIENT_ERROR_NOT_AVAILABLE;
    case UV_EMSGSIZE:
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    default:
        return CLIENT_ERROR_INTERNAL;
    }
}

void client_published(struct session *session, const struct publish_command *command)
{
    struct client *client = session->client;
    const struct message *message = command->publish.message;

    if (!client)
        return;
    if (command->error) {
        client_refuse(client, (uint32_t)command->tag, error_of(command->error));
        return;
    }
    client_write_published(client_replies(client), client_format(client), (uint32_t)command->tag,
                           message->offset, text_of(message->epoch));
    client_send(client);
}
