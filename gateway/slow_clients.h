/*
 * The clients of a worker that read too slowly, the last few: noted when more is sent to one for
 * whom half of --send-queue-limit waits already. For operators; zeroed it is empty. Belongs to the
 * worker's loop.
 */
#ifndef GATEWAY_SLOW_CLIENTS_H
#define GATEWAY_SLOW_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"

#define SLOW_CLIENTS 16

struct slow_client {
    uint64_t connection; /* its id; 0: nobody */
    uint64_t queued_bytes;
    uint64_t seen_ms; /* when that was, by the loop's clock */
    bool is_closed;   /* for it */
    char address[ADDRESS_TEXT_LIMIT];
};

struct slow_clients {
    struct slow_client items[SLOW_CLIENTS]; /* in no order */
};

/*
 * Notes what waits for a client. True for one that is new to the list: its `address` is to be
 * filled in by the caller in `*place`. Where many are slow at once the list is not turned over more
 * often than once a second, so that to note one costs nothing.
 */
bool slow_clients_note(struct slow_clients *clients, uint64_t connection, uint64_t queued_bytes,
                       bool is_closed, uint64_t now_ms, struct slow_client **place);

#endif
