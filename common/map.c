/*
 * A large table is not moved in one step: with a million entries that would be a fifth of a second
 * in which nobody is served. The entries stay in the old table, and each insertion and each removal
 * takes some slots of it over, from the first one on; a table that becomes smaller has more empty
 * ones. Until then who looks for something looks into both. There is no next move before this one
 * has ended, which by these numbers is long before it would be due.
 */
#include "common/map.h"

#include <string.h>

#include "common/hash.h"
#include "common/memory.h"

#define LEAST_SLOTS    8
#define LARGE_SLOTS    1024 /* tables from here on are moved bit by bit */
#define GROWING_STEP   8    /* slots that one insertion or removal takes over */
#define SHRINKING_STEP 64

struct map_move {
    struct map_entry **slots; /* of the old table */
    size_t slot_count;
    size_t moved; /* so many are empty */
};

void map_deinit(struct map *map)
{
    if (map->move)
        memory_free(map->move->slots);
    memory_free(map->move);
    memory_free(map->slots);
    *map = (struct map){0};
}

static struct map_entry **slot_of(const struct map *map, uint32_t hash)
{
    return &map->slots[hash & (map->slot_count - 1)];
}

/* The slot where an entry with this hash is, if it has not been taken over; else NULL. */
static struct map_entry **old_slot_of(const struct map *map, uint32_t hash)
{
    const struct map_move *move = map->move;
    size_t slot = move ? hash & (move->slot_count - 1) : 0;

    return move && slot >= move->moved ? &move->slots[slot] : NULL;
}

static void take_over(struct map *map, struct map_entry *chain)
{
    while (chain) {
        struct map_entry *entry = chain;
        struct map_entry **slot = slot_of(map, entry->hash);

        chain = entry->next;
        entry->next = *slot;
        *slot = entry;
    }
}

static void go_on_moving(struct map *map)
{
    struct map_move *move = map->move;
    size_t step;

    if (!move)
        return;
    step = move->slot_count < map->slot_count ? GROWING_STEP : SHRINKING_STEP;
    for (; step > 0 && move->moved < move->slot_count; step--)
        take_over(map, move->slots[move->moved++]);
    if (move->moved < move->slot_count)
        return;
    memory_free(move->slots);
    memory_free(move);
    map->move = NULL;
}

static void resize(struct map *map, size_t slot_count)
{
    struct map old = *map;

    if (map->move)
        return; /* it comes again with the next insertion or removal */
    map->slots = memory_zeroed(slot_count, sizeof(*map->slots));
    map->slot_count = slot_count;
    if (old.slot_count >= LARGE_SLOTS) {
        map->move = memory_allocate(sizeof(*map->move));
        *map->move = (struct map_move){.slots = old.slots, .slot_count = old.slot_count};
        return;
    }
    for (size_t i = 0; i < old.slot_count; i++)
        take_over(map, old.slots[i]);
    memory_free(old.slots);
}

static struct map_entry *find_in(struct map_entry *chain, uint32_t hash, const char *key,
                                 size_t key_size)
{
    for (struct map_entry *entry = chain; entry; entry = entry->next) {
        if (entry->hash == hash && entry->key_size == key_size &&
            memcmp(entry->key, key, key_size) == 0)
            return entry;
    }
    return NULL;
}

struct map_entry *map_find(const struct map *map, const char *key, size_t key_size)
{
    if (map->count == 0)
        return NULL;

    uint32_t hash = (uint32_t)hash_keyed(key, key_size);
    struct map_entry *entry = find_in(*slot_of(map, hash), hash, key, key_size);
    struct map_entry **old = entry ? NULL : old_slot_of(map, hash);

    return old ? find_in(*old, hash, key, key_size) : entry;
}

void map_insert(struct map *map, struct map_entry *entry, const char *key, size_t key_size)
{
    if (map->count >= map->slot_count)
        resize(map, map->slot_count ? map->slot_count * 2 : LEAST_SLOTS);
    go_on_moving(map);
    entry->key = key;
    entry->key_size = (uint32_t)key_size;
    entry->hash = (uint32_t)hash_keyed(key, key_size);

    struct map_entry **slot = slot_of(map, entry->hash);

    entry->next = *slot;
    *slot = entry;
    map->count++;
}

/* Where the chain refers to the entry, or NULL where it is not in it. */
static struct map_entry **link_to(struct map_entry **link, const struct map_entry *entry)
{
    while (*link && *link != entry)
        link = &(*link)->next;
    return *link ? link : NULL;
}

void map_remove(struct map *map, struct map_entry *entry)
{
    struct map_entry **old = old_slot_of(map, entry->hash);
    struct map_entry **link = old ? link_to(old, entry) : NULL;

    if (!link)
        link = link_to(slot_of(map, entry->hash), entry);
    *link = entry->next;
    map->count--;
    if (map->slot_count > LEAST_SLOTS && map->count < map->slot_count / 8)
        resize(map, map->slot_count / 2);
    go_on_moving(map);
}

static size_t gather(struct map_entry **slots, size_t slot_count, struct map_entry **entries)
{
    size_t count = 0;

    for (size_t i = 0; i < slot_count; i++) {
        for (struct map_entry *entry = slots[i]; entry; entry = entry->next)
            entries[count++] = entry;
    }
    return count;
}

void map_each(struct map *map, void (*visit)(struct map_entry *entry, void *context), void *context)
{
    if (map->count == 0)
        return;

    /* The entries are gathered first, since removing may move the table. */
    const struct map_move *move = map->move;
    struct map_entry **entries = memory_allocate(map->count * sizeof(struct map_entry *));
    size_t count = gather(map->slots, map->slot_count, entries);

    if (move)
        count += gather(move->slots + move->moved, move->slot_count - move->moved, entries + count);
    for (size_t i = 0; i < count; i++)
        visit(entries[i], context);
    memory_free(entries);
}

/* Those that are still in the old table and will be in this slot of the new one. */
static void look_at_old(const struct map *map, size_t slot,
                        void (*visit)(struct map_entry *entry, void *context), void *context)
{
    const struct map_move *move = map->move;

    for (size_t i = slot & (move->slot_count - 1); i < move->slot_count; i += map->slot_count) {
        for (struct map_entry *entry = i < move->moved ? NULL : move->slots[i]; entry;
             entry = entry->next) {
            if ((entry->hash & (map->slot_count - 1)) == slot)
                visit(entry, context);
        }
    }
}

void map_look(const struct map *map, size_t first, size_t count,
              void (*visit)(struct map_entry *entry, void *context), void *context)
{
    for (size_t i = first; i < map->slot_count && i - first < count; i++) {
        for (struct map_entry *entry = map->slots[i]; entry; entry = entry->next)
            visit(entry, context);
        if (map->move)
            look_at_old(map, i, visit, context);
    }
}
