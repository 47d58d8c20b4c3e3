/*
 * Copies at two routers. The owner's side sends every message it appends to one other router, the
 * best for the channel after itself, and commits what that one has. The mirror's side keeps the
 * copy, says how far it is, and knows when it may call itself the heir (place.h, node.h).
 *
 * There is one certified mirror at most. An owner that takes another one first makes sure that the
 * old one does not think it is one any more: by its word, by its death, or by waiting out the
 * fence.
 */
#include <assert.h>
#include <string.h>

#include "common/memory.h"
#include "router/shard_parts.h"

#define OPENING_LIMIT 256 /* mirrors under way at once, beside those that publishes wait for */
#define REFUSAL_LIMIT 20  /* one a tick: after that the owner goes on alone */

static struct place *of_mirror(struct list *at)
{
    return container_of(at, struct place, mirror_link);
}

/* The owner's side. */

bool mirror_is_unfenced(const struct place *place)
{
    uint64_t now_ms = place->shard->now_ms;

    return now_ms >= place->fence_floor_ms && (!place->fence || place->fence == place->mirror ||
                                               node_fence_is_passed(place->fence, now_ms));
}

/* True where we are about to stop and cannot give away what we would be the only one to have:
 * others may live, out of our sight. */
static bool is_cut_off(const struct shard *shard)
{
    if (!shard->is_leaving)
        return false;
    for (struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        const struct node *node = container_of(at, struct node, link);

        if (!node->shard_link && !node->is_dead)
            return true;
    }
    return false;
}

uint64_t mirror_commit_limit(const struct place *place)
{
    if (!mirror_is_unfenced(place))
        return place->committed;
    switch (place->mirror_state) {
    case MIRROR_NONE:
        return is_cut_off(place->shard) ? place->committed : place->history.top;
    case MIRROR_HELD:
        return place->mirrored;
    default:
        return place->committed;
    }
}

bool mirror_is_settled(const struct place *place)
{
    return mirror_is_unfenced(place) &&
           (place->mirror_state == MIRROR_NONE ||
            (place->mirror_state == MIRROR_HELD && place->mirrored == place->history.top));
}

static void set_state(struct place *place, enum mirror_state state)
{
    struct shard *shard = place->shard;
    bool was_opening =
        place->mirror_state == MIRROR_OPENING || place->mirror_state == MIRROR_SYNCING;
    bool is_opening = state == MIRROR_OPENING || state == MIRROR_SYNCING;

    shard->opening += (size_t)is_opening - (size_t)was_opening;
    place->mirror_state = state;
    list_remove(&place->wanted_link);
    if (state == MIRROR_WANTED)
        list_append(&shard->wanted, &place->wanted_link);
}

void mirror_release(struct place *place)
{
    list_remove(&place->mirror_link);
    place->mirror = NULL;
    set_state(place, MIRROR_NONE);
}

static void release_fence(struct place *place)
{
    if (!place->fence)
        return;
    place->fence->fenced--;
    place->fence = NULL;
    list_remove(&place->fence_link);
}

static void set_fence(struct place *place, struct node *node)
{
    if (place->fence && place->fence != node &&
        !node_fence_is_passed(place->fence, place->shard->now_ms) &&
        place->fence->fence_ms > place->fence_floor_ms)
        place->fence_floor_ms = place->fence->fence_ms;
    release_fence(place);
    place->fence = node;
    node->fenced++;
    list_append(&place->shard->fenced, &place->fence_link);
}

void mirror_want(struct place *place)
{
    assert(!place->mirror);
    if (shard_best_other(place->shard, place) && place->mirror_refusals < REFUSAL_LIMIT)
        set_state(place, MIRROR_WANTED);
    else
        set_state(place, MIRROR_NONE);
}

void mirror_open(struct place *place)
{
    struct shard *shard = place->shard;
    struct node *node = shard_best_other(shard, place);

    if (!node) {
        set_state(place, MIRROR_NONE);
        return;
    }
    if (place->fence != node && !mirror_is_unfenced(place)) {
        set_state(place, MIRROR_WANTED); /* two mirrors would both be heirs */
        return;
    }
    place->mirror = node;
    place->mirrored = 0;
    list_append(&node->mirrored, &place->mirror_link);
    set_state(place, MIRROR_OPENING);
    shard_send(shard, node,
               &(struct router_frame){
                   .kind = FRAME_MIRROR_OPEN,
                   .channel = place->name,
                   .channel_size = place->name_size,
                   .given = {.lineage = place_lineage(place),
                             .start = place_start(place),
                             .producers = {place->producers.items, place->producers.count}}});
}

