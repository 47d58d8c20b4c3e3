/*
 * The world of one run: its time, who is in it, what is cut off from what, and what has been
 * published, seen and lost. There is one, which every file here reads and changes. All that is left
 * to chance comes from random_number, and so from the seed: whoever asks for one more number, or
 * in another order, changes every schedule.
 */
#ifndef TESTS_SIMULATION_WORLD_H
#define TESTS_SIMULATION_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

#define ROUTERS  3
#define GATEWAYS 3
#define CHANNELS 4

struct connection;
struct event;
struct process;

/* Which message it is, wherever it lies. Of those with one key there is to be only one. */
struct identity {
    uint64_t publisher;
    uint64_t sequence;
    uint64_t key; /* 0: none */
};

/* What a gateway was given on a channel, in order. */
struct log {
    struct identity *items;
    size_t count;
    size_t capacity;
    unsigned losses;
};

struct world {
    uint64_t now;
    uint64_t order;
    struct event **heap;
    size_t count, capacity;
    struct connection *connections;
    struct process *routers[ROUTERS];
    struct process *gateways[GATEWAYS];
    struct process *graveyard[256];
    int graves;
    int router_count;
    uint64_t cut_routers[ROUTERS][ROUTERS]; /* until when */
    uint64_t cut_gateways[GATEWAYS][ROUTERS];
    /* A firewall stands in that cut, which refuses: each takes the other for dead. */
    bool refuses[ROUTERS][ROUTERS];
    /* One came between while gateways moved from one router to the other: faults.c. */
    bool is_divided[CHANNELS];
    bool is_mild;    /* one fault at a time, each when all is well */
    int faults_left; /* of a mild schedule */
    unsigned well_looks;
    uint64_t fault_ends; /* when the last fault of a mild schedule is over */
    uint64_t faults_end; /* from when on nothing happens, nor is anything said */
    bool all_died;
    unsigned published, answered;
    struct {
        int channel;
        char epoch[MESSAGE_EPOCH_LIMIT + 1];
        uint64_t offset;
        struct identity identity;
    } * seen;
    size_t seen_count, seen_capacity;
    struct {
        int channel;
        struct identity identity;
    } * acked;
    size_t acked_count, acked_capacity;
    struct {
        int channel;
        struct identity identity;
    } * buried; /* only a router that died had them */
    size_t buried_count, buried_capacity;
};

extern struct world world;
extern const char *const channels[CHANNELS];
extern bool is_verbose;
extern char failure[512]; /* the first thing that did not hold, or empty */

/* An empty world, and the numbers that belong to the seed. */
void world_begin(uint64_t seed);

uint64_t random_number(void);
uint64_t below(uint64_t bound);

/* Both bounds may come. */
uint64_t between(uint64_t low, uint64_t high);

/* Ends the run. Of several failures the first is kept. */
void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A line of the story, with its time, if the run is verbose. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

int channel_index(const char *name);
bool is_same(struct identity a, struct identity b);
struct identity identity_of(const struct message *message);

#endif
