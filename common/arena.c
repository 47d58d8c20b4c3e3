#include "common/arena.h"

#include "common/memory.h"

struct piece {
    struct list link;
    max_align_t bytes[];
};

static void *allocate(void *context, size_t size)
{
    struct arena *arena = context;
    size_t align = alignof(max_align_t);
    struct piece *piece;

    if (size <= ARENA_BYTES - arena->used) {
        void *memory = arena->bytes + arena->used;

        size = (size + align - 1) / align * align; /* as is the whole, so this fits as well */
        arena->used += size;
        return memory;
    }
    if (arena->left < sizeof(*piece) || size > arena->left - sizeof(*piece))
        return NULL;
    arena->left -= sizeof(*piece) + size;
    piece = memory_allocate(sizeof(*piece) + size);
    list_init(&piece->link);
    list_append(&arena->pieces, &piece->link);
    return piece->bytes;
}

static void forget(struct piece *piece)
{
    list_remove(&piece->link);
    memory_free(piece);
}

/* Pieces go at once: a field that comes a million times is a million pieces, one after another. */
static void release(void *context, void *memory)
{
    const struct arena *arena = context;
    const unsigned char *bytes = memory;

    if (bytes && (bytes < arena->bytes || bytes >= arena->bytes + ARENA_BYTES))
        forget(container_of(memory, struct piece, bytes));
}

void arena_init(struct arena *arena, size_t limit_bytes)
{
    arena->allocator = (ProtobufCAllocator){allocate, release, arena};
    list_init(&arena->pieces);
    arena->used = 0;
    arena->left = limit_bytes;
}

void arena_deinit(struct arena *arena)
{
    while (!list_is_empty(&arena->pieces))
        forget(container_of(arena->pieces.next, struct piece, link));
}
