/* Presence and history, which gateways ask for: writing and reading. */
#include <stdlib.h>

#include "common/memory.h"
#include "common/router_frame_parts.h"

/* Writing. */

static Carillon__Router__Present present_of(const struct router_present *who)
{
    Carillon__Router__Present present = CARILLON__ROUTER__PRESENT__INIT;

    present.client = bytes_of(who->client, who->client_size);
    present.user = bytes_of(who->user, who->user_size);
    present.info = bytes_of(who->info, who->info_size);
    return present;
}

static void append_list(struct buffer *output, const struct router_frame *frame, char *channel)
{
    Carillon__Router__Present items[ROUTER_PIECE_LIMIT];
    Carillon__Router__Present *pointers[ROUTER_PIECE_LIMIT];
    Carillon__Router__PresenceList list = CARILLON__ROUTER__PRESENCE_LIST__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;

    assert(frame->presence_list.count <= ROUTER_PIECE_LIMIT);
    for (size_t i = 0; i < frame->presence_list.count; i++) {
        items[i] = present_of(&frame->presence_list.items[i]);
        pointers[i] = &items[i];
    }
    list.channel = channel;
    list.request = frame->presence_list.request;
    list.n_present = frame->presence_list.count;
    list.present = pointers;
    list.more = frame->presence_list.has_more;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_PRESENCE_LIST;
    packed.presence_list = &list;
    pack(output, &packed);
}

static void append_history(struct buffer *output, const struct router_frame *frame, char *channel)
{
    ProtobufCBinaryData envelopes[ROUTER_PIECE_LIMIT];
    Carillon__Router__History history = CARILLON__ROUTER__HISTORY__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;
    struct buffer bytes = {0};
    size_t start = 0;

    assert(frame->history.count <= ROUTER_PIECE_LIMIT);
    for (size_t i = 0; i < frame->history.count; i++) {
        envelope_append(&bytes, frame->history.messages[i]);
        envelopes[i] = bytes_of(NULL, bytes.size - start);
        start = bytes.size;
    }
    /* Only now the bytes stay where they are. */
    start = 0;
    for (size_t i = 0; i < frame->history.count; i++) {
        envelopes[i].data = bytes.data + start;
        start += envelopes[i].len;
    }
    history.channel = channel;
    history.request = frame->history.request;
    history.epoch = packed_text(frame->history.epoch);
    history.offset = frame->history.offset;
    history.outcome = (Carillon__Router__Outcome)frame->history.outcome;
    history.n_envelopes = frame->history.count;
    history.envelopes = envelopes;
    history.more = frame->history.has_more;
    history.previous = packed_text(frame->history.previous);
    history.fork = frame->history.fork;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_HISTORY;
    packed.history = &history;
    pack(output, &packed);
    buffer_deinit(&bytes);
}

static void append_set(struct buffer *output, const struct router_frame *frame, char *channel)
{
    Carillon__Router__Present who = present_of(&frame->presence.who);
    Carillon__Router__PresenceSet set = CARILLON__ROUTER__PRESENCE_SET__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;

    set.channel = channel;
    set.who = &who;
    set.request = frame->presence.request;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_PRESENCE_SET;
    packed.presence_set = &set;
    pack(output, &packed);
}

static void append_remove(struct buffer *output, const struct router_frame *frame, char *channel)
{
    Carillon__Router__PresenceRemove remove = CARILLON__ROUTER__PRESENCE_REMOVE__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;

    remove.channel = channel;
    remove.client = bytes_of(frame->presence.who.client, frame->presence.who.client_size);
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_PRESENCE_REMOVE;
    packed.presence_remove = &remove;
    pack(output, &packed);
}

static void append_presence_ask(struct buffer *output, const struct router_frame *frame,
                                char *channel)
{
    Carillon__Router__PresenceAsk ask = CARILLON__ROUTER__PRESENCE_ASK__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;

    ask.channel = channel;
    ask.request = frame->presence_ask.request;
    ask.insist = frame->presence_ask.insist;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_PRESENCE_ASK;
    packed.presence_ask = &ask;
    pack(output, &packed);
}

