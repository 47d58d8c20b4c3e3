#include "gateway/bus_router_asks.h"

#include <uv.h>

#include "common/memory.h"

/* NOLINTNEXTLINE(misc-redundant-expression): equal as they are, until one of them changes */
_Static_assert(BUS_KEY_WINDOW_MS == ROUTER_KEY_WINDOW_MS, "what a bus promises, routers keep");
_Static_assert(BUS_CLIENT_LIMIT == ROUTER_CLIENT_LIMIT && BUS_USER_LIMIT == ROUTER_USER_LIMIT &&
                   BUS_INFO_LIMIT == ROUTER_INFO_LIMIT,
               "what a bus takes, routers take");

struct question {
    struct router_ask router_ask;
    struct bus_ask *ask;
};

static const struct bus_answer nothing;

/* Asks. */

static struct text text_at(const void *data, size_t size)
{
    return (struct text){data, size};
}

static void on_answered(struct router_ask *router_ask, int error,
                        const struct router_answer *router_answer)
{
    struct question *question = container_of(router_ask, struct question, router_ask);
    struct bus_answer answer = {
        .present_count = router_answer->present_count,
        .offset = router_answer->offset,
        .fork = router_answer->fork,
        .is_lost = router_answer->is_lost,
        .messages = router_answer->messages,
        .message_count = router_answer->message_count,
    };
    struct bus_present *present = memory_zeroed(answer.present_count + 1, sizeof(*present));

    for (size_t i = 0; i < answer.present_count; i++) {
        const struct router_present *who = &router_answer->present[i];

        present[i].client = text_at(who->client, who->client_size);
        present[i].user = text_at(who->user, who->user_size);
        present[i].info = text_at(who->info, who->info_size);
    }
    answer.present = present;
    /* A router gives every channel an epoch from the beginning. */
    if (answer.offset > 0 || question->ask->begins)
        epoch_copy(answer.epoch, router_answer->epoch);
    epoch_copy(answer.previous, router_answer->previous);
    question->ask->answered(question->ask, error, &answer);
    memory_free(present);
    memory_free(question);
}

static struct router_ask *question_of(struct bus_ask *ask)
{
    struct question *question = memory_zeroed(1, sizeof(*question));

    question->ask = ask;
    question->router_ask.channel = ask->channel;
    question->router_ask.channel_size = ask->channel_size;
    question->router_ask.answered = on_answered;
    return &question->router_ask;
}

/* What `own` of a refused ask points at. */
static const int is_away = UV_ENOTCONN;

static bool refuse(struct router_asks *asks, struct bus_ask *ask, const int *error)
{
    ask->own = (void *)error;
    list_init(&ask->link);
    list_append(&asks->refused, &ask->link);
    return true;
}

bool router_asks_history(struct router_asks *asks, struct router_client *client,
                         struct bus_ask *ask)
{
    struct router_ask *router_ask;

    if (!client)
        return refuse(asks, ask, &is_away);
    router_ask = question_of(ask);
    epoch_copy(router_ask->epoch, ask->epoch);
    router_ask->offset = ask->offset;
    router_ask->limit = ask->limit < BUS_PAGE_LIMIT ? ask->limit : BUS_PAGE_LIMIT;
    router_ask->is_reverse = ask->is_reverse;
    router_client_history_ask(client, router_ask);
    return false;
}

bool router_asks_forget(struct router_asks *asks, struct router_client *client, struct bus_ask *ask)
{
    if (!client)
        return refuse(asks, ask, &is_away);
    router_client_history_forget(client, question_of(ask));
    return false;
}

bool router_asks_presence(struct router_asks *asks, struct router_client *client,
                          struct bus_ask *ask)
{
    if (!client)
        return refuse(asks, ask, &is_away);
    router_client_presence_ask(client, question_of(ask));
    return false;
}

void router_asks_tell(struct router_asks *asks)
{
    struct list all;

    /* Whoever asks again from inside an answer is told another time. */
    list_init(&all);
    list_append_all(&all, &asks->refused);
    while (!list_is_empty(&all)) {
        struct bus_ask *ask = container_of(all.next, struct bus_ask, link);
        const int *error = ask->own;

        list_remove(&ask->link);
        ask->answered(ask, *error, &nothing);
    }
}

/* Presence. */

static void set(struct router_client *client, const char *channel, size_t channel_size,
                const struct bus_present *who)
{
    router_client_presence_set(client, channel, channel_size,
                               &(struct router_present){
                                   .client = who->client.data,
                                   .client_size = who->client.size,
                                   .user = who->user.data,
                                   .user_size = who->user.size,
                                   .info = (const unsigned char *)who->info.data,
                                   .info_size = who->info.size,
                               });
}

void router_asks_set(struct router_asks *asks, struct router_client *client, const char *channel,
                     size_t channel_size, const struct bus_present *who)
{
    if (client)
        set(client, channel, channel_size, who);
    else
        bus_presences_set(&asks->early, channel, channel_size, who);
}

void router_asks_remove(struct router_asks *asks, struct router_client *client, const char *channel,
                        size_t channel_size, struct text client_id)
{
    if (client)
        router_client_presence_remove(client, channel, channel_size, client_id.data,
                                      client_id.size);
    else
        bus_presences_remove(&asks->early, channel, channel_size, client_id);
}

void router_asks_hand_over(struct router_asks *asks, struct router_client *client,
                           const char *channel, size_t channel_size)
{
    size_t count;
    struct bus_present *list = bus_presences_list(&asks->early, channel, channel_size, &count);

    for (size_t i = 0; i < count; i++)
        set(client, channel, channel_size, &list[i]);
    memory_free(list);
    bus_presences_forget(&asks->early, channel, channel_size);
}

void router_asks_init(struct router_asks *asks)
{
    list_init(&asks->refused);
    bus_presences_init(&asks->early);
}

void router_asks_deinit(struct router_asks *asks)
{
    router_asks_tell(asks);
    bus_presences_deinit(&asks->early);
}
