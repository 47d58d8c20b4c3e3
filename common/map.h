/*
 * A map from byte strings (channel names, addresses) to objects. The entry lives in the object, as
 * in a list, and so do the bytes of the key: the map owns nothing but its table.
 *
 * Keys come from clients, so the hash is SipHash-1-3 under a random key per process: nobody outside
 * can choose names that fall into one chain. Chains, with a table that doubles at load 1 and halves
 * at load 1/8, bit by bit where it is large: no call takes long. Not thread-safe: each map belongs
 * to one loop.
 */
#ifndef COMMON_MAP_H
#define COMMON_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map_entry {
    struct map_entry *next;
    const char *key; /* in the object that holds the entry; fixed while it is in the map */
    uint32_t key_size;
    uint32_t hash;
};

struct map {
    struct map_entry **slots;
    size_t slot_count; /* a power of two, 0 before the first insertion */
    size_t count;
    struct map_move *move; /* from a table of another size, while there are entries in that one */
};

/* An empty map is one of zero bytes. `map_deinit` frees the table, not the objects. */
void map_deinit(struct map *map);

/* The entry with this key, or NULL. */
struct map_entry *map_find(const struct map *map, const char *key, size_t key_size);

/* Inserts an entry whose key (at most UINT32_MAX bytes) is not in the map. */
void map_insert(struct map *map, struct map_entry *entry, const char *key, size_t key_size);

/* Removes an entry that is in the map. */
void map_remove(struct map *map, struct map_entry *entry);

/* Calls `visit`, which may not change the map, for each entry of `count` slots from `first` on;
 * beyond `slot_count` there are none. For those who walk a large map a little at a time. */
void map_look(const struct map *map, size_t first, size_t count,
              void (*visit)(struct map_entry *entry, void *context), void *context);

/* Calls `visit` for each entry; `visit` may remove and free that entry and no other. */
void map_each(struct map *map, void (*visit)(struct map_entry *entry, void *context),
              void *context);

#endif
