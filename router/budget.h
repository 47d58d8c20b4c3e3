/*
 * What each part of the router's memory may come to: as much as its option says, or, where all of
 * them together would exceed --memory-limit, less, all in proportion. The rest of the limit is for
 * what is not counted: the program, the allocator's losses, and the copies of a message while it is
 * read or written, of which each thread makes a few.
 */
#ifndef ROUTER_BUDGET_H
#define ROUTER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "router/config.h"

struct budget {
    uint64_t limit; /* of the whole process */
    uint64_t history;
    uint64_t waiting;
    uint64_t presence;
    uint64_t keys;
    uint64_t channels;
    uint64_t links;
    uint64_t message; /* data of the largest message */
    bool is_lowered;  /* below what the options say */
};

/* `machine_bytes`: what the process could have (machine_memory.h), of which three quarters are the
 * limit where the option says none. */
struct budget budget_of(const struct config *config, unsigned thread_count, uint64_t machine_bytes);

#endif
