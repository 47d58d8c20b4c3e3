/* Who wants to listen to a channel, who may, and who does no longer; between them lies the way in
 * (client_way_in.c). */
#include <string.h>

#include "common/log.h"
#include "gateway/client_inside.h"

static struct client_subscription *of_entry(struct map_entry *entry)
{
    return container_of(entry, struct client_subscription, entry);
}

static struct client_subscription *of_subscription(struct subscription *subscription)
{
    return container_of(subscription, struct client_subscription, subscription);
}

struct client_subscription *client_subscription_find(const struct client *client,
                                                     struct text channel)
{
    struct map_entry *entry =
        channel.size > 0 ? map_find(&client->subscriptions, channel.data, channel.size) : NULL;

    return entry ? of_entry(entry) : NULL;
}

void client_subscription_end(struct client_subscription *subscription)
{
    struct client *client = subscription->client;

    client_forget_way_in(subscription);
    if (subscription->pace.spent > client->pace.spent)
        client->pace = subscription->pace; /* to come again is not to begin anew */
    client_subscription_depart(subscription);
    channels_leave(&client->host->channels, &subscription->subscription);
    map_remove(&client->subscriptions, &subscription->entry);
    metric_set(&client->host->stats->subscriptions,
               metric_read(&client->host->stats->subscriptions) - 1);
    memory_free(subscription->info);
    memory_free(subscription);
}

static void end_entry(struct map_entry *entry, void *context)
{
    (void)context;
    client_subscription_end(of_entry(entry));
}

void client_subscriptions_end(struct client *client)
{
    map_each(&client->subscriptions, end_entry, NULL);
}

/* The way in. */

/* Of a subscription that the application wants for a client which is connected. */
static void warn_of_failure(const struct client *client, const char *reason)
{
    log_event(LOG_WARNING, log_name("subscription of the application failed"),
              log_text("client", client->id), log_text("reason", reason));
}

void client_subscription_give_up(struct client_subscription *subscription, enum client_error code)
{
    struct client *client = subscription->client;
    uint32_t id = subscription->way_in->id;
    bool is_of_connect = subscription->way_in->is_of_connect && client->stage == CLIENT_CONNECTING;
    bool is_of_server = subscription->is_of_server;

    client_subscription_end(subscription);
    if (is_of_connect) /* it would be connected without what it is to hear, and not know */
        client_disconnect(client, CLIENT_DISCONNECT_SERVER_ERROR);
    else if (!is_of_server)
        client_refuse(client, id, code);
    else
        warn_of_failure(client, client_error_text(code));
}

static struct client_subscription *create(struct client *client, struct text channel, uint32_t id)
{
    struct client_subscription *subscription =
        memory_zeroed(1, offsetof(struct client_subscription, channel) + channel.size + 1);

    subscription->client = client;
    subscription->way_in = memory_zeroed(1, sizeof(*subscription->way_in));
    subscription->way_in->subscription = subscription;
    subscription->way_in->id = id;
    subscription->pace = client->pace;
    memcpy(subscription->channel, channel.data, channel.size);
    map_insert(&client->subscriptions, &subscription->entry, subscription->channel, channel.size);
    metric_set(&client->host->stats->subscriptions,
               metric_read(&client->host->stats->subscriptions) + 1);
    return subscription;
}

static bool is_full(const struct client *client, struct text channel,
                    const struct channel_rules *rules)
{
    const struct channel *found;

    if (rules->max_subscribers == 0)
        return false;
    found = channels_find(&client->host->channels, channel.data, channel.size);
    return found && channel_subscriber_count(found) >= rules->max_subscribers;
}

/* Reads the token of a subscription. 0 or an error for the client. */
static int read_token(struct client *client, const struct client_token_request *request,
                      struct token_claims *claims)
{
    struct text channel = request->channel;

