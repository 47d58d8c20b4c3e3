#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/slab.h"

#define OBJECT_SIZE 472
#define OBJECTS     1000

static bool is_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

/* The pages that have room. */
static size_t open_pages(const struct slab *slab)
{
    size_t count = 0;

    for (const struct list *link = slab->open.next; link != &slab->open; link = link->next)
        count++;
    return count;
}

static void take_all(struct slab *slab, unsigned char *objects[OBJECTS])
{
    for (size_t i = 0; i < OBJECTS; i++) {
        objects[i] = slab_take(slab);
        assert_int_equal((uintptr_t)objects[i] % 8, 0);
        assert_true(is_zero(objects[i], OBJECT_SIZE));
        memset(objects[i], (int)(i % 255 + 1), OBJECT_SIZE);
    }
}

static void objects_are_zero_and_do_not_overlap(void **state)
{
    unsigned char *objects[OBJECTS];
    struct slab slab;

    (void)state;
    slab_init(&slab, OBJECT_SIZE);
    take_all(&slab, objects);
    assert_int_equal(slab.count, OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++) {
        for (size_t at = 0; at < OBJECT_SIZE; at++)
            assert_int_equal(objects[i][at], i % 255 + 1);
        slab_give(&slab, objects[i]);
    }
    assert_int_equal(slab.count, 0);
    slab_deinit(&slab);
}

static void what_was_given_back_is_zero_again(void **state)
{
    unsigned char *objects[OBJECTS];
    struct slab slab;

    (void)state;
    slab_init(&slab, OBJECT_SIZE);
    take_all(&slab, objects);
    for (size_t i = 0; i < OBJECTS; i += 3)
        slab_give(&slab, objects[i]);
    for (size_t i = 0; i < OBJECTS; i += 3) {
        objects[i] = slab_take(&slab);
        assert_true(is_zero(objects[i], OBJECT_SIZE));
    }
    assert_int_equal(slab.count, OBJECTS);
    for (size_t i = 0; i < OBJECTS; i++)
        slab_give(&slab, objects[i]);
    slab_deinit(&slab);
}

/* In whatever order they go, one page is kept at most. */
static void pages_without_objects_are_freed(void **state)
{
    unsigned char *objects[OBJECTS];
    struct slab slab;

    (void)state;
    slab_init(&slab, OBJECT_SIZE);
    for (size_t step = 1; step <= 7; step += 2) { /* prime to their number, but for 5 */
        size_t stride = step == 5 ? 9 : step;

        take_all(&slab, objects);
        assert_true(open_pages(&slab) <= 1);
        for (size_t i = 0; i < OBJECTS; i++)
            slab_give(&slab, objects[i * stride % OBJECTS]);
        assert_int_equal(slab.count, 0);
        assert_true(open_pages(&slab) <= 1);
    }
    slab_deinit(&slab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_zero_and_do_not_overlap),
        cmocka_unit_test(what_was_given_back_is_zero_again),
        cmocka_unit_test(pages_without_objects_are_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
