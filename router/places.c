/*
 * The channels that a shard knows, by name, and how they go: a few are looked at in every tick, in
 * turn, so that a shard with a million of them never stands still.
 */
#include "common/memory.h"
#include "router/shard_parts.h"

#define IDLE_PLACE_MS 10000 /* a place without subscribers and history is kept for so long */
#define SWEEP_SHARE   200   /* of the places, looked at in one tick */
#define SWEEP_LEAST   500

#define SUBSCRIPTION_BYTES (sizeof(struct subscriber) + 16) /* and the allocator's */

static struct place *of_entry(struct map_entry *entry)
{
    return container_of(entry, struct place, entry);
}

struct place *places_find(struct shard *shard, const char *name, size_t name_size)
{
    struct map_entry *entry = map_find(&shard->map, name, name_size);

    return entry ? of_entry(entry) : NULL;
}

uint64_t places_bytes(const struct shard *shard)
{
    return shard->place_bytes + shard->subscription_count * SUBSCRIPTION_BYTES;
}

bool places_have_room(const struct shard *shard)
{
    return shard->settings.place_limit_bytes == 0 ||
           places_bytes(shard) < shard->settings.place_limit_bytes;
}

struct place *places_find_or_create(struct shard *shard, const char *name, size_t name_size)
{
    struct place *place = places_find(shard, name, name_size);

    if (place || shard->map.count >= shard->settings.place_limit || !places_have_room(shard))
        return place;
    place = place_create(name, name_size, &shard->histories, &shard->keys, &shard->presences);
    place->shard = shard;
    place_count_in(place, &shard->place_bytes);
    place->used_ms = shard->now_ms;
    map_insert(&shard->map, &place->entry, place->name, place->name_size);
    list_append(&shard->places, &place->link);
    metric_set(&shard->stats.places, shard->map.count);
    return place;
}

void places_drop(struct shard *shard, struct place *place)
{
    map_remove(&shard->map, &place->entry);
    place_destroy(place);
    metric_set(&shard->stats.places, shard->map.count);
}

void places_drop_if_empty(struct shard *shard, struct place *place)
{
    if (place->role == PLACE_COPY && !place_has_copy(place) && list_is_empty(&place->parked) &&
        !stray_waits(place) && list_is_empty(&place->stray_sources) && !place->source)
        places_drop(shard, place);
}

void places_set_role(struct place *place, enum place_role role)
{
    struct shard *shard = place->shard;
    bool was_owned = place->role == PLACE_OWNED;

    place->role = role;
    shard->owned_count += (uint64_t)(role == PLACE_OWNED) - (uint64_t)was_owned;
    metric_set(&shard->stats.owned, shard->owned_count);
}

/* True for a place of which nobody wants anything: its history is gone, and so may it be. A key
 * holds it because it names an offset, which means nothing in another life of the channel. */
static bool is_forgettable(const struct shard *shard, const struct place *place)
{
    return !history_is_held(&place->history) && key_table_is_empty(&place->keys) &&
           list_is_empty(&place->subscribers) && list_is_empty(&place->pending) &&
           list_is_empty(&place->parked) && !stray_waits(place) &&
           list_is_empty(&place->stray_sources) && !place->claim &&
           presence_is_empty(&place->presence) && !place->taker && !place->source &&
           shard->now_ms - place->used_ms > IDLE_PLACE_MS &&
           (place->role == PLACE_COPY || place->role == PLACE_OWNED);
}

void places_sweep(struct shard *shard)
{
    size_t left = shard->map.count / SWEEP_SHARE + SWEEP_LEAST;

    if (left > shard->map.count)
        left = shard->map.count;
    while (left-- > 0) {
        struct place *place = container_of(shard->places.next, struct place, link);

        list_remove(&place->link);
        list_append(&shard->places, &place->link);
        claim_for_strays(place);
        mirror_retry(place);
        if (!is_forgettable(shard, place))
            continue;
        mirror_forget(place);
        places_set_role(place, PLACE_COPY);
        places_drop(shard, place);
    }
}
