#include "router/producers.h"

#include <string.h>

#include "common/memory.h"

void producers_deinit(struct producers *producers)
{
    memory_free(producers->items);
    *producers = (struct producers){0};
}

static uint32_t index_of(const struct producers *producers, uint64_t publisher)
{
    uint32_t index = producers->count;

    while (index > 0 && producers->items[index - 1].publisher != publisher)
        index--;
    return index; /* one more than the place, 0 where there is none */
}

const struct router_producer *producers_find(const struct producers *producers, uint64_t publisher)
{
    uint32_t index = index_of(producers, publisher);

    return index > 0 ? &producers->items[index - 1] : NULL;
}

static void remove_at(struct producers *producers, uint32_t index)
{
    producers->count--;
    memmove(producers->items + index, producers->items + index + 1,
            (producers->count - index) * sizeof(*producers->items));
}

void producers_note(struct producers *producers, uint64_t publisher, uint64_t sequence,
                    uint64_t offset)
{
    uint32_t index = index_of(producers, publisher);

    if (index > 0 && producers->items[index - 1].sequence > sequence)
        return; /* a stray; the newest one is known already */
    if (index > 0)
        remove_at(producers, index - 1);
    else if (producers->count == PRODUCERS_LIMIT)
        remove_at(producers, 0);
    if (producers->count == producers->capacity) {
        producers->capacity = producers->capacity ? producers->capacity * 2 : 2;
        producers->items =
            memory_resize(producers->items, producers->capacity * sizeof(*producers->items));
    }
    producers->items[producers->count++] = (struct router_producer){publisher, sequence, offset};
}

bool producers_forget_after(struct producers *producers, uint64_t offset)
{
    uint32_t before = producers->count;

    for (uint32_t i = before; i-- > 0;) {
        if (producers->items[i].offset > offset)
            remove_at(producers, i);
    }
    return producers->count < before;
}

void producers_set(struct producers *producers, const struct router_producer *items, size_t count)
{
    producers_deinit(producers);
    for (size_t i = 0; i < count; i++)
        producers_note(producers, items[i].publisher, items[i].sequence, items[i].offset);
}
