/*
 * malloc keeps what is freed between things that stay, for what may come: after a flood of channels
 * that are forgotten the process would be as large as before. So whenever much less is in use than
 * once was, it is asked to give that back. It holds up each thread that allocates meanwhile, for
 * the milliseconds that this takes; hence not more often than it is worth it.
 */
#ifndef ROUTER_TRIM_H
#define ROUTER_TRIM_H

#include <stdbool.h>
#include <stdint.h>

struct trim {
    uint64_t most; /* bytes in use at most, since memory was given back last */
};

/* True where enough has been freed; tells what is in use now, every few seconds. */
bool trim_is_due(struct trim *trim, uint64_t used_bytes);

/* Gives back what the allocator keeps. */
void trim_now(void);

#endif
