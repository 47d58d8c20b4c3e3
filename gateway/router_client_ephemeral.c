/*
 * Messages of the ephemeral kinds: who came and went, and what gateways tell each other. They wait
 * for nothing and are acknowledged as soon as they are on their way. A router that does not own the
 * channel says where it is, and for as long as it may do so the last few are at hand to be sent
 * there; whatever else goes wrong loses them.
 */
#include <uv.h>

#include "common/memory.h"
#include "gateway/router_client_parts.h"

#define AT_HAND_MS    1000
#define AT_HAND_BYTES ((size_t)1024 * 1024)
#define MOVE_LIMIT    4

struct said {
    struct list link;
    struct message *message;
    uint64_t said_ms;
    unsigned moves;
};

static struct said *of_link(struct list *at)
{
    return container_of(at, struct said, link);
}

static size_t cost_of(const struct message *message)
{
    return sizeof(struct said) + sizeof(*message) + message_content_size(message);
}

static void forget(struct router_client *client, struct said *said)
{
    client->said_bytes -= cost_of(said->message);
    list_remove(&said->link);
    message_unref(said->message);
    memory_free(said);
}

static void send_to(struct router_client *client, struct router_client_link *link,
                    struct message *message)
{
    bool insists =
        client_links_lack_better(&client->links, link, message->channel, message->channel_size);

    client_send(client, link,
                &(struct router_frame){.kind = FRAME_PUBLISH,
                                       .publish = {.message = message, .insist = insists}});
}

static void keep_at_hand(struct router_client *client, struct message *message)
{
    struct said *said = memory_zeroed(1, sizeof(*said));

    said->message = message_ref(message);
    said->said_ms = client->now_ms;
    list_init(&said->link);
    list_append(&client->said, &said->link);
    client->said_bytes += cost_of(message);
    while (client->said_bytes > AT_HAND_BYTES)
        forget(client, of_link(client->said.next));
}

/* Where the channel is, by all we know. */
static struct router_client_link *home_of(struct router_client *client,
                                          const struct message *message)
{
    const struct route *route = client_route_find(client, message->channel, message->channel_size);

    return route && route->target
               ? route->target
               : client_links_best(&client->links, message->channel, message->channel_size);
}

/* 0, or why it cannot be sent. */
static int check(const struct router_client *client, const struct router_client_link *link,
                 const struct message *message)
{
    if (!link)
        return UV_ENOTCONN;
    if (!(link->capabilities & ROUTER_CAN_EPHEMERAL))
        return UV_ENOTSUP;
    if (link->message_limit > 0 && message->data_size > link->message_limit)
        return UV_EMSGSIZE;
    return client_has_room(client, link) ? 0 : UV_ENOBUFS;
}

void client_ephemeral_publish(struct router_client *client, struct bus_publish *publish)
{
    struct message *message = publish->message;
    struct router_client_link *link = home_of(client, message);
    int error = check(client, link, message);

    if (error) {
        metric_add(&client->stats->refused, 1);
    } else {
        message->publisher = client->node;
        message->sequence = ++*client->sequence;
        send_to(client, link, message);
        keep_at_hand(client, message);
    }
    publish->published(publish, error);
}

static struct said *find(struct router_client *client, uint64_t sequence)
{
    for (struct list *at = client->said.next; at != &client->said; at = at->next) {
        if (of_link(at)->message->sequence == sequence)
            return of_link(at);
    }
    return NULL;
}

bool client_ephemeral_refused(struct router_client *client, const struct router_frame *frame)
{
    struct said *said = find(client, frame->refused.sequence);
    struct router_client_link *link;

    if (!said)
        return false;
    link = client_links_find(&client->links, frame->refused.node);
    if (frame->refused.reason == REASON_MOVED && link && said->moves++ < MOVE_LIMIT &&
        check(client, link, said->message) == 0)
        send_to(client, link, said->message);
    else
        forget(client, said);
    return true;
}

void client_ephemeral_tick(struct router_client *client)
{
    while (!list_is_empty(&client->said) &&
           client->now_ms - of_link(client->said.next)->said_ms >= AT_HAND_MS)
        forget(client, of_link(client->said.next));
}

void client_ephemeral_deinit(struct router_client *client)
{
    while (!list_is_empty(&client->said))
        forget(client, of_link(client->said.next));
}
