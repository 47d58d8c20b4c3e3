/*
 * Which of a channel's histories it stands in. Redis may lose one and begin another more than once
 * while a gateway waits for a single answer: of a history between the one it stands in and the one
 * that is there now, there is no more than what came live, which still waits in `pending`. Main
 * loop only.
 */
#ifndef GATEWAY_REDIS_EPOCH_H
#define GATEWAY_REDIS_EPOCH_H

#include <stdbool.h>

#include "gateway/redis_channel.h"

/* The channel's history is `epoch` from here on; its position is the caller's to set. What still
 * waits of the history before is not needed any more. */
void redis_epoch_change(struct redis_channel *channel, const char *epoch);

/*
 * The history that we stand in is gone, and `epoch` is there now ("": none is). Delivers what came
 * live of those between the two, and tells a loss where that has holes. True where the channel
 * stands elsewhere after that, or cannot know what is between yet: Redis is to be asked again.
 */
bool redis_epoch_take_interim(struct redis_channel *channel, const char *epoch);

/* The history that we stand in goes on under the name of `epoch`. What came live of others between
 * the two is not a part of it, and is told as lost. */
void redis_epoch_pass_interim(struct redis_channel *channel, const char *epoch);

#endif
