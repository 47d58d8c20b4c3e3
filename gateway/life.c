#include "gateway/life.h"

void life_sign(struct life *life, uint32_t now_ms)
{
    *life = (struct life){.since_ms = now_ms};
}

enum life_verdict life_check(struct life *life, uint32_t now_ms, bool has_moved,
                             const struct config *config, uint64_t *wait_ms)
{
    uint32_t passed_ms = now_ms - life->since_ms;
    uint64_t patience_ms = life->is_asked ? config->pong_timeout_ms : config->ping_interval_ms;

    if (life->is_asked && has_moved) {
        life->since_ms = now_ms;
        passed_ms = 0;
    }
    *wait_ms = patience_ms - passed_ms;
    if (passed_ms < patience_ms)
        return LIFE_WAIT;
    if (life->is_asked)
        return LIFE_OVER;
    *life = (struct life){.since_ms = now_ms, .is_asked = true};
    *wait_ms = config->pong_timeout_ms;
    return LIFE_ASK;
}
