/*
 * Memory for what protobuf-c unpacks: many small pieces that go together. They lie one behind the
 * other in the arena; what does not fit there any more is allocated, and freed with it. Beyond the
 * limit nothing is allocated: protobuf-c unpacks two bytes to a hundred, and gives up where it is
 * given nothing.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"

#define ARENA_BYTES     512
#define ARENA_UNLIMITED SIZE_MAX /* where what is allocated is bounded otherwise */

struct arena {
    ProtobufCAllocator allocator;
    struct list pieces; /* that did not fit */
    size_t used;
    size_t left; /* that pieces may still take */
    alignas(max_align_t) unsigned char bytes[ARENA_BYTES];
};

/* `limit_bytes`: what may be allocated beside the arena itself, which must not be moved from here
 * on. */
void arena_init(struct arena *arena, size_t limit_bytes);

/* All that was allocated from it is gone. */
void arena_deinit(struct arena *arena);

#endif
