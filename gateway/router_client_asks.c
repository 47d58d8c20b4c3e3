/*
 * An ask goes to one router at a time: the best placed one, or the one that it is sent on to. What
 * has come of an answer is thrown away when that router goes, and the next one is asked. It need
 * not know the route of its channel, if there is one: who is asked for a channel that has moved
 * says where it is.
 */
#include <string.h>
#include <uv.h>

#include "common/memory.h"
#include "gateway/router_client_parts.h"

#define ANSWER_LIMIT_MS 5000
#define ASK_MOVE_LIMIT  4   /* times that an ask is sent on at once */
#define ASK_PAUSE_MS    100 /* after that, and where a router has no room */

static struct router_ask *of_link(struct list *at)
{
    return container_of(at, struct router_ask, link);
}

/* Answers. */

static void release(struct router_answer *answer)
{
    for (size_t i = 0; i < answer->present_count; i++)
        memory_free(answer->present[i].client);
    for (size_t i = 0; i < answer->message_count; i++)
        message_unref(answer->messages[i]);
    memory_free(answer->present);
    memory_free(answer->messages);
    *answer = (struct router_answer){0};
}

static void finish(struct router_ask *ask, int error)
{
    struct router_answer answer;

    list_remove(&ask->link);
    if (error)
        release(&ask->answer);
    answer = ask->answer;
    ask->answered(ask, error, &answer); /* it may be gone now */
    release(&answer);
}

static void add_present(struct router_answer *answer, const struct router_frame *frame)
{
    size_t count = frame->presence_list.count;

    answer->present = memory_resize(answer->present,
                                    (answer->present_count + count + 1) * sizeof(*answer->present));
    for (size_t i = 0; i < count; i++)
        answer->present[answer->present_count++] =
            client_present_copy(&frame->presence_list.items[i]);
}

static void add_messages(struct router_answer *answer, const struct router_frame *frame)
{
    size_t count = frame->history.count;

    epoch_copy(answer->epoch, frame->history.epoch);
    answer->offset = frame->history.offset;
    epoch_copy(answer->previous, frame->history.previous ? frame->history.previous : "");
    answer->fork = frame->history.fork;
    answer->is_lost = frame->history.outcome == OUTCOME_LOST;
    answer->messages = memory_resize(answer->messages, (answer->message_count + count + 1) *
                                                           sizeof(struct message *));
    for (size_t i = 0; i < count; i++) {
        struct message *message = message_ref(frame->history.messages[i]);

        /* It may have been written under the epoch before. */
        epoch_copy(message->epoch, answer->epoch);
        answer->messages[answer->message_count++] = message;
    }
}

/* Asking. */

static void put_off(struct router_ask *ask, uint64_t retry_ms)
{
    release(&ask->answer);
    ask->target = NULL;
    ask->retry_ms = retry_ms;
}

static bool can_answer(const struct router_client_link *link, const struct router_ask *ask)
{
    switch (ask->kind) {
    case FRAME_PRESENCE_ASK:
        return (link->capabilities & ROUTER_CAN_PRESENCE) != 0;
    case FRAME_HISTORY_FORGET:
        return (link->capabilities & ROUTER_CAN_FORGET) != 0;
    default:
        return (link->capabilities & ROUTER_CAN_HISTORY) != 0;
    }
}

/* Asks `link`, which can answer; insists where a better one cannot be reached, or routers send it
 * round in circles. The request is a new one: of an earlier one answers may be on
 * their way. */
static void send_to(struct router_client *client, struct router_ask *ask,
                    struct router_client_link *link)
{
    bool insists = ask->moves > ASK_MOVE_LIMIT ||
                   client_links_lack_better(&client->links, link, ask->channel, ask->channel_size);
    struct router_frame frame = {
        .kind = ask->kind, .channel = ask->channel, .channel_size = ask->channel_size};

    release(&ask->answer);
    ask->target = link;
    ask->request = ++client->request;
    if (ask->kind != FRAME_HISTORY_ASK) {
        frame.presence_ask.request = ask->request;
        frame.presence_ask.insist = insists;
    } else {
        frame.history_ask.request = ask->request;
        frame.history_ask.epoch = ask->epoch;
        frame.history_ask.offset = ask->offset;
        frame.history_ask.limit = ask->limit;
        frame.history_ask.is_reverse = ask->is_reverse;
        frame.history_ask.insist = insists;
    }
    client->output->send(client->output_context, link, &frame);
}

/* Asks `link`, or leaves it to the next tick to tell that it cannot be asked. */
static void lead(struct router_client *client, struct router_ask *ask,
                 struct router_client_link *link)
{
    if (link && can_answer(link, ask))
        send_to(client, ask, link);
    else
        put_off(ask, client->now_ms);
}

