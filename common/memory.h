/*
 * Allocation that does not fail: running out of memory ends the process with one line on stderr
 * (a supervisor restarts it, and the other gateways carry on). Input from outside cannot cause
 * that, because each kind of input has a limit that is checked before anything is allocated for it.
 */
#ifndef COMMON_MEMORY_H
#define COMMON_MEMORY_H

#include <stddef.h>

/* `size` bytes of undefined content; never NULL. */
void *memory_allocate(size_t size);

/* `count` times `size` zero bytes; never NULL. */
void *memory_zeroed(size_t count, size_t size);

/* `size` bytes of undefined content at a multiple of `alignment`, a power of two; never NULL. */
void *memory_aligned(size_t alignment, size_t size);

/* Grows or shrinks what memory_* gave; `old` may be NULL. Never NULL. */
void *memory_resize(void *old, size_t size);

/* A copy of `size` bytes with a zero byte behind it. */
char *memory_copy_text(const char *text, size_t size);

/* NULL is allowed. Takes const, so that who owns a read-only text can free it. */
void memory_free(const void *memory);

/* The object whose member `member` is at `pointer`. */
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((unsigned char *)(pointer)-offsetof(type, member)))

#endif