void mirror_open_wanted(struct shard *shard)
{
    struct list waiting;

    /* Each one once: what is refused wants again at the next tick. */
    list_init(&waiting);
    list_append_all(&waiting, &shard->wanted);
    while (!list_is_empty(&waiting)) {
        struct place *place = container_of(waiting.next, struct place, wanted_link);

        list_remove(&place->wanted_link);
        if (shard->opening >= OPENING_LIMIT) {
            list_append(&shard->wanted, &place->wanted_link);
            continue;
        }
        mirror_open(place);
        if (place->mirror || place->mirror_state == MIRROR_WANTED)
            continue;
        claim_mirror_changed(place); /* there is nobody left who could be one */
        owner_commit(place);
    }
}

static void send_entry(struct place *place, struct node *node, struct message *message)
{
    shard_send(place->shard, node,
               &(struct router_frame){.kind = FRAME_ENTRY, .deliver = {message}});
}

void mirror_append(struct place *place, struct message *message)
{
    switch (place->mirror_state) {
    case MIRROR_SYNCING:
    case MIRROR_HELD:
        send_entry(place, place->mirror, message);
        return;
    case MIRROR_WANTED:
        if (place->mirror_refusals == 0)
            mirror_open(place); /* it is time: somebody waits */
        return;
    default:
        return;
    }
}

/* Sends all after an offset. What was appended since the mirror was asked may have left the history
 * by now; those that are pending are at hand all the same. */
static void send_rest(struct place *place, uint64_t from)
{
    struct history_reader reader;
    struct message *message;
    uint64_t start = place_start(place);

    for (struct list *at = place->pending.next; at != &place->pending; at = at->next) {
        message = container_of(at, struct waiting, link)->message;
        if (message && message->offset > from && message->offset <= start)
            send_entry(place, place->mirror, message);
    }
    history_read(&place->history, &reader, from > start ? from : start, HISTORY_FORWARD,
                 UINT64_MAX);
    while ((message = history_next(&reader)))
        send_entry(place, place->mirror, message);
}

static void become_held(struct place *place)
{
    set_state(place, MIRROR_HELD);
    place->mirror_refusals = 0;
    claim_mirror_changed(place);
    owner_commit(place);
}

static void receive_refusal(struct place *place, uint64_t node)
{
    struct shard *shard = place->shard;

    mirror_release(place);
    if (node == shard->settings.node && place->role == PLACE_OWNED) {
        claim_start(place, false); /* it owns the channel, too, and we rank above it */
        return;
    }
    place->mirror_refusals++;
    mirror_want(place);
    claim_mirror_changed(place);
    owner_commit(place);
}

void mirror_receive_have(struct place *place, struct node *node, const struct router_frame *frame)
{
    if (place->mirror != node || place->mirror_state != MIRROR_OPENING)
        return;
    if (frame->mirrored.is_refused) {
        receive_refusal(place, frame->mirrored.node);
        return;
    }
    if (strcmp(frame->mirrored.epoch, place->lineage.epoch) != 0 ||
        frame->mirrored.offset > place->history.top)
        return; /* the answer to an earlier question; ours is on its way */
    place->mirror_target = place->history.top;
    place->mirrored = frame->mirrored.offset;
    set_state(place, MIRROR_SYNCING);
    send_rest(place, frame->mirrored.offset);
    if (place->mirrored >= place->mirror_target)
        become_held(place);
}

void mirror_receive_mirrored(struct place *place, struct node *node,
                             const struct router_frame *frame)
{
    if (place->mirror != node || frame->mirrored.offset > place->history.top ||
        strcmp(frame->mirrored.epoch, place->lineage.epoch) != 0)
        return;
    if (place->mirror_state != MIRROR_SYNCING && place->mirror_state != MIRROR_HELD)
        return;
    place->mirrored = frame->mirrored.offset;
    if (place->mirror_state == MIRROR_SYNCING && place->mirrored >= place->mirror_target) {
        become_held(place);
    } else {
        claim_mirror_changed(place);
        owner_commit(place);
    }
}

static void send_close(struct place *place, bool forget)
{
    shard_send(place->shard, place->mirror,
               &(struct router_frame){.kind = FRAME_MIRROR_CLOSE,
                                      .channel = place->name,
                                      .channel_size = place->name_size,
                                      .mirror_close = {forget}});
}

bool mirror_close(struct place *place)
{
    if (place->mirror && place->mirror_state != MIRROR_CLOSING) {
        send_close(place, false);
        set_state(place, MIRROR_CLOSING);
    }
    if (!place->mirror)
        set_state(place, MIRROR_NONE);
    return !place->mirror && mirror_is_unfenced(place);
}

void mirror_forget(struct place *place)
{
    if (place->mirror) {
        send_close(place, true);
        mirror_release(place);
    }
    release_fence(place);
    set_state(place, MIRROR_NONE);
}

void mirror_receive_closed(struct place *place, struct node *node)
{
    if (place->mirror != node || place->mirror_state != MIRROR_CLOSING)
        return;
    mirror_release(place);
    claim_mirror_changed(place);
}

