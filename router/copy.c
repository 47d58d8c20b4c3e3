/*
 * A copy that another router fills: the owner whose mirror we are, or one that gives us the
 * channel. A mirror says how far it is, once for all that came in a batch.
 */
#include <string.h>

#include "common/memory.h"
#include "router/shard_parts.h"

#define PROMISE_MS 500 /* a claimant has taken the copy and forked by then, or never will */

void copy_attach(struct place *place, struct node *node, uint64_t whole_offset, bool is_owner)
{
    copy_detach(place);
    place->source = node;
    place->source_offset = whole_offset;
    place->source_is_owner = is_owner;
    place->lost_owner = place->promised_to = 0;
    list_append(&node->copies, &place->source_link);
}

void copy_detach(struct place *place)
{
    place->source = NULL;
    list_remove(&place->source_link);
    list_remove(&place->ack_link);
}

void copy_promise(struct place *place, const struct node *claimant)
{
    place->promised_to = claimant->id;
    place->promised_ms = place->shard->now_ms;
}

/* True where an owner is back whose place another is about to take, from what we have now. Had it
 * us as its mirror again, it would commit what is behind the fork. */
static bool is_promised(const struct place *place, const struct node *owner)
{
    return place->promised_to && place->lost_owner == owner->id &&
           place->shard->now_ms - place->promised_ms < PROMISE_MS;
}

static void answer_open(struct shard *shard, struct node *node, const struct router_frame *frame,
                        const char *epoch, uint64_t offset, bool is_refused, uint64_t at)
{
    shard_send(shard, node,
               &(struct router_frame){.kind = FRAME_MIRROR_HAVE,
                                      .channel = frame->channel,
                                      .channel_size = frame->channel_size,
                                      .mirrored = {epoch, offset, is_refused, at}});
}

/* Why a router cannot have us as its mirror: the node that the channel is at, or 0. */
static uint64_t owner_instead(struct place *place, const struct node *node)
{
    struct shard *shard = place->shard;

    switch (place->role) {
    case PLACE_CLAIMING:
    case PLACE_YIELDING:
        return shard->settings.node;
    case PLACE_OWNED: /* two owners: the better one claims the channel anew */
        return !shard->is_leaving && nodes_rank(shard, place, NULL, node) ? shard->settings.node
                                                                          : node->id;
    case PLACE_COPY:
        break;
    }
    if (place->source && place->source != node && place->source_is_owner &&
        place->source->shard_link)
        return place->source->id; /* two owners that do not see each other; the first one has us */
    return is_promised(place, node) ? place->promised_to : 0;
}

void copy_receive_open(struct shard *shard, struct node *node, const struct router_frame *frame)
{
    struct place *place = places_find_or_create(shard, frame->channel, frame->channel_size);
    uint64_t other = place ? owner_instead(place, node) : 0;

    if (!place || other) {
        answer_open(shard, node, frame, "", 0, true, other);
        if (place && place->role == PLACE_OWNED && other == shard->settings.node)
            claim_start(place, false);
        return;
    }
    stray_expect_rest(place);
    stray_park_own(place, &frame->given.lineage); /* an owner that gave up its claim */
    place_adopt(place, &frame->given.lineage, frame->given.start, frame->given.forgotten,
                &frame->given.producers);
    place->used_ms = shard->now_ms;
    if (place->yielded_to != node->id)
        place->yielded_to = 0;
    copy_attach(place, node, frame->given.lineage.offset, true);
    answer_open(shard, node, frame, place->lineage.epoch, place->history.top, false, 0);
}

void copy_receive_close(struct place *place, struct node *node, const struct router_frame *frame)
{
    struct shard *shard = place->shard;
    bool is_ours = place->source == node && place->source_is_owner;

    if (is_ours) {
        copy_detach(place);
        stray_doubt(place);
    }
    if (!frame->mirror_close.forget) {
        shard_send(shard, node,
                   &(struct router_frame){.kind = FRAME_MIRROR_CLOSED,
                                          .channel = place->name,
                                          .channel_size = place->name_size});
    } else if (is_ours && place->role == PLACE_COPY) {
        place_forget(place);
        places_drop_if_empty(shard, place);
    }
}

void copy_receive_forget(struct place *place, const struct node *node,
                         const struct router_frame *frame)
{
    bool is_ours = place->source == node && place->source_is_owner &&
                   strcmp(place->lineage.epoch, frame->mirrored.epoch) == 0;

    uint64_t offset = frame->mirrored.offset;

    if (is_ours)
        place_forget_history(place, offset < place->history.top ? offset : place->history.top);
}

bool copy_receive_entry(struct place *place, struct node *node, struct message *message,
                        const struct router_limits *limits)
{
    struct shard *shard = place->shard;

    if (stray_receive(place, node, message))
        return true;
    if (place->source != node || message->offset <= place->history.top)
        return true; /* of a stream that was given up, or known */
    if (message->offset != place->history.top + 1) {
        struct router_lineage lineage = place->lineage;

        if (!place->source_is_owner)
            return false;
        place_reset(place, &lineage, message->offset - 1); /* the owner has not kept the rest */
    }
    place_append(place, message, limits, shard->now_ms);
    if (place->source_is_owner) {
        if (list_is_empty(&place->ack_link))
            list_append(&shard->acks, &place->ack_link);
    } else if (place->history.top >= place->source_offset) {
        claim_given_whole(place);
    }
    return true;
}

void copy_send_acks(struct shard *shard)
{
    while (!list_is_empty(&shard->acks)) {
        struct place *place = container_of(shard->acks.next, struct place, ack_link);

        list_remove(&place->ack_link);
        shard_send(shard, place->source,
                   &(struct router_frame){
                       .kind = FRAME_MIRRORED,
                       .channel = place->name,
                       .channel_size = place->name_size,
                       .mirrored = {.epoch = place->lineage.epoch, .offset = place->history.top}});
    }
}

/* Nothing more comes from there of what it had begun to send. */
static void forget_source(struct node *node)
{
    while (!list_is_empty(&node->copies)) {
        struct place *place = container_of(node->copies.next, struct place, source_link);

        if (place->source_is_owner) {
            stray_doubt(place);
            place->lost_owner = node->id;
            place->promised_to = 0;
        }
        copy_detach(place);
    }
}

void copy_node_up(struct node *node)
{
    forget_source(node);
}

void copy_node_decided(struct node *node)
{
    if (node->fate == NODE_GONE)
        forget_source(node);
}
