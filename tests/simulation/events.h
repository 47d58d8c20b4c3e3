/*
 * What is going to happen, in order of time; what falls on one moment happens in the order in which
 * it was pushed. The queue is the world's. It owns what lies in it; an event that was popped is its
 * caller's, to push again or to destroy.
 */
#ifndef TESTS_SIMULATION_EVENTS_H
#define TESTS_SIMULATION_EVENTS_H

#include "tests/simulation/world.h"

enum event_kind {
    EVENT_TICK,
    EVENT_FRAME,
    EVENT_UP,
    EVENT_CLOSED,
    EVENT_DIAL,
    EVENT_DIED,
    EVENT_ACT
};

struct event {
    uint64_t at;
    uint64_t order;
    enum event_kind kind;
    struct process *process; /* EVENT_TICK, EVENT_DIED, EVENT_DIAL */
    struct connection *connection;
    int end;
    int address; /* EVENT_DIAL: of the router */
    uint64_t id; /* EVENT_DIED */
    void (*act)(uint64_t argument);
    uint64_t argument;
    size_t size;
    unsigned char *bytes;
};

/* An event that is not in the queue yet; whoever made it fills in the rest. */
struct event *event_at(uint64_t at, enum event_kind kind);
void event_destroy(struct event *event);

/* An event that is pushed again keeps its place among those of the same moment. */
void event_push(struct event *event);

/* The next event; there must be one. */
struct event *event_pop(void);

/* Calls a function at some time. */
void act_at(uint64_t at, void (*act)(uint64_t argument), uint64_t argument);

#endif
