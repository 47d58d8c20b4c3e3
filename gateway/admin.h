/*
 * The admin listener: /health, /ready and /metrics over HTTP, on the main loop, for operators and
 * their tools. A handful of connections at a time; one more is closed.
 */
#ifndef GATEWAY_ADMIN_H
#define GATEWAY_ADMIN_H

#include "common/loop.h"
#include "gateway/hub.h"

struct admin;

/* Listens on `fd` (bound, owned by the admin listener from here on). 0 or a libuv error. */
int admin_start(struct admin **admin, struct loop *loop, int fd, struct hub *hub);

/* Closes listener and connections; memory is freed on the loop. */
void admin_stop(struct admin *admin);

/* Appends all metrics in Prometheus' text format. */
void admin_append_metrics(struct buffer *text, const struct hub *hub);

#endif
