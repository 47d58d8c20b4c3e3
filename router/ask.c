/*
 * Who is on a channel, and what was published on it: what gateways announce, and what they ask.
 *
 * Presence is no part of the copy, which a mirror holds and a taker is given: whoever is there is
 * announced again every few seconds, and at once to a new owner. So the death of a router loses it
 * for a moment, and the death of a gateway ends it for good.
 *
 * An answer is cut into frames of bounded size; all are sent at once, and the link's queue has its
 * own limit.
 */
#include <string.h>

#include "router/shard_parts.h"

/* Where answers come from: all that an answer is about stays as it is while it is sent. */
struct ask {
    struct place *place;
    struct shard_link *gateway;
    enum waiting_kind kind;
    uint64_t request;
    const char *epoch; /* of history only, as is the rest */
    uint64_t offset;
    uint64_t limit;
    bool is_reverse;
};

static void refuse(struct shard *shard, struct shard_link *gateway, const char *channel,
                   size_t channel_size, uint64_t request, enum router_reason reason, uint64_t node)
{
    if (reason == REASON_BUSY)
        metric_add(&shard->stats.refused, 1);
    shard_send_link(
        shard, gateway,
        &(struct router_frame){.kind = FRAME_REFUSED,
                               .channel = channel,
                               .channel_size = channel_size,
                               .refused = {.reason = reason, .node = node, .request = request}});
}

/* Presence. */

static void set(struct shard *shard, struct shard_link *gateway, const struct router_frame *frame)
{
    struct place *place = places_find(shard, frame->channel, frame->channel_size);

    if (!place || place->role != PLACE_OWNED)
        return;
    if (presence_set(&place->presence, &frame->presence.who, gateway->id, shard->now_ms))
        refuse(shard, gateway, frame->channel, frame->channel_size, frame->presence.request,
               REASON_BUSY, 0);
}

static void send_list(const struct ask *ask, const struct router_present *items, size_t count,
                      bool has_more)
{
    shard_send_link(
        ask->place->shard, ask->gateway,
        &(struct router_frame){.kind = FRAME_PRESENCE_LIST,
                               .channel = ask->place->name,
                               .channel_size = ask->place->name_size,
                               .presence_list = {ask->request, items, count, has_more}});
}

static void tell_presence(const struct ask *ask)
{
    struct shard *shard = ask->place->shard;
    struct router_present items[ROUTER_PIECE_LIMIT];
    const struct presence_entry *entry = NULL;
    size_t count = 0;
    size_t bytes = 0;

    presences_expire(&shard->presences, shard->now_ms);
    while ((entry = presence_next(&ask->place->presence, entry))) {
        struct router_present who = presence_who(entry);
        size_t size = who.client_size + who.user_size + who.info_size;

        if (count == ROUTER_PIECE_LIMIT || bytes + size > ROUTER_PIECE_BYTES) {
            send_list(ask, items, count, true);
            count = 0;
            bytes = 0;
        }
        items[count++] = who;
        bytes += size;
    }
    send_list(ask, items, count, false);
}

/* History. */

static void send_history(const struct ask *ask, enum router_outcome outcome,
                         struct message *const *messages, size_t count, bool has_more)
{
    const struct place *place = ask->place;

    shard_send_link(
        place->shard, ask->gateway,
        &(struct router_frame){.kind = FRAME_HISTORY,
                               .channel = place->name,
                               .channel_size = place->name_size,
                               .history = {ask->request, place->lineage.epoch, place->committed,
                                           outcome, messages, count, has_more,
                                           place->lineage.previous, place->lineage.fork}});
}

/* Reads from a position, but nothing that is not committed. */
static enum history_answer read_from(const struct ask *ask, struct history_reader *reader,
                                     uint64_t offset)
{
    const struct place *place = ask->place;
    uint64_t start = place_start(place);
    uint64_t from = offset > start ? offset : start;
    uint64_t most = from < place->committed ? place->committed - from : 0;

    if (ask->is_reverse)
        return history_read(&place->history, reader, offset, HISTORY_REVERSE, ask->limit);
    return history_read(&place->history, reader, offset, HISTORY_FORWARD,
                        ask->limit < most ? ask->limit : most);
}

/* Starts to read what is asked for and committed, or what there is: false where the message next to
 * the position is not kept any more, or the position is none of this channel's. */
static bool read_history(const struct ask *ask, struct history_reader *reader)
{
    const struct place *place = ask->place;
    uint64_t end = place->committed + (ask->is_reverse ? 1 : 0);

    if (place_has_seen(place, ask->epoch, ask->offset) && ask->offset <= end)
        return read_from(ask, reader, ask->offset) == HISTORY_FOUND;
    read_from(ask, reader, ask->is_reverse ? end : place_start(place));
    return ask->epoch[0] == '\0';
}

