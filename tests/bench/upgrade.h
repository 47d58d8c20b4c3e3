/* The request that turns an HTTP connection into a WebSocket, and the answer (RFC 6455 §4.1). */
#ifndef BENCH_UPGRADE_H
#define BENCH_UPGRADE_H

#include <stddef.h>
#include <sys/types.h>

#include "common/buffer.h"
#include "tests/bench/server_url.h"

#define UPGRADE_REASON_LIMIT 128

void upgrade_append_request(struct buffer *output, const struct server_url *url);

/* Reads the answer. Returns how many bytes it has, 0 while it is incomplete, or -EPROTO if it is
 * not a yes: `reason` says why, as a phrase that can follow the connection's name. */
ssize_t upgrade_read_answer(const unsigned char *data, size_t size,
                            char reason[UPGRADE_REASON_LIMIT]);

#endif
