/*
 * A frame's commands are answered in their order as far as the answers are at hand, all in one
 * frame; what the bus has to be asked for comes later, in frames of its own.
 */
#include "gateway/client.h"

#include <string.h>

#include "common/random.h"
#include "gateway/client_inside.h"

bool client_serves(const char *path)
{
    return strcmp(path, "/connection/websocket") == 0;
}

void client_unref(struct client *client)
{
    if (--client->references > 0)
        return;
    map_deinit(&client->subscriptions);
    buffer_deinit(&client->replies);
    buffer_deinit(&client->held);
    memory_free(client->user);
    memory_free(client->info);
    client_forget_hooks(client);
    memory_free(client);
}

struct buffer *client_replies(struct client *client)
{
    return &client->replies;
}

void client_send(struct client *client)
{
    struct buffer *replies = &client->replies;

    if (client->is_gathering || !client->session || replies->size == 0)
        return;

    struct block *frames = transport_append(&client->host->wires, client->transport,
                                            block_create(replies->size + WEBSOCKET_HEADER_LIMIT),
                                            replies->data, replies->size);

    buffer_deinit(replies);
    client->host->events->send(client->host, &client->session, 1, frames, 0);
    block_unref(frames);
}

void client_send_soon(struct client *client)
{
    if (list_is_empty(&client->reply_link))
        list_append(&client->host->clients.replying, &client->reply_link);
}

void client_send_replies(struct session_host *host)
{
    struct list *replying = &host->clients.replying;

    while (!list_is_empty(replying)) {
        struct client *client = container_of(replying->next, struct client, reply_link);

        list_remove(&client->reply_link);
        client_send(client);
    }
}

void client_refuse_with(struct client *client, uint32_t id, uint32_t code, const char *message,
                        bool is_temporary)
{
    metric_add(&client->host->stats->client_errors, 1);
    client_write_custom_error(client_replies(client), client_format(client), id, code,
                              text_of(message), is_temporary);
    client_send(client);
}

void client_refuse(struct client *client, uint32_t id, enum client_error code)
{
    metric_add(&client->host->stats->client_errors, 1);
    client_write_error(client_replies(client), client_format(client), id, code);
    client_send(client);
}

enum client_error client_error_of(int error)
{
    switch (error) {
    case UV_ENOTCONN:
    case UV_ETIMEDOUT:
    case UV_ECANCELED:
    case UV_ENOBUFS:
        return CLIENT_ERROR_AWAY;
    case UV_ENOTSUP:
        return CLIENT_ERROR_NOT_AVAILABLE;
    case UV_EMSGSIZE:
    case UV_EMFILE:
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    default:
        return CLIENT_ERROR_INTERNAL;
    }
}

void client_disconnect_as(struct client *client, uint32_t code, const char *reason)
{
    if (client->session)
        client->host->events->close(client->session, (uint16_t)code, reason);
}

void client_disconnect(struct client *client, enum client_disconnect code)
{
    client_disconnect_as(client, code, client_disconnect_text(code));
}

void client_count(const struct session_host *host)
{
    metric_set(&host->stats->clients, clients_count(&host->clients));
    metric_set(&host->stats->users, clients_user_count(&host->clients));
}

struct client_info client_who(const struct client *client,
                              const struct client_subscription *subscription)
{
    return (struct client_info){
        .user = client_text(client->user),
        .client = text_of(client->id),
        .conn_info = client_text(client->info),
        .chan_info = client_text(subscription ? subscription->info : NULL),
    };
}

struct actor client_actor(const struct client *client,
                          const struct client_subscription *subscription)
{
    return (struct actor){
        .user = client_text(client->user),
        .is_subscriber = subscription && subscription->stage == SUBSCRIPTION_ON,
        .can_wait = true,
        .has_token = subscription && subscription->has_token,
    };
}

/* Commands. */

