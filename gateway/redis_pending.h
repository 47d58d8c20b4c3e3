/* Live messages of a channel that must wait until history has been read. Bounded: beyond the limits
 * all of them go, because history has them. One of zero bytes is empty. */
#ifndef GATEWAY_REDIS_PENDING_H
#define GATEWAY_REDIS_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

struct redis_pending_entry {
    struct message *message;
    uint32_t attach_number; /* of the last ATTACH sent before it came */
};

struct redis_pending {
    struct redis_pending_entry *entries; /* oldest first */
    size_t count;
    size_t capacity;
    size_t bytes;
};

/* Takes over the caller's reference. False where the limits were passed: all messages are gone. */
bool redis_pending_append(struct redis_pending *pending, struct message *message,
                          uint32_t attach_number);

/* Drops those of `epoch`. */
void redis_pending_forget(struct redis_pending *pending, const char *epoch);

/* Drops all messages. */
void redis_pending_clear(struct redis_pending *pending);

#endif
