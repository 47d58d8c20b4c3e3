/*
 * An entry is in three places: in its channel's map, in its channel's list, and in the family's
 * list of ages. Announcing moves it to the end of the last one, so that what has died is found at
 * its beginning.
 */
#include "router/presence.h"

#include <string.h>
#include <uv.h>

#include "common/memory.h"

#define ALLOCATOR_BYTES 16 /* glibc's header and rounding, on average, for one allocation */
#define SLOT_BYTES      64 /* of the map's table, for a lone entry; of many, less */

struct presence_entry {
    struct map_entry entry;
    struct list link;
    struct list age_link;
    struct presence *presence;
    uint64_t node;
    uint64_t announced_ms;
    size_t client_size;
    size_t user_size;
    size_t info_size;
    unsigned char bytes[]; /* the three, one behind the other */
};

static struct presence_entry *of_entry(struct map_entry *entry)
{
    return container_of(entry, struct presence_entry, entry);
}

static struct presence_entry *of_link(struct list *at)
{
    return container_of(at, struct presence_entry, link);
}

static uint64_t cost_of(const struct router_present *who)
{
    return sizeof(struct presence_entry) + who->client_size + who->user_size + who->info_size +
           ALLOCATOR_BYTES + SLOT_BYTES;
}

static unsigned char *append(unsigned char *to, const void *bytes, size_t size)
{
    if (size > 0)
        memcpy(to, bytes, size);
    return to + size;
}

static void add(struct presence *presence, const struct router_present *who)
{
    struct presences *family = presence->family;
    struct presence_entry *entry =
        memory_zeroed(1, sizeof(*entry) + who->client_size + who->user_size + who->info_size);
    unsigned char *end = append(entry->bytes, who->client, who->client_size);

    end = append(end, who->user, who->user_size);
    append(end, who->info, who->info_size);
    entry->client_size = who->client_size;
    entry->user_size = who->user_size;
    entry->info_size = who->info_size;
    entry->presence = presence;
    list_init(&entry->link);
    list_init(&entry->age_link);
    list_append(&presence->entries, &entry->link);
    map_insert(&presence->map, &entry->entry, (const char *)entry->bytes, entry->client_size);
    family->memory += cost_of(who);
    family->count++;
}

static void drop(struct presence_entry *entry)
{
    struct presence *presence = entry->presence;
    struct router_present who = presence_who(entry);

    presence->family->memory -= cost_of(&who);
    presence->family->count--;
    map_remove(&presence->map, &entry->entry);
    list_remove(&entry->link);
    list_remove(&entry->age_link);
    memory_free(entry);
    if (presence->map.count == 0)
        map_deinit(&presence->map); /* most channels have nobody most of the time */
}

static struct presence_entry *find(const struct presence *presence, const char *client, size_t size)
{
    struct map_entry *entry = map_find(&presence->map, client, size);

    return entry ? of_entry(entry) : NULL;
}

void presences_init(struct presences *presences, uint64_t memory_limit)
{
    *presences = (struct presences){.memory_limit = memory_limit};
    list_init(&presences->ages);
}

void presences_expire(struct presences *presences, uint64_t now_ms)
{
    while (!list_is_empty(&presences->ages)) {
        struct presence_entry *entry =
            container_of(presences->ages.next, struct presence_entry, age_link);

        if (entry->announced_ms + PRESENCE_TTL_MS > now_ms)
            return;
        drop(entry);
    }
}

void presence_init(struct presence *presence, struct presences *family)
{
    *presence = (struct presence){.family = family};
    list_init(&presence->entries);
}

void presence_deinit(struct presence *presence)
{
    presence_clear(presence);
}

bool presence_is_empty(const struct presence *presence)
{
    return presence->map.count == 0;
}

static bool is_told(const struct presence_entry *entry, const struct router_present *who)
{
    const unsigned char *user = entry->bytes + entry->client_size;

    return entry->user_size == who->user_size && entry->info_size == who->info_size &&
           (who->user_size == 0 || memcmp(user, who->user, who->user_size) == 0) &&
           (who->info_size == 0 || memcmp(user + entry->user_size, who->info, who->info_size) == 0);
}

int presence_set(struct presence *presence, const struct router_present *who, uint64_t node,
                 uint64_t now_ms)
{
    struct presences *family = presence->family;
    struct presence_entry *entry = find(presence, who->client, who->client_size);

    if (!entry || !is_told(entry, who)) {
        struct router_present before = entry ? presence_who(entry) : (struct router_present){0};

        if (family->memory - (entry ? cost_of(&before) : 0) + cost_of(who) > family->memory_limit)
            return UV_ENOBUFS;
        if (entry)
            drop(entry);
        add(presence, who);
        entry = of_link(presence->entries.previous);
    }
    entry->node = node;
    entry->announced_ms = now_ms;
    list_remove(&entry->age_link);
    list_append(&family->ages, &entry->age_link);
    return 0;
}

void presence_remove(struct presence *presence, const char *client, size_t client_size,
                     uint64_t node)
{
    struct presence_entry *entry = find(presence, client, client_size);

    if (entry && entry->node == node)
        drop(entry);
}

void presence_remove_node(struct presence *presence, uint64_t node)
{
    for (struct list *at = presence->entries.next; at != &presence->entries;) {
        struct presence_entry *entry = of_link(at);

        at = at->next;
        if (entry->node == node)
            drop(entry);
    }
}

void presence_clear(struct presence *presence)
{
    while (!list_is_empty(&presence->entries))
        drop(of_link(presence->entries.next));
}

const struct presence_entry *presence_next(const struct presence *presence,
                                           const struct presence_entry *entry)
{
    struct list *next = entry ? entry->link.next : presence->entries.next;

    return next == &presence->entries ? NULL : of_link(next);
}

struct router_present presence_who(const struct presence_entry *entry)
{
    const unsigned char *user = entry->bytes + entry->client_size;

    return (struct router_present){
        .client = (const char *)entry->bytes,
        .client_size = entry->client_size,
        .user = (const char *)user,
        .user_size = entry->user_size,
        .info = user + entry->user_size,
        .info_size = entry->info_size,
    };
}
