#include "common/redial.h"

#include <stdbool.h>

void redial_init(struct redial *redial, uint32_t floor_ms, uint32_t limit_ms)
{
    redial->failing = redial->breaking =
        (struct backoff){.floor_ms = floor_ms, .limit_ms = limit_ms};
}

uint32_t redial_after_failure_ms(struct redial *redial)
{
    return backoff_next_ms(&redial->failing);
}

uint32_t redial_after_break_ms(struct redial *redial, uint64_t lasted_ms)
{
    backoff_reset(&redial->failing);
    if (lasted_ms >= REDIAL_STEADY_MS)
        backoff_reset(&redial->breaking);

    bool is_first = redial->breaking.attempt == 0;
    uint32_t wait_ms = backoff_next_ms(&redial->breaking);

    return is_first ? 0 : wait_ms;
}
