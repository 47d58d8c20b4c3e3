/*
 * Strays: messages that were acknowledged, and are in no history that goes on, because two routers
 * owned the channel at once. They are published behind what goes on, unless that has them.
 *
 * A router finds them in another owner that it relieves, and in its own copy when a better one
 * takes its place. Nobody else has them then, so they stay parked here, whoever owns the channel,
 * until they are in a history with its title: ours, or the one that we give away. A copy that lost
 * its owner out of sight is *unsure*: it may be the only one, and so may what was given to a router
 * that was lost before it can have had it.
 */
#include <assert.h>

#include "common/memory.h"
#include "router/shard_parts.h"

static struct waiting *first(const struct place *place)
{
    for (struct list *at = place->parked.next; at != &place->parked; at = at->next) {
        struct waiting *waiting = container_of(at, struct waiting, link);

        if (waiting->kind == WAITING_STRAY)
            return waiting;
    }
    return NULL;
}

bool stray_waits(const struct place *place)
{
    return first(place) != NULL;
}

bool stray_has(const struct place *place, uint64_t publisher, uint64_t sequence)
{
    for (const struct list *at = place->parked.next; at != &place->parked; at = at->next) {
        const struct waiting *waiting = container_of(at, struct waiting, link);

        if (waiting->kind == WAITING_STRAY && waiting->message->publisher == publisher &&
            waiting->message->sequence >= sequence)
            return true;
    }
    return false;
}

static void park(struct place *place, struct message *message)
{
    owner_park(place, NULL, WAITING_STRAY, message);
}

/* Publishing. */

/* True if the message is in the history, or may have been and is too old to be kept. */
static bool is_kept(const struct place *place, const struct message *message)
{
    struct history_reader reader;
    const struct message *one;

    history_read(&place->history, &reader, 0, HISTORY_FORWARD, UINT64_MAX);
    one = history_next(&reader);
    if (one && place_start(place) > 0 && message->time_ms < one->time_ms)
        return true;
    for (; one; one = history_next(&reader)) {
        if (one->publisher == message->publisher && one->sequence == message->sequence)
            return true;
    }
    return false;
}

/* The publisher's later messages may be there already, so that its count does not tell. */
void stray_publish(struct place *place, const struct message *stray)
{
    struct message *message;

    if (is_kept(place, stray))
        return;
    message = message_write(&(struct message_draft){
        .kind = stray->kind,
        .channel = {stray->channel, stray->channel_size},
        .data = {(const char *)stray->data, stray->data_size},
        .key = stray->key,
        .origin = stray->origin,
    });
    message->time_ms = stray->time_ms;
    message->publisher = stray->publisher;
    message->sequence = stray->sequence;
    metric_add(&place->shard->stats.strays, 1);
    owner_append(place, NULL, message);
    message_unref(message);
}

void stray_publish_all(struct place *place)
{
    struct waiting *waiting;

    assert(place->has_title);
    while ((waiting = first(place))) {
        stray_publish(place, waiting->message);
        owner_forget(waiting);
    }
}

void stray_forget_all(struct place *place)
{
    struct waiting *waiting;

    while ((waiting = first(place)))
        owner_forget(waiting);
}

/* Of our own copy. */

void stray_doubt(struct place *place)
{
    place->is_unsure = true;
    place->unsure_ms = place->shard->now_ms;
}

/* Links keep the order, so an answer to a later ping says that what was given has arrived. */
static bool is_on_its_way(const struct place *place)
{
    return place->given_to && place->given_to->echoed_ms <= place->given_ms;
}

/* True where nobody else may have all of our copy. */
static bool may_be_the_only_one(const struct place *place)
{
    bool is_orphan = place->source && place->source_is_owner && !place->source->shard_link;

    return place->has_title || place->is_unsure || is_orphan || is_on_its_way(place);
}

void stray_park_own(struct place *place, const struct router_lineage *better)
{
    struct router_lineage own = place_lineage(place);
    uint64_t common = place_common_offset(&own, better);
    struct history_reader reader;
    struct message *message;

    if (!may_be_the_only_one(place) || common >= own.offset)
        return;
    history_read(&place->history, &reader, common, HISTORY_FORWARD, UINT64_MAX);
    while ((message = history_next(&reader)))
        park(place, message);
}

/* Of another owner. */

static void are_whole(struct place *place)
{
    struct node *node = place->stray_source;

    place->stray_source = NULL;
    claim_relieved(place, node);
}

void stray_expect(struct place *place, struct node *node, const struct router_frame *frame)
{
    place->stray_source = node;
    place->stray_offset = frame->given.lineage.offset;
    if (frame->given.start >= place->stray_offset)
        are_whole(place);
}

bool stray_receive(struct place *place, const struct node *node, struct message *message)
{
    if (place->stray_source != node)
        return false;
    park(place, message);
    if (message->offset >= place->stray_offset)
        are_whole(place);
    return true;
}

void stray_node_lost(struct place *place, const struct node *node)
{
    if (place->stray_source == node)
        place->stray_source = NULL;
    if (place->given_to != node)
        return;
    if (is_on_its_way(place))
        stray_doubt(place);
    place->given_to = NULL;
}
