/*
 * Strays: messages that were acknowledged, and are in no history that goes on, because two routers
 * owned the channel at once. They are published behind what goes on, unless that has them.
 *
 * A router finds them in another owner that it relieves, and in its own copy when a better one
 * takes its place. Nobody else has them then, so they stay parked here, whoever owns the channel,
 * until they are in a history with its title: ours, or the one that we give away. A copy that lost
 * its owner out of sight is *unsure*: it may be the only one, and so may what was given to a router
 * that was lost since: before it had it, perhaps, or before anybody else had.
 */
#include <assert.h>

#include "common/memory.h"
#include "router/identities.h"
#include "router/shard_parts.h"

static struct waiting *of_link(struct list *at)
{
    return container_of(at, struct waiting, link);
}

bool stray_waits(const struct place *place)
{
    return !list_is_empty(&place->strays);
}

bool stray_has(const struct place *place, uint64_t publisher, uint64_t sequence)
{
    for (struct list *at = place->strays.next; at != &place->strays; at = at->next) {
        const struct message *message = of_link(at)->message;

        if (message->publisher == publisher && message->sequence >= sequence)
            return true;
    }
    return false;
}

static void park(struct place *place, struct message *message)
{
    owner_park(place, NULL, WAITING_STRAY, message);
}

/* Publishing. */

static void learn_kept(const struct place *place, struct identities *kept)
{
    struct history_reader reader;
    const struct message *message;

    history_read(&place->history, &reader, 0, HISTORY_FORWARD, UINT64_MAX);
    while ((message = history_next(&reader)))
        identities_add(kept, message->publisher, message->sequence);
}

/* True if the message is in the history, or may have been and is too old to be kept. */
static bool is_kept(const struct place *place, const struct identities *kept,
                    const struct message *message)
{
    struct history_reader reader;
    const struct message *oldest;

    history_read(&place->history, &reader, 0, HISTORY_FORWARD, 1);
    oldest = history_next(&reader);
    return (oldest && place_start(place) > 0 && message->time_ms < oldest->time_ms) ||
           identities_have(kept, message->publisher, message->sequence);
}

/* True where both sides took messages with one key: one is enough. */
static bool is_repeat(struct place *place, const struct message *message)
{
    uint64_t offset;

    if (message->key.size == 0 ||
        !key_table_find(&place->keys, message->key, place->shard->now_ms, &offset))
        return false;
    place_note_publisher(place, message, offset);
    return true;
}

/* The publisher's later messages may be there already, so that its count does not tell. */
static void publish(struct place *place, struct identities *kept, const struct message *stray)
{
    struct message *message;

    if (is_kept(place, kept, stray) || is_repeat(place, stray))
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
    identities_add(kept, stray->publisher, stray->sequence);
    metric_add(&place->shard->stats.strays, 1);
    owner_append(place, NULL, message, &place->limits);
    message_unref(message);
}

void stray_publish_all(struct place *place)
{
    struct identities kept = {0};

    if (!stray_waits(place))
        return;
    assert(place->has_title);
    learn_kept(place, &kept);
    while (stray_waits(place)) {
        struct waiting *waiting = of_link(place->strays.next);

        publish(place, &kept, waiting->message);
        owner_forget(waiting);
    }
    identities_deinit(&kept);
}

static void forget_source(struct stray_source *source)
{
    list_remove(&source->link);
    memory_free(source);
}

void stray_forget_all(struct place *place)
{
    while (stray_waits(place))
        owner_forget(of_link(place->strays.next));
    while (!list_is_empty(&place->stray_sources))
        forget_source(container_of(place->stray_sources.next, struct stray_source, link));
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

/* Of other owners. */

static struct stray_source *find_source(struct place *place, const struct node *node)
{
    for (struct list *at = place->stray_sources.next; at != &place->stray_sources; at = at->next) {
        struct stray_source *source = container_of(at, struct stray_source, link);

        if (source->node == node)
            return source;
    }
    return NULL;
}

static void are_whole(struct place *place, struct stray_source *source)
{
    struct node *node = source->node;

    forget_source(source);
    if (place->role == PLACE_OWNED)
        stray_publish_all(place);
    claim_relieved(place, node);
}

void stray_expect(struct place *place, struct node *node, const struct router_frame *frame)
{
    struct stray_source *source = find_source(place, node);

    if (!source) {
        source = memory_zeroed(1, sizeof(*source));
        source->node = node;
        list_init(&source->link);
        list_append(&place->stray_sources, &source->link);
    }
    source->offset = frame->given.lineage.offset;
    if (frame->given.start >= source->offset)
        are_whole(place, source);
}

void stray_expect_rest(struct place *place)
{
    struct stray_source *source;

    if (!place->source || place->source_is_owner || !place->source_has_title ||
        place->history.top >= place->source_offset || find_source(place, place->source))
        return;
    source = memory_zeroed(1, sizeof(*source));
    source->node = place->source;
    source->offset = place->source_offset;
    list_init(&source->link);
    list_append(&place->stray_sources, &source->link);
}

bool stray_receive(struct place *place, const struct node *node, struct message *message)
{
    struct stray_source *source = find_source(place, node);

    if (!source)
        return false;
    park(place, message);
    if (message->offset >= source->offset)
        are_whole(place, source);
    return true;
}

void stray_node_lost(struct place *place, const struct node *node)
{
    struct stray_source *source = find_source(place, node);

    if (source) { /* the rest is in doubt there */
        forget_source(source);
        if (place->role == PLACE_OWNED)
            stray_publish_all(place);
    }
    if (place->given_to != node)
        return;
    if (place->role != PLACE_OWNED)
        stray_doubt(place); /* it had it, perhaps, and nobody else */
    place->given_to = NULL;
}
