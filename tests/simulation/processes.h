/*
 * Routers and gateways: how they start and die, dial each other, and are given what reaches them. A
 * process that died stays in the graveyard until the run ends, since connections still point at it
 * and those who dial its address are told of it.
 */
#ifndef TESTS_SIMULATION_PROCESSES_H
#define TESTS_SIMULATION_PROCESSES_H

#include "gateway/router_client.h"
#include "router/shard.h"
#include "tests/simulation/world.h"

struct place;

enum kind { ROUTER, GATEWAY };

/* A process: a router or a gateway. */
struct process {
    enum kind kind;
    int place; /* its address: index of the router or gateway */
    uint64_t id;
    bool is_alive;
    uint64_t frozen_until;
    bool is_leaving;
    char name[16];
    struct shard shard;
    struct router_client client;
    struct bus_stats *stats;
    uint64_t sequence, queued_bytes, queued_count, wanted_count;
    struct log logs[CHANNELS];
};

/* Starts one, which the caller puts into the world. It dials all routers before long. */
struct process *start_process(enum kind kind, int place);

/* The router at an address dies, if one lives there. */
void kill_router(int place);

/* Frees a process of any kind, dead or alive, at the end of a run. */
void end_process(struct process *process);

/* A channel's place at a router, or NULL. */
struct place *place_of(const struct process *router, int channel);

/* What events bring about. */

void dial(struct process *process, int address);
void bring_up(struct connection *connection, int end);
void receive(struct connection *connection, int end, const struct event *event);
void tick(struct process *process);

#endif
