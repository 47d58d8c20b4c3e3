/*
 * How a channel changes hands, from the side that wants it (the other one is yield.c). The claimant
 * asks every router that it is linked with what it has (Inquire, Head), takes the best copy (Take,
 * Given, entries), relieves whoever else holds a title, lets its mirror have everything, and owns
 * the channel then. Requests that come meanwhile are parked.
 *
 * Two who claim one channel at once settle it between themselves: the one that gateways insist on,
 * or else the one that ranks above, goes on. Two owners that meet (they had lost sight of each
 * other) find out by what they tell each other (Owning); the one that ranks above claims anew. The
 * better copy goes on, and what only the other one has, its strays, is published behind it: it was
 * acknowledged.
 */
#include <assert.h>
#include <string.h>

#include "common/memory.h"
#include "router/heads.h"
#include "router/shard_parts.h"

#define DOUBT_MS 5000 /* others have met by then, and know who goes on */

enum claim_phase {
    CLAIM_INQUIRING, /* until all have answered */
    CLAIM_TAKING,    /* the best copy is on its way */
    CLAIM_RELIEVING, /* another owner is asked to stop, and for what it has that we have not */
    CLAIM_SETTLING,  /* we have it all; the mirror is to have it, too */
};

struct claim {
    struct list held_link;
    struct place *place;
    uint64_t id;
    enum claim_phase phase;
    bool insists;
    bool is_for_strays; /* not for gateways: the channel goes back when they are published */
    bool is_new;        /* whoever wants it is not parked yet */
    bool has_wanted;    /* CLAIM_SETTLING: a mirror was looked for */
    bool has_changed;   /* a router came past asking, or one that was asked went */
    bool is_stale;      /* another owner turned up when we were past asking: claim again */
    struct node *giver;
    struct heads heads;
};

static void proceed(struct place *place);

/* Claims. */

static void inquire(struct place *place, struct node *node)
{
    struct claim *claim = place->claim;
    uint64_t nodes[ROUTER_MEMBER_LIMIT];
    size_t count = heads_nodes(&claim->heads, nodes);

    shard_send(place->shard, node,
               &(struct router_frame){.kind = FRAME_INQUIRE,
                                      .channel = place->name,
                                      .channel_size = place->name_size,
                                      .inquire = {claim->id, claim->insists, nodes, count}});
}

static void ask_all(struct place *place)
{
    struct shard *shard = place->shard;
    struct claim *claim = place->claim;

    claim->id = ++shard->claim_count;
    claim->phase = CLAIM_INQUIRING;
    claim->heads.count = 0;
    claim->giver = NULL;
    claim->has_wanted = false;
    claim->has_changed = false;
    claim->is_stale = false;
    for (struct list *at = shard->nodes.next; at != &shard->nodes; at = at->next) {
        struct node *node = container_of(at, struct node, link);

        if (node->shard_link)
            heads_add(&claim->heads, node);
    }
    for (size_t i = 0; i < claim->heads.count; i++) /* each is told of all */
        inquire(place, claim->heads.items[i].node);
    proceed(place);
}

void claim_start(struct place *place, bool insists)
{
    struct shard *shard = place->shard;
    struct claim *claim;

    assert(place->role == PLACE_COPY || place->role == PLACE_OWNED);
    metric_add(&shard->stats.claims, 1);
    if (place->role == PLACE_OWNED) {
        metric_add(&shard->stats.conflicts, 1);
        owner_send_away(place, shard->settings.node);
        mirror_close(place);
    }
    claim = memory_zeroed(1, sizeof(*claim));
    list_init(&claim->held_link);
    claim->place = place;
    claim->insists = insists;
    claim->is_new = true;
    place->claim = claim;
    place->yielded_to = 0;
    places_set_role(place, PLACE_CLAIMING);
    ask_all(place);
    if (place->claim)
        place->claim->is_new = false;
}

void claim_for_strays(struct place *place)
{
    const struct shard *shard = place->shard;
    bool is_doubtful = (place->is_unsure || place->has_title) && !place->source &&
                       shard->now_ms - place->unsure_ms >= DOUBT_MS;

    if (place->role != PLACE_COPY || !(is_doubtful || stray_waits(place)) ||
        !nodes_best_other(shard, place))
        return;
    place->unsure_ms = shard->now_ms;
    claim_start(place, true);
    if (place->claim)
        place->claim->is_for_strays = true;
}

static void end_claim(struct place *place, enum place_role role)
{
    list_remove(&place->claim->held_link);
    memory_free(place->claim);
    place->claim = NULL;
    places_set_role(place, role);
}

void claim_abandon(struct place *place)
{
    if (place->claim)
        end_claim(place, PLACE_COPY);
    place->taker = NULL;
    places_set_role(place, PLACE_COPY);
}

bool claim_insists(const struct place *place)
{
    return place->claim->insists;
}