    switch (token_read_subscription(client_settings(client)->tokens, request->token, client_now_s(),
                                    claims)) {
    case TOKEN_VALID:
        if (text_is(channel, claims->channel) && strcmp(claims->user, client->user) == 0 &&
            (!claims->client || strcmp(claims->client, client->id) == 0))
            return 0;
        return CLIENT_ERROR_PERMISSION_DENIED;
    case TOKEN_EXPIRED:
        return CLIENT_ERROR_TOKEN_EXPIRED;
    case TOKEN_INVALID:
    default:
        metric_add(&client->host->stats->tokens_refused, 1);
        return CLIENT_ERROR_PERMISSION_DENIED;
    }
}

/* What we do not have must not be left out in silence: who filters would be given everything. */
static bool asks_for_more(const struct client_subscribe_request *request)
{
    return request->has_filter || request->type != 0 ||
           (request->delta.size > 0 && !text_is(request->delta, "fossil"));
}

/* 0, or why not; the claims are those of its token. */
static int admit(struct client *client, const struct client_subscribe_request *request,
                 struct token_claims *claims)
{
    const struct settings *settings = client_settings(client);
    struct actor actor = client_actor(client, client_subscription_find(client, request->channel));
    const struct channel_rules *rules;
    int error = asks_for_more(request) ? CLIENT_ERROR_BAD_REQUEST : 0;

    if (!error && request->token.size > 0) {
        struct client_token_request token = {request->channel, request->token};

        error = read_token(client, &token, claims);
        actor.has_token = error == 0;
    }
    if (!error)
        error = namespaces_check(settings->namespaces, request->channel, CHANNEL_SUBSCRIBE, &actor);
    if (error)
        return error;
    rules = namespaces_find(settings->namespaces, request->channel);
    if (client->subscriptions.count >= settings->config.client_channel_limit ||
        is_full(client, request->channel, rules))
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    return 0;
}

void client_subscribe(struct client *client, uint32_t id,
                      const struct client_subscribe_request *request)
{
    struct token_claims claims = {0};
    struct client_subscription *subscription;
    struct channel_rules rules;
    int error;

    error = client_subscription_find(client, request->channel) ? CLIENT_ERROR_ALREADY_SUBSCRIBED
                                                               : admit(client, request, &claims);
    if (error) {
        token_claims_deinit(&claims);
        if (session_charge(client->session)) /* who is refused all the time is told so seldom */
            client_refuse(client, id, (enum client_error)error);
        return;
    }
    subscription = create(client, request->channel, id);
    if (client_asks_backend(client, request)) {
        token_claims_deinit(&claims);
        client_ask_subscribe(subscription, request);
        return;
    }
    subscription->has_token = request->token.size > 0;
    subscription->expires_at_s = claims.expires_at_s;
    subscription->info = claims.info;
    subscription->way_in->data = claims.data;
    claims.info = claims.data = NULL;
    client_subscription_override(subscription, claims.has_override, claims.override);
    token_claims_deinit(&claims);
    client_subscription_wish(subscription, client_subscription_rules(subscription, &rules),
                             request);
    if (subscription->expires_at_s > 0)
        client_await_expiry(client);
    client_subscription_go_in(subscription);
}

void client_subscription_allow(struct client_subscription *subscription,
                               const struct client_subscribe_request *request,
                               struct hook_answer *answer)
{
    struct client *client = subscription->client;
    struct channel_rules rules;
    const struct channel_rules *found =
        namespaces_find(client_settings(client)->namespaces, request->channel);

    if (!found || is_full(client, request->channel, found)) {
        client_subscription_give_up(subscription, found ? CLIENT_ERROR_LIMIT_EXCEEDED
                                                        : CLIENT_ERROR_UNKNOWN_CHANNEL);
        return;
    }
    subscription->expires_at_s = answer->claims.expires_at_s;
    subscription->info = answer->claims.info;
    answer->claims.info = NULL;
    subscription->way_in->data = answer->data;
    answer->data = NULL;
    client_subscription_override(subscription, answer->claims.has_override,
                                 answer->claims.override);
    client_subscription_wish(subscription, client_subscription_rules(subscription, &rules),
                             request);
    if (subscription->expires_at_s > 0)
        client_await_expiry(client);
    client_subscription_go_in(subscription);
}

