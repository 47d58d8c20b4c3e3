/*
 * Copies at two routers, from the side of the owner (copy.c is the other): it sends every message
 * that it appends to one other router, the best for the channel after itself, and commits what that
 * one has.
 *
 * An owner that lost its mirror commits nothing and takes no other one before it has waited out the
 * fence: the line may be back at once, and what only one router has is not safe.
 */
#include <assert.h>
#include <string.h>

#include "common/memory.h"
#include "router/shard_parts.h"

#define OPENING_LIMIT 256  /* mirrors under way at once, beside those that publishes wait for */
#define REFUSAL_LIMIT 20   /* one a tick: after that the owner goes on alone, */
#define RETRY_MS      5000 /* and asks once more each time that this is over */

static struct place *of_mirror(struct list *at)
{
    return container_of(at, struct place, mirror_link);
}

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

static void set_refused(struct place *place, bool is_refused)
{
    struct shard *shard = place->shard;

    shard->refused_count += (uint64_t)is_refused - (uint64_t)place->is_refused;
    place->is_refused = is_refused;
    metric_set(&shard->stats.unmirrored, shard->refused_count);
}

void mirror_want(struct place *place)
{
    assert(!place->mirror);
    if (nodes_best_other(place->shard, place) && place->mirror_refusals < REFUSAL_LIMIT)
        set_state(place, MIRROR_WANTED);
    else
        set_state(place, MIRROR_NONE);
}

static void send_open(struct place *place)
{
    shard_send(place->shard, place->mirror,
               &(struct router_frame){
                   .kind = FRAME_MIRROR_OPEN,
                   .channel = place->name,
                   .channel_size = place->name_size,
                   .given = {.lineage = place_lineage(place),
                             .start = place_start(place),
                             .forgotten = place->forgotten,
                             .producers = {place->producers.items, place->producers.count}}});
}

void mirror_open(struct place *place)
{
    struct shard *shard = place->shard;
    struct node *node = nodes_best_other(shard, place);

    if (!node) {
        set_state(place, MIRROR_NONE);
        return;
    }
    if (place->fence != node && !mirror_is_unfenced(place)) {
        set_state(place, MIRROR_WANTED); /* the one that was lost may be back */
        if (place->fence)
            list_remove(&place->wanted_link); /* until mirror_fences_expire() */
        return;
    }
    place->mirror = node;
    place->mirrored = 0;
    list_append(&node->mirrored, &place->mirror_link);
    set_state(place, MIRROR_OPENING);
    send_open(place);
}

void mirror_open_wanted(struct shard *shard)
{
    struct list waiting;

    /* Each one once: what is refused wants again at the next tick. */
    list_init(&waiting);
    list_append_all(&waiting, &shard->wanted);
    while (!list_is_empty(&waiting) && shard->opening < OPENING_LIMIT) {
        struct place *place = container_of(waiting.next, struct place, wanted_link);

        list_remove(&place->wanted_link);
        mirror_open(place);
        if (place->mirror || place->mirror_state == MIRROR_WANTED)
            continue;
        claim_mirror_changed(place); /* there is nobody left who could be one */
        owner_commit(place);
    }
    list_append_all(&waiting, &shard->wanted); /* behind those that have waited longer */
    list_append_all(&shard->wanted, &waiting);
}

void mirror_retry(struct place *place)
{
    struct shard *shard = place->shard;

    if (!place->is_refused || place->role != PLACE_OWNED || place->mirror_state != MIRROR_NONE ||
        shard->now_ms - place->refused_ms < RETRY_MS || shard->opening >= OPENING_LIMIT ||
        !nodes_best_other(shard, place))
        return;
    place->mirror_refusals = REFUSAL_LIMIT - 1;
    mirror_open(place);
}

static void send_entry(struct place *place, struct message *message,
                       const struct router_limits *limits)
{
    shard_send(place->shard, place->mirror,
               &(struct router_frame){.kind = FRAME_ENTRY, .deliver = {message, *limits}});
}

void mirror_append(struct place *place, struct message *message)
{
    switch (place->mirror_state) {
    case MIRROR_SYNCING:
    case MIRROR_HELD:
        send_entry(place, message, &place->limits);
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
 * by now; those that are pending are at hand all the same. Returns the offset of the last one. */
static uint64_t send_rest(struct place *place, uint64_t from)
{
    struct history_reader reader;
    struct message *message;
    uint64_t start = place_start(place);
    uint64_t last = from;

    for (struct list *at = place->pending.next; at != &place->pending; at = at->next) {
        const struct waiting *waiting = container_of(at, struct waiting, link);

        message = waiting->message;
        if (!message || message->offset <= from || message->offset > start)
            continue;
        send_entry(place, message, &waiting->limits);
        last = message->offset;
    }
    history_read(&place->history, &reader, from > start ? from : start, HISTORY_FORWARD,
                 UINT64_MAX);
    while ((message = history_next(&reader))) {
        send_entry(place, message, &place->limits);
        last = message->offset;
    }
    return last;
}

static void become_held(struct place *place)
{
    set_state(place, MIRROR_HELD);
    place->mirror_refusals = 0;
    set_refused(place, false);
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
    if (place->mirror_state == MIRROR_NONE) {
        set_refused(place, true);
        place->refused_ms = shard->now_ms;
    }
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
    if (send_rest(place, frame->mirrored.offset) < place->mirror_target) {
        /* What it lacks nobody keeps any more: it begins where we are now. */
        set_state(place, MIRROR_OPENING);
        send_open(place);
        return;
    }
    if (place->forgotten > frame->mirrored.offset)
        mirror_forget_history(place); /* what is pending was sent all the same */
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

void mirror_forget_history(struct place *place)
{
    if (place->mirror)
        shard_send(place->shard, place->mirror,
                   &(struct router_frame){
                       .kind = FRAME_FORGET,
                       .channel = place->name,
                       .channel_size = place->name_size,
                       .mirrored = {.epoch = place->lineage.epoch, .offset = place->forgotten}});
}

bool mirror_close(struct place *place)
{
    if (place->mirror && place->mirror_state != MIRROR_CLOSING) {
        send_close(place, false);
        set_state(place, MIRROR_CLOSING);
    }
    if (!place->mirror)
        set_state(place, MIRROR_NONE);
    set_refused(place, false);
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
    set_refused(place, false);
}

void mirror_receive_closed(struct place *place, struct node *node)
{
    if (place->mirror != node || place->mirror_state != MIRROR_CLOSING)
        return;
    mirror_release(place);
    claim_mirror_changed(place);
}

/* True where a fence that places wait for is passed, by its node at least. */
static bool any_fence_is_passed(const struct shard *shard)
{
    for (const struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        const struct node *node = container_of(at, struct node, link);

        if (node->fenced > 0 && node_fence_is_passed(node, shard->now_ms))
            return true;
    }
    return false;
}

void mirror_fences_expire(struct shard *shard)
{
    if (!any_fence_is_passed(shard))
        return;
    for (struct list *at = shard->fenced.next; at != &shard->fenced;) {
        struct place *place = container_of(at, struct place, fence_link);

        at = at->next;
        if (!mirror_is_unfenced(place))
            continue;
        if (place->fence &&
            (place->fence != place->mirror || node_fence_is_passed(place->fence, shard->now_ms)))
            release_fence(place);
        if (place->mirror_state == MIRROR_WANTED && list_is_empty(&place->wanted_link))
            list_append(&shard->wanted, &place->wanted_link);
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
