#include "common/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *memory, size_t size)
{
    if (memory)
        return memory;
    fprintf(stderr, "level=error event=\"out of memory\" bytes=%zu\n", size);
    abort();
}

void *memory_allocate(size_t size)
{
    return checked(malloc(size ? size : 1), size);
}

void *memory_zeroed(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1), size);
}

void *memory_aligned(size_t alignment, size_t size)
{
    void *memory = NULL;

    if (posix_memalign(&memory, alignment, size))
        memory = NULL;
    return checked(memory, size);
}

void *memory_resize(void *old, size_t size)
{
    return checked(realloc(old, size ? size : 1), size);
}

char *memory_copy_text(const char *text, size_t size)
{
    char *copy = memory_allocate(size + 1);

    if (size > 0)
        memcpy(copy, text, size);
    copy[size] = '\0';
    return copy;
}

void memory_free(const void *memory)
{
    free((void *)memory);
}
