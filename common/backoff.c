#include "common/backoff.h"

#include "common/random.h"

uint32_t backoff_next_ms(struct backoff *backoff)
{
    uint64_t ceiling = backoff->limit_ms;

    if (backoff->attempt < 32 && (uint64_t)backoff->floor_ms << backoff->attempt < ceiling)
        ceiling = (uint64_t)backoff->floor_ms << backoff->attempt;
    if (backoff->attempt < UINT32_MAX)
        backoff->attempt++;
    if (ceiling <= backoff->floor_ms)
        return backoff->floor_ms;
    return backoff->floor_ms + (uint32_t)random_below(ceiling - backoff->floor_ms + 1);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->attempt = 0;
}
