/*
 * The channels with the most subscribers of those that were offered, by name: an answer for
 * operators, of fixed size however many channels there are. Zeroed it is empty.
 */
#ifndef GATEWAY_TOP_CHANNELS_H
#define GATEWAY_TOP_CHANNELS_H

#include <stddef.h>
#include <stdint.h>

#include "common/message.h"

#define TOP_CHANNELS 50

struct top_channel {
    uint64_t subscribers;
    size_t name_size;
    char name[MESSAGE_CHANNEL_LIMIT];
};

struct top_channels {
    size_t count;
    struct top_channel items[TOP_CHANNELS]; /* in no order until they are sorted */
    size_t least;                           /* where the one with the fewest is, once full */
};

/* A channel that was not offered before. */
void top_channels_offer(struct top_channels *top, const char *name, size_t name_size,
                        uint64_t subscribers);

/*
 * Adds what another thread counted, in which the same channels may be. A channel that one of the
 * two left out has a few more than it says then: at most as many as the last one listed there.
 */
void top_channels_merge(struct top_channels *top, const struct top_channels *other);

/* The largest first, equal ones by name. */
void top_channels_sort(struct top_channels *top);

#endif
