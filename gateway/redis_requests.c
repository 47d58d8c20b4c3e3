#include "gateway/redis_requests.h"

#include <assert.h>

#include "common/memory.h"

static struct redis_request *at(const struct redis_requests *requests, size_t index)
{
    return &requests->ring[(requests->first + index) & (requests->capacity - 1)];
}

void redis_requests_append(struct redis_requests *requests, struct redis_request request)
{
    if (requests->count == requests->capacity) {
        size_t capacity = requests->capacity ? requests->capacity * 2 : 64;
        struct redis_request *ring = memory_allocate(capacity * sizeof(*ring));

        for (size_t i = 0; i < requests->count; i++)
            ring[i] = *at(requests, i);
        memory_free(requests->ring);
        requests->ring = ring;
        requests->capacity = capacity;
        requests->first = 0;
    }
    *at(requests, requests->count++) = request;
}

struct redis_request redis_requests_take(struct redis_requests *requests)
{
    assert(requests->count > 0);

    struct redis_request request = *at(requests, 0);

    requests->first = (requests->first + 1) & (requests->capacity - 1);
    requests->count--;
    return request;
}

void redis_requests_deinit(struct redis_requests *requests)
{
    memory_free(requests->ring);
    *requests = (struct redis_requests){0};
}
