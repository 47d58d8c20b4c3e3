/*
 * The way into a channel: the rules, then the bus (the subscription keeps the channel and is sent
 * nothing, WIRE_NONE), then what was missed (recent.h); the reply tells that, and from that very
 * moment on the subscription has the wire on which new messages come. So the reply and the messages
 * that follow it have neither a hole nor an overlap.
 */
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

    recent_forget(&subscription->catch_up);
    if (subscription->pace.spent > client->pace.spent)
        client->pace = subscription->pace; /* to come again is not to begin anew */
    client_subscription_depart(subscription);
    channels_leave(&client->host->channels, &subscription->subscription);
    map_remove(&client->subscriptions, &subscription->entry);
    metric_set(&client->host->stats->subscriptions,
               metric_read(&client->host->stats->subscriptions) - 1);
    memory_free(subscription->info);
    memory_free(subscription->data);
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

struct client_subscribe_result
client_subscription_result(const struct client_subscription *subscription,
                           const struct missed *missed, struct arena *arena)
{
    struct client_subscribe_result result = {
        .expires = subscription->expires_at_s > 0,
        .ttl_s = subscription->expires_at_s > 0 ? client_ttl_s(subscription->expires_at_s) : 0,
        .recoverable = subscription->is_recoverable,
        .positioned = subscription->is_positioned,
        .was_recovering = subscription->is_recovering,
        .recovered = subscription->is_recovering && missed->is_recovered,
        .data = client_text(subscription->data),
        .delta = subscription->is_delta,
    };

    if (subscription->is_recoverable || subscription->is_positioned) {
        result.epoch = text_of(missed->epoch);
        result.offset = missed->offset;
    }
    if (result.recovered) {
        result.publications = client_publications_of(missed->messages, missed->message_count,
                                                     subscription->is_delta, arena);
        result.publication_count = missed->message_count;
    }
    return result;
}

void client_subscription_begin(struct client_subscription *subscription)
{
    uint8_t wire = wire_of_client(subscription->client->transport,
                                  subscription->is_delta ? DELTA_FIRST : DELTA_NONE,
                                  subscription->takes_joins);

    subscription->stage = SUBSCRIPTION_ON;
    channel_change_wire(&subscription->subscription, wire);
    client_subscription_arrive(subscription);
}

/* Of a subscription that the application wants for a client which is connected. */
static void warn_of_failure(const struct client *client, const char *reason)
{
    log_event(LOG_WARNING, log_name("subscription of the application failed"),
              log_text("client", client->id), log_text("reason", reason));
}

void client_subscription_give_up(struct client_subscription *subscription, enum client_error code)
{
    struct client *client = subscription->client;
    uint32_t id = subscription->id;
    bool is_of_connect = subscription->is_of_connect && client->stage == CLIENT_CONNECTING;
    bool is_of_server = subscription->is_of_server;

    client_subscription_end(subscription);
    if (is_of_connect) /* it would be connected without what it is to hear, and not know */
        client_disconnect(client, CLIENT_DISCONNECT_SERVER_ERROR);
    else if (!is_of_server)
        client_refuse(client, id, code);
    else
        warn_of_failure(client, client_error_text(code));
}

/* A push has no room for what was missed, which follows it therefore. */
static void push(const struct client_subscription *subscription,
                 const struct client_subscribe_result *result)
{
    struct client *client = subscription->client;

    client_push_subscribe(client_replies(client), client_format(client),
                          client_channel(subscription), result);
    for (size_t i = 0; i < result->publication_count; i++)
        client_push_publication(client_replies(client), client_format(client),
                                client_channel(subscription), &result->publications[i]);
}

static void tell(struct client_subscription *subscription, const struct missed *missed)
{
    struct client *client = client_ref(subscription->client);
    struct arena arena;

    arena_init(&arena, ARENA_UNLIMITED);

    struct client_subscribe_result result =
        client_subscription_result(subscription, missed, &arena);

    if (subscription->is_of_server)
        push(subscription, &result);
    else
        client_write_subscribed(client_replies(client), client_format(client), subscription->id,
                                &result);
    arena_deinit(&arena);
    client_subscription_begin(subscription);
    client_send(client);
    client_unref(client);
}

static void on_caught_up(struct catch_up *catch_up, const struct missed *missed)
{
    struct client_subscription *subscription =
        container_of(catch_up, struct client_subscription, catch_up);

    if (missed->error) {
        client_subscription_give_up(subscription, client_error_of(missed->error));
    } else if (subscription->is_of_connect && subscription->client->stage == CLIENT_CONNECTING) {
        subscription->stage = SUBSCRIPTION_READY;
        client_joined(subscription->client);
    } else {
        tell(subscription, missed);
    }
}

static struct recent *recent_of(struct client_subscription *subscription)
{
    struct channel *channel = subscription->subscription.channel;
    struct recent *recent = channel_recent(channel);