static void begin(struct router_client *client, struct router_ask *ask, enum router_frame_kind kind)
{
    ask->kind = kind;
    ask->request = 0;
    ask->moves = 0;
    ask->deadline_ms = client->now_ms + ANSWER_LIMIT_MS;
    ask->answer = (struct router_answer){0};
    list_init(&ask->link);
    list_append(&client->asks, &ask->link);
    lead(client, ask, client_links_best(&client->links, ask->channel, ask->channel_size));
}

void router_client_presence_ask(struct router_client *client, struct router_ask *ask)
{
    begin(client, ask, FRAME_PRESENCE_ASK);
}

void router_client_history_ask(struct router_client *client, struct router_ask *ask)
{
    begin(client, ask, FRAME_HISTORY_ASK);
}

void router_client_history_forget(struct router_client *client, struct router_ask *ask)
{
    begin(client, ask, FRAME_HISTORY_FORGET);
}

/* What comes. */

static struct router_ask *find(struct router_client *client, const struct router_client_link *link,
                               uint64_t request)
{
    for (struct list *at = client->asks.next; at != &client->asks; at = at->next) {
        if (of_link(at)->request == request && of_link(at)->target == link)
            return of_link(at);
    }
    return NULL;
}

static void receive_refusal(struct router_client *client, struct router_ask *ask,
                            const struct router_frame *frame)
{
    struct router_client_link *link;

    switch (frame->refused.reason) {
    case REASON_MOVED:
        link = client_links_find(&client->links, frame->refused.node);
        if (!link)
            link = client_links_best(&client->links, ask->channel, ask->channel_size);
        if (ask->moves++ < ASK_MOVE_LIMIT)
            lead(client, ask, link);
        else
            put_off(ask, client->now_ms + ASK_PAUSE_MS);
        return;
    case REASON_INVALID:
        finish(ask, UV_EPROTO);
        return;
    case REASON_GAP:
    case REASON_BUSY:
        put_off(ask, client->now_ms + ASK_PAUSE_MS);
        return;
    }
}

bool client_asks_receive(struct router_client *client, struct router_client_link *link,
                         const struct router_frame *frame)
{
    struct router_ask *ask;

    switch (frame->kind) {
    case FRAME_PRESENCE_LIST:
        ask = find(client, link, frame->presence_list.request);
        if (!ask || ask->kind != FRAME_PRESENCE_ASK)
            return true;
        add_present(&ask->answer, frame);
        if (!frame->presence_list.has_more)
            finish(ask, 0);
        return true;
    case FRAME_HISTORY:
        ask = find(client, link, frame->history.request);
        if (!ask || ask->kind != FRAME_HISTORY_ASK)
            return true;
        add_messages(&ask->answer, frame);
        if (!frame->history.has_more)
            finish(ask, 0);
        return true;
    case FRAME_HISTORY_FORGOTTEN:
        ask = find(client, link, frame->history_forgotten.request);
        if (ask && ask->kind == FRAME_HISTORY_FORGET)
            finish(ask, 0);
        return true;
    case FRAME_REFUSED:
        if (frame->refused.request == 0)
            return false;
        ask = find(client, link, frame->refused.request);
        if (ask) /* else an announcement's: it will be made again */
            receive_refusal(client, ask, frame);
        return true;
    default:
        return false;
    }
}

void client_asks_link_down(struct router_client *client, const struct router_client_link *link)
{
    for (struct list *at = client->asks.next; at != &client->asks; at = at->next) {
        struct router_ask *ask = of_link(at);

        if (ask->target == link)
            lead(client, ask, client_links_best(&client->links, ask->channel, ask->channel_size));
    }
}

/* Time. */

static void look_at(struct router_client *client, struct router_ask *ask)
{
    struct router_client_link *link;

    if (client->now_ms >= ask->deadline_ms) {
        finish(ask, UV_ETIMEDOUT);
        return;
    }
    if (ask->target || client->now_ms < ask->retry_ms)
        return;
    link = client_links_best(&client->links, ask->channel, ask->channel_size);
    if (!link)
        finish(ask, UV_ENOTCONN);
    else if (!can_answer(link, ask))
        finish(ask, UV_ENOTSUP);
    else
        send_to(client, ask, link);
}

void client_asks_tick(struct router_client *client)
{
    struct list waiting;

    /* Each one once, whatever the asker does when it is answered. */
    list_init(&waiting);
    list_append_all(&waiting, &client->asks);
    while (!list_is_empty(&waiting)) {
        struct router_ask *ask = of_link(waiting.next);

        list_remove(&ask->link);
        list_append(&client->asks, &ask->link);
        look_at(client, ask);
    }
}

void client_asks_deinit(struct router_client *client)
{
    while (!list_is_empty(&client->asks))
        finish(of_link(client->asks.next), UV_ECANCELED);
}
