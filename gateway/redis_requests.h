/* Commands that were sent and not yet answered: Redis answers in order, so a queue. One of zero
 * bytes is empty. */
#ifndef GATEWAY_REDIS_REQUESTS_H
#define GATEWAY_REDIS_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

#include "gateway/redis_reply.h"

/* The answer to a command: the reply, which is gone after the call, or NULL where the connection
 * was lost first. `tag` is the sender's. */
typedef void redis_answered(void *context, uint64_t tag, const redisReply *reply);

struct redis_request {
    redis_answered *answered;
    void *context;
    uint64_t tag;
};

struct redis_requests {
    struct redis_request *ring; /* oldest first */
    size_t capacity;            /* a power of two */
    size_t first;
    size_t count;
};

void redis_requests_append(struct redis_requests *requests, struct redis_request request);

/* Removes the oldest of at least one request. */
struct redis_request redis_requests_take(struct redis_requests *requests);

void redis_requests_deinit(struct redis_requests *requests);

#endif