    if (!recent) {
        recent = recent_create(&subscription->client->host->recents, subscription->channel,
                               subscription->channel_size);
        channel_set_recent(channel, recent);
    }
    return recent;
}

void client_subscription_look(struct client_subscription *subscription,
                              void (*done)(struct catch_up *catch_up, const struct missed *missed))
{
    struct recent *recent = recent_of(subscription);
    struct missed missed = {.messages = NULL};

    subscription->catch_up.done = done;
    recent_catch_up(recent, &subscription->catch_up);
    if (recent_is_waiting(&subscription->catch_up)) {
        /* What is kept reaches no longer; it is told that it missed something. */
        recent_forget(&subscription->catch_up);
        recent_position(recent, &missed.epoch, &missed.offset);
        done(&subscription->catch_up, &missed);
    }
}

static void catch_up(struct client_subscription *subscription)
{
    subscription->stage = SUBSCRIPTION_CATCHING_UP;
    subscription->catch_up.done = on_caught_up;
    recent_catch_up(recent_of(subscription), &subscription->catch_up);
}

void client_opened(struct subscription *subscription, int error)
{
    struct client_subscription *of_client = of_subscription(subscription);

    if (of_client->stage != SUBSCRIPTION_OPENING)
        return;
    if (error)
        client_subscription_give_up(of_client, client_error_of(error));
    else
        catch_up(of_client);
}

static struct client_subscription *create(struct client *client, struct text channel, uint32_t id)
{
    struct client_subscription *subscription =
        memory_zeroed(1, sizeof(*subscription) + channel.size + 1);

    subscription->client = client;
    subscription->id = id;
    subscription->pace = client->pace;
    subscription->channel_size = channel.size;
    memcpy(subscription->channel, channel.data, channel.size);
    map_insert(&client->subscriptions, &subscription->entry, subscription->channel, channel.size);
    metric_set(&client->host->stats->subscriptions,
               metric_read(&client->host->stats->subscriptions) + 1);
    return subscription;
}

/* What the client wants of it, as far as the rules allow. */
static void set_wishes(struct client_subscription *subscription, const struct channel_rules *rules,
                       const struct client_subscribe_request *request)
{
    bool wants_recovery = request && (request->recoverable || request->recover);

    subscription->is_recoverable =
        rules->force_recovery || (rules->allow_recovery && wants_recovery);
    subscription->is_positioned = subscription->is_recoverable || rules->force_positioning ||
                                  (rules->allow_positioning && request && request->positioned);
    subscription->takes_joins =
        rules->join_leave && (rules->force_push_join_leave || (request && request->join_leave));
    subscription->is_delta = rules->delta && request && text_is(request->delta, "fossil");
    if (!subscription->is_recoverable || !request || !request->recover)
        return;
    subscription->is_recovering = true;
    if (request->epoch.size > MESSAGE_EPOCH_LIMIT)
        return; /* it is none of ours, and so nothing can be recovered */
    subscription->catch_up.has_position = true;
    subscription->catch_up.offset = request->offset;
    memcpy(subscription->catch_up.epoch, request->epoch.size > 0 ? request->epoch.data : "",
           request->epoch.size);
}

static void go_in(struct client_subscription *subscription)
{
    struct channels *channels = &subscription->client->host->channels;

    subscription->stage = SUBSCRIPTION_OPENING;
    if (channels_join(channels, subscription->channel, subscription->channel_size,
                      &subscription->subscription, WIRE_NONE) == CHANNEL_OPEN)
        catch_up(subscription);
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
    struct actor actor = client_actor(client, request->channel);
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
    subscription->data = claims.data;
    claims.info = claims.data = NULL;
    client_subscription_override(subscription, claims.has_override, claims.override);
    token_claims_deinit(&claims);
    set_wishes(subscription, client_subscription_rules(subscription, &rules), request);
    if (subscription->expires_at_s > 0)
        client_await_expiry(client);
    go_in(subscription);
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
    subscription->data = answer->data;
    answer->data = NULL;
    client_subscription_override(subscription, answer->claims.has_override,
                                 answer->claims.override);
    set_wishes(subscription, client_subscription_rules(subscription, &rules), request);
    if (subscription->expires_at_s > 0)
        client_await_expiry(client);
    go_in(subscription);
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
    subscription->is_of_connect = wanted->is_of_connect;
    subscription->expires_at_s = wanted->expires_at_s;
    subscription->info = wanted->info ? memory_copy_text(wanted->info, strlen(wanted->info)) : NULL;
    subscription->data = wanted->data ? memory_copy_text(wanted->data, strlen(wanted->data)) : NULL;
    if (wanted->token)
        client_subscription_override(subscription, wanted->token->has_override,
                                     wanted->token->override);
    set_wishes(subscription, client_subscription_rules(subscription, &space), wanted->recover);
    if (wanted->is_of_connect)
        client->joining++;
    go_in(subscription);
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
        client_refuse(client, subscription->id, CLIENT_ERROR_BAD_REQUEST); /* it was taken back */
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
