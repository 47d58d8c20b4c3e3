#include "common/block.h"

#include <assert.h>
#include <string.h>

#include "common/memory.h"

struct block *block_create(size_t capacity)
{
    struct block *block = memory_allocate(sizeof(*block) + capacity);

    atomic_init(&block->references, 1);
    block->size = 0;
    block->capacity = capacity;
    return block;
}

struct block *block_reserve(struct block *block, size_t more)
{
    assert(atomic_load_explicit(&block->references, memory_order_relaxed) == 1);
    if (block->capacity - block->size >= more)
        return block;

    size_t capacity = block->capacity * 2;

    if (capacity < block->size + more)
        capacity = block->size + more;
    block = memory_resize(block, sizeof(*block) + capacity);
    block->capacity = capacity;
    return block;
}

struct block *block_fit(struct block *block)
{
    assert(atomic_load_explicit(&block->references, memory_order_relaxed) == 1);
    block->capacity = block->size;
    return memory_resize(block, sizeof(*block) + block->size);
}

void block_append(struct block *block, const void *data, size_t size)
{
    assert(block->capacity - block->size >= size);
    if (size > 0)
        memcpy(block->data + block->size, data, size);
    block->size += size;
}

struct block *block_ref(struct block *block)
{
    atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    return block;
}

void block_unref(struct block *block)
{
    if (!block)
        return;
    /* Acquire and release: whoever frees must see every other thread's last use as finished. */
    if (atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) == 1)
        memory_free(block);
}
