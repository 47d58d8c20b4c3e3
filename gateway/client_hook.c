/*
 * What a client wants is put to the application's backend, and the client goes on when the answer
 * is there. Where there is none (the backend is away, slow, busy, or speaks nonsense), a request is
 * answered with the temporary error 100, after which SDKs connect or subscribe again by themselves;
 * a client that was to be refreshed stays for another minute, so that nobody is sent away because a
 * backend is restarted.
 */
#include <string.h>

#include "common/log.h"
#include "gateway/client_inside.h"

#define REFRESH_AGAIN_S 60

struct client_hooks *client_hooks(struct client *client)
{
    if (!client->hooks) {
        client->hooks = memory_zeroed(1, sizeof(*client->hooks));
        list_init(&client->hooks->publishes);
    }
    return client->hooks;
}

void client_forget_hooks(struct client *client)
{
    if (!client->hooks)
        return;
    memory_free(client->hooks->headers);
    memory_free(client->hooks->meta);
    memory_free(client->hooks->greeting);
    memory_free(client->hooks);
}

void client_keep_headers(struct client *client, const struct buffer *headers)
{
    if (!headers || headers->size == 0)
        return;
    client_hooks(client)->headers = memory_copy_text((const char *)headers->data, headers->size);
    client->hooks->headers_size = headers->size;
}

void client_forget_greeting(struct client *client)
{
    if (!client->hooks)
        return;
    memory_free(client->hooks->greeting);
    client->hooks->greeting = NULL;
}

void client_keep_meta(struct client *client, const struct token_claims *claims)
{
    bool is_wanted = false;

    for (int i = HOOK_CONNECT + 1; i < HOOK_COUNT; i++)
        is_wanted = is_wanted || client_has_hook(client, (enum backend_hook)i);
    if (!is_wanted || !claims->meta)
        return;
    memory_free(client_hooks(client)->meta);
    client->hooks->meta = memory_copy_text(claims->meta, claims->meta_size);
}

bool client_has_hook(const struct client *client, enum backend_hook hook)
{
    return backend_hook_url(&client_settings(client)->config, hook)[0] != '\0';
}

bool client_is_refreshing(const struct client *client)
{
    return client->hooks && client->hooks->is_refreshing;
}

bool client_may_ask_backend(struct client *client, uint32_t id)
{
    if (client_hooks(client)->under_way < CLIENT_HOOKS_LIMIT)
        return true;
    client_refuse(client, id, CLIENT_ERROR_TOO_MANY_REQUESTS);
    return false;
}

static const char *transport_name(enum transport transport)
{
    switch (transport) {
    case TRANSPORT_STREAM_JSON:
    case TRANSPORT_STREAM_PROTOBUF:
        return "http_stream";
    case TRANSPORT_EVENTS:
        return "sse";
    default:
        return "websocket";
    }
}

struct hook_question client_hook_question(const struct client *client, enum backend_hook hook)
{
    return (struct hook_question){
        .hook = hook,
        .client = text_of(client->id),
        .transport = transport_name(client->transport),
        .format = client_format(client),
        .user = client_text(client->user),
        .meta = client_text(client->hooks ? client->hooks->meta : NULL),
    };
}

void client_ask_backend(struct client *client, const struct hook_question *question,
                        void (*answered)(struct hook_command *command), void *owner)
{
    const struct client_hooks *hooks = client_hooks(client);
    struct hook_command *command;
    struct buffer body = {0};

    hook_question_write(&body, question);
    command = hook_create(question->hook, client->host->channels.worker, &body, hooks->headers,
                          hooks->headers_size, answered, owner);
    inbox_post(client->host->channels.hub, &command->command.item);
}

void client_read_hook(struct client *client, const struct hook_command *command,
                      struct hook_answer *answer)
{
    static struct log_limit limit;
    const struct backend_request *request = &command->request;
    struct text body = {(const char *)request->answer.data, request->answer.size};
    uint64_t left_out;

    if (request->outcome != BACKEND_ANSWERED) {
        *answer = (struct hook_answer){.verdict = HOOK_BAD};
        return;
    }
    hook_answer_read(answer, request->hook, body);
    if (answer->verdict != HOOK_BAD)
        return;
    metric_add(&client->host->stats->hook_answers_bad, 1);
    if (log_limit_pass(&limit, loop_now_ms(client->host->loop), &left_out))
        log_event(LOG_WARNING, log_name("an answer of the backend is not understood"),
                  log_text("hook", backend_hook_name(request->hook)),
                  log_text("problem", answer->problem), log_number("left_out", (int64_t)left_out));
}

