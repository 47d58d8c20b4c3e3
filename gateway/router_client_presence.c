/*
 * Who is on this gateway's channels, and when the routers were told last. Everybody stands in one
 * of two queues: `unannounced` for those whom the router of their channel may not know, and
 * `announced`, ordered by time. A tick takes some from the first, and from the second those that
 * are due. How many a tick may take grows with how many there are, so that a router that dies with
 * ten thousand channels does not make one burst of them, and none is late either.
 *
 * Whoever is announced to a router that does not own the channel is skipped there. Nothing is lost
 * by that: a channel that is subscribed, be it for the first time, is renewed as a whole.
 */
#include <assert.h>
#include <string.h>

#include "common/memory.h"
#include "gateway/router_client_parts.h"

#define ANNOUNCE_MS    5000
#define ANNOUNCE_SHARE 40 /* of all, in one tick: everybody is through after two seconds */
#define ANNOUNCE_LEAST 64

struct presence_channel {
    struct map_entry entry;
    struct map map; /* of presence_member, by client */
    struct list members;
    size_t name_size;
    char name[];
};

struct presence_member {
    struct map_entry entry;
    struct list link;       /* in the channel's */
    struct list queue_link; /* in `unannounced` or `announced` */
    struct presence_channel *channel;
    struct router_present who;
    uint64_t announced_ms;
};

static struct presence_member *of_link(struct list *at)
{
    return container_of(at, struct presence_member, link);
}

static struct presence_member *of_queue_link(struct list *at)
{
    return container_of(at, struct presence_member, queue_link);
}

static void append(char *to, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(to, bytes, size);
}

struct router_present client_present_copy(const struct router_present *who)
{
    char *bytes = memory_allocate(who->client_size + who->user_size + who->info_size + 1);
    char *user = bytes + who->client_size;
    char *info = user + who->user_size;

    append(bytes, who->client, who->client_size);
    append(user, who->user, who->user_size);
    append(info, who->info, who->info_size);
    return (struct router_present){.client = bytes,
                                   .client_size = who->client_size,
                                   .user = user,
                                   .user_size = who->user_size,
                                   .info = (const unsigned char *)info,
                                   .info_size = who->info_size};
}

/* Channels and members. */

static struct presence_channel *find_channel(const struct router_client *client, const char *name,
                                             size_t size)
{
    struct map_entry *entry = map_find(&client->presence, name, size);

    return entry ? container_of(entry, struct presence_channel, entry) : NULL;
}

static struct presence_channel *find_or_create_channel(struct router_client *client,
                                                       const char *name, size_t size)
{
    struct presence_channel *channel = find_channel(client, name, size);

    if (channel)
        return channel;
    channel = memory_zeroed(1, sizeof(*channel) + size + 1);
    channel->name_size = size;
    memcpy(channel->name, name, size);
    list_init(&channel->members);
    map_insert(&client->presence, &channel->entry, channel->name, size);
    return channel;
}

static struct presence_member *find_member(const struct presence_channel *channel, const char *who,
                                           size_t size)
{
    struct map_entry *entry = channel ? map_find(&channel->map, who, size) : NULL;

    return entry ? container_of(entry, struct presence_member, entry) : NULL;
}

static struct presence_member *add_member(struct router_client *client,
                                          struct presence_channel *channel,
                                          const struct router_present *who)
{
    struct presence_member *member = memory_zeroed(1, sizeof(*member));

    member->channel = channel;
    member->who = client_present_copy(who);
    list_init(&member->link);
    list_init(&member->queue_link);
    list_append(&channel->members, &member->link);
    map_insert(&channel->map, &member->entry, member->who.client, member->who.client_size);
    client->present_count++;
    return member;
}

static void drop_member(struct router_client *client, struct presence_member *member)
{
    map_remove(&member->channel->map, &member->entry);
    list_remove(&member->link);
    list_remove(&member->queue_link);
    memory_free(member->who.client);
    memory_free(member);
    client->present_count--;
}

