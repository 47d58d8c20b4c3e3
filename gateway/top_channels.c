#include "gateway/top_channels.h"

#include <stdlib.h>
#include <string.h>

static void find_least(struct top_channels *top)
{
    top->least = 0;
    for (size_t i = 1; i < top->count; i++) {
        if (top->items[i].subscribers < top->items[top->least].subscribers)
            top->least = i;
    }
}

void top_channels_offer(struct top_channels *top, const char *name, size_t name_size,
                        uint64_t subscribers)
{
    struct top_channel *item = &top->items[top->least];

    if (top->count < TOP_CHANNELS)
        item = &top->items[top->count++];
    else if (subscribers <= item->subscribers)
        return;
    item->subscribers = subscribers;
    item->name_size = name_size;
    memcpy(item->name, name, name_size);
    if (top->count == TOP_CHANNELS)
        find_least(top);
}

static struct top_channel *find(struct top_channels *top, const struct top_channel *wanted)
{
    for (size_t i = 0; i < top->count; i++) {
        struct top_channel *item = &top->items[i];

        if (item->name_size == wanted->name_size &&
            memcmp(item->name, wanted->name, wanted->name_size) == 0)
            return item;
    }
    return NULL;
}

void top_channels_merge(struct top_channels *top, const struct top_channels *other)
{
    struct top_channels rest = {0};

    for (size_t i = 0; i < other->count; i++) {
        const struct top_channel *item = &other->items[i];
        struct top_channel *present = find(top, item);

        if (present)
            present->subscribers += item->subscribers;
        else
            rest.items[rest.count++] = *item;
    }
    /* After all sums, so that none is pushed out which would have grown. */
    find_least(top);
    for (size_t i = 0; i < rest.count; i++)
        top_channels_offer(top, rest.items[i].name, rest.items[i].name_size,
                           rest.items[i].subscribers);
}

static int compare(const void *left, const void *right)
{
    const struct top_channel *a = left;
    const struct top_channel *b = right;
    size_t size = a->name_size < b->name_size ? a->name_size : b->name_size;
    int order;

    if (a->subscribers != b->subscribers)
        return a->subscribers < b->subscribers ? 1 : -1;
    order = memcmp(a->name, b->name, size);
    return order != 0 ? order : (a->name_size > b->name_size) - (a->name_size < b->name_size);
}

void top_channels_sort(struct top_channels *top)
{
    qsort(top->items, top->count, sizeof(top->items[0]), compare);
    find_least(top);
}