bool client_hook_refuses(struct client *client, uint32_t id, const struct hook_answer *answer)
{
    switch (answer->verdict) {
    case HOOK_RESULT:
        return false;
    case HOOK_ERROR:
        client_refuse_with(client, id, answer->code, answer->text, answer->is_temporary);
        return true;
    case HOOK_DISCONNECT:
        client_disconnect_as(client, answer->code, answer->text);
        return true;
    case HOOK_BAD:
    default:
        client_refuse(client, id, CLIENT_ERROR_INTERNAL);
        return true;
    }
}

/* What is still to be known of a request when the answer is there; the texts stand behind. */
static struct client_subscribe_request *keep(const struct client_subscribe_request *requests,
                                             size_t count)
{
    struct client_subscribe_request *kept;
    size_t bytes = 1;
    char *at;

    for (size_t i = 0; i < count; i++)
        bytes += requests[i].channel.size + requests[i].epoch.size + requests[i].delta.size;
    kept = memory_allocate(count * sizeof(*kept) + bytes);
    at = (char *)(kept + count);
    for (size_t i = 0; i < count; i++) {
        kept[i] = requests[i];
        kept[i].token = kept[i].data = (struct text){NULL, 0};
        kept[i].channel = text_copy(&at, requests[i].channel);
        kept[i].epoch = text_copy(&at, requests[i].epoch);
        kept[i].delta = text_copy(&at, requests[i].delta);
    }
    return kept;
}

/* connect */

struct connect_hook {
    struct client *client;
    uint32_t id;
    struct client_connect_request request; /* its subs alone */
};

/* It may try again, within the time that it has for that. */
static void stay_out(struct client *client)
{
    client->stage = CLIENT_NEW;
    buffer_deinit(&client->held);
    loop_wait(client->host->loop, &client->expiry,
              client_settings(client)->config.handshake_timeout_ms);
}

static void let_in(struct connect_hook *hook, struct hook_answer *answer)
{
    struct client *client = hook->client;
    int64_t expires_at_s = answer->claims.expires_at_s;

    stay_out(client);
    if (client_hook_refuses(client, hook->id, answer))
        return;
    if (!answer->has_result && !client_settings(client)->allows_anonymous) {
        client_disconnect(client, CLIENT_DISCONNECT_INVALID_TOKEN);
        return;
    }
    if (expires_at_s > 0 && expires_at_s <= client_now_s()) {
        client_refuse(client, hook->id, CLIENT_ERROR_EXPIRED);
        return;
    }
    client_forget_greeting(client);
    client_hooks(client)->greeting = answer->data;
    answer->data = NULL;
    loop_cancel(client->host->loop, &client->expiry);
    client_let_in(client, hook->id, &hook->request, &answer->claims);
    answer->claims = (struct token_claims){0};
}

static void on_connect(struct hook_command *command)
{
    struct connect_hook *hook = command->owner;
    struct hook_answer answer;

    if (hook->client->session) {
        client_read_hook(hook->client, command, &answer);
        let_in(hook, &answer);
        hook_answer_deinit(&answer);
    }
    client_unref(hook->client);
    memory_free(hook->request.subs);
    memory_free(hook);
}

void client_ask_connect(struct client *client, uint32_t id,
                        const struct client_connect_request *request)
{
    struct connect_hook *hook = memory_zeroed(1, sizeof(*hook));
    struct hook_question question = client_hook_question(client, HOOK_CONNECT);

    hook->client = client_ref(client);
    hook->id = id;
    hook->request.subs = keep(request->subs, request->sub_count);
    hook->request.sub_count = request->sub_count;
    client->stage = CLIENT_CONNECTING;
    question.name = request->name;
    question.version = request->version;
    question.data = request->data;
    client_ask_backend(client, &question, on_connect, hook);
}

/* refresh */

static void refresh(struct client *client, struct hook_answer *answer)
{
    if (answer->verdict == HOOK_DISCONNECT) {
        client_disconnect_as(client, answer->code, answer->text);
        return;
    }
    if (answer->verdict != HOOK_RESULT) {
        client->expires_at_s = client_now_s() + REFRESH_AGAIN_S;
        return;
    }
    client->expires_at_s = answer->claims.expires_at_s;
    if (!answer->has_result || answer->is_expired ||
        (client->expires_at_s > 0 && client->expires_at_s <= client_now_s())) {
        client_disconnect(client, CLIENT_DISCONNECT_EXPIRED);
        return;
    }
    client_take_info(client, &answer->claims);
}

