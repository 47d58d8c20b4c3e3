/* A member never changes: who is there with another `info` is another member in the same place. */
#include "gateway/bus_presence.h"

#include <string.h>

#include "common/memory.h"

static struct bus_presence_member *of_link(struct list *link)
{
    return container_of(link, struct bus_presence_member, link);
}

struct bus_presence_channel *bus_presences_find(const struct bus_presences *presences,
                                                const char *channel, size_t channel_size)
{
    struct map_entry *entry = map_find(&presences->channels, channel, channel_size);

    return entry ? container_of(entry, struct bus_presence_channel, entry) : NULL;
}

static struct bus_presence_channel *find_or_create(struct bus_presences *presences,
                                                   const char *name, size_t size)
{
    struct bus_presence_channel *channel = bus_presences_find(presences, name, size);

    if (channel)
        return channel;
    channel = memory_zeroed(1, sizeof(*channel) + size + 1);
    memcpy(channel->name, name, size);
    channel->name_size = size;
    list_init(&channel->members);
    map_insert(&presences->channels, &channel->entry, channel->name, size);
    return channel;
}

static struct bus_presence_member *find_member(const struct bus_presence_channel *channel,
                                               struct text client)
{
    struct map_entry *entry = channel ? map_find(&channel->map, client.data, client.size) : NULL;

    return entry ? container_of(entry, struct bus_presence_member, entry) : NULL;
}

static char *put(char *at, struct text text)
{
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

/* Puts `link` in front of all others. */
static void prepend(struct list *list, struct list *link)
{
    list_append(list->next, link);
}

static void add_member(struct bus_presences *presences, struct bus_presence_channel *channel,
                       const struct bus_present *who)
{
    struct bus_presence_member *member =
        memory_allocate(sizeof(*member) + who->client.size + who->user.size + who->info.size);

    *member = (struct bus_presence_member){
        .channel = channel,
        .user_size = (uint32_t)who->user.size,
        .info_size = (uint32_t)who->info.size,
    };
    put(put(put(member->bytes, who->client), who->user), who->info);
    map_insert(&channel->map, &member->entry, member->bytes, who->client.size);
    list_init(&member->link);
    prepend(&channel->members, &member->link);
    list_init(&member->due_link);
    prepend(&presences->due, &member->due_link);
    presences->count++;
}

static void drop_member(struct bus_presences *presences, struct bus_presence_member *member)
{
    map_remove(&member->channel->map, &member->entry);
    list_remove(&member->link);
    list_remove(&member->due_link);
    memory_free(member);
    presences->count--;
}

static void drop_channel(struct bus_presences *presences, struct bus_presence_channel *channel)
{
    while (!list_is_empty(&channel->members))
        drop_member(presences, of_link(channel->members.next));
    map_deinit(&channel->map);
    map_remove(&presences->channels, &channel->entry);
    memory_free(channel);
}

void bus_presences_init(struct bus_presences *presences)
{
    *presences = (struct bus_presences){0};
    list_init(&presences->due);
}

static void drop_visited(struct map_entry *entry, void *context)
{
    drop_channel(context, container_of(entry, struct bus_presence_channel, entry));
}

void bus_presences_deinit(struct bus_presences *presences)
{
    map_each(&presences->channels, drop_visited, presences);
    map_deinit(&presences->channels);
}

void bus_presences_set(struct bus_presences *presences, const char *channel, size_t channel_size,
                       const struct bus_present *who)
{
    struct bus_presence_channel *place = find_or_create(presences, channel, channel_size);
    struct bus_presence_member *before = find_member(place, who->client);

    if (before)
        drop_member(presences, before);
    add_member(presences, place, who);
}

bool bus_presences_remove(struct bus_presences *presences, const char *channel, size_t channel_size,
                          struct text client)
{
    struct bus_presence_channel *place = bus_presences_find(presences, channel, channel_size);
    struct bus_presence_member *member = find_member(place, client);

    if (!member)
        return false;
    drop_member(presences, member);
    if (list_is_empty(&place->members))
        drop_channel(presences, place);
    return true;
}

void bus_presences_forget(struct bus_presences *presences, const char *channel, size_t channel_size)
{
    struct bus_presence_channel *place = bus_presences_find(presences, channel, channel_size);

    if (place)
        drop_channel(presences, place);
}

struct bus_present bus_presence_who(const struct bus_presence_member *member)
{
    const char *user = member->bytes + member->entry.key_size;

    return (struct bus_present){
        .client = {member->bytes, member->entry.key_size},
        .user = {user, member->user_size},
        .info = {user + member->user_size, member->info_size},
    };
}

struct bus_present *bus_presences_list(const struct bus_presences *presences, const char *channel,
                                       size_t channel_size, size_t *count)
{
    const struct bus_presence_channel *place = bus_presences_find(presences, channel, channel_size);
    struct bus_present *list;

    *count = 0;
    if (!place)
        return NULL;
    list = memory_allocate(place->map.count * sizeof(*list));
    for (struct list *at = place->members.next; at != &place->members; at = at->next)
        list[(*count)++] = bus_presence_who(of_link(at));
    return list;
}

void bus_presence_announced(struct bus_presences *presences, struct bus_presence_member *member,
                            uint64_t now_ms)
{
    member->announced_ms = now_ms;
    list_remove(&member->link);
    list_append(&member->channel->members, &member->link);
    list_remove(&member->due_link);
    list_append(&presences->due, &member->due_link);
}

void bus_presences_renew(struct bus_presences *presences)
{
    for (struct list *at = presences->due.next; at != &presences->due; at = at->next)
        container_of(at, struct bus_presence_member, due_link)->announced_ms = 0;
}
