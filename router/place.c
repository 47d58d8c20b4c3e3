#include "router/place.h"

#include <assert.h>
#include <string.h>

#include "common/memory.h"

#define OVERHEAD_BYTES 96 /* of the allocator, for two allocations, and the map's slot */

struct place *place_create(const char *name, size_t name_size, struct histories *histories,
                           struct key_tables *keys, struct presences *presences)
{
    size_t bytes = sizeof(struct place) + name_size + 1;
    struct place *place = memory_zeroed(1, bytes);

    memcpy(place->name, name, name_size);
    place->name_size = name_size;
    history_init(&place->history, histories, bytes);
    key_table_init(&place->keys, keys, 0);
    presence_init(&place->presence, presences);
    list_init(&place->link);
    list_init(&place->source_link);
    list_init(&place->ack_link);
    list_init(&place->mirror_link);
    list_init(&place->wanted_link);
    list_init(&place->fence_link);
    list_init(&place->subscribers);
    list_init(&place->pending);
    list_init(&place->parked);
    list_init(&place->strays);
    list_init(&place->stray_sources);
    return place;
}

static void weigh(struct place *place)
{
    uint64_t weight = sizeof(*place) + place->name_size + 1 + OVERHEAD_BYTES +
                      place->producers.capacity * sizeof(*place->producers.items);

    if (place->memory && weight != place->weight) {
        *place->memory += weight - place->weight;
        place->weight = weight;
    }
}

void place_count_in(struct place *place, uint64_t *memory)
{
    place->memory = memory;
    weigh(place);
}

void place_destroy(struct place *place)
{
    assert(list_is_empty(&place->subscribers) && list_is_empty(&place->pending) &&
           list_is_empty(&place->parked) && list_is_empty(&place->strays) &&
           list_is_empty(&place->stray_sources) && !place->claim && !place->source &&
           !place->mirror && !place->fence);
    if (place->memory)
        *place->memory -= place->weight;
    list_remove(&place->link);
    list_remove(&place->wanted_link);
    history_deinit(&place->history);
    key_table_deinit(&place->keys);
    presence_deinit(&place->presence);
    producers_deinit(&place->producers);
    memory_free(place);
}

bool place_has_copy(const struct place *place)
{
    return place->lineage.epoch[0] != '\0';
}

struct router_lineage place_lineage(const struct place *place)
{
    struct router_lineage lineage = place->lineage;

    if (lineage.previous[0] != '\0' && place->history.top < lineage.fork) {
        lineage = (struct router_lineage){.generation = lineage.generation - 1};
        memcpy(lineage.epoch, place->lineage.previous, sizeof(lineage.epoch));
    }
    lineage.offset = place->history.top;
    return lineage;
}

uint64_t place_start(const struct place *place)
{
    return place->history.top - place->history.count;
}

void place_reset(struct place *place, const struct router_lineage *lineage, uint64_t start)
{
    struct histories *family = place->history.family;
    size_t owner_bytes = place->history.owner_bytes;

    history_deinit(&place->history);
    history_init(&place->history, family, owner_bytes);
    place->history.top = start;
    place->lineage = *lineage;
    place->has_title = place->is_unsure = false;
}

bool place_continues(const struct place *place, const struct router_lineage *lineage,
                     uint64_t start)
{
    struct router_lineage own = place_lineage(place); /* which may be before the fork yet */
    uint64_t top = own.offset;
    bool is_same = strcmp(own.epoch, lineage->epoch) == 0 && top <= lineage->offset;
    bool is_before = lineage->previous[0] != '\0' && top <= lineage->fork &&
                     strcmp(own.epoch, lineage->previous) == 0;

    return top >= start && (is_same || is_before);
}

/* Keys name messages by their offsets, which mean others in another copy. */
static void forget_other_keys(struct place *place, const struct router_lineage *lineage)
{
    struct router_lineage own = place_lineage(place);

    if (place_common_offset(&own, lineage) < own.offset)
        key_table_deinit(&place->keys);
}

