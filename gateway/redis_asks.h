/*
 * What the Redis bus is asked: history, forgetting it, and who is there. Each question is a command
 * or several, one after the other; they are answered, or end, as bus.h says. Part of struct
 * redis_bus (bus_redis.h); main loop only.
 */
#ifndef GATEWAY_REDIS_ASKS_H
#define GATEWAY_REDIS_ASKS_H

#include <stddef.h>

#include "common/list.h"
#include "gateway/bus.h"

struct redis_bus;

struct redis_asks {
    struct list waiting;  /* for their turn */
    struct list retrying; /* for the next tick: Redis refused them for now */
    size_t asking;        /* commands that are out */
};

void redis_asks_init(struct redis_asks *asks);

void redis_asks_history(struct redis_bus *bus, struct bus_ask *ask);
void redis_asks_forget(struct redis_bus *bus, struct bus_ask *ask);
void redis_asks_presence(struct redis_bus *bus, struct bus_ask *ask);

/* Ends what cannot be asked because the commands' connection is away. Not from inside a call of the
 * owner. */
void redis_asks_tell(struct redis_bus *bus);

/* Tries again what was refused; a few times a second. */
void redis_asks_retry(struct redis_bus *bus);

/* Ends what waits; what is out ends with the connection. */
void redis_asks_close(struct redis_bus *bus);

#endif
