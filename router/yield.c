/*
 * How a channel changes hands, from the side that is asked (claim.c is the other). Whoever is asked
 * goes on as before until its copy is taken; then it ends the mirror's part, hands over copy and
 * title, and sends its subscribers and what it has not committed to the new owner. Subscribers say
 * where they stand, publishes are known by their sequence, so nothing is missed or doubled.
 *
 * A mirror that has just lost its owner out of sight says nothing of what it has for a moment: the
 * owner may be back at once (node.h). Who asks meanwhile waits, among the shard's `inquiries`.
 */
#include <string.h>

#include "common/memory.h"
#include "router/shard_parts.h"

/* An Inquire that cannot be answered yet. */
struct inquiry {
    struct list link;
    uint64_t node;
    uint64_t claim;
    bool insists;
    size_t asked_count;
    uint64_t asked[ROUTER_MEMBER_LIMIT];
    size_t channel_size;
    char channel[MESSAGE_CHANNEL_LIMIT];
};

static void give(struct place *place)
{
    struct shard *shard = place->shard;
    struct node *taker = place->taker;
    struct router_lineage lineage;
    struct history_reader reader;
    struct message *message;
    uint64_t start;

    if (place->has_title)
        stray_publish_all(place); /* the taker does not know of them */
    lineage = place_lineage(place);
    start = place_start(place);
    if (strcmp(place->taker_epoch, lineage.epoch) == 0 && place->taker_offset > start &&
        place->taker_offset <= lineage.offset)
        start = place->taker_offset;
    metric_add(&shard->stats.given, 1);
    shard_send(shard, taker,
               &(struct router_frame){
                   .kind = FRAME_GIVEN,
                   .channel = place->name,
                   .channel_size = place->name_size,
                   .given = {.claim = place->taker_claim,
                             .lineage = lineage,
                             .has_title = place->has_title,
                             .start = start,
                             .forgotten = place->forgotten,
                             .producers = {place->producers.items, place->producers.count}}});
    history_read(&place->history, &reader, start, HISTORY_FORWARD, UINT64_MAX);
    while ((message = history_next(&reader)))
        shard_send(
            shard, taker,
            &(struct router_frame){.kind = FRAME_ENTRY, .deliver = {message, place->limits}});
    if (place->has_title) {
        place->given_to = taker;
        place->given_ms = shard->now_ms;
    }
    place->has_title = false;
    place->taker = NULL;
    place->yielded_to = place->taker_claim == place->insisting_claim ? taker->id : 0;
    place->insisting_claim = 0;
    places_set_role(place, PLACE_COPY);
    owner_send_away(place, taker->id);
}

static void yield(struct place *place, struct node *taker)
{
    place->taker = taker;
    places_set_role(place, PLACE_YIELDING);
    if (place->mirror == taker)
        mirror_release(place); /* the owner's mirror need not be told that it is none */
    if (mirror_close(place))
        give(place);
}

static void answer(struct shard *shard, struct node *node, const char *channel, size_t channel_size,
                   uint64_t claim, const struct place *place)
{
    struct router_frame frame = {.kind = FRAME_HEAD,
                                 .channel = channel,
                                 .channel_size = channel_size,
                                 .head = {.claim = claim}};

    if (place && place_has_copy(place)) {
        frame.head.state = HEAD_COPY;
        frame.head.lineage = place_lineage(place);
        frame.head.has_title = place->has_title;
    }
    shard_send(shard, node, &frame);
}

static void refuse(struct shard *shard, struct node *node, const struct router_frame *frame,
                   uint64_t claim, uint64_t at)
{
    shard_send(shard, node,
               &(struct router_frame){.kind = FRAME_HEAD,
                                      .channel = frame->channel,
                                      .channel_size = frame->channel_size,
                                      .head = {.claim = claim, .state = HEAD_REFUSED, .node = at}});
}

void yield_receive_take(struct shard *shard, struct node *node, const struct router_frame *frame)
{
    struct place *place = places_find(shard, frame->channel, frame->channel_size);
    bool is_ready =
        place && place_has_copy(place) &&
        (place->role == PLACE_COPY || place->role == PLACE_OWNED || claim_is_settling(place));

    if (!is_ready || (place->role == PLACE_COPY && yield_is_undecided(place))) {
        refuse(shard, node, frame, frame->take.claim, shard->settings.node);
        return;
    }
    place->taker_claim = frame->take.claim;
    epoch_copy(place->taker_epoch, frame->take.epoch);
    place->taker_offset = frame->take.offset;
    if (place->role == PLACE_COPY) {
        place->taker = node;
        give(place);
        return;
    }
    if (place->claim)
        claim_abandon(place);
    yield(place, node);
}

