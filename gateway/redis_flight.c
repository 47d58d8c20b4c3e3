#include "gateway/redis_flight.h"

#include <string.h>

#include "common/memory.h"

struct newest {
    struct map_entry entry;
    uint64_t sequence;
    char channel[];
};

static struct newest *find(const struct redis_flight *flight, const struct message *message)
{
    struct map_entry *entry = map_find(&flight->channels, message->channel, message->channel_size);

    return entry ? container_of(entry, struct newest, entry) : NULL;
}

uint64_t redis_flight_exchange(struct redis_flight *flight, const struct message *message)
{
    struct newest *newest = find(flight, message);
    uint64_t before = newest ? newest->sequence : 0;

    if (!newest) {
        newest = memory_allocate(sizeof(*newest) + message->channel_size);
        memcpy(newest->channel, message->channel, message->channel_size);
        map_insert(&flight->channels, &newest->entry, newest->channel, message->channel_size);
    }
    newest->sequence = message->sequence;
    return before;
}

static void forget(struct map_entry *entry, void *context)
{
    struct redis_flight *flight = context;

    map_remove(&flight->channels, entry);
    memory_free(container_of(entry, struct newest, entry));
}

void redis_flight_end(struct redis_flight *flight, const struct message *message)
{
    struct newest *newest = find(flight, message);

    if (newest && newest->sequence == message->sequence)
        forget(&newest->entry, flight);
}

void redis_flight_clear(struct redis_flight *flight)
{
    map_each(&flight->channels, forget, flight);
    map_deinit(&flight->channels);
}
