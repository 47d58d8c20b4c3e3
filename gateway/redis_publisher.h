/*
 * The publishes of this gateway on their way to Redis: a queue in the order of their sequences,
 * pipelined, sent again in the same order with the same sequences after anything went wrong. Part
 * of struct redis_bus (bus_redis.h); main loop only.
 */
#ifndef GATEWAY_REDIS_PUBLISHER_H
#define GATEWAY_REDIS_PUBLISHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/backoff.h"
#include "common/list.h"
#include "common/loop.h"
#include "gateway/bus.h"
#include "gateway/redis_flight.h"

struct redis_bus;
struct redis_channel;
struct redis_publication;

enum redis_publisher_state {
    REDIS_PUBLISHER_HELD,    /* from the loss of the connection until redis_publisher_go_on */
    REDIS_PUBLISHER_SENDING, /* while redis_bus_may_publish */
    REDIS_PUBLISHER_PAUSED, /* something failed that will pass: answers are awaited, then a while */
};

struct redis_publisher {
    struct redis_bus *bus;
    enum redis_publisher_state state;
    struct redis_publication *ring; /* at sequence modulo capacity */
    size_t capacity;                /* a power of two */
    uint64_t first;                 /* oldest sequence in the ring */
    uint64_t next;                  /* the next one to send */
    uint64_t end;                   /* the next one to give to a publish */
    uint64_t settled;               /* every sequence before it is settled, for barriers */
    size_t queued_count;            /* publishes not yet acknowledged */
    size_t queued_bytes;
    size_t awaited_count; /* acknowledged, and still to be delivered here */
    size_t awaited_bytes;
    size_t flying_count; /* sent and not yet answered */
    size_t flying_bytes;
    size_t kept_bytes; /* of acknowledged messages that we still hold */
    struct redis_flight flight;
    struct list barriers;
    struct waiter waiter; /* the end of a pause */
    struct backoff backoff;
};

void redis_publisher_init(struct redis_publisher *publisher, struct redis_bus *bus);

/* Cancels what is left; barriers pass. */
void redis_publisher_close(struct redis_publisher *publisher);

void redis_publisher_add(struct redis_publisher *publisher, struct bus_publish *publish);

void redis_publisher_wait(struct redis_publisher *publisher, struct bus_barrier *barrier);

/* The connection is gone: nothing is sent until redis_publisher_go_on. */
void redis_publisher_hold(struct redis_publisher *publisher);

/* Publishes may go out (again). After the loss of a connection, sends everything again that is not
 * known to be safe; `is_new_life`: Redis may have lost what it acknowledged. */
void redis_publisher_go_on(struct redis_publisher *publisher, bool is_new_life);

/* Frees the oldest publications that are over; a few times a second, and whenever it suits. */
void redis_publisher_trim(struct redis_publisher *publisher);

/* A message of ours came back over a subscription. */
void redis_publisher_seen(struct redis_publisher *publisher, uint64_t sequence, const char *epoch,
                          uint64_t offset);

/* No delivery on the channel is to be awaited any more: up to `position`, or at all. */
void redis_publisher_release(struct redis_publisher *publisher, struct redis_channel *channel,
                             uint64_t position);

#endif
