#include "common/placement.h"

#include <string.h>

#include "common/hash.h"

/* Fixed keys, which spell the purpose: scores must be equal everywhere. Whoever can choose channel
 * names can crowd a router with them, which its limits are there for. */
static const uint64_t name_key[2] = {0x6361726974c3a9u, 0x6e616d65u};
static const uint64_t shard_key[2] = {0x6361726974c3a9u, 0x7368617264u};

uint64_t placement_seed(const char *name)
{
    return hash_siphash13(name_key, name, strlen(name));
}

uint64_t placement_score(uint64_t seed, const char *channel, size_t channel_size)
{
    const uint64_t key[2] = {seed, 0x73636f7265u};

    return hash_siphash13(key, channel, channel_size);
}

uint32_t placement_shard(const char *channel, size_t channel_size, uint32_t shards)
{
    return (uint32_t)(hash_siphash13(shard_key, channel, channel_size) % shards);
}
