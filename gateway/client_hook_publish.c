/*
 * Publishes that the application's backend has to allow. It is asked about several at once, and may
 * answer in any order; each still goes out when those that the client sent before it on the same
 * channel have gone out or been refused. The backend itself may see them in any order, since they
 * come to it on several connections.
 */
#include "gateway/client_inside.h"
#include "gateway/site.h"

struct publish_hook {
    struct list link;
    struct client *client;
    uint32_t id;
    bool is_answered;
    struct hook_answer answer;
    struct client_publish_request request; /* its texts stand behind */
    char bytes[];
};

static struct publish_hook *of_link(struct list *link)
{
    return container_of(link, struct publish_hook, link);
}

bool client_publish_waits(const struct client *client, struct text channel)
{
    struct list *publishes = client->hooks ? &client->hooks->publishes : NULL;

    for (struct list *link = publishes ? publishes->next : NULL; link != publishes;
         link = link->next) {
        if (text_equals(of_link(link)->request.channel, channel))
            return true;
    }
    return false;
}

static bool is_first(const struct publish_hook *hook)
{
    const struct list *publishes = &hook->client->hooks->publishes;

    for (struct list *link = hook->link.previous; link != publishes; link = link->previous) {
        if (text_equals(of_link(link)->request.channel, hook->request.channel))
            return false;
    }
    return true;
}

/* What may have changed while the backend was asked. 0 or an error for the client. */
static int check(const struct client *client, const struct client_publish_request *request)
{
    const struct channel_rules *rules =
        namespaces_find(client_settings(client)->namespaces, request->channel);

    if (!rules)
        return CLIENT_ERROR_UNKNOWN_CHANNEL;
    if (request->data.size > rules->message_size)
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    return atomic_load(&client->host->status->is_bus_up) ? 0 : CLIENT_ERROR_AWAY;
}

static void go(struct publish_hook *hook)
{
    struct client *client = hook->client;
    int error;

    if (client_hook_refuses(client, hook->id, &hook->answer))
        return;
    if (hook->answer.data_size > 0)
        hook->request.data = (struct text){hook->answer.data, hook->answer.data_size};
    error = check(client, &hook->request);
    if (error)
        client_refuse(client, hook->id, (enum client_error)error);
    else
        client_publish_now(client, client_subscription_find(client, hook->request.channel),
                           hook->id, &hook->request, &hook->answer);
}

static void end(struct publish_hook *hook)
{
    list_remove(&hook->link);
    hook->client->hooks->under_way--;
    if (hook->client->session)
        go(hook);
    hook_answer_deinit(&hook->answer);
    client_unref(hook->client);
    memory_free(hook);
}

static void go_on(struct client *client)
{
    struct list *publishes = &client->hooks->publishes;
    struct list *next;

    for (struct list *link = publishes->next; link != publishes; link = next) {
        struct publish_hook *hook = of_link(link);

        next = link->next;
        if (hook->is_answered && is_first(hook))
            end(hook);
    }
}

static void on_publish(struct hook_command *command)
{
    struct publish_hook *hook = command->owner;
    struct client *client = client_ref(hook->client);

    hook->is_answered = true;
    if (client->session)
        client_read_hook(client, command, &hook->answer);
    go_on(client);
    client_unref(client);
}

void client_ask_publish(struct client *client, uint32_t id,
                        const struct client_publish_request *request)
{
    size_t bytes = request->channel.size + request->data.size + request->idempotency_key.size;
    struct hook_question question = client_hook_question(client, HOOK_PUBLISH);
    struct publish_hook *hook;
    char *at;

    if (!client_may_ask_backend(client, id))
        return;
    hook = memory_zeroed(1, sizeof(*hook) + bytes);
    at = hook->bytes;
    hook->client = client_ref(client);
    hook->id = id;
    hook->request.channel = text_copy(&at, request->channel);
    hook->request.data = text_copy(&at, request->data);
    hook->request.idempotency_key = text_copy(&at, request->idempotency_key);
    list_append(&client->hooks->publishes, &hook->link);
    client->hooks->under_way++;
    question.channel = request->channel;
    question.data = request->data;
    client_ask_backend(client, &question, on_publish, hook);
}