static void tell_history(const struct ask *ask)
{
    enum router_outcome outcome;
    struct message *messages[ROUTER_PIECE_LIMIT];
    struct history_reader reader;
    struct message *message;
    size_t count = 0;
    size_t bytes = 0;

    outcome = read_history(ask, &reader) ? OUTCOME_CONTINUED : OUTCOME_LOST;
    while ((message = history_next(&reader))) {
        if (count == ROUTER_PIECE_LIMIT ||
            (count > 0 && bytes + message_content_size(message) > ROUTER_PIECE_BYTES)) {
            send_history(ask, outcome, messages, count, true);
            count = 0;
            bytes = 0;
        }
        messages[count++] = message;
        bytes += message_content_size(message);
    }
    send_history(ask, outcome, messages, count, false);
}

/* The mirror is told, and does not answer: if we die before it hears of it, it has them still. */
static void forget_history(const struct ask *ask)
{
    struct place *place = ask->place;

    place_forget_history(place, place->history.top);
    mirror_forget_history(place);
    shard_send_link(place->shard, ask->gateway,
                    &(struct router_frame){.kind = FRAME_HISTORY_FORGOTTEN,
                                           .channel = place->name,
                                           .channel_size = place->name_size,
                                           .history_forgotten = {ask->request}});
}

/* Asks. */

static void tell(const struct ask *ask)
{
    if (ask->kind == WAITING_PRESENCE)
        tell_presence(ask);
    else if (ask->kind == WAITING_FORGET)
        forget_history(ask);
    else
        tell_history(ask);
}

static void park(const struct ask *ask)
{
    struct waiting *waiting = owner_park(ask->place, ask->gateway, ask->kind, NULL);

    waiting->sequence = ask->request;
    epoch_copy(waiting->epoch, ask->epoch);
    waiting->offset = ask->offset;
    waiting->limit = ask->limit;
    waiting->is_reverse = ask->is_reverse;
}

static void receive_ask(struct shard *shard, const struct router_frame *frame, struct ask *ask,
                        bool insists)
{
    uint64_t node = 0;

    if (!owner_has_room(shard, 0) ||
        !(ask->place = places_find_or_create(shard, frame->channel, frame->channel_size))) {
        refuse(shard, ask->gateway, frame->channel, frame->channel_size, ask->request, REASON_BUSY,
               0);
        return;
    }
    switch (owner_turn(ask->place, insists, &node)) {
    case TURN_SERVE:
        tell(ask);
        return;
    case TURN_PARK:
        park(ask);
        return;
    case TURN_AWAY:
        refuse(shard, ask->gateway, frame->channel, frame->channel_size, ask->request, REASON_MOVED,
               node);
        places_drop_if_empty(shard, ask->place);
        return;
    }
}

void ask_serve_parked(const struct waiting *waiting)
{
    tell(&(struct ask){.place = waiting->place,
                       .gateway = waiting->gateway,
                       .kind = waiting->kind,
                       .request = waiting->sequence,
                       .epoch = waiting->epoch,
                       .offset = waiting->offset,
                       .limit = waiting->limit,
                       .is_reverse = waiting->is_reverse});
}

void ask_send_away(const struct waiting *waiting, uint64_t node)
{
    refuse(waiting->place->shard, waiting->gateway, waiting->place->name, waiting->place->name_size,
           waiting->sequence, REASON_MOVED, node);
}

bool ask_receive(struct shard *shard, struct shard_link *gateway, const struct router_frame *frame)
{
    struct place *place;

    switch (frame->kind) {
    case FRAME_PRESENCE_SET:
        set(shard, gateway, frame);
        return true;
    case FRAME_PRESENCE_REMOVE:
        place = places_find(shard, frame->channel, frame->channel_size);
        if (place)
            presence_remove(&place->presence, frame->presence.who.client,
                            frame->presence.who.client_size, gateway->id);
        return true;
    case FRAME_PRESENCE_ASK:
        receive_ask(shard, frame,
                    &(struct ask){.gateway = gateway,
                                  .kind = WAITING_PRESENCE,
                                  .request = frame->presence_ask.request,
                                  .epoch = ""},
                    frame->presence_ask.insist);
        return true;
    case FRAME_HISTORY_FORGET:
        receive_ask(shard, frame,
                    &(struct ask){.gateway = gateway,
                                  .kind = WAITING_FORGET,
                                  .request = frame->presence_ask.request,
                                  .epoch = ""},
                    frame->presence_ask.insist);
        return true;
    case FRAME_HISTORY_ASK:
        receive_ask(shard, frame,
                    &(struct ask){.gateway = gateway,
                                  .kind = WAITING_HISTORY,
                                  .request = frame->history_ask.request,
                                  .epoch = frame->history_ask.epoch,
                                  .offset = frame->history_ask.offset,
                                  .limit = frame->history_ask.limit,
                                  .is_reverse = frame->history_ask.is_reverse},
                    frame->history_ask.insist);
        return true;
    default:
        return false;
    }
}
