#include "gateway/clients.h"

#include <string.h>

#include "common/memory.h"

struct client_user {
    struct map_entry entry;
    struct list places;
    size_t name_size;
    char name[];
};

void clients_init(struct clients *clients)
{
    *clients = (struct clients){.by_id = {0}};
    list_init(&clients->held);
    list_init(&clients->replying);
}

void clients_deinit(struct clients *clients)
{
    map_deinit(&clients->by_id);
    map_deinit(&clients->by_user);
    map_deinit(&clients->by_session);
}

static struct client_user *find_user(const struct clients *clients, struct text name)
{
    struct map_entry *entry = map_find(&clients->by_user, name.data, name.size);

    return entry ? container_of(entry, struct client_user, entry) : NULL;
}

static struct client_user *find_or_add_user(struct clients *clients, struct text name)
{
    struct client_user *user = find_user(clients, name);

    if (user)
        return user;
    user = memory_zeroed(1, sizeof(*user) + name.size + 1);
    list_init(&user->places);
    user->name_size = name.size;
    if (name.size > 0)
        memcpy(user->name, name.data, name.size);
    map_insert(&clients->by_user, &user->entry, user->name, name.size);
    return user;
}

void clients_add(struct clients *clients, struct client_place *place, struct text id,
                 struct text user)
{
    map_insert(&clients->by_id, &place->by_id, id.data, id.size);
    place->user = find_or_add_user(clients, user);
    list_init(&place->user_link);
    list_append(&place->user->places, &place->user_link);
}

void clients_remove(struct clients *clients, struct client_place *place)
{
    struct client_user *user = place->user;

    if (!user)
        return;
    map_remove(&clients->by_id, &place->by_id);
    list_remove(&place->user_link);
    place->user = NULL;
    if (!list_is_empty(&user->places))
        return;
    map_remove(&clients->by_user, &user->entry);
    memory_free(user);
}

struct client_place *clients_find(const struct clients *clients, struct text id)
{
    struct map_entry *entry = map_find(&clients->by_id, id.data, id.size);

    return entry ? container_of(entry, struct client_place, by_id) : NULL;
}

void clients_each_of_user(const struct clients *clients, struct text name,
                          void (*visit)(struct client_place *place, void *context), void *context)
{
    struct client_user *user = find_user(clients, name);
    struct list *link, *next;

    if (!user)
        return;
    for (link = user->places.next; link != &user->places; link = next) {
        bool is_last = link->next == &user->places;

        next = link->next;
        visit(container_of(link, struct client_place, user_link), context);
        if (is_last)
            return; /* the user may have gone with it */
    }
}

size_t clients_count(const struct clients *clients)
{
    return clients->by_id.count;
}

size_t clients_user_count(const struct clients *clients)
{
    return clients->by_user.count;
}
