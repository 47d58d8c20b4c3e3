/*
 * Senders are gateways, a handful that changes only when one is restarted, so an array is searched.
 * It is bounded because publisher numbers come from outside.
 */
#include "gateway/redis_senders.h"

#include "common/memory.h"

#define SENDER_LIMIT   64
#define SENDER_IDLE_MS ((uint64_t)24 * 60 * 60 * 1000)

static void forget_idle(struct redis_senders *senders, uint64_t now_ms)
{
    for (size_t i = 0; i < senders->count;) {
        if (now_ms - senders->senders[i].seen_ms > SENDER_IDLE_MS)
            senders->senders[i] = senders->senders[--senders->count];
        else
            i++;
    }
}

static struct redis_sender *find_oldest(struct redis_senders *senders)
{
    struct redis_sender *oldest = &senders->senders[0];

    for (size_t i = 1; i < senders->count; i++)
        if (senders->senders[i].seen_ms < oldest->seen_ms)
            oldest = &senders->senders[i];
    return oldest;
}

static struct redis_sender *find_place(struct redis_senders *senders, uint64_t now_ms)
{
    forget_idle(senders, now_ms);
    if (senders->count == SENDER_LIMIT)
        return find_oldest(senders);
    if (senders->count == senders->capacity) {
        senders->capacity = senders->capacity ? senders->capacity * 2 : 4;
        senders->senders =
            memory_resize(senders->senders, senders->capacity * sizeof(*senders->senders));
    }
    return &senders->senders[senders->count++];
}

bool redis_senders_accept(struct redis_senders *senders, uint64_t publisher, uint64_t sequence,
                          uint64_t now_ms)
{
    if (publisher == 0 || sequence == 0)
        return true;
    for (size_t i = 0; i < senders->count; i++) {
        struct redis_sender *sender = &senders->senders[i];

        if (sender->publisher != publisher)
            continue;
        sender->seen_ms = now_ms;
        if (sequence <= sender->sequence)
            return false;
        sender->sequence = sequence;
        return true;
    }
    *find_place(senders, now_ms) = (struct redis_sender){publisher, sequence, now_ms};
    return true;
}

void redis_senders_deinit(struct redis_senders *senders)
{
    memory_free(senders->senders);
    *senders = (struct redis_senders){0};
}
