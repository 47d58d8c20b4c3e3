/* What /metrics shows: the shards' numbers, added up. */
#ifndef ROUTER_ROUTER_METRICS_H
#define ROUTER_ROUTER_METRICS_H

#include "common/buffer.h"
#include "router/worker.h"

/* Bytes of all that is counted. */
uint64_t router_used_bytes(const struct worker *workers, unsigned worker_count);

/* Appends all metrics in Prometheus' text format; `accept_errors` are the admin listener's own. */
void router_append_metrics(struct buffer *text, struct worker *workers, unsigned worker_count,
                           const struct budget *budget, uint64_t accept_errors);

#endif