bool yield_is_undecided(const struct place *place)
{
    return place->source && place->source_is_owner && place->source->fate == NODE_MISSED;
}

static bool is_asked(const struct router_frame *frame, uint64_t node)
{
    for (size_t i = 0; i < frame->inquire.node_count; i++) {
        if (frame->inquire.nodes[i] == node)
            return true;
    }
    return false;
}

/* What a router that holds the channel in some way has to say against another's claim: the node
 * where it is, or 0 for nothing. */
static uint64_t objection(struct place *place, struct node *node, const struct router_frame *frame)
{
    struct shard *shard = place->shard;
    bool insists = frame->inquire.insist;
    bool outranks = !shard->is_leaving && nodes_rank(shard, place, NULL, node);

    switch (place->role) {
    case PLACE_OWNED:
        return outranks && !insists ? shard->settings.node : 0;
    case PLACE_YIELDING:
        return place->taker->id;
    case PLACE_CLAIMING:
        if (claim_is_settling(place))
            return outranks && !insists ? shard->settings.node : 0;
        if (insists != claim_insists(place))
            return insists ? 0 : shard->settings.node;
        return outranks ? shard->settings.node : 0;
    case PLACE_COPY:
        /* The owner lives, and the claimant cannot ask it. If it insists, we can. */
        if (place->source && place->source_is_owner && place->source->shard_link &&
            place->source != node && !is_asked(frame, place->source->id))
            return insists ? shard->settings.node : place->source->id;
        return 0;
    }
    return 0;
}

static void put_off(struct shard *shard, struct node *node, const struct router_frame *frame)
{
    struct inquiry *inquiry = memory_zeroed(1, sizeof(*inquiry));

    inquiry->node = node->id;
    inquiry->claim = frame->inquire.claim;
    inquiry->insists = frame->inquire.insist;
    inquiry->asked_count = frame->inquire.node_count;
    for (size_t i = 0; i < frame->inquire.node_count; i++)
        inquiry->asked[i] = frame->inquire.nodes[i];
    inquiry->channel_size = frame->channel_size;
    memcpy(inquiry->channel, frame->channel, frame->channel_size);
    list_init(&inquiry->link);
    list_append(&shard->inquiries, &inquiry->link);
}

void yield_receive_inquire(struct shard *shard, struct node *node, const struct router_frame *frame)
{
    struct place *place = places_find(shard, frame->channel, frame->channel_size);
    uint64_t at = place ? objection(place, node, frame) : 0;

    if (at) {
        refuse(shard, node, frame, frame->inquire.claim, at);
        return;
    }
    if (place && place->role == PLACE_CLAIMING && !claim_is_settling(place))
        claim_give_up(place, node->id);
    if (place && place->role == PLACE_COPY && yield_is_undecided(place)) {
        put_off(shard, node, frame);
        return;
    }
    if (place && frame->inquire.insist && nodes_rank(shard, place, NULL, node))
        place->insisting_claim = frame->inquire.claim;
    if (place && place->lost_owner && place->lost_owner != node->id &&
        !is_asked(frame, place->lost_owner))
        copy_promise(place, node);
    answer(shard, node, frame->channel, frame->channel_size, frame->inquire.claim, place);
    if (place)
        places_drop_if_empty(shard, place);
}

void yield_mirror_changed(struct place *place)
{
    if (!place->mirror && mirror_is_unfenced(place))
        give(place);
}

/* Whoever waits asks again, and we claim what we still have. */
void yield_taker_lost(struct place *place)
{
    owner_send_away(place, place->shard->settings.node);
    place->taker = NULL;
    places_set_role(place, PLACE_COPY);
    claim_start(place, false);
}

static void answer_inquiry(struct shard *shard, const struct inquiry *inquiry)
{
    struct node *node = nodes_find(shard, inquiry->node);

    if (!node || !node->shard_link)
        return;
    yield_receive_inquire(
        shard, node,
        &(struct router_frame){
            .kind = FRAME_INQUIRE,
            .channel = inquiry->channel,
            .channel_size = inquiry->channel_size,
            .inquire = {inquiry->claim, inquiry->insists, inquiry->asked, inquiry->asked_count}});
}

void yield_fate_decided(struct shard *shard)
{
    struct list waiting;

    list_init(&waiting);
    list_append_all(&waiting, &shard->inquiries);
    while (!list_is_empty(&waiting)) {
        struct inquiry *inquiry = container_of(waiting.next, struct inquiry, link);

        list_remove(&inquiry->link);
        answer_inquiry(shard, inquiry);
        memory_free(inquiry);
    }
}
