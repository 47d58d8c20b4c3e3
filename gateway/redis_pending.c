#include "gateway/redis_pending.h"

#include <string.h>

#include "common/memory.h"

#define LIMIT_COUNT    1024
#define LIMIT_BYTES    ((size_t)1024 * 1024)
#define OVERHEAD_BYTES 128 /* of a message beside its content */

static size_t cost_of(const struct message *message)
{
    return message_content_size(message) + OVERHEAD_BYTES;
}

bool redis_pending_append(struct redis_pending *pending, struct message *message,
                          uint32_t attach_number)
{
    size_t bytes = cost_of(message);

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

void redis_pending_forget(struct redis_pending *pending, const char *epoch)
{
    size_t kept = 0;

    for (size_t i = 0; i < pending->count; i++) {
        struct message *message = pending->entries[i].message;

        if (strcmp(message->epoch, epoch) == 0) {
            pending->bytes -= cost_of(message);
            message_unref(message);
        } else {
            pending->entries[kept++] = pending->entries[i];
        }
    }
    pending->count = kept;
}

void redis_pending_clear(struct redis_pending *pending)
{
    for (size_t i = 0; i < pending->count; i++)
        message_unref(pending->entries[i].message);
    memory_free(pending->entries);
    *pending = (struct redis_pending){0};
}
