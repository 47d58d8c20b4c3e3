/* All keys of a family stand in one list by age, so what is due, by time or for room, is found at
 * its beginning, and each table is no more than a map. */
#include "common/keys.h"

#include <assert.h>
#include <string.h>

#include "common/memory.h"

#define OVERHEAD_BYTES 24 /* of the allocator, and the map's slot */

struct key_entry {
    struct map_entry entry;
    struct list link; /* in `key_tables.entries` */
    struct key_table *table;
    uint64_t offset;
    uint64_t noted_ms;
    char key[];
};

static uint64_t cost_of(const struct key_entry *entry)
{
    return sizeof(*entry) + entry->entry.key_size + OVERHEAD_BYTES;
}

static struct key_entry *oldest(const struct key_tables *tables)
{
    return container_of(tables->entries.next, struct key_entry, link);
}

static struct key_entry *find(const struct key_table *table, struct text key)
{
    struct map_entry *entry = map_find(&table->map, key.data, key.size);

    return entry ? container_of(entry, struct key_entry, entry) : NULL;
}

static void drop(struct key_entry *entry)
{
    struct key_table *table = entry->table;

    table->family->memory -= cost_of(entry);
    map_remove(&table->map, &entry->entry);
    list_remove(&entry->link);
    memory_free(entry);
    if (key_table_is_empty(table))
        table->family->memory -= table->owner_bytes;
}

static void drop_and_tell(struct key_entry *entry)
{
    struct key_table *table = entry->table;

    drop(entry);
    if (!key_table_is_empty(table))
        return;
    map_deinit(&table->map);
    table->family->emptied(table);
}

void key_tables_init(struct key_tables *tables, uint64_t window_ms, uint64_t memory_limit,
                     void (*emptied)(struct key_table *table))
{
    *tables = (struct key_tables){
        .window_ms = window_ms, .memory_limit = memory_limit, .emptied = emptied};
    list_init(&tables->entries);
}

uint64_t key_tables_due_ms(const struct key_tables *tables)
{
    return list_is_empty(&tables->entries) ? UINT64_MAX
                                           : oldest(tables)->noted_ms + tables->window_ms;
}

void key_tables_expire(struct key_tables *tables, uint64_t now_ms)
{
    while (key_tables_due_ms(tables) <= now_ms)
        drop_and_tell(oldest(tables));
}

void key_table_init(struct key_table *table, struct key_tables *family, size_t owner_bytes)
{
    *table = (struct key_table){.family = family, .owner_bytes = owner_bytes};
}

static void drop_visited(struct map_entry *entry, void *context)
{
    (void)context;
    drop(container_of(entry, struct key_entry, entry));
}

void key_table_deinit(struct key_table *table)
{
    map_each(&table->map, drop_visited, NULL);
    map_deinit(&table->map);
}

bool key_table_is_empty(const struct key_table *table)
{
    return table->map.count == 0;
}

bool key_table_find(const struct key_table *table, struct text key, uint64_t now_ms,
                    uint64_t *offset)
{
    const struct key_entry *entry = find(table, key);

    if (!entry || now_ms - entry->noted_ms >= table->family->window_ms)
        return false;
    *offset = entry->offset;
    return true;
}

void key_table_note(struct key_table *table, struct text key, uint64_t offset, uint64_t now_ms)
{
    struct key_tables *family = table->family;
    struct key_entry *before = find(table, key);
    struct key_entry *entry = memory_allocate(sizeof(*entry) + key.size);

    assert(key.size > 0);
    if (before)
        drop(before);
    if (key_table_is_empty(table))
        family->memory += table->owner_bytes;
    *entry = (struct key_entry){.table = table, .offset = offset, .noted_ms = now_ms};
    memcpy(entry->key, key.data, key.size);
    map_insert(&table->map, &entry->entry, entry->key, key.size);
    list_append(&family->entries, &entry->link);
    family->memory += cost_of(entry);
    while (family->memory > family->memory_limit) {
        family->evicted++;
        drop_and_tell(oldest(family));
    }
}