static void dispatch(struct client *client, const struct client_request *request)
{
    uint32_t id = request->id;

    switch (request->method) {
    case CLIENT_SUBSCRIBE:
        client_subscribe(client, id, &request->subscribe);
        return;
    case CLIENT_UNSUBSCRIBE:
        client_unsubscribe(client, id, request->channel);
        return;
    case CLIENT_PUBLISH:
        client_publish(client, id, &request->publish);
        return;
    case CLIENT_PRESENCE:
    case CLIENT_PRESENCE_STATS:
        client_presence(client, id, request->channel, request->method == CLIENT_PRESENCE_STATS);
        return;
    case CLIENT_HISTORY:
        client_history(client, id, &request->history);
        return;
    case CLIENT_PING:
        client_write_pong(client_replies(client), client_format(client), id);
        return;
    case CLIENT_REFRESH:
        client_refresh(client, id, &request->refresh);
        return;
    case CLIENT_SUB_REFRESH:
        client_sub_refresh(client, id, &request->refresh);
        return;
    case CLIENT_SEND: /* there is nobody here who would hear it */
        return;
    case CLIENT_RPC:
        client_rpc(client, id, &request->rpc);
        return;
    case CLIENT_METHOD_UNKNOWN:
    default:
        client_refuse(client, id, CLIENT_ERROR_METHOD_NOT_FOUND);
    }
}

/* Subscribing costs nothing of the rate, since how many there are is limited. */
static bool is_charged(const struct client_request *request)
{
    return request->method != CLIENT_SUBSCRIBE && request->method != CLIENT_PONG;
}

static void obey(struct client *client, const struct client_request *request)
{
    if (request->method == CLIENT_PONG)
        return;
    if (is_charged(request) && !session_charge(client->session))
        return;
    if (request->method == CLIENT_CONNECT) {
        if (client->stage == CLIENT_NEW)
            client_connect(client, request->id, &request->connect);
        else
            client_disconnect(client, CLIENT_DISCONNECT_BAD_REQUEST);
    } else if (client->stage != CLIENT_CONNECTED) {
        client_disconnect(client, CLIENT_DISCONNECT_BAD_REQUEST);
    } else {
        dispatch(client, request);
    }
}

void client_hold(struct client *client, const void *data, size_t size, enum client_disconnect code)
{
    struct buffer *held = &client->held;

    if (held->size + size > client_settings(client)->config.max_message_size) {
        client_disconnect(client, code);
        return;
    }
    if (held->size > 0 && client_format(client) == CLIENT_JSON)
        buffer_append_text(held, "\n");
    buffer_append(held, data, size);
}

static void read_commands(struct client *client, const void *data, size_t size)
{
    struct client_reader reader;
    struct client_request request;
    enum client_read result = CLIENT_READ_END;

    bool is_first = client->stream && client->stage == CLIENT_NEW;

    client->is_gathering = true;
    client_reader_init(&reader, client_format(client), data, size);
    while (client->session && client->stage != CLIENT_CONNECTING &&
           (result = client_reader_next(&reader, &request)) == CLIENT_READ_REQUEST) {
        /* Any page can have an address fetched that begins a stream: that must do nothing else. */
        if (is_first && !client_reader_is_done(&reader)) {
            result = CLIENT_READ_BAD;
            break;
        }
        obey(client, &request);
    }
    if (result == CLIENT_READ_BAD)
        client_disconnect(client, CLIENT_DISCONNECT_BAD_REQUEST);
    else if (client->session && client->stage == CLIENT_CONNECTING && reader.left > 0)
        client_hold(client, reader.next, reader.left, CLIENT_DISCONNECT_BAD_REQUEST);
    client_reader_deinit(&reader);
    client->is_gathering = false;
    client_send(client);
}

static void on_message(struct session *session, enum websocket_opcode opcode, const void *data,
                       size_t size)
{
    struct client *client = client_ref(session->client);

    (void)opcode;                           /* JSON in a binary frame is JSON */
    if (client->stage == CLIENT_CONNECTING) /* what it is for comes with the answer to that */
        client_hold(client, data, size, CLIENT_DISCONNECT_BAD_REQUEST);
    else
        read_commands(client, data, size);
    client_unref(client);
}

