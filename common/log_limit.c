#include "common/log_limit.h"

#define INTERVAL_MS 1000

bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, uint64_t *left_out)
{
    uint64_t next_ms = atomic_load_explicit(&limit->next_ms, memory_order_relaxed);

    if (now_ms < next_ms ||
        !atomic_compare_exchange_strong_explicit(&limit->next_ms, &next_ms, now_ms + INTERVAL_MS,
                                                 memory_order_relaxed, memory_order_relaxed)) {
        atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
        return false;
    }
    *left_out = atomic_exchange_explicit(&limit->left_out, 0, memory_order_relaxed);
    return true;
}
