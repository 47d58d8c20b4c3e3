/*
 * A connect is answered when every channel that its token names is there, or not to be had; so the
 * answer tells all that was missed on them, and what comes next is what is new.
 */
#include <string.h>

#include "gateway/client_inside.h"

/* Who the client is, by its token or by having none. False: it has been told why not. */
static bool identify(struct client *client, uint32_t id,
                     const struct client_connect_request *request, struct token_claims *claims)
{
    const struct settings *settings = client_settings(client);

    if (request->token.size == 0) {
        if (settings->allows_anonymous)
            return true;
        client_disconnect(client, CLIENT_DISCONNECT_INVALID_TOKEN);
        return false;
    }
    switch (token_read_connection(settings->tokens, request->token, client_now_s(), claims)) {
    case TOKEN_VALID:
        return true;
    case TOKEN_EXPIRED:
        client_refuse(client, id, CLIENT_ERROR_TOKEN_EXPIRED);
        return false;
    case TOKEN_INVALID:
    default:
        metric_add(&client->host->stats->tokens_refused, 1);
        client_disconnect(client, CLIENT_DISCONNECT_INVALID_TOKEN);
        return false;
    }
}

static const struct client_subscribe_request *find_sub(const struct client_connect_request *request,
                                                       struct text channel)
{
    for (size_t i = 0; i < request->sub_count; i++) {
        if (text_equals(request->subs[i].channel, channel))
            return &request->subs[i];
    }
    return NULL;
}

static void answer_connect(struct client *client);

void client_joined(struct client *client)
{
    if (--client->joining == 0 && client->session)
        answer_connect(client);
}

static void take_claims(struct client *client, struct token_claims *claims)
{
    client->user = claims->user ? claims->user : memory_copy_text("", 0);
    claims->user = NULL;
    client->info = claims->info;
    claims->info = NULL;
    client->expires_at_s = claims->expires_at_s;
    client_keep_meta(client, claims);
}

static void subscribe_to_personal(struct client *client,
                                  const struct client_connect_request *request)
{
    char name[CHANNEL_NAME_LIMIT];
    struct text channel = {
        name,
        namespaces_personal_channel(client_settings(client)->namespaces, text_of(client->user),
                                    name),
    };
    struct server_subscription wanted = {
        .channel = channel,
        .recover = find_sub(request, channel),
        .is_of_connect = true,
    };

    if (channel.size > 0)
        client_subscribe_by_server(client, &wanted);
}

void client_connect(struct client *client, uint32_t id,
                    const struct client_connect_request *request)
{
    struct token_claims claims = {0};

    if (request->token.size == 0 && client_has_hook(client, HOOK_CONNECT))
        client_ask_connect(client, id, request);
    else if (identify(client, id, request, &claims))
        client_let_in(client, id, request, &claims);
    else
        token_claims_deinit(&claims);
}

void client_let_in(struct client *client, uint32_t id, const struct client_connect_request *request,
                   struct token_claims *claims)
{
    take_claims(client, claims);
    client->stage = CLIENT_CONNECTING;
    client->connect_id = id;
    client_await_expiry(client);
    clients_add(&client->host->clients, &client->place, text_of(client->id), text_of(client->user));
    client_count(client->host);
    client->joining = 1; /* of its own, until all have been asked for */
    for (size_t i = 0; i < claims->sub_count && client->session; i++) {
        const struct token_sub *sub = &claims->subs[i];
        struct server_subscription wanted = {
            .channel = text_of(sub->channel),
            .info = sub->info,
            .data = sub->data,
            .recover = find_sub(request, text_of(sub->channel)),
            .token = sub,
            .is_of_connect = true,
        };

        client_subscribe_by_server(client, &wanted);
    }
    token_claims_deinit(claims);
    if (client->session && client_settings(client)->config.subscribe_to_personal)
        subscribe_to_personal(client, request);
    client_joined(client);
}

/* The reply, once all channels are there. */

struct connect_reply {
    struct client_server_sub *subs;
    size_t count;
    struct arena arena;
};