static void on_refresh(struct hook_command *command)
{
    struct client *client = command->owner;
    struct hook_answer answer;

    client->hooks->is_refreshing = false;
    if (client->session) {
        client_read_hook(client, command, &answer);
        refresh(client, &answer);
        hook_answer_deinit(&answer);
        if (client->session)
            client_await_expiry(client);
    }
    client_unref(client);
}

void client_ask_refresh(struct client *client)
{
    struct hook_question question = client_hook_question(client, HOOK_REFRESH);

    client_hooks(client)->is_refreshing = true;
    client_ask_backend(client, &question, on_refresh, client_ref(client));
}

/* subscribe */

struct subscribe_hook {
    struct client *client;
    uint32_t count; /* that of `way_in.hook` */
    struct client_subscribe_request *request;
};

/* The one that asked, unless it has been given up. */
static struct client_subscription *asking(const struct subscribe_hook *hook)
{
    struct client_subscription *subscription =
        client_subscription_find(hook->client, hook->request->channel);

    return subscription && subscription->stage == SUBSCRIPTION_ASKING &&
                   subscription->way_in->hook == hook->count
               ? subscription
               : NULL;
}

static void subscribe(const struct subscribe_hook *hook, struct client_subscription *subscription,
                      struct hook_answer *answer)
{
    struct client *client = hook->client;
    uint32_t id = subscription->way_in->id;

    if (answer->verdict == HOOK_RESULT) {
        client_subscription_allow(subscription, hook->request, answer);
        return;
    }
    client_subscription_end(subscription);
    if (session_charge(client->session)) /* who is refused all the time is told so seldom */
        client_hook_refuses(client, id, answer);
}

static void on_subscribe(struct hook_command *command)
{
    struct subscribe_hook *hook = command->owner;
    struct client_subscription *subscription = hook->client->session ? asking(hook) : NULL;
    struct hook_answer answer;

    if (subscription) {
        client_read_hook(hook->client, command, &answer);
        subscribe(hook, subscription, &answer);
        hook_answer_deinit(&answer);
    }
    client_unref(hook->client);
    memory_free(hook->request);
    memory_free(hook);
}

bool client_asks_backend(const struct client *client,
                         const struct client_subscribe_request *request)
{
    struct actor actor = client_actor(client, client_subscription_find(client, request->channel));

    actor.has_token = request->token.size > 0;
    return namespaces_asks_backend(client_settings(client)->namespaces, request->channel,
                                   CHANNEL_SUBSCRIBE, &actor);
}

void client_ask_subscribe(struct client_subscription *subscription,
                          const struct client_subscribe_request *request)
{
    struct client *client = subscription->client;
    struct subscribe_hook *hook = memory_zeroed(1, sizeof(*hook));
    struct hook_question question = client_hook_question(client, HOOK_SUBSCRIBE);

    hook->client = client_ref(client);
    hook->count = ++client_hooks(client)->count;
    hook->request = keep(request, 1);
    subscription->way_in->hook = hook->count;
    question.channel = request->channel;
    question.data = request->data;
    client_ask_backend(client, &question, on_subscribe, hook);
}

/* rpc */

struct rpc_hook {
    struct client *client;
    uint32_t id;
};

static void answer_rpc(struct client *client, uint32_t id, const struct hook_answer *answer)
{
    struct text data = {answer->data, answer->data_size};

    if (client_hook_refuses(client, id, answer))
        return;
    if (data.size > 0 && client_format(client) == CLIENT_JSON && !client_is_json(data)) {
        client_refuse(client, id, CLIENT_ERROR_INTERNAL);
        return;
    }
    client_write_rpc(client_replies(client), client_format(client), id, data);
    client_send(client);
}

static void on_rpc(struct hook_command *command)
{
    struct rpc_hook *hook = command->owner;
    struct hook_answer answer;

    hook->client->hooks->under_way--;
    if (hook->client->session) {
        client_read_hook(hook->client, command, &answer);
        answer_rpc(hook->client, hook->id, &answer);
        hook_answer_deinit(&answer);
    }
    client_unref(hook->client);
    memory_free(hook);
}

void client_rpc(struct client *client, uint32_t id, const struct client_rpc_request *request)
{
    struct hook_question question = client_hook_question(client, HOOK_RPC);
    struct rpc_hook *hook;

    if (!client_has_hook(client, HOOK_RPC)) {
        client_refuse(client, id, CLIENT_ERROR_METHOD_NOT_FOUND);
        return;
    }
    if (!client_may_ask_backend(client, id))
        return;
    hook = memory_zeroed(1, sizeof(*hook));
    hook->client = client_ref(client);
    hook->id = id;
    client->hooks->under_way++;
    question.method = request->method;
    question.data = request->data;
    client_ask_backend(client, &question, on_rpc, hook);
}
