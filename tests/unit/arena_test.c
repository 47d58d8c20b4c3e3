#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/arena.h"

static void *ask(struct arena *arena, size_t size)
{
    return arena->allocator.alloc(arena->allocator.allocator_data, size);
}

static void *take(struct arena *arena, size_t size)
{
    unsigned char *memory = ask(arena, size);

    assert_non_null(memory);
    assert_int_equal((uintptr_t)memory % alignof(max_align_t), 0);
    memset(memory, 0xaa, size);
    return memory;
}

static void give_back(struct arena *arena, void *memory)
{
    arena->allocator.free(arena->allocator.allocator_data, memory);
}

static bool is_inside(const struct arena *arena, const void *memory)
{
    const unsigned char *bytes = memory;

    return bytes >= arena->bytes && bytes < arena->bytes + ARENA_BYTES;
}

static void pieces_lie_side_by_side_as_long_as_they_fit(void **state)
{
    struct arena arena;
    unsigned char *first;
    const unsigned char *second;

    (void)state;
    arena_init(&arena, 1000);
    first = take(&arena, 1);
    second = take(&arena, ARENA_BYTES - alignof(max_align_t));
    assert_true(is_inside(&arena, first) && is_inside(&arena, second));
    assert_true(second > first);
    assert_false(is_inside(&arena, take(&arena, 1)));
    arena_deinit(&arena);
}

/* The address sanitizer finds what is lost or freed twice. */
static void what_does_not_fit_is_freed_once(void **state)
{
    struct arena arena;
    void *large;

    (void)state;
    arena_init(&arena, 1000000);
    give_back(&arena, take(&arena, 8));
    give_back(&arena, NULL);
    large = take(&arena, ARENA_BYTES + 1);
    take(&arena, 100000);
    give_back(&arena, large);
    assert_true(is_inside(&arena, take(&arena, 8)));
    arena_deinit(&arena);
}

static void beyond_the_limit_nothing_is_given(void **state)
{
    struct arena arena;

    (void)state;
    arena_init(&arena, 1000);
    assert_null(ask(&arena, 1001));
    assert_true(is_inside(&arena, take(&arena, ARENA_BYTES))); /* that is its own */
    assert_non_null(take(&arena, 900));
    assert_null(ask(&arena, 100));
    arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_lie_side_by_side_as_long_as_they_fit),
        cmocka_unit_test(what_does_not_fit_is_freed_once),
        cmocka_unit_test(beyond_the_limit_nothing_is_given),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
