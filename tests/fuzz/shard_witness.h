/*
 * What a shard says while it is fuzzed, and whether it may: written down so that the others can
 * speak of the same things. Included by shard_fuzz.c alone.
 */
#ifndef TESTS_FUZZ_SHARD_WITNESS_H
#define TESTS_FUZZ_SHARD_WITNESS_H

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "router/shard.h"

#define CHANNELS 3

/* What a gateway was told about a channel. */
struct view {
    bool is_subscribed;
    uint64_t offset;
};

struct party {
    struct shard_link link;
    uint64_t id;
    bool is_up;
    bool is_dropped;
    uint64_t pinged_ms; /* as it was told last */
    uint64_t sequence;
    struct view views[CHANNELS];
};

/* What the shard said last about a channel. */
struct rumour {
    char epochs[2][MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    uint64_t claim;
    char given[MESSAGE_EPOCH_LIMIT + 1]; /* the epoch whose title it gave away, */
    uint64_t given_offset;               /* which ended here */
};

static const char *const channels[CHANNELS] = {"room", "lobby", "ns:x"};

static struct rumour rumours[CHANNELS];

static inline int index_of(const char *channel, size_t size)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (strlen(channels[i]) == size && memcmp(channels[i], channel, size) == 0)
            return i;
    }
    assert(false);
    return 0;
}

/* What the shard says. */

static inline void hear_epoch(struct rumour *rumour, const char *epoch)
{
    if (epoch[0] == '\0' || strcmp(rumour->epochs[0], epoch) == 0)
        return;
    memcpy(rumour->epochs[1], rumour->epochs[0], sizeof(rumour->epochs[1]));
    snprintf(rumour->epochs[0], sizeof(rumour->epochs[0]), "%s", epoch);
}

static inline void check_given(const struct rumour *rumour, const char *epoch, uint64_t offset)
{
    assert(rumour->given[0] == '\0' || strcmp(rumour->given, epoch) != 0 ||
           offset <= rumour->given_offset);
}

static inline void check_delivery(struct party *gateway, int channel, const struct message *message)
{
    struct view *view = &gateway->views[channel];

    if (message_is_ephemeral(message->kind)) {
        assert(view->is_subscribed && message->offset == 0);
        return;
    }
    check_given(&rumours[channel], message->epoch, message->offset);
    assert(view->is_subscribed);
    assert(message->offset == view->offset + 1);
    view->offset = message->offset;
}

/* Nothing is told that is not committed, and nothing is left out. */
static inline void check_history(const struct router_frame *frame)
{
    struct message *const *messages = frame->history.messages;

    for (size_t i = 0; i < frame->history.count; i++) {
        assert(messages[i]->offset <= frame->history.offset);
        assert(i == 0 || messages[i]->offset == messages[i - 1]->offset + 1 ||
               messages[i]->offset + 1 == messages[i - 1]->offset);
    }
}

static inline void hear_as_gateway(struct party *gateway, int channel,
                                   const struct router_frame *frame)
{
    struct view *view = &gateway->views[channel];

    switch (frame->kind) {
    case FRAME_SUBSCRIBED:
        *view = (struct view){true, frame->subscribed.offset};
        hear_epoch(&rumours[channel], frame->subscribed.epoch);
        rumours[channel].offset = frame->subscribed.offset;
        return;
    case FRAME_DELIVER:
        check_delivery(gateway, channel, frame->deliver.message);
        return;
    case FRAME_ACK:
        check_given(&rumours[channel], frame->ack.epoch, frame->ack.offset);
        hear_epoch(&rumours[channel], frame->ack.epoch);
        return;
    case FRAME_MOVED:
        view->is_subscribed = false;
        return;
    case FRAME_HISTORY:
        check_history(frame);
        return;
    default:
        assert(frame->kind == FRAME_REFUSED || frame->kind == FRAME_PRESENCE_LIST ||
               frame->kind == FRAME_HISTORY_FORGOTTEN);
        return;
    }
}

static inline void hear_lineage(struct rumour *rumour, const struct router_lineage *lineage)
{
    hear_epoch(rumour, lineage->previous);
    hear_epoch(rumour, lineage->epoch);
    rumour->offset = lineage->offset;
}

static inline void hear_as_peer(int channel, const struct router_frame *frame)
{
    struct rumour *rumour = &rumours[channel];

    switch (frame->kind) {
    case FRAME_INQUIRE:
        rumour->claim = frame->inquire.claim;
        return;
    case FRAME_TAKE:
        hear_epoch(rumour, frame->take.epoch);
        rumour->offset = frame->take.offset;
        return;
    case FRAME_GIVEN:
        hear_lineage(rumour, &frame->given.lineage);
        if (!frame->given.has_title)
            return;
        snprintf(rumour->given, sizeof(rumour->given), "%s", frame->given.lineage.epoch);
        rumour->given_offset = frame->given.lineage.offset;
        return;
    case FRAME_MIRROR_OPEN:
        hear_lineage(rumour, &frame->given.lineage);
        return;
    case FRAME_ENTRY:
        rumour->offset = frame->deliver.message->offset;
        return;
    case FRAME_MIRROR_HAVE:
    case FRAME_MIRRORED:
        hear_epoch(rumour, frame->mirrored.epoch);
        rumour->offset = frame->mirrored.offset;
        return;
    default:
        return;
    }
}

#endif
