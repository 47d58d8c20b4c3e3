/*
 * The channels of a run. Each room is one of them: its share of the clients, those of them that
 * publish in it, and the ledger of what all of them receive. Client i is in room i modulo the
 * number of rooms.
 */
#ifndef BENCH_ROOMS_H
#define BENCH_ROOMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/arguments.h"
#include "tests/bench/client.h"
#include "tests/bench/ledger.h"
#include "tests/bench/publishers.h"

struct room {
    struct ledger ledger;
    struct publishers publishers;
};

struct rooms {
    struct room *items;
    uint32_t count;
};

/* Of all rooms together. */
struct rooms_total {
    uint64_t sent; /* messages */
    uint64_t received;
    uint64_t lost;
    uint64_t doubled;
    uint64_t reordered;
    uint64_t damaged;
    uint64_t foreign;
};

/* `clients` are those of all rooms, and outlive them. */
void rooms_init(struct rooms *rooms, const struct arguments *arguments, struct client *clients);
void rooms_deinit(struct rooms *rooms);

/* The first messages are due now; those of a schedule are spread over its first interval. */
void rooms_start(struct rooms *rooms, uint64_t now_ns);

/* Sends what is due by now, and before `end_ns`. */
void rooms_publish(struct rooms *rooms, uint64_t now_ns, uint64_t end_ns);

/* When the next message is due; UINT64_MAX if the clock does not say. */
uint64_t rooms_next_due_ns(const struct rooms *rooms);

/* In each room so many messages more may be sent. */
void rooms_limit(struct rooms *rooms, uint64_t messages);

/* True once all that may be sent has been, and has arrived. */
bool rooms_are_finished(struct rooms *rooms);

/* True while everything that was sent has arrived at every client. */
bool rooms_are_settled(struct rooms *rooms);

/* A client received a message. True and the time at which it was due if this was a delivery. */
bool rooms_receive(struct rooms *rooms, const struct client *client, const void *data, size_t size,
                   uint64_t *due_ns);

/* What went wrong first in a channel, in words, or NULL; and the number of that channel. */
const char *rooms_fault(const struct rooms *rooms, uint32_t *channel);

void rooms_add_up(const struct rooms *rooms, struct rooms_total *total);

#endif
