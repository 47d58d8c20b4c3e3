/*
 * The idempotency keys of a channel's recent messages, each with the offset of its message, so that
 * a message that is said again is known. Every table belongs to a family, `struct key_tables`,
 * which bounds how long a key is known (`window_ms`) and the memory of all of them (the oldest key
 * goes first, whosever it is).
 *
 * Nothing here knows a loop or a clock: `now_ms` is the caller's, monotonic, never going back
 * within a family. Not thread-safe: a family belongs to one loop.
 */
#ifndef COMMON_KEYS_H
#define COMMON_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/map.h"
#include "common/text.h"

struct key_table;

struct key_tables {
    uint64_t window_ms;
    uint64_t memory_limit; /* bytes of keys, and of what owners keep for them */
    /* A table has no key left. It may be freed from here; no other may be changed. */
    void (*emptied)(struct key_table *table);
    struct list entries; /* of all tables, oldest first */
    uint64_t memory;     /* bytes in use */
    uint64_t evicted;    /* keys that went for want of memory, ever */
};

struct key_table {
    struct key_tables *family;
    struct map map;
    size_t owner_bytes;
};

void key_tables_init(struct key_tables *tables, uint64_t window_ms, uint64_t memory_limit,
                     void (*emptied)(struct key_table *table));

/* Drops every key that is older than the window. */
void key_tables_expire(struct key_tables *tables, uint64_t now_ms);

/* When key_tables_expire will next find something; UINT64_MAX if all are empty. */
uint64_t key_tables_due_ms(const struct key_tables *tables);

/* An empty table. `owner_bytes`: what its owner keeps only as long as there are keys; it counts as
 * memory for that long. */
void key_table_init(struct key_table *table, struct key_tables *family, size_t owner_bytes);

/* Drops all keys without a word. */
void key_table_deinit(struct key_table *table);

bool key_table_is_empty(const struct key_table *table);

/* True where the key was noted within the window: `*offset` is what was noted with it. */
bool key_table_find(const struct key_table *table, struct text key, uint64_t now_ms,
                    uint64_t *offset);

/* Notes a key of at least one byte, instead of what may be known of it. Calls `emptied` for each
 * table that has none left then, this one included where the memory cannot hold even this key. */
void key_table_note(struct key_table *table, struct text key, uint64_t offset, uint64_t now_ms);

#endif