void client_subscribe_by_server(struct client *client, const struct server_subscription *wanted)
{
    const struct channel_rules *rules =
        namespaces_find(client_settings(client)->namespaces, wanted->channel);
    struct client_subscription *subscription;
    struct channel_rules space;

    if (client_subscription_find(client, wanted->channel))
        return;
    if (!rules) {
        warn_of_failure(client, client_error_text(CLIENT_ERROR_UNKNOWN_CHANNEL));
        return;
    }
    if (client->subscriptions.count >= client_settings(client)->config.client_channel_limit) {
        if (wanted->is_of_connect)
            client_disconnect(client, CLIENT_DISCONNECT_CHANNEL_LIMIT);
        else
            warn_of_failure(client, client_error_text(CLIENT_ERROR_LIMIT_EXCEEDED));
        return;
    }
    subscription = create(client, wanted->channel, 0);
    subscription->is_of_server = true;
    subscription->has_token = true;
    subscription->way_in->is_of_connect = wanted->is_of_connect;
    subscription->expires_at_s = wanted->expires_at_s;
    subscription->info = wanted->info ? memory_copy_text(wanted->info, strlen(wanted->info)) : NULL;
    subscription->way_in->data =
        wanted->data ? memory_copy_text(wanted->data, strlen(wanted->data)) : NULL;
    if (wanted->token)
        client_subscription_override(subscription, wanted->token->has_override,
                                     wanted->token->override);
    client_subscription_wish(subscription, client_subscription_rules(subscription, &space),
                             wanted->recover);
    if (wanted->is_of_connect)
        client->joining++;
    client_subscription_go_in(subscription);
}

/* The way out. */

void client_unsubscribe(struct client *client, uint32_t id, struct text channel)
{
    struct client_subscription *subscription = client_subscription_find(client, channel);

    if (subscription && subscription->is_of_server) {
        client_refuse(client, id, CLIENT_ERROR_PERMISSION_DENIED);
        return;
    }
    if (subscription && subscription->stage != SUBSCRIPTION_ON)
        client_refuse(client, subscription->way_in->id,
                      CLIENT_ERROR_BAD_REQUEST); /* it was taken back */
    if (subscription)
        client_subscription_end(subscription);
    client_write_unsubscribed(client_replies(client), client_format(client), id);
}

void client_unsubscribe_by_server(struct client_subscription *subscription, uint32_t code,
                                  const char *reason)
{
    struct client *client = client_ref(subscription->client);

    client_push_unsubscribe(client_replies(client), client_format(client),
                            client_channel(subscription), code, text_of(reason));
    client_subscription_end(subscription);
    client_send(client);
    client_unref(client);
}

void client_lost(struct subscription *subscription)
{
    struct client_subscription *of_client = of_subscription(subscription);

    if (of_client->stage != SUBSCRIPTION_ON)
        return;
    /* A client can subscribe again only to what it subscribed to; the rest comes with a connect. */
    if (of_client->is_of_server)
        client_disconnect(of_client->client, CLIENT_DISCONNECT_INSUFFICIENT);
    else
        client_unsubscribe_by_server(of_client, CLIENT_UNSUBSCRIBE_INSUFFICIENT,
                                     client_unsubscribe_text(CLIENT_UNSUBSCRIBE_INSUFFICIENT));
}

void client_sub_refresh(struct client *client, uint32_t id,
                        const struct client_token_request *request)
{
    struct client_subscription *subscription = client_subscription_find(client, request->channel);
    struct token_claims claims = {0};
    int error = subscription ? read_token(client, request, &claims) : CLIENT_ERROR_BAD_REQUEST;

    if (error) {
        client_refuse(client, id, (enum client_error)error);
    } else {
        bool expires = claims.expires_at_s > 0;

        subscription->expires_at_s = claims.expires_at_s;
        client_subscription_take_info(subscription, &claims);
        client_await_expiry(client);
        client_write_sub_refreshed(client_replies(client), client_format(client), id, expires,
                                   expires ? client_ttl_s(claims.expires_at_s) : 0);
        client_send(client);
    }
    token_claims_deinit(&claims);
}
