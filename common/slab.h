/*
 * Objects of one size, many to a page: without malloc's header and rounding for each, and apart
 * from what is allocated for a moment only, whose holes would lie between objects that stay for
 * hours. A page goes back when its last object does, but for one that is kept for those who come
 * next. Belongs to one thread at a time.
 */
#ifndef COMMON_SLAB_H
#define COMMON_SLAB_H

#include <stddef.h>

#include "common/list.h"

struct slab {
    size_t object_size;
    size_t page_objects; /* so many fit into a page */
    size_t count;        /* objects in use */
    struct list open;    /* pages that have room */
};

/* `object_size`: at most a fourth of SLAB_PAGE_BYTES, and a multiple of the object's alignment, as
 * sizeof is; the alignment is at most 64. */
#define SLAB_PAGE_BYTES ((size_t)16 * 1024)

void slab_init(struct slab *slab, size_t object_size);

/* No object is in use any more. */
void slab_deinit(struct slab *slab);

/* An object of zero bytes; never NULL. */
void *slab_take(struct slab *slab);

/* Gives back an object of this slab. */
void slab_give(struct slab *slab, void *object);

#endif
