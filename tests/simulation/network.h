/*
 * Connections between processes, and what travels over them: frames, and the news that the other
 * side is up or has hung up. Latencies are random, the bytes of a connection arrive in order, and
 * what meets a cut is lost for good. The state machines send and drop through the outputs here;
 * what arrives is handed to them by processes.h.
 */
#ifndef TESTS_SIMULATION_NETWORK_H
#define TESTS_SIMULATION_NETWORK_H

#include "gateway/router_client.h"
#include "router/shard.h"
#include "tests/simulation/world.h"

struct end {
    struct process *process;
    bool is_up;            /* the state machine knows of it */
    bool is_closed;        /* this side has closed it */
    bool is_mute;          /* what it sends is lost from some moment on */
    uint64_t last_arrival; /* here */
    struct shard_link shard_link;
    struct router_client_link client_link;
};

/* A TCP connection. Its bytes arrive in order. */
struct connection {
    struct connection *next;
    struct end ends[2]; /* the dialer's and the acceptor's */
    int events;         /* under way */
};

/* What state machines are given to send and drop with; their context is their process. */
extern const struct shard_output shard_out;
extern const struct router_client_output client_out;

uint64_t latency(void);
bool is_cut(const struct process *a, const struct process *b);

/* True where routers are cut off from each other by what refuses their connections. */
bool is_refused(const struct process *a, const struct process *b);

bool has_link(const struct process *a, const struct process *b);

/* Something travels from one end of a connection to the other; what is cut off is lost for good, as
 * if the connection hung. Takes the event. */
void travel(struct connection *connection, int from, struct event *event);

/* Dials once; with `repeats` again and again, where there is no connection. */
void dial_at(uint64_t at, struct process *process, int address, bool repeats);

/* One side hangs up; the other learns it. */
void close_end(struct connection *connection, int end);

/* The state machine at an end learns that its connection is gone; a living process dials a router
 * again. */
void tell_down(struct connection *connection, int end);

/* One side hangs up and its state machine is told of it, from an event: for callers within it. */
void drop_soon(struct connection *connection, int end);

/* Frees those that nobody uses any more, or all. */
void free_connections(bool all);

#endif
