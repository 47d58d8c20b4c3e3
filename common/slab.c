/*
 * A page lies at a multiple of its size, so that an object's address tells where its page begins.
 * Objects that were given back form a chain through their own first bytes; those behind it were
 * never taken, and their memory may not have been touched yet.
 */
#include "common/slab.h"

#include <assert.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "common/memory.h"

#define SLAB_LINE_BYTES 64 /* of the cache: objects with an alignment up to that have it */

/* What malloc puts beside a page: so the next one lies right behind it, without a gap. */
#define MALLOC_BYTES 64

#if defined(__SANITIZE_ADDRESS__)
#define IS_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_CHECKED 1
#endif
#endif
#ifndef IS_CHECKED
#define IS_CHECKED 0
#endif

struct free_object {
    struct free_object *next;
};

struct slab_page {
    struct list link; /* in `open` while it has room */
    struct free_object *free;
    uint32_t used;
    uint32_t fresh; /* index of the first object that was never taken */
    alignas(SLAB_LINE_BYTES) unsigned char objects[];
};

static struct slab_page *page_of(void *object)
{
    unsigned char *bytes = object;

    return (struct slab_page *)(void *)(bytes - ((uintptr_t)bytes & (SLAB_PAGE_BYTES - 1)));
}

void slab_init(struct slab *slab, size_t object_size)
{
    size_t room = SLAB_PAGE_BYTES - MALLOC_BYTES - sizeof(struct slab_page);

    assert(object_size >= sizeof(struct free_object) && object_size <= SLAB_PAGE_BYTES / 4);
    slab->object_size = object_size;
    /* The address sanitizer watches what malloc gives: with a page for each, every object. */
    slab->page_objects = IS_CHECKED ? 1 : room / object_size;
    slab->count = 0;
    list_init(&slab->open);
}

static void free_page(struct slab_page *page)
{
    list_remove(&page->link);
    memory_free(page);
}

void slab_deinit(struct slab *slab)
{
    assert(slab->count == 0);
    while (!list_is_empty(&slab->open))
        free_page(container_of(slab->open.next, struct slab_page, link));
}

static struct slab_page *open_page(struct slab *slab)
{
    if (!list_is_empty(&slab->open))
        return container_of(slab->open.next, struct slab_page, link);

    struct slab_page *page =
        memory_aligned(SLAB_PAGE_BYTES, sizeof(*page) + slab->page_objects * slab->object_size);

    page->free = NULL;
    page->used = page->fresh = 0;
    list_init(&page->link);
    list_append(&slab->open, &page->link);
    return page;
}

void *slab_take(struct slab *slab)
{
    struct slab_page *page = open_page(slab);
    void *object = page->free;

    if (object)
        page->free = page->free->next;
    else
        object = page->objects + page->fresh++ * slab->object_size;
    slab->count++;
    if (++page->used == slab->page_objects)
        list_remove(&page->link);
    return memset(object, 0, slab->object_size);
}

void slab_give(struct slab *slab, void *object)
{
    struct slab_page *page = page_of(object);
    struct free_object *free = object;
    bool was_full = page->used-- == slab->page_objects;

    slab->count--;
    free->next = page->free;
    page->free = free;
    if (was_full)
        list_append(&slab->open, &page->link);
    if (page->used == 0 && (IS_CHECKED || slab->open.next != slab->open.previous))
        free_page(page);
}