bool claim_is_settling(const struct place *place)
{
    return place->claim && place->claim->phase == CLAIM_SETTLING;
}

bool claim_is_past_asking(const struct place *place)
{
    return place->claim && place->claim->phase != CLAIM_INQUIRING;
}

void claim_is_contested(struct place *place)
{
    if (place->claim)
        place->claim->is_stale = true;
}

void claim_give_up(struct place *place, uint64_t node)
{
    end_claim(place, PLACE_COPY);
    place->unsure_ms = place->shard->now_ms; /* the other one is to have its time */
    owner_send_away(place, node);
}

static void take(struct place *place, const struct head *head, enum claim_phase phase)
{
    struct claim *claim = place->claim;
    struct router_lineage own = place_lineage(place);
    bool is_same = strcmp(head->lineage.epoch, own.epoch) == 0;
    uint64_t offset = is_same ? own.offset : 0;

    if (phase == CLAIM_RELIEVING)
        offset = place_common_offset(&own, &head->lineage);
    claim->phase = phase;
    claim->giver = head->node;
    shard_send(place->shard, head->node,
               &(struct router_frame){.kind = FRAME_TAKE,
                                      .channel = place->name,
                                      .channel_size = place->name_size,
                                      .take = {claim->id, head->lineage.epoch, offset}});
}

static void finish(struct place *place)
{
    bool is_stale = place->claim->is_stale;
    bool is_for_strays = place->claim->is_for_strays;
    struct node *best = nodes_best(place->shard, place);

    place->committed = place->history.top;
    end_claim(place, PLACE_OWNED);
    if (is_stale) {
        claim_start(place, false);
        return;
    }
    owner_serve_parked(place);
    if (is_for_strays && best)
        owning_offer(place, best);
}

/* Looks for a mirror once, and ends the claim when it has all. */
static void settle_on(struct place *place)
{
    struct claim *claim = place->claim;

    if (place->mirror_state == MIRROR_CLOSING)
        return;
    if (!claim->has_wanted) {
        claim->has_wanted = true;
        place->mirror_refusals = 0;
        mirror_want(place);
        if (place->mirror_state == MIRROR_WANTED)
            mirror_open(place);
    }
    if (mirror_is_settled(place))
        finish(place);
}

static void settle(struct place *place)
{
    struct shard *shard = place->shard;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];

    place->claim->phase = CLAIM_SETTLING;
    copy_detach(place);
    place_cut_short(place);
    if (!place->has_title) {
        if (place_has_copy(place))
            metric_add(nodes_may_any_live(shard) ? &shard->stats.forks : &shard->stats.failovers,
                       1);
        shard_fresh_epoch(shard, epoch);
        place_fork(place, epoch);
    }
    settle_on(place);
}

static void hold(struct place *place)
{
    struct claim *claim = place->claim;

    claim->phase = CLAIM_INQUIRING;
    list_remove(&claim->held_link);
    list_append(&place->shard->held, &claim->held_link);
}

/* Without the title the claim would end in a fork, which is for those who wait for it, or for the
 * sake of a copy that is the only one by all we know. */
static bool is_for_nobody(const struct place *place)
{
    const struct claim *claim = place->claim;

    return !claim->is_new && !owner_is_awaited(place) &&
           !(claim->is_for_strays && !nodes_may_any_live(place->shard));
}

static void settle_or_wait(struct place *place)
{
    if (!place->has_title && place->claim->has_changed) {
        ask_all(place);
    } else if (!place->has_title && nodes_may_any_return(place->shard)) {
        hold(place);
    } else if (!place->has_title && is_for_nobody(place)) {
        claim_give_up(place, place->shard->settings.node);
    } else {
        settle(place);
    }
}

/* Of a claim for the sake of our copy: an owner has all of it, so there is nothing to add. */
static bool is_needless(const struct place *place)
{
    return place->claim->is_for_strays && !place->has_title && !owner_is_awaited(place) &&
           heads_have_all(&place->claim->heads, place);
}

static void proceed(struct place *place)
{
    struct claim *claim = place->claim;
    struct head *head;

    if (claim->phase == CLAIM_INQUIRING) {
        if (!heads_are_all_here(&claim->heads))
            return;
        if (yield_is_undecided(place) || !place->shard->is_open) {
            hold(place);
            return;
        }
        if (is_needless(place)) {
            place->is_unsure = false;
            claim_give_up(place, place->shard->settings.node);
            return;
        }
        head = heads_best(&claim->heads, place);
        if (head) {
            head->has_title = false; /* its title comes with the copy */
            take(place, head, CLAIM_TAKING);
            return;
        }
    }
    head = heads_title(&claim->heads);
    if (head) {
        head->has_title = false;
        take(place, head, CLAIM_RELIEVING);
        return;
    }
    settle_or_wait(place);
}

