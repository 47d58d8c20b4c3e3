/*
 * The questions of one tick: what workers ask about one channel for those who come back to it is
 * one question to the bus, whose answer all of them get. On the hub's thread.
 *
 * Workers put it for whoever lacks most among theirs (recent.h), and look themselves for what each
 * one lacks in what comes; so the one question is from the lowest position, and reaches as far as
 * any of them wants. Only positions in the same epoch are put together, and a question that names
 * none and no limit, where the channel stands, is answered by any other.
 */
#ifndef GATEWAY_ASKS_H
#define GATEWAY_ASKS_H

#include "common/list.h"
#include "common/map.h"
#include "gateway/bus.h"
#include "gateway/command.h"

struct asks {
    struct map channels; /* struct ask_command, the first about its channel, until asks_put */
    struct list waiting; /* the same, oldest first */
};

void asks_init(struct asks *asks);

/* Nothing waits any more. */
void asks_deinit(struct asks *asks);

/* Takes a question to the bus; true where it is the first that waits for asks_put, which the caller
 * calls once what has come is taken. Others than those above go at once. `bus` NULL: it is closed,
 * and all are answered at once (UV_ECANCELED). */
bool asks_take(struct asks *asks, struct ask_command *command, struct bus *bus);

/* Puts what waits to the bus. */
void asks_put(struct asks *asks, struct bus *bus);

#endif