void mirror_fences_expire(struct shard *shard)
{
    for (struct list *at = shard->fenced.next; at != &shard->fenced;) {
        struct place *place = container_of(at, struct place, fence_link);

        at = at->next;
        if (!mirror_is_unfenced(place))
            continue;
        if (place->fence &&
            (place->fence != place->mirror || node_fence_is_passed(place->fence, shard->now_ms)))
            release_fence(place);
        claim_mirror_changed(place);
        owner_commit(place);
    }
}

static void mirror_is_lost(struct place *place, struct node *node)
{
    mirror_release(place);
    set_fence(place, node);
    if (place->role == PLACE_OWNED || claim_is_settling(place))
        mirror_want(place);
}

void mirror_node_lost(struct shard *shard, struct node *node)
{
    (void)shard;
    while (!list_is_empty(&node->mirrored)) {
        struct place *place = of_mirror(node->mirrored.next);

        mirror_is_lost(place, node);
        claim_mirror_changed(place);
        owner_commit(place);
    }
}

/* The mirror's side. */

void mirror_attach(struct place *place, struct node *node, uint64_t whole_offset, bool is_owner)
{
    mirror_detach(place);
    place->source = node;
    place->source_offset = whole_offset;
    place->source_is_owner = is_owner;
    list_append(&node->copies, &place->source_link);
}

void mirror_detach(struct place *place)
{
    place->source = NULL;
    place->is_certified = false;
    list_remove(&place->source_link);
    list_remove(&place->ack_link);
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
        return !shard->is_leaving && shard_ranks(shard, place, NULL, node) ? shard->settings.node
                                                                           : node->id;
    case PLACE_COPY:
        break;
    }
    if (place->source && place->source != node && place->source_is_owner &&
        place->source->shard_link)
        return place->source->id; /* two owners that do not see each other; the first one has us */
    return 0;
}

void mirror_receive_open(struct shard *shard, struct node *node, const struct router_frame *frame)
{
    struct place *place = shard_find_or_create(shard, frame->channel, frame->channel_size);
    uint64_t other = place ? owner_instead(place, node) : 0;

    if (!place || other) {
        answer_open(shard, node, frame, "", 0, true, other);
        if (place && place->role == PLACE_OWNED && other == shard->settings.node)
            claim_start(place, false);
        return;
    }
    stray_park_own(place, &frame->given.lineage); /* an owner that gave up its claim */
    place_adopt(place, &frame->given.lineage, frame->given.start, &frame->given.producers);
    place->used_ms = shard->now_ms;
    if (place->yielded_to != node->id)
        place->yielded_to = 0;
    mirror_attach(place, node, frame->given.lineage.offset, true);
    place->is_certified = place->history.top >= place->source_offset;
    answer_open(shard, node, frame, place->lineage.epoch, place->history.top, false, 0);
}

void mirror_receive_close(struct place *place, struct node *node, const struct router_frame *frame)
{
    struct shard *shard = place->shard;
    bool is_ours = place->source == node && place->source_is_owner;

    if (is_ours) {
        mirror_detach(place);
        stray_doubt(place);
    }
    if (!frame->mirror_close.forget) {
        shard_send(shard, node,
                   &(struct router_frame){.kind = FRAME_MIRROR_CLOSED,
                                          .channel = place->name,
                                          .channel_size = place->name_size});
    } else if (is_ours && place->role == PLACE_COPY) {
        place_forget(place);
        shard_drop_if_empty(shard, place);
    }
}

bool mirror_receive_entry(struct place *place, struct node *node, struct message *message)
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
    place_append(place, message, shard->now_ms);
    if (place->source_is_owner) {
        place->is_certified = place->history.top >= place->source_offset;
        if (list_is_empty(&place->ack_link))
            list_append(&shard->acks, &place->ack_link);
    } else if (place->history.top >= place->source_offset) {
        claim_given_whole(place);
    }
    return true;
}

void mirror_send_acks(struct shard *shard)
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

void mirror_node_up(struct node *node)
{
    while (!list_is_empty(&node->copies)) {
        struct place *place = container_of(node->copies.next, struct place, source_link);

        if (place->source_is_owner)
            stray_doubt(place);
        mirror_detach(place);
    }
}

void mirror_node_decided(struct node *node)
{
    if (node->fate == NODE_UNDECIDED)
        return;
    while (!list_is_empty(&node->copies)) {
        struct place *place = container_of(node->copies.next, struct place, source_link);
        bool is_heir = node->fate == NODE_DEAD && place->source_is_owner && place->is_certified;

        if (place->source_is_owner && !is_heir)
            stray_doubt(place);
        mirror_detach(place);
        if (is_heir) {
            place->has_title = true;
            place->unsure_ms = place->shard->now_ms;
        }
    }
}