static void drop_channel(struct router_client *client, struct presence_channel *channel)
{
    while (!list_is_empty(&channel->members))
        drop_member(client, of_link(channel->members.next));
    map_deinit(&channel->map);
    map_remove(&client->presence, &channel->entry);
    memory_free(channel);
}

/* Announcing. */

static struct router_client_link *home_of(const struct router_client *client,
                                          const struct presence_channel *channel)
{
    struct router_client_link *link = client_home(client, channel->name, channel->name_size);

    return link && (link->capabilities & ROUTER_CAN_PRESENCE) ? link : NULL;
}

static void announce(struct router_client *client, struct presence_member *member)
{
    const struct presence_channel *channel = member->channel;
    struct router_client_link *link = home_of(client, channel);

    member->announced_ms = client->now_ms;
    list_remove(&member->queue_link);
    list_append(&client->announced, &member->queue_link);
    if (link && client_has_room(client, link)) /* else it is said the next time */
        client->output->send(client->output_context, link,
                             &(struct router_frame){.kind = FRAME_PRESENCE_SET,
                                                    .channel = channel->name,
                                                    .channel_size = channel->name_size,
                                                    .presence = {++client->request, member->who}});
}

void router_client_presence_set(struct router_client *client, const char *channel,
                                size_t channel_size, const struct router_present *who)
{
    struct presence_channel *place = find_or_create_channel(client, channel, channel_size);
    struct presence_member *member = find_member(place, who->client, who->client_size);

    assert(who->client_size > 0 && who->client_size <= ROUTER_CLIENT_LIMIT &&
           who->user_size <= ROUTER_USER_LIMIT && who->info_size <= ROUTER_INFO_LIMIT);
    if (member)
        drop_member(client, member);
    announce(client, add_member(client, place, who));
}

void router_client_presence_remove(struct router_client *client, const char *channel,
                                   size_t channel_size, const char *who, size_t who_size)
{
    struct presence_channel *place = find_channel(client, channel, channel_size);
    struct presence_member *member = find_member(place, who, who_size);
    struct router_client_link *link = place ? home_of(client, place) : NULL;

    if (!member)
        return;
    if (link)
        client->output->send(client->output_context, link,
                             &(struct router_frame){.kind = FRAME_PRESENCE_REMOVE,
                                                    .channel = channel,
                                                    .channel_size = channel_size,
                                                    .presence = {.who = member->who}});
    drop_member(client, member);
    if (list_is_empty(&place->members))
        drop_channel(client, place);
}

void client_presence_renew(struct router_client *client, const char *channel, size_t channel_size)
{
    struct presence_channel *place = find_channel(client, channel, channel_size);

    if (!place)
        return;
    for (struct list *at = place->members.next; at != &place->members; at = at->next) {
        list_remove(&of_link(at)->queue_link);
        list_append(&client->unannounced, &of_link(at)->queue_link);
    }
}

void client_presence_forget(struct router_client *client, const char *channel, size_t channel_size)
{
    struct presence_channel *place = find_channel(client, channel, channel_size);

    if (place)
        drop_channel(client, place);
}

void client_presence_tick(struct router_client *client)
{
    size_t left = client->present_count / ANNOUNCE_SHARE + ANNOUNCE_LEAST;

    for (; left > 0 && !list_is_empty(&client->unannounced); left--)
        announce(client, of_queue_link(client->unannounced.next));
    for (; left > 0 && !list_is_empty(&client->announced); left--) {
        struct presence_member *member = of_queue_link(client->announced.next);

        if (client->now_ms - member->announced_ms < ANNOUNCE_MS)
            return;
        announce(client, member);
    }
}

static void drop_entry(struct map_entry *entry, void *context)
{
    drop_channel(context, container_of(entry, struct presence_channel, entry));
}

void client_presence_deinit(struct router_client *client)
{
    map_each(&client->presence, drop_entry, client);
    map_deinit(&client->presence);
}