static void add_sub(struct catch_up *catch_up, const struct missed *missed)
{
    struct client_subscription *subscription =
        container_of(catch_up, struct way_in, catch_up)->subscription;
    struct connect_reply *reply = subscription->client->reply;

    reply->subs[reply->count++] = (struct client_server_sub){
        .channel = client_channel(subscription),
        .result = client_subscription_result(subscription, missed, &reply->arena),
    };
}

static void look_at(struct map_entry *entry, void *context)
{
    struct client_subscription *subscription =
        container_of(entry, struct client_subscription, entry);

    (void)context;
    if (subscription->stage == SUBSCRIPTION_READY)
        client_subscription_look(subscription, add_sub);
}

static void begin(struct map_entry *entry, void *context)
{
    struct client_subscription *subscription =
        container_of(entry, struct client_subscription, entry);

    (void)context;
    if (subscription->stage == SUBSCRIPTION_READY)
        client_subscription_begin(subscription);
}

static void write_reply(struct client *client, const struct connect_reply *reply)
{
    const struct config *config = &client_settings(client)->config;
    bool expires = client->expires_at_s > 0 && !client_has_hook(client, HOOK_REFRESH);
    struct client_connect_result result = {
        .client = text_of(client->id),
        .version = text_of(CARILLON_VERSION),
        .expires = expires,
        .ttl_s = expires ? client_ttl_s(client->expires_at_s) : 0,
        .data = client_text(client->hooks ? client->hooks->greeting : NULL),
        .subs = reply->subs,
        .sub_count = reply->count,
        .ping_s = (uint32_t)((config->ping_interval_ms + 999) / 1000),
        .pong = !client->stream, /* which its socket answers for it */
        .session = client_text(client->stream ? client->stream->session : NULL),
        .node = client_text(client->stream ? client->stream->node : NULL),
    };

    client_write_connected(client_replies(client), client_format(client), client->connect_id,
                           &result);
}

/* From the looking on, nothing comes in between: what is published now is for after the reply. */
static void answer_connect(struct client *client)
{
    size_t bytes = client->subscriptions.count * sizeof(struct client_server_sub);
    struct connect_reply reply = {.subs = memory_allocate(bytes + 1)};

    arena_init(&reply.arena, ARENA_UNLIMITED);
    client->reply = &reply;
    map_each(&client->subscriptions, look_at, NULL);
    client->reply = NULL;
    client->stage = CLIENT_CONNECTED;
    write_reply(client, &reply);
    client_forget_greeting(client);
    arena_deinit(&reply.arena);
    memory_free(reply.subs);
    client_ref(client);
    client_send(client);
    if (client->session)
        map_each(&client->subscriptions, begin, NULL);
    client_read_held(client);
    client_unref(client);
}

void client_refresh(struct client *client, uint32_t id, const struct client_token_request *request)
{
    struct token_claims claims = {0};
    enum token_outcome outcome = token_read_connection(client_settings(client)->tokens,
                                                       request->token, client_now_s(), &claims);

    if (outcome == TOKEN_EXPIRED) {
        client_refuse(client, id, CLIENT_ERROR_TOKEN_EXPIRED);
    } else if (outcome != TOKEN_VALID || strcmp(claims.user, client->user) != 0) {
        metric_add(&client->host->stats->tokens_refused, 1);
        client_disconnect(client, CLIENT_DISCONNECT_INVALID_TOKEN);
    } else {
        struct client_refresh_result result = {
            .client = text_of(client->id),
            .version = text_of(CARILLON_VERSION),
            .expires = claims.expires_at_s > 0,
        };

        if (result.expires)
            result.ttl_s = client_ttl_s(claims.expires_at_s);
        client->expires_at_s = claims.expires_at_s;
        client_keep_meta(client, &claims);
        client_take_info(client, &claims);
        client_await_expiry(client);
        client_write_refreshed(client_replies(client), client_format(client), id, &result);
        client_send(client);
    }
    token_claims_deinit(&claims);
}
