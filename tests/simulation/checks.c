#include "tests/simulation/checks.h"

#include <string.h>

#include "router/shard_parts.h"
#include "tests/simulation/processes.h"
#include "tests/simulation/watch.h"

void check_titles(void)
{
    for (int i = 0; i < world.router_count; i++) {
        struct process *one = world.routers[i];

        for (int c = 0; one && c < CHANNELS; c++) {
            struct place *place = places_find(&one->shard, channels[c], strlen(channels[c]));

            for (int j = i + 1; place && place->has_title && j < world.router_count; j++) {
                struct process *other = world.routers[j];
                struct place *twin =
                    other ? places_find(&other->shard, channels[c], strlen(channels[c])) : NULL;

                if (twin && twin->has_title &&
                    strcmp(twin->lineage.epoch, place->lineage.epoch) == 0)
                    fail("%s and %s both hold the title of %s %s", one->name, other->name,
                         channels[c], place->lineage.epoch);
            }
        }
    }
}

static size_t index_in(const struct log *log, struct identity identity)
{
    for (size_t i = 0; i < log->count; i++) {
        if (is_same(log->items[i], identity))
            return i;
    }
    return SIZE_MAX;
}

static void check_order(int channel, const struct log *one, const struct log *other)
{
    size_t last = 0;
    bool any = false;

    if (one->losses > 0 || other->losses > 0)
        return;
    for (size_t i = 0; i < one->count; i++) {
        size_t at = index_in(other, one->items[i]);

        if (at == SIZE_MAX)
            continue;
        if (any && at <= last)
            fail("two gateways see another order of %s", channels[channel]);
        last = at;
        any = true;
    }
}

void say_places(void)
{
    for (int i = 0; i < GATEWAYS; i++)
        say("%s: oldest publish that is not settled: %llx:%lld", world.gateways[i]->name,
            (unsigned long long)world.gateways[i]->id,
            (long long)router_client_oldest(&world.gateways[i]->client));
    for (int i = 0; i < world.router_count; i++) {
        struct process *router = world.routers[i];

        for (int c = 0; router && c < CHANNELS; c++) {
            struct place *place = places_find(&router->shard, channels[c], strlen(channels[c]));

            if (place)
                say("%s %s: role %d, %s/%llu, committed %llu%s, mirror %s state %d at %llu, source "
                    "%s, "
                    "fence %s, floor %llu",
                    router->name, channels[c], place->role, place->lineage.epoch,
                    (unsigned long long)place->history.top, (unsigned long long)place->committed,
                    place->has_title ? " with title" : "",
                    place->mirror ? place->mirror->name : "-", place->mirror_state,
                    (unsigned long long)place->mirrored, place->source ? place->source->name : "-",
                    place->fence ? place->fence->name : "-",
                    (unsigned long long)place->fence_floor_ms);
        }
    }
}

static void check_owners(void)
{
    for (int c = 0; c < CHANNELS; c++) {
        int owners = 0;

        for (int i = 0; i < world.router_count; i++) {
            struct process *router = world.routers[i];
            struct place *place =
                router ? places_find(&router->shard, channels[c], strlen(channels[c])) : NULL;

            owners += place && place->role == PLACE_OWNED;
        }
        if (owners != 1)
            fail("%s has %d owners in the end", channels[c], owners);
    }
}

/* A mirror that has all keeps as much of it as the owner does. */
static void check_mirror(const struct place *place, const struct place *copy, int channel)
{
    if (copy->history.top != place->history.top || copy->history.count != place->history.count ||
        copy->limits.history_size != place->limits.history_size ||
        copy->limits.history_ttl_ms != place->limits.history_ttl_ms)
        fail("the mirror of %s keeps another history than its owner", channels[channel]);
}

static void check_mirrors(void)
{
    for (int c = 0; c < CHANNELS; c++) {
        for (int i = 0; i < world.router_count; i++) {
            const struct process *router = world.routers[i];
            const struct place *place = router ? place_of(router, c) : NULL;

            if (!place || place->role != PLACE_OWNED || place->mirror_state != MIRROR_HELD ||
                place->mirrored != place->history.top)
                continue;
            for (int j = 0; j < world.router_count; j++) {
                if (world.routers[j] && world.routers[j]->id == place->mirror->id)
                    check_mirror(place, place_of(world.routers[j], c), c);
            }
        }
    }
}

static unsigned losses_on(int channel)
{
    unsigned losses = 0;

    for (int g = 0; g < GATEWAYS; g++)
        losses += world.gateways[g]->logs[channel].losses;
    return losses;
}

/* What was acknowledged is in the history that goes on, unless only a router that died had it. */
static void check_kept(void)
{
    for (size_t i = 0; i < world.acked_count; i++) {
        int channel = world.acked[i].channel;
        struct identity identity = world.acked[i].identity;
        bool is_kept = is_buried(channel, identity);

        for (int r = 0; r < world.router_count; r++) {
            const struct process *router = world.routers[r];
            const struct place *place = router ? place_of(router, channel) : NULL;

            if (place && place->role == PLACE_OWNED)
                is_kept |= has_message(&place->history, identity);
        }
        if (!is_kept)
            fail("%llx:%llu on %s was acknowledged, and is gone",
                 (unsigned long long)identity.publisher, (unsigned long long)identity.sequence,
                 channels[channel]);
    }
}

void check_end(void)
{
    if (world.answered != world.published)
        fail("%u of %u publishes have no answer", world.published - world.answered,
             world.published);
    check_owners();
    check_mirrors();
    check_kept();
    for (int g = 0; g < GATEWAYS; g++) {
        for (int c = 0; c < CHANNELS; c++) {
            const struct log *log = &world.gateways[g]->logs[c];

            for (int h = 0; h < g; h++)
                check_order(c, log, &world.gateways[h]->logs[c]);
            for (size_t i = 0; i < world.acked_count && losses_on(c) == 0; i++) {
                if (world.acked[i].channel == c && !is_buried(c, world.acked[i].identity) &&
                    index_in(log, world.acked[i].identity) == SIZE_MAX)
                    fail("%s never got %llx:%llu on %s, which was acknowledged",
                         world.gateways[g]->name,
                         (unsigned long long)world.acked[i].identity.publisher,
                         (unsigned long long)world.acked[i].identity.sequence, channels[c]);
            }
        }
    }
}