void client_read_held(struct client *client)
{
    struct buffer held = client->held;

    if (held.size == 0 || !client->session)
        return;
    client->held = (struct buffer){0};
    read_commands(client, held.data, held.size);
    buffer_deinit(&held);
}

/* What was answered goes out before the client is sent away, amid a frame's answers as well. */
static void on_flush(struct session *session)
{
    if (!session->client)
        return;

    struct client *client = client_ref(session->client);
    bool was_gathering = client->is_gathering;

    client->is_gathering = false;
    client_send(client);
    client->is_gathering = was_gathering;
    client_unref(client);
}

static void on_close(struct session *session)
{
    struct client *client = session->client;

    if (!client)
        return;
    list_remove(&client->reply_link);
    session->client = NULL;
    client->session = NULL;
    client_stream_end(client);
    client_expiry_end(client);
    client_subscriptions_end(client);
    clients_remove(&client->host->clients, &client->place);
    client_count(client->host);
    client_unref(client);
}

static void on_ping(struct session *session)
{
    struct client *client = client_ref(session->client);

    client_push_ping(client_replies(client), client_format(client));
    client_send(client);
    client_unref(client);
}

/* What RFC 6455's codes of our own are called in this protocol, whose SDKs show them to people. */
static uint16_t close_code(uint16_t code, const char **reason)
{
    enum client_disconnect own;

    switch (code) {
    case WEBSOCKET_CLOSE_GOING_AWAY:
        own = CLIENT_DISCONNECT_SHUTDOWN;
        break;
    case WEBSOCKET_CLOSE_TRY_LATER:
        own = CLIENT_DISCONNECT_SLOW;
        break;
    case WEBSOCKET_CLOSE_RESTART:
        own = CLIENT_DISCONNECT_INSUFFICIENT;
        break;
    case WEBSOCKET_CLOSE_POLICY:
        own = CLIENT_DISCONNECT_TOO_MANY_REQUESTS;
        break;
    default:
        return code;
    }
    *reason = client_disconnect_text(own);
    return (uint16_t)own;
}

/* In place of the close frame that a stream has not. */
static void say_farewell(struct session *session, uint16_t code, const char *reason,
                         struct buffer *output)
{
    const struct client *client = session->client;
    struct buffer push = {0};
    struct block *block;

    client_push_disconnect(&push, client_format(client), code, text_of(reason), code % 1000 < 500);
    block = transport_append(&client->host->wires, client->transport, block_create(push.size),
                             push.data, push.size);
    buffer_append(output, block->data, block->size);
    block_unref(block);
    buffer_deinit(&push);
}

static const struct session_protocol client_protocol = {
    .say_farewell = say_farewell,
    .message = on_message,
    .published = client_published,
    .close = on_close,
    .flush = on_flush,
    .ping = on_ping,
    .silence_code = CLIENT_DISCONNECT_NO_PONG,
    .close_code = close_code,
};

/* 132 random bits in the letters of base64url (RFC 4648 §5). It is in everything that the client
 * publishes, once for each subscriber: a UUID would be half as long again. */
static void write_id(char id[CLIENT_ID_SIZE + 1])
{
    static const char digits[64] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[CLIENT_ID_SIZE];

    random_bytes(bytes, sizeof(bytes));
    for (size_t i = 0; i < CLIENT_ID_SIZE; i++)
        id[i] = digits[bytes[i] % 64];
    id[CLIENT_ID_SIZE] = '\0';
}

void client_open(struct session *session, struct session_host *host, enum transport transport,
                 const struct buffer *headers)
{
    struct client *client = memory_zeroed(1, sizeof(*client));

    session_init(session, host, &client_protocol);
    client->session = session;
    client->host = host;
    client->references = 1;
    client->transport = transport;
    write_id(client->id);
    client_keep_headers(client, headers);
    list_init(&client->reply_link);
    client_expiry_begin(client);
    session->client = client;
    if (transport_is_stream(transport))
        client_stream_begin(client);
    host->events->opened(session, 0);
}
