/*
 * Where a channel belongs, by rendezvous hashing (Thaler, Ravishankar: "Using name-based mappings
 * to increase hit rates", 1998): every router has a score for every channel, and the one with the
 * highest owns it. A router that goes moves its own channels and no other's; the next-ranked is
 * where they go. The same in every process and every version: nothing here may ever change.
 */
#ifndef COMMON_PLACEMENT_H
#define COMMON_PLACEMENT_H

#include <stddef.h>
#include <stdint.h>

/* What stands for a router's name in scores. */
uint64_t placement_seed(const char *name);

/* A channel's score at the router of that seed. Equal scores are for the caller to decide. */
uint64_t placement_score(uint64_t seed, const char *channel, size_t channel_size);

/* The shard of a channel, below `shards` (at least 1). */
uint32_t placement_shard(const char *channel, size_t channel_size, uint32_t shards);

#endif
