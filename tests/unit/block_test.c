#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "common/block.h"

static void what_is_appended_stands_in_order(void **state)
{
    struct block *block = block_create(8);

    (void)state;
    block_append(block, "abc", 3);
    block_append(block, "defgh", 5);
    assert_int_equal(block->size, 8);
    assert_memory_equal(block->data, "abcdefgh", 8);
    block_unref(block);
}

static void reserve_makes_room_and_keeps_the_bytes(void **state)
{
    struct block *block = block_create(4);

    (void)state;
    block_append(block, "abcd", 4);
    block = block_reserve(block, 1000);
    assert_true(block->capacity - block->size >= 1000);
    for (int i = 0; i < 1000; i++)
        block_append(block, "x", 1);
    assert_memory_equal(block->data, "abcdx", 5);
    assert_int_equal(block->size, 1004);
    block_unref(block);
}

static void fit_gives_back_what_is_not_used(void **state)
{
    (void)state;
    struct block *block = block_create(4096);

    block_append(block, "bell", 4);
    block = block_fit(block);
    assert_int_equal(block->capacity, 4);
    assert_memory_equal(block->data, "bell", 4);
    block = block_reserve(block, 1);
    block_append(block, "s", 1);
    assert_memory_equal(block->data, "bells", 5);
    block_unref(block);
}

static void block_lives_until_the_last_reference(void **state)
{
    struct block *block = block_create(1);

    (void)state;
    block_append(block, "z", 1);
    assert_ptr_equal(block_ref(block), block);
    block_unref(block);
    assert_int_equal(block->data[0], 'z');
    block_unref(block);
    block_unref(NULL);
}

static void *take_and_drop(void *argument)
{
    struct block *block = argument;

    for (int i = 0; i < 20000; i++) {
        block_ref(block);
        block_unref(block);
    }
    block_unref(block);
    return NULL;
}

/* The thread sanitizer and the leak checker judge. */
static void references_may_be_taken_on_any_thread(void **state)
{
    struct block *block = block_create(16);
    pthread_t threads[4];

    (void)state;
    block_append(block, "shared", 6);
    for (size_t i = 0; i < 4; i++) {
        block_ref(block);
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_drop, block), 0);
    }
    for (size_t i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&block->references), 1);
    block_unref(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_stands_in_order),
        cmocka_unit_test(reserve_makes_room_and_keeps_the_bytes),
        cmocka_unit_test(fit_gives_back_what_is_not_used),
        cmocka_unit_test(block_lives_until_the_last_reference),
        cmocka_unit_test(references_may_be_taken_on_any_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
