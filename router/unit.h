/*
 * A shard with what carries it (struct unit, worker.h): how it starts, opens and tells about
 * itself. On its worker's thread.
 */
#ifndef ROUTER_UNIT_H
#define ROUTER_UNIT_H

#include <jansson.h>

#include "router/worker.h"

/* Starts it and its dialer. */
void unit_prepare(struct worker *worker, struct unit *unit, uint32_t number);

/* The other routers have been met, or looked for long enough. */
void unit_open(struct unit *unit);

/* Says in the log where messages are held here alone from now on, or are no more: because no other
 * router is connected; because one refuses. */
void unit_log_alone(struct unit *unit);
void unit_log_unmirrored(struct unit *unit);

/* What /state shows of it, with at most `channel_limit` channels. */
json_t *unit_describe(struct unit *unit, size_t channel_limit);

#endif
