/*
 * The admin listener: the console, /state, /log, /health, /ready and /metrics over HTTP, and
 * the server API (api.h), on the main loop, for operators and their tools. A handful of connections
 * at a time; one more is closed.
 */
#ifndef GATEWAY_ADMIN_H
#define GATEWAY_ADMIN_H

#include "common/buffer.h"
#include "common/loop.h"
#include "gateway/api.h"
#include "gateway/hub.h"

struct admin;

/* Listens on `fd` (bound, owned by the admin listener from here on) and serves `connection_limit`
 * connections at a time. 0 or a libuv error. `api` must outlive the loop. */
int admin_start(struct admin **admin, struct loop *loop, int fd, struct hub *hub, struct api *api,
                uint64_t connection_limit);

/* Closes listener and connections; memory is freed on the loop. */
void admin_stop(struct admin *admin);

/* Appends all metrics in Prometheus' text format; `accept_errors` are the admin listener's own. */
void admin_append_metrics(struct buffer *text, struct hub *hub, uint64_t accept_errors);

#endif