static void append_history_ask(struct buffer *output, const struct router_frame *frame,
                               char *channel)
{
    Carillon__Router__HistoryAsk ask = CARILLON__ROUTER__HISTORY_ASK__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;

    ask.channel = channel;
    ask.request = frame->history_ask.request;
    ask.epoch = packed_text(frame->history_ask.epoch);
    ask.offset = frame->history_ask.offset;
    ask.limit = frame->history_ask.limit;
    ask.reverse = frame->history_ask.is_reverse;
    ask.insist = frame->history_ask.insist;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_HISTORY_ASK;
    packed.history_ask = &ask;
    pack(output, &packed);
}

static void append_forget(struct buffer *output, const struct router_frame *frame, char *channel)
{
    Carillon__Router__HistoryForget forget = CARILLON__ROUTER__HISTORY_FORGET__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;

    forget.channel = channel;
    forget.request = frame->presence_ask.request;
    forget.insist = frame->presence_ask.insist;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_HISTORY_FORGET;
    packed.history_forget = &forget;
    pack(output, &packed);
}

static void append_forgotten(struct buffer *output, const struct router_frame *frame, char *channel)
{
    Carillon__Router__HistoryForgotten forgotten = CARILLON__ROUTER__HISTORY_FORGOTTEN__INIT;
    frame_pb packed = CARILLON__ROUTER__FRAME__INIT;

    forgotten.channel = channel;
    forgotten.request = frame->history_forgotten.request;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_HISTORY_FORGOTTEN;
    packed.history_forgotten = &forgotten;
    pack(output, &packed);
}

void router_frame_append_ask(struct buffer *output, const struct router_frame *frame)
{
    char channel[CHANNEL_TEXT];

    channel_text(channel, frame);
    switch (frame->kind) {
    case FRAME_PRESENCE_SET:
        append_set(output, frame, channel);
        return;
    case FRAME_PRESENCE_REMOVE:
        append_remove(output, frame, channel);
        return;
    case FRAME_PRESENCE_ASK:
        append_presence_ask(output, frame, channel);
        return;
    case FRAME_PRESENCE_LIST:
        append_list(output, frame, channel);
        return;
    case FRAME_HISTORY_ASK:
        append_history_ask(output, frame, channel);
        return;
    case FRAME_HISTORY:
        append_history(output, frame, channel);
        return;
    case FRAME_HISTORY_FORGET:
        append_forget(output, frame, channel);
        return;
    case FRAME_HISTORY_FORGOTTEN:
        append_forgotten(output, frame, channel);
        return;
    default:
        abort(); /* router_frame_append has the others */
    }
}

/* Reading. */

static bool read_client(struct router_present *who, ProtobufCBinaryData client)
{
    who->client = (const char *)client.data;
    who->client_size = client.len;
    return client.len > 0 && client.len <= ROUTER_CLIENT_LIMIT;
}

static bool read_present(struct router_present *who, const Carillon__Router__Present *present)
{
    if (!present || !read_client(who, present->client))
        return false;
    who->user = (const char *)present->user.data;
    who->user_size = present->user.len;
    who->info = present->info.data;
    who->info_size = present->info.len;
    return present->user.len <= ROUTER_USER_LIMIT && present->info.len <= ROUTER_INFO_LIMIT;
}

static bool read_list(struct router_frame *frame, const Carillon__Router__PresenceList *list)
{
    if (list->n_present > ROUTER_PIECE_LIMIT)
        return false;

    struct router_present *items = memory_zeroed(list->n_present + 1, sizeof(*items));

    frame->list = items;
    for (size_t i = 0; i < list->n_present; i++) {
        if (!read_present(&items[i], list->present[i]))
            return false;
    }
    frame->presence_list.request = list->request;
    frame->presence_list.items = items;
    frame->presence_list.count = list->n_present;
    frame->presence_list.has_more = list->more;
    return read_channel(frame, list->channel);
}

