/*
 * Memory for what protobuf-c unpacks: many small pieces that go together. They lie one behind the
 * other in the arena; what does not fit there any more is allocated, and freed with it.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdalign.h>
#include <stddef.h>

#include "common/list.h"

#define ARENA_BYTES 512

struct arena {
    ProtobufCAllocator allocator;
    struct list pieces; /* that did not fit */
    size_t used;
    alignas(max_align_t) unsigned char bytes[ARENA_BYTES];
};

/* The arena must not be moved from here on. */
void arena_init(struct arena *arena);

/* All that was allocated from it is gone. */
void arena_deinit(struct arena *arena);

#endif
