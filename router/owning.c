/*
 * What owners tell each other: what they own, when they meet, so that of two owners of a channel
 * the one that ranks above claims it anew; and what others might claim, when they leave.
 */
#include <string.h>

#include "common/memory.h"
#include "router/shard_parts.h"

#define OFFERS_LEAST 256 /* a tick, of a router that leaves */
#define OFFERS_MOST  4096

void owning_offer(struct place *place, struct node *node)
{
    shard_send(place->shard, node,
               &(struct router_frame){
                   .kind = FRAME_OFFER, .channel = place->name, .channel_size = place->name_size});
}

/* Or could be: a title that was kept when a claim was given up. */
static bool is_owned(const struct place *place)
{
    return place->role == PLACE_OWNED || place->role == PLACE_YIELDING ||
           (place->role == PLACE_COPY && place->has_title) || claim_is_past_asking(place);
}

void owning_tell(struct shard *shard, struct node *node)
{
    char *channels[ROUTER_OWNING_LIMIT];
    size_t count = 0;

    for (struct list *at = shard->places.next; at != &shard->places; at = at->next) {
        struct place *place = container_of(at, struct place, link);

        if (is_owned(place))
            channels[count++] = place->name;
        if (count > 0 && (count == ROUTER_OWNING_LIMIT || at->next == &shard->places)) {
            shard_send(shard, node,
                       &(struct router_frame){.kind = FRAME_OWNING, .owning = {channels, count}});
            count = 0;
        }
    }
}

void owning_receive(struct shard *shard, struct node *node, const struct router_frame *frame)
{
    for (size_t i = 0; i < frame->owning.count; i++) {
        const char *channel = frame->owning.channels[i];
        struct place *place = places_find(shard, channel, strlen(channel));

        if (!place || !is_owned(place) || !nodes_rank(shard, place, NULL, node))
            continue;
        if (place->role == PLACE_OWNED || place->role == PLACE_COPY)
            claim_start(place, false);
        else
            claim_is_contested(place);
    }
}

void owning_receive_offer(struct shard *shard, const struct router_frame *frame)
{
    struct place *place = places_find_or_create(shard, frame->channel, frame->channel_size);

    if (!place)
        return;
    if (place->role == PLACE_COPY && !nodes_best(shard, place))
        claim_start(place, false);
    places_drop_if_empty(shard, place);
}

/* As many as are taken in a tick, twice over: those who take them set the pace. */
static unsigned offers_due(struct shard *shard)
{
    uint64_t given = metric_read(&shard->stats.given);
    uint64_t due = 2 * (given - shard->given_before);

    shard->given_before = given;
    if (due < OFFERS_LEAST)
        return OFFERS_LEAST;
    return due < OFFERS_MOST ? (unsigned)due : OFFERS_MOST;
}

void owning_offer_some(struct shard *shard)
{
    unsigned left = offers_due(shard);

    /* The list turns, so that those that are not taken do not keep others from being offered. */
    for (size_t looks = shard->map.count; looks > 0 && left > 0; looks--) {
        struct place *place = container_of(shard->places.next, struct place, link);
        struct node *best = place->role == PLACE_OWNED ? nodes_best_other(shard, place) : NULL;

        list_remove(&place->link);
        list_append(&shard->places, &place->link);
        if (!best)
            continue;
        left--;
        owning_offer(place, best);
    }
}
