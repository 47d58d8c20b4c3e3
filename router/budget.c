#include "router/budget.h"

#include <stddef.h>

/* A message that is read lies in the frame's bytes, unpacked, and as a message; one that is written
 * in a frame under construction, which may have grown to twice its size, and as a block. */
#define MESSAGE_COPIES ((uint64_t)6)

static uint64_t limit_of(const struct config *config, uint64_t machine_bytes)
{
    return config->memory_limit_bytes ? config->memory_limit_bytes : machine_bytes / 4 * 3;
}

struct budget budget_of(const struct config *config, unsigned thread_count, uint64_t machine_bytes)
{
    struct budget budget = {
        .limit = limit_of(config, machine_bytes),
        .history = config->history_memory_bytes,
        .waiting = config->waiting_memory_bytes,
        .presence = config->presence_memory_bytes,
        .keys = config->key_memory_bytes,
        .channels = config->channel_memory_bytes,
        .links = config->link_memory_bytes,
        .message = config->max_message_size,
    };
    uint64_t *const parts[] = {&budget.history,  &budget.waiting, &budget.presence, &budget.keys,
                               &budget.channels, &budget.links,   &budget.message};
    uint64_t wanted = budget.history + budget.waiting + budget.presence + budget.keys +
                      budget.channels + budget.links +
                      MESSAGE_COPIES * thread_count * budget.message;
    uint64_t available = budget.limit - budget.limit / 8;

    budget.is_lowered = wanted > available;
    if (!budget.is_lowered)
        return budget;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        *parts[i] = (uint64_t)((double)*parts[i] * ((double)available / (double)wanted));
    return budget;
}
