/*
 * What a tail must cover is the difference between the gateway that saw most and the one that saw
 * least when Redis died: moments, unless one of them was cut off for a while. 30 s is that while.
 */
#include "gateway/redis_tail.h"

#include "common/memory.h"

#define TAIL_LIMIT_MS    30000
#define TAIL_LIMIT_BYTES ((size_t)1024 * 1024)
#define ALL_LIMIT_BYTES  ((size_t)64 * 1024 * 1024)
#define ENTRY_BYTES      256 /* of a message beside its content */

void redis_tails_init(struct redis_tails *tails, size_t message_limit)
{
    list_init(&tails->members);
    tails->bytes = 0;
    tails->message_limit = message_limit;
}

void redis_tail_init(struct redis_tail *tail)
{
    *tail = (struct redis_tail){0};
    list_init(&tail->link);
}

const struct redis_tail_entry *redis_tail_at(const struct redis_tail *tail, size_t index)
{
    return &tail->ring[(tail->first + index) & (tail->capacity - 1)];
}

static size_t cost_of(const struct message *message)
{
    return message_content_size(message) + ENTRY_BYTES;
}

static void drop_oldest(struct redis_tails *tails, struct redis_tail *tail)
{
    struct message *message = redis_tail_at(tail, 0)->message;

    tail->bytes -= cost_of(message);
    tails->bytes -= cost_of(message);
    message_unref(message);
    tail->first = (tail->first + 1) & (tail->capacity - 1);
    if (--tail->count > 0)
        return;
    list_remove(&tail->link);
    memory_free(tail->ring);
    redis_tail_init(tail);
}

static void grow(struct redis_tail *tail)
{
    size_t capacity = tail->capacity ? tail->capacity * 2 : 8;
    struct redis_tail_entry *ring = memory_allocate(capacity * sizeof(*ring));

    for (size_t i = 0; i < tail->count; i++)
        ring[i] = *redis_tail_at(tail, i);
    memory_free(tail->ring);
    tail->ring = ring;
    tail->capacity = capacity;
    tail->first = 0;
}

void redis_tail_append(struct redis_tails *tails, struct redis_tail *tail, struct message *message,
                       uint64_t offset, uint64_t now_ms)
{
    size_t cost = cost_of(message);

    if (tails->message_limit == 0)
        return;
    while (tail->count > 0 &&
           (tail->count >= tails->message_limit || tail->bytes + cost > TAIL_LIMIT_BYTES ||
            tails->bytes + cost > ALL_LIMIT_BYTES))
        drop_oldest(tails, tail);
    if (tails->bytes + cost > ALL_LIMIT_BYTES)
        return; /* others hold it all; a tail that ends before the position is of no use: it is
                   empty */
    if (tail->count == tail->capacity)
        grow(tail);
    if (tail->count == 0)
        list_append(&tails->members, &tail->link);
    tail->ring[(tail->first + tail->count++) & (tail->capacity - 1)] =
        (struct redis_tail_entry){message_ref(message), offset, now_ms};
    tail->bytes += cost;
    tails->bytes += cost;
}

void redis_tail_clear(struct redis_tails *tails, struct redis_tail *tail)
{
    while (tail->count > 0)
        drop_oldest(tails, tail);
}

void redis_tails_expire(struct redis_tails *tails, uint64_t now_ms)
{
    struct list *link = tails->members.next;

    while (link != &tails->members) {
        struct redis_tail *tail = container_of(link, struct redis_tail, link);

        link = link->next;
        while (tail->count > 0 && now_ms - redis_tail_at(tail, 0)->seen_ms > TAIL_LIMIT_MS)
            drop_oldest(tails, tail);
    }
}

const struct redis_tail_entry *redis_tail_find(const struct redis_tail *tail, uint64_t offset)
{
    if (tail->count == 0 || offset < redis_tail_at(tail, 0)->offset)
        return NULL;

    uint64_t index = offset - redis_tail_at(tail, 0)->offset;

    return index < tail->count ? redis_tail_at(tail, (size_t)index) : NULL;
}
