#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/map.h"
#include "common/memory.h"

struct thing {
    struct map_entry entry;
    unsigned number;
    char name[24];
};

static struct thing *insert(struct map *map, unsigned number)
{
    struct thing *thing = memory_zeroed(1, sizeof(*thing));
    int size = snprintf(thing->name, sizeof(thing->name), "thing %u", number);

    thing->number = number;
    map_insert(map, &thing->entry, thing->name, (size_t)size);
    return thing;
}

static struct thing *find(const struct map *map, unsigned number)
{
    char name[24];
    int size = snprintf(name, sizeof(name), "thing %u", number);
    struct map_entry *entry = map_find(map, name, (size_t)size);

    return entry ? container_of(entry, struct thing, entry) : NULL;
}

struct visit {
    struct map *map;
    unsigned count;
};

static void visit_and_free(struct map_entry *entry, void *context)
{
    struct visit *visit = context;

    visit->count++;
    map_remove(visit->map, entry);
    memory_free(container_of(entry, struct thing, entry));
}

static void nothing_is_found_in_an_empty_map(void **state)
{
    struct map map = {0};

    (void)state;
    assert_null(map_find(&map, "x", 1));
    map_deinit(&map);
}

static void each_of_many_is_found_while_the_table_grows_and_shrinks(void **state)
{
    enum { COUNT = 5000 };
    struct map map = {0};

    (void)state;
    for (unsigned i = 0; i < COUNT; i++)
        insert(&map, i);
    assert_int_equal(map.count, COUNT);

    size_t largest = map.slot_count;

    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(find(&map, i)->number, i);
    assert_null(find(&map, COUNT));
    for (unsigned i = 0; i < COUNT; i++) {
        struct thing *thing = find(&map, i);

        map_remove(&map, &thing->entry);
        memory_free(thing);
        assert_null(find(&map, i));
        if (i + 1 < COUNT)
            assert_non_null(find(&map, COUNT - 1));
    }
    assert_int_equal(map.count, 0);
    assert_true(map.slot_count < largest);
    map_deinit(&map);
}

static void keys_are_bytes_with_a_length(void **state)
{
    struct map map = {0};
    struct map_entry entries[3];

    (void)state;
    map_insert(&map, &entries[0], "a\0b", 3);
    map_insert(&map, &entries[1], "a\0c", 3);
    map_insert(&map, &entries[2], "a", 1);
    assert_ptr_equal(map_find(&map, "a\0b", 3), &entries[0]);
    assert_ptr_equal(map_find(&map, "a\0c", 3), &entries[1]);
    assert_ptr_equal(map_find(&map, "a", 1), &entries[2]);
    assert_null(map_find(&map, "a\0", 2));
    map_deinit(&map);
}

static void each_is_visited_once_and_may_be_freed(void **state)
{
    struct map map = {0};
    struct visit visit = {&map, 0};

    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        insert(&map, i);
    map_each(&map, visit_and_free, &visit);
    assert_int_equal(visit.count, 1000);
    assert_int_equal(map.count, 0);
    map_deinit(&map);
}

static void count_entry(struct map_entry *entry, void *context)
{
    unsigned *seen = context;

    seen[container_of(entry, struct thing, entry)->number]++;
}

static void slices_of_the_table_hold_each_once(void **state)
{
    struct map map = {0};
    unsigned seen[100] = {0};

    (void)state;
    map_look(&map, 0, 10, count_entry, seen); /* of an empty map: nobody */
    for (unsigned i = 0; i < 100; i++)
        insert(&map, i);
    for (size_t slot = 0; slot < map.slot_count; slot += 7)
        map_look(&map, slot, 7, count_entry, seen);
    map_look(&map, map.slot_count, 7, count_entry, seen);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(seen[i], 1);
    map_each(&map, visit_and_free, &(struct visit){.map = &map});
    map_deinit(&map);
}

/* Each of `count` things is found, and stands in one slice. */
static void assert_whole(const struct map *map, unsigned first, unsigned count)
{
    unsigned *seen = memory_zeroed(first + count, sizeof(*seen));

    for (size_t slot = 0; slot < map->slot_count; slot += 100)
        map_look(map, slot, 100, count_entry, seen);
    for (unsigned i = 0; i < first + count; i++) {
        assert_int_equal(seen[i], i >= first);
        if (i >= first)
            assert_int_equal(find(map, i)->number, i);
        else
            assert_null(find(map, i));
    }
    memory_free(seen);
}

static void large_table_is_whole_while_it_is_moved(void **state)
{
    enum { SLOTS = 4096 };
    struct map map = {0};
    struct visit visit = {&map, 0};
    unsigned first = 0;

    (void)state;
    for (unsigned i = 0; i < SLOTS + 100; i++)
        insert(&map, i);
    assert_non_null(map.move);
    assert_whole(&map, 0, SLOTS + 100);
    for (; map.slot_count == (size_t)2 * SLOTS; first++) {
        struct thing *thing = find(&map, first);

        map_remove(&map, &thing->entry);
        memory_free(thing);
    }
    assert_non_null(map.move);
    assert_whole(&map, first, SLOTS + 100 - first);
    map_each(&map, visit_and_free, &visit);
    assert_int_equal(visit.count, SLOTS + 100 - first);
    assert_int_equal(map.count, 0);
    assert_in_range(map.slot_count, 0, SLOTS / 8);
    map_deinit(&map);
}

static void table_is_given_back_amid_a_move(void **state)
{
    enum { COUNT = 1025 };
    static struct thing things[COUNT];
    struct map map = {0};

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        int size = snprintf(things[i].name, sizeof(things[i].name), "thing %u", i);

        map_insert(&map, &things[i].entry, things[i].name, (size_t)size);
    }
    assert_non_null(map.move);
    map_deinit(&map);
    assert_null(map_find(&map, "thing 1", 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_found_in_an_empty_map),
        cmocka_unit_test(each_of_many_is_found_while_the_table_grows_and_shrinks),
        cmocka_unit_test(keys_are_bytes_with_a_length),
        cmocka_unit_test(each_is_visited_once_and_may_be_freed),
        cmocka_unit_test(slices_of_the_table_hold_each_once),
        cmocka_unit_test(large_table_is_whole_while_it_is_moved),
        cmocka_unit_test(table_is_given_back_amid_a_move),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