void claim_receive_head(struct place *place, struct node *node, const struct router_frame *frame)
{
    struct claim *claim = place->claim;

    if (!claim || claim->id != frame->head.claim)
        return;
    if (claim->phase == CLAIM_TAKING || claim->phase == CLAIM_RELIEVING) {
        if (claim->giver == node && frame->head.state == HEAD_REFUSED)
            ask_all(place);
        return;
    }
    if (claim->phase != CLAIM_INQUIRING)
        return;
    if (frame->head.state == HEAD_REFUSED) {
        claim_give_up(place, frame->head.node);
        places_drop_if_empty(place->shard, place);
        return;
    }
    heads_note(&claim->heads, node, frame);
    proceed(place);
}

/* True if what comes is better than what we have, for a claim that was given up meanwhile. What we
 * had then, so that it need not be sent, may be gone. */
static bool is_welcome(const struct place *place, const struct router_frame *frame)
{
    struct router_lineage own = place_lineage(place);
    bool is_whole = frame->given.start == 0 ||
                    place_continues(place, &frame->given.lineage, frame->given.start);

    return is_whole && place->role == PLACE_COPY && !place->source &&
           place_is_better(&frame->given.lineage, frame->given.has_title, &own, place->has_title);
}

void claim_relieved(struct place *place, const struct node *node)
{
    const struct claim *claim = place->claim;

    if (claim && claim->phase == CLAIM_RELIEVING && claim->giver == node)
        proceed(place);
}

void claim_receive_given(struct shard *shard, struct node *node, const struct router_frame *frame)
{
    struct place *place = places_find_or_create(shard, frame->channel, frame->channel_size);
    struct claim *claim = place ? place->claim : NULL;
    bool is_ours = claim && claim->id == frame->given.claim && claim->giver == node;
    const struct router_lineage *lineage = &frame->given.lineage;

    if (!place)
        return;
    if (frame->given.has_title && place->source == node && place->source_is_owner)
        copy_detach(place); /* its owner no more */
    if (!(is_ours && claim->phase == CLAIM_TAKING) && !is_welcome(place, frame)) {
        /* Even where nobody here waits for it any more: the giver has no right to it now. */
        if (is_ours || frame->given.has_title)
            stray_expect(place, node, frame);
        return;
    }
    stray_park_own(place, lineage);
    place_adopt(place, lineage, frame->given.start, frame->given.forgotten,
                &frame->given.producers);
    place->used_ms = shard->now_ms;
    copy_attach(place, node, lineage->offset, false);
    place->source_has_title = frame->given.has_title;
    if (place->history.top >= place->source_offset)
        claim_given_whole(place);
}

void claim_given_whole(struct place *place)
{
    struct claim *claim = place->claim;

    place->has_title = place->source_has_title;
    copy_detach(place);
    metric_add(&place->shard->stats.taken, 1);
    if (claim && claim->phase == CLAIM_TAKING)
        proceed(place);
}

/* When others come and go. */

void claim_mirror_changed(struct place *place)
{
    if (claim_is_settling(place))
        settle_on(place);
    else if (place->role == PLACE_YIELDING)
        yield_mirror_changed(place);
}

void claim_node_up(struct shard *shard, struct node *node)
{
    for (struct list *at = shard->places.next; at != &shard->places;) {
        struct place *place = container_of(at, struct place, link);

        at = at->next;
        if (place->claim && place->claim->phase != CLAIM_INQUIRING)
            place->claim->has_changed = true;
        else if (place->claim && heads_add(&place->claim->heads, node))
            inquire(place, node);
        if (!(place->role == PLACE_OWNED || claim_is_settling(place)) || place->mirror)
            continue;
        place->mirror_refusals = 0;
        mirror_want(place);
    }
}

void claim_node_lost(struct shard *shard, struct node *node)
{
    for (struct list *at = shard->places.next; at != &shard->places;) {
        struct place *place = container_of(at, struct place, link);
        struct claim *claim = place->claim;

        at = at->next;
        stray_node_lost(place, node);
        if (claim) {
            heads_remove(&claim->heads, node);
            claim->has_changed = true; /* another one may know it to live */
            if (claim->phase == CLAIM_INQUIRING)
                proceed(place);
            else if (claim->phase != CLAIM_SETTLING && claim->giver == node)
                ask_all(place);
        } else if (place->role == PLACE_YIELDING && place->taker == node) {
            yield_taker_lost(place);
        }
    }
}

void claim_fate_decided(struct shard *shard)
{
    struct list waiting;

    yield_fate_decided(shard);
    list_init(&waiting);
    list_append_all(&waiting, &shard->held);
    while (!list_is_empty(&waiting)) {
        struct claim *claim = container_of(waiting.next, struct claim, held_link);

        list_remove(&claim->held_link);
        proceed(claim->place);
    }
}
