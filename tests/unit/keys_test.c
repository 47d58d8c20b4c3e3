#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/keys.h"
#include "common/memory.h"

#define WINDOW_MS 1000
#define NO_LIMIT  (UINT64_MAX / 2)

struct channel {
    struct key_table keys;
    size_t emptied; /* times that this was told */
};

static struct key_tables tables;

static void on_emptied(struct key_table *keys)
{
    container_of(keys, struct channel, keys)->emptied++;
}

static void set_up(struct channel *channel, uint64_t memory_limit)
{
    key_tables_init(&tables, WINDOW_MS, memory_limit, on_emptied);
    channel->emptied = 0;
    key_table_init(&channel->keys, &tables, 100);
}

/* What is known of a key, 0 where nothing is. */
static uint64_t known(const struct channel *channel, const char *key, uint64_t now_ms)
{
    uint64_t offset = 0;

    return key_table_find(&channel->keys, text_of(key), now_ms, &offset) ? offset : 0;
}

static void key_is_known_for_the_window(void **state)
{
    struct channel room;

    (void)state;
    set_up(&room, NO_LIMIT);
    key_table_note(&room.keys, text_of("a"), 7, 50);
    assert_int_equal(known(&room, "a", 50), 7);
    assert_int_equal(known(&room, "a", 1049), 7);
    assert_int_equal(known(&room, "a", 1050), 0);
    assert_int_equal(known(&room, "b", 50), 0);
    assert_int_equal(key_tables_due_ms(&tables), 1050);
    key_tables_expire(&tables, 1049);
    assert_int_equal(room.emptied, 0);
    key_tables_expire(&tables, 1050);
    assert_int_equal(room.emptied, 1);
    assert_true(key_table_is_empty(&room.keys));
    assert_true(key_tables_due_ms(&tables) == UINT64_MAX);
    assert_int_equal(tables.memory, 0);
}

static void later_note_takes_the_place_of_an_earlier_one(void **state)
{
    struct channel room;

    (void)state;
    set_up(&room, NO_LIMIT);
    key_table_note(&room.keys, text_of("a"), 1, 0);
    key_table_note(&room.keys, text_of("b"), 2, 10);
    key_table_note(&room.keys, text_of("a"), 3, 20);
    assert_int_equal(room.emptied, 0);
    key_tables_expire(&tables, 1010);
    assert_int_equal(known(&room, "a", 1010), 3);
    assert_int_equal(known(&room, "b", 20), 0);
    key_table_deinit(&room.keys);
    assert_int_equal(tables.memory, 0);
    assert_int_equal(room.emptied, 0);
}

static void tables_know_nothing_of_each_other(void **state)
{
    struct channel room;
    struct channel other = {0};

    (void)state;
    set_up(&room, NO_LIMIT);
    key_table_init(&other.keys, &tables, 0);
    key_table_note(&room.keys, text_of("a"), 1, 0);
    assert_int_equal(known(&other, "a", 0), 0);
    key_table_note(&other.keys, text_of("a"), 2, 0);
    assert_int_equal(known(&room, "a", 0), 1);
    assert_int_equal(known(&other, "a", 0), 2);
    key_table_deinit(&room.keys);
    assert_int_equal(known(&other, "a", 0), 2);
    key_table_deinit(&other.keys);
}

static void keys_are_any_bytes(void **state)
{
    struct channel room;
    struct text one = {"a\0b", 3};
    struct text other = {"a\0c", 3};
    uint64_t offset;

    (void)state;
    set_up(&room, NO_LIMIT);
    key_table_note(&room.keys, one, 1, 0);
    assert_true(key_table_find(&room.keys, one, 0, &offset));
    assert_false(key_table_find(&room.keys, other, 0, &offset));
    key_table_deinit(&room.keys);
}

static void oldest_of_all_goes_when_memory_is_short(void **state)
{
    struct channel room;
    struct channel other = {0};
    char key[16];

    (void)state;
    set_up(&room, 4096);
    key_table_init(&other.keys, &tables, 100);
    key_table_note(&other.keys, text_of("first"), 1, 0);
    for (uint64_t i = 1; i <= 200; i++) {
        snprintf(key, sizeof(key), "%llu", (unsigned long long)i);
        key_table_note(&room.keys, text_of(key), i, i);
        assert_true(tables.memory <= 4096);
    }
    assert_int_equal(other.emptied, 1);
    assert_int_equal(known(&room, "1", 200), 0);
    assert_int_equal(known(&room, "200", 200), 200);
    assert_int_equal(known(&room, "190", 200), 190);
    assert_true(tables.evicted > 100);
    assert_int_equal(room.emptied, 0);
    key_table_deinit(&room.keys);
    assert_int_equal(tables.memory, 0);
}

static void key_that_no_memory_is_there_for_is_not_noted(void **state)
{
    struct channel room;

    (void)state;
    set_up(&room, 0);
    key_table_note(&room.keys, text_of("a"), 1, 0);
    assert_int_equal(known(&room, "a", 0), 0);
    assert_int_equal(room.emptied, 1);
    assert_int_equal(tables.memory, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(key_is_known_for_the_window),
        cmocka_unit_test(later_note_takes_the_place_of_an_earlier_one),
        cmocka_unit_test(tables_know_nothing_of_each_other),
        cmocka_unit_test(keys_are_any_bytes),
        cmocka_unit_test(oldest_of_all_goes_when_memory_is_short),
        cmocka_unit_test(key_that_no_memory_is_there_for_is_not_noted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
