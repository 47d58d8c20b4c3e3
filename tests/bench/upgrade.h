/* The request that turns an HTTP connection into a WebSocket, and the answer (RFC 6455 §4.1). */
#ifndef BENCH_UPGRADE_H
#define BENCH_UPGRADE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/buffer.h"
#include "tests/bench/server_url.h"

#define UPGRADE_REASON_LIMIT 128

/* What is asked for beside the WebSocket. */
struct upgrade_wish {
    const char *subprotocol; /* NULL: none */
    bool is_deflated;        /* permessage-deflate, without context takeover (RFC 7692 §7) */
};

void upgrade_append_request(struct buffer *output, const struct server_url *url,
                            const struct upgrade_wish *wish);

/* Reads the answer. Returns how many bytes it has, 0 while it is incomplete, or -EPROTO if it is
 * not a yes to all that was asked for: `reason` says why, as a phrase that can follow the
 * connection's name. */
ssize_t upgrade_read_answer(const unsigned char *data, size_t size, const struct upgrade_wish *wish,
                            char reason[UPGRADE_REASON_LIMIT]);

#endif
