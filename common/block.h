/*
 * A block is bytes that many readers share and nobody changes: a frame on its way to a thousand
 * sockets exists once, and every socket that the kernel keeps waiting holds one reference to it.
 *
 * The creator fills a block while it holds the only reference (`block_append`); from the first
 * `block_ref` on the bytes are fixed. References may be taken and dropped on any thread.
 */
#ifndef COMMON_BLOCK_H
#define COMMON_BLOCK_H

#include <stdatomic.h>
#include <stddef.h>

struct block {
    atomic_size_t references;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes that fit */
    unsigned char data[];
};

/* An empty block with room for `capacity` bytes and one reference, the caller's. */
struct block *block_create(size_t capacity);

/* Makes room for `more` further bytes; the block may move. Only for its sole owner. */
struct block *block_reserve(struct block *block, size_t more);

/* Gives back the room that is not used; the block may move. Only for its sole owner. */
struct block *block_fit(struct block *block);

/* Copies `size` bytes to the end, which must have room for them. Only for the block's sole owner.
 */
void block_append(struct block *block, const void *data, size_t size);

struct block *block_ref(struct block *block);

/* Drops one reference and frees the block with the last one. NULL is allowed. */
void block_unref(struct block *block);

#endif
