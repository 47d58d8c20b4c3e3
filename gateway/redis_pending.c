#include "gateway/redis_pending.h"

#include "common/memory.h"

#define LIMIT_COUNT    1024
#define LIMIT_BYTES    ((size_t)1024 * 1024)
#define OVERHEAD_BYTES 128 /* of a message beside its content */

bool redis_pending_append(struct redis_pending *pending, struct message *message,
                          uint32_t attach_number)
{
    size_t bytes = message_content_size(message) + OVERHEAD_BYTES;

    if (pending->count >= LIMIT_COUNT || pending->bytes + bytes > LIMIT_BYTES) {
        redis_pending_clear(pending);
        message_unref(message);
        return false;
    }
    if (pending->count == pending->capacity) {
        pending->capacity = pending->capacity ? pending->capacity * 2 : 8;
        pending->entries =
            memory_resize(pending->entries, pending->capacity * sizeof(*pending->entries));
    }
    pending->entries[pending->count++] = (struct redis_pending_entry){message, attach_number};
    pending->bytes += bytes;
    return true;
}

void redis_pending_clear(struct redis_pending *pending)
{
    for (size_t i = 0; i < pending->count; i++)
        message_unref(pending->entries[i].message);
    memory_free(pending->entries);
    *pending = (struct redis_pending){0};
}
