#include "gateway/plain.h"

#include <string.h>

#include "common/channel_name.h"
#include "common/memory.h"
#include "gateway/client_protocol.h"
#include "gateway/wires.h"

bool plain_serves(const char *path)
{
    return strcmp(path, "/") == 0 || strcmp(path, "/ws") == 0;
}

/* Nobody here has a name. */
static const struct actor newcomer = {.is_subscriber = false};
static const struct actor subscriber = {.is_subscriber = true};

int plain_channel(const struct http_request *request, const struct settings *settings,
                  char channel[MESSAGE_CHANNEL_LIMIT + 1], size_t *size, const char **message)
{
    int result = http_query_value(request->query, "channel", channel, MESSAGE_CHANNEL_LIMIT);

    if (result == UV_ENOENT) {
        *size = strlen(settings->config.lobby);
        memcpy(channel, settings->config.lobby, *size + 1);
    } else if (result < 0 || !channel_name_is_valid(channel, (size_t)result)) {
        *message = "channel: expected 1 to 255 bytes of UTF-8 without control characters";
        return 400;
    } else {
        *size = (size_t)result;
    }
    if (namespaces_check(settings->namespaces, (struct text){channel, *size}, CHANNEL_SUBSCRIBE,
                         &newcomer) == 0)
        return 0;
    *message = "channel: not for clients that say nothing of themselves";
    return 403;
}

static struct session *session_of(struct subscription *subscription)
{
    return container_of(subscription, struct session, subscription);
}

static struct text channel_of(const struct session *session)
{
    struct text channel;

    channel.data = channel_name(session->subscription.channel, &channel.size);
    return channel;
}

static void on_message(struct session *session, enum websocket_opcode opcode, const void *data,
                       size_t size)
{
    const struct namespaces *namespaces = session->host->settings->namespaces;
    struct text channel = channel_of(session);
    const struct channel_rules *rules = namespaces_find(namespaces, channel);
    struct message_draft draft = {
        .kind = opcode == WEBSOCKET_TEXT ? MESSAGE_TEXT : MESSAGE_BINARY,
        .channel = channel,
        .data = {data, size},
    };

    if (!(rules ? session_charge_on(session, rules) : session_charge(session)))
        return;
    if (!rules || namespaces_check_by(namespaces, rules, channel, CHANNEL_PUBLISH, &subscriber)) {
        session->host->events->close(session, WEBSOCKET_CLOSE_POLICY,
                                     "not everybody may write on this channel");
        return;
    }
    if (size > rules->message_size) {
        session->host->events->close(session, WEBSOCKET_CLOSE_TOO_BIG,
                                     "this channel takes no message that large");
        return;
    }
    metric_add(&session->host->stats->messages_received, 1);
    session_publish(session, &draft, rules, 0);
}

static void on_published(struct session *session, const struct publish_command *command)
{
    const struct session_events *events = session->host->events;

    switch (command->error) {
    case 0:
        return;
    case UV_ENOBUFS:
        events->close(session, WEBSOCKET_CLOSE_TRY_LATER, "the bus is away and its buffer is full");
        break;
    case UV_EMSGSIZE:
        events->close(session, WEBSOCKET_CLOSE_TOO_BIG, "the bus takes no message that large");
        break;
    case UV_ECANCELED:
        events->close(session, WEBSOCKET_CLOSE_GOING_AWAY, "the server is going away");
        break;
    default:
        events->close(session, WEBSOCKET_CLOSE_INTERNAL, "the bus refused the message");
    }
}

static void on_close(struct session *session)
{
    channels_leave(&session->host->channels, &session->subscription);
}

static const struct session_protocol plain_protocol = {
    .message = on_message,
    .published = on_published,
    .close = on_close,
};

void plain_open(struct session *session, struct session_host *host, const char *channel,
                size_t channel_size, enum deflate_window window)
{
    session_init(session, host, &plain_protocol);
    if (channels_join(&host->channels, channel, channel_size, &session->subscription, session,
                      wire_of_plain(window)) == CHANNEL_OPEN)
        host->events->opened(session, 0);
}

/* A JSON string is sent as what it says, any other value as its JSON text. */
static struct block *append_json(struct wires *wires, enum deflate_window window,
                                 struct block *block, const struct message *message)
{
    struct text json = {(const char *)message->data, message->data_size};
    struct buffer said = {0};

    if (client_read_json_string(json, &said))
        json = (struct text){(const char *)said.data, said.size};
    block = wires_append_frame(wires, window, block, WEBSOCKET_TEXT, json.data, json.size);
    buffer_deinit(&said);
    return block;
}

struct block *plain_encode(struct wires *wires, enum deflate_window window, struct block *block,
                           const struct message *message)
{
    if (message->kind == MESSAGE_JSON || message->kind == MESSAGE_PASSING_JSON)
        return append_json(wires, window, block, message);
    return wires_append_frame(wires, window, block,
                              message->kind == MESSAGE_TEXT ? WEBSOCKET_TEXT : WEBSOCKET_BINARY,
                              message->data, message->data_size);
}

void plain_opened(struct subscription *subscription, int error)
{
    struct session *session = session_of(subscription);

    if (error)
        session_close(session);
    session->host->events->opened(session, error);
}

void plain_lost(struct subscription *subscription)
{
    struct session *session = session_of(subscription);

    session->host->events->close(session, WEBSOCKET_CLOSE_RESTART,
                                 "messages of the channel were lost");
}
