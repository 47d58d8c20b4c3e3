/*
 * The ledger checks what clients receive: every message once, and all clients in one order.
 *
 * Each message carries a stamp (run, publisher, sequence, the time at which it was due). The first
 * client to see a message writes its stamp into the ledger, if it is the one that follows its
 * publisher's last; every other client must then find exactly this stamp at the same place. So a
 * delivery costs one comparison, and the order is checked for all clients at once: it is one order,
 * and in it each publisher's messages stand as they were sent.
 *
 * Entries that all clients have passed are forgotten. Once something is wrong nothing is forgotten
 * any more, and each fault is looked into; the run has failed then, speed no longer matters.
 */
#ifndef BENCH_LEDGER_H
#define BENCH_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "run publisher sequence due " in hexadecimal: every server can carry text. */
#define LEDGER_STAMP_BYTES 40

struct ledger_entry {
    char stamp[LEDGER_STAMP_BYTES];
    uint32_t remaining; /* clients that have yet to receive it */
    uint32_t publisher;
    uint32_t sequence;
    uint64_t due_ns;
};

/* A message that a client has not received where it should have. */
struct ledger_gap {
    uint32_t client;
    uint32_t publisher;
    uint32_t sequence;
};

struct ledger {
    uint32_t run;
    uint32_t clients;
    uint32_t publishers;
    uint32_t *next_sequence; /* of each publisher, the one to be entered next */
    uint64_t *positions;     /* of each client, the index of the entry it must receive next */
    struct ledger_entry *ring;
    size_t capacity; /* a power of two */
    uint64_t first;  /* index of the oldest entry kept */
    uint64_t count;  /* index behind the newest; the number of messages seen */
    uint64_t received;
    uint64_t foreign;   /* messages of somebody else, ignored */
    uint64_t doubled;   /* deliveries too many */
    uint64_t reordered; /* deliveries after a later message, or in another order than elsewhere */
    uint64_t damaged;   /* messages of this run with changed content */
    struct ledger_gap *gaps;
    size_t gap_count;
    size_t gap_capacity;
    char fault[160]; /* the first fault, in words; empty while there is none */
};

/* For messages of `run`, that each of `clients` is to receive from each of `publishers`. */
void ledger_init(struct ledger *ledger, uint32_t run, uint32_t clients, uint32_t publishers);
void ledger_deinit(struct ledger *ledger);

/* Writes the stamp of a message. */
void ledger_stamp(const struct ledger *ledger, char stamp[LEDGER_STAMP_BYTES], uint32_t publisher,
                  uint32_t sequence, uint64_t due_ns);

/* A client received a message that begins with these `size` bytes. Returns true and the time at
 * which it was due if this was a delivery, false if it was a fault or somebody else's message. */
bool ledger_receive(struct ledger *ledger, uint32_t client, const void *data, size_t size,
                    uint64_t *due_ns);

/* Notes that a message came with a changed body. */
void ledger_note_damage(struct ledger *ledger, uint32_t client);

/* How many messages every client has received. */
uint64_t ledger_completed(struct ledger *ledger);

/* Deliveries that are missing after `sent` messages. */
uint64_t ledger_lost(const struct ledger *ledger, uint64_t sent);

/* True once anything was wrong, other than that something has not arrived yet. */
bool ledger_has_fault(const struct ledger *ledger);

#endif