void place_adopt(struct place *place, const struct router_lineage *lineage, uint64_t start,
                 uint64_t forgotten, const struct router_producers *producers)
{
    forget_other_keys(place, lineage);
    if (place_continues(place, lineage, start)) {
        place->lineage = *lineage;
        place->has_title = place->is_unsure = false;
    } else {
        place_reset(place, lineage, start);
        place->limits = (struct router_limits){0};
        place->forgotten = 0;
    }
    place_forget_history(place, forgotten);
    place->given_to = NULL;
    producers_set(&place->producers, producers->items, producers->count);
    weigh(place);
}

void place_cut_short(struct place *place)
{
    struct history_reader reader;
    const struct message *message;

    if (!producers_forget_after(&place->producers, place->history.top))
        return;
    history_read(&place->history, &reader, 0, HISTORY_FORWARD, UINT64_MAX);
    while ((message = history_next(&reader)))
        producers_note(&place->producers, message->publisher, message->sequence, message->offset);
}

void place_forget(struct place *place)
{
    place_reset(place, &(struct router_lineage){0}, 0);
    place->limits = (struct router_limits){0};
    place->forgotten = 0;
    key_table_deinit(&place->keys);
    producers_deinit(&place->producers);
    weigh(place);
}

void place_forget_history(struct place *place, uint64_t offset)
{
    if (offset <= place->forgotten)
        return;
    place->forgotten = offset;
    history_trim(&place->history, offset);
}

void place_note_publisher(struct place *place, const struct message *message, uint64_t offset)
{
    producers_note(&place->producers, message->publisher, message->sequence, offset);
    weigh(place);
}

void place_append(struct place *place, struct message *message, const struct router_limits *limits,
                  uint64_t now_ms)
{
    place->limits = *limits;
    place_note_publisher(place, message, message->offset);
    if (message->key.size > 0)
        key_table_note(&place->keys, message->key, message->offset, now_ms);
    if (limits->are_set)
        history_append_as(&place->history, message,
                          &(struct history_terms){limits->history_size, limits->history_ttl_ms},
                          now_ms);
    else
        history_append(&place->history, message, now_ms);
}

bool place_has_seen(const struct place *place, const char *epoch, uint64_t offset)
{
    const struct router_lineage *lineage = &place->lineage;
    bool is_same = strcmp(epoch, lineage->epoch) == 0;
    bool is_before = lineage->previous[0] != '\0' && strcmp(epoch, lineage->previous) == 0 &&
                     offset <= lineage->fork;

    return is_same || is_before;
}

bool place_follows(const struct place *place, const char *epoch, uint64_t offset, uint64_t limit,
                   uint64_t *from)
{
    *from = offset;
    if (offset == 0 && limit == 0)
        return true; /* there never was anything, under whatever epoch */
    return place_has_seen(place, epoch, offset) && offset <= limit &&
           (offset >= place_start(place) || offset == limit);
}

bool place_is_better(const struct router_lineage *one, bool one_has_title,
                     const struct router_lineage *other, bool other_has_title)
{
    bool is_same = strcmp(one->epoch, other->epoch) == 0;

    if (one->generation != other->generation)
        return one->generation > other->generation;
    /* Whoever may add to an epoch has all of it, by now if not when it was asked. */
    if (is_same && one_has_title != other_has_title)
        return one_has_title;
    if (one->offset != other->offset)
        return one->offset > other->offset;
    return strcmp(one->epoch, other->epoch) > 0;
}

static bool is_same_epoch(const char *one, const char *other)
{
    return one[0] != '\0' && strcmp(one, other) == 0;
}

uint64_t place_common_offset(const struct router_lineage *one, const struct router_lineage *other)
{
    if (is_same_epoch(one->epoch, other->epoch))
        return one->offset < other->offset ? one->offset : other->offset;
    if (is_same_epoch(one->previous, other->epoch))
        return one->fork;
    if (is_same_epoch(one->epoch, other->previous))
        return other->fork;
    if (is_same_epoch(one->previous, other->previous))
        return one->fork < other->fork ? one->fork : other->fork;
    return 0;
}

void place_fork(struct place *place, const char *epoch)
{
    place->lineage = place_lineage(place);
    memcpy(place->lineage.previous, place->lineage.epoch, sizeof(place->lineage.previous));
    place->lineage.fork = place->history.top;
    memcpy(place->lineage.epoch, epoch, strlen(epoch) + 1);
    place->lineage.generation++;
    place->has_title = true;
    place->is_unsure = false;
}
