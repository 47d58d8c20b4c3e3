#include "common/map.h"

#include <string.h>

#include "common/hash.h"
#include "common/memory.h"

#define LEAST_SLOTS 8

void map_deinit(struct map *map)
{
    memory_free(map->slots);
    *map = (struct map){0};
}

static struct map_entry **slot_of(const struct map *map, uint32_t hash)
{
    return &map->slots[hash & (map->slot_count - 1)];
}

static void resize(struct map *map, size_t slot_count)
{
    struct map old = *map;

    map->slots = memory_zeroed(slot_count, sizeof(*map->slots));
    map->slot_count = slot_count;
    for (size_t i = 0; i < old.slot_count; i++) {
        for (struct map_entry *entry = old.slots[i], *next; entry; entry = next) {
            struct map_entry **slot = slot_of(map, entry->hash);

            next = entry->next;
            entry->next = *slot;
            *slot = entry;
        }
    }
    memory_free(old.slots);
}

struct map_entry *map_find(const struct map *map, const char *key, size_t key_size)
{
    if (map->count == 0)
        return NULL;

    uint32_t hash = (uint32_t)hash_keyed(key, key_size);

    for (struct map_entry *entry = *slot_of(map, hash); entry; entry = entry->next) {
        if (entry->hash == hash && entry->key_size == key_size &&
            memcmp(entry->key, key, key_size) == 0)
            return entry;
    }
    return NULL;
}

void map_insert(struct map *map, struct map_entry *entry, const char *key, size_t key_size)
{
    if (map->count == map->slot_count)
        resize(map, map->slot_count ? map->slot_count * 2 : LEAST_SLOTS);
    entry->key = key;
    entry->key_size = (uint32_t)key_size;
    entry->hash = (uint32_t)hash_keyed(key, key_size);

    struct map_entry **slot = slot_of(map, entry->hash);

    entry->next = *slot;
    *slot = entry;
    map->count++;
}

void map_remove(struct map *map, struct map_entry *entry)
{
    struct map_entry **link = slot_of(map, entry->hash);

    while (*link != entry)
        link = &(*link)->next;
    *link = entry->next;
    map->count--;
    if (map->slot_count > LEAST_SLOTS && map->count < map->slot_count / 8)
        resize(map, map->slot_count / 2);
}

void map_each(struct map *map, void (*visit)(struct map_entry *entry, void *context), void *context)
{
    if (map->count == 0)
        return;

    /* The entries are gathered first, since removing may move the table. */
    struct map_entry **entries = memory_allocate(map->count * sizeof(struct map_entry *));
    size_t count = 0;

    for (size_t i = 0; i < map->slot_count; i++) {
        for (struct map_entry *entry = map->slots[i]; entry; entry = entry->next)
            entries[count++] = entry;
    }
    for (size_t i = 0; i < count; i++)
        visit(entries[i], context);
    memory_free(entries);
}

void map_look(const struct map *map, size_t first, size_t count,
              void (*visit)(struct map_entry *entry, void *context), void *context)
{
    for (size_t i = first; i < map->slot_count && i - first < count; i++) {
        for (struct map_entry *entry = map->slots[i]; entry; entry = entry->next)
            visit(entry, context);
    }
}