static bool is_of_channel(const struct message *message, const struct router_frame *frame)
{
    return message->channel_size == frame->channel_size &&
           memcmp(message->channel, frame->channel, frame->channel_size) == 0;
}

static bool read_history(struct router_frame *frame, const Carillon__Router__History *history,
                         size_t data_limit)
{
    if (history->n_envelopes > ROUTER_PIECE_LIMIT || !read_channel(frame, history->channel) ||
        !is_position(history->epoch, history->offset) ||
        !is_position(history->previous, history->fork))
        return false;

    struct message **messages = memory_zeroed(history->n_envelopes + 1, sizeof(struct message *));

    frame->list = messages;
    frame->history.request = history->request;
    frame->history.epoch = history->epoch;
    frame->history.previous = history->previous;
    frame->history.fork = history->fork;
    frame->history.offset = history->offset;
    frame->history.outcome = history->outcome ? OUTCOME_LOST : OUTCOME_CONTINUED;
    frame->history.messages = messages;
    frame->history.has_more = history->more;
    for (size_t i = 0; i < history->n_envelopes; i++) {
        if (!read_kept(&messages[i], history->envelopes[i], data_limit))
            return false;
        frame->history.count++;
        if (!is_of_channel(messages[i], frame))
            return false;
    }
    return true;
}

static bool read_history_ask(struct router_frame *frame, const Carillon__Router__HistoryAsk *ask)
{
    frame->history_ask.request = ask->request;
    frame->history_ask.epoch = ask->epoch;
    frame->history_ask.offset = ask->offset;
    frame->history_ask.limit = ask->limit;
    frame->history_ask.is_reverse = ask->reverse;
    frame->history_ask.insist = ask->insist;
    return ask->request != 0 && is_epoch(ask->epoch) && read_channel(frame, ask->channel);
}

bool router_frame_read_ask(struct router_frame *frame, const frame_pb *packed, size_t data_limit)
{
    switch (packed->kind_case) {
    case CARILLON__ROUTER__FRAME__KIND_PRESENCE_SET:
        frame->presence.request = packed->presence_set->request;
        return packed->presence_set->request != 0 &&
               read_channel(frame, packed->presence_set->channel) &&
               read_present(&frame->presence.who, packed->presence_set->who);
    case CARILLON__ROUTER__FRAME__KIND_PRESENCE_REMOVE:
        return read_channel(frame, packed->presence_remove->channel) &&
               read_client(&frame->presence.who, packed->presence_remove->client);
    case CARILLON__ROUTER__FRAME__KIND_PRESENCE_ASK:
        frame->presence_ask.request = packed->presence_ask->request;
        frame->presence_ask.insist = packed->presence_ask->insist;
        return packed->presence_ask->request != 0 &&
               read_channel(frame, packed->presence_ask->channel);
    case CARILLON__ROUTER__FRAME__KIND_PRESENCE_LIST:
        return read_list(frame, packed->presence_list);
    case CARILLON__ROUTER__FRAME__KIND_HISTORY_ASK:
        return read_history_ask(frame, packed->history_ask);
    case CARILLON__ROUTER__FRAME__KIND_HISTORY:
        return read_history(frame, packed->history, data_limit);
    case CARILLON__ROUTER__FRAME__KIND_HISTORY_FORGET:
        frame->presence_ask.request = packed->history_forget->request;
        frame->presence_ask.insist = packed->history_forget->insist;
        return packed->history_forget->request != 0 &&
               read_channel(frame, packed->history_forget->channel);
    case CARILLON__ROUTER__FRAME__KIND_HISTORY_FORGOTTEN:
        frame->history_forgotten.request = packed->history_forgotten->request;
        return read_channel(frame, packed->history_forgotten->channel);
    default:
        return false;
    }
}

void router_frame_release_history(struct router_frame *frame)
{
    for (size_t i = 0; i < frame->history.count; i++)
        message_unref(frame->history.messages[i]);
}
