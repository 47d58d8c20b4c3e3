/*
 * The publishers of a channel, the first of its clients: they send stamped messages in turn, either
 * by a schedule or with a number of messages in flight. A schedule does not wait for anybody: what
 * was due and could not be sent is sent late and bears the time at which it was due.
 */
#ifndef BENCH_PUBLISHERS_H
#define BENCH_PUBLISHERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/arguments.h"
#include "tests/bench/client.h"
#include "tests/bench/ledger.h"

struct publishers {
    const struct arguments *arguments;
    struct client *clients;
    struct ledger *ledger;
    unsigned char *message; /* the next one: stamp and filling */
    uint32_t *sequences;    /* of each publisher */
    uint64_t sent;
    uint64_t sent_limit;
    uint64_t scheduled_from_ns;
};

/* `clients` are those of all channels in turn, from the first of ours on. */
void publishers_init(struct publishers *publishers, const struct arguments *arguments,
                     struct client *clients, struct ledger *ledger);
void publishers_deinit(struct publishers *publishers);

/* The first message is due now. */
void publishers_start(struct publishers *publishers, uint64_t now_ns);

/* Sends what is due by now, and before `end_ns`. */
void publishers_publish(struct publishers *publishers, uint64_t now_ns, uint64_t end_ns);

/* When the next message is due; UINT64_MAX if the clock does not say. */
uint64_t publishers_next_due_ns(const struct publishers *publishers);

/* Whether a message came with the size and the filling with which it was sent. */
bool publishers_is_intact(const struct publishers *publishers, const unsigned char *data,
                          size_t size);

#endif
