/*
 * What operators are told of a gateway as JSON, at `/state` of the admin listener: what /metrics
 * has no numbers for, because there are too many of them.
 */
#ifndef GATEWAY_STATE_H
#define GATEWAY_STATE_H

#include "common/buffer.h"
#include "gateway/hub.h"

/* Appends the state. Waits for the workers, SURVEY_WAIT_MS at most; where one does not answer by
 * then, channels and slow clients are those of the time before. Main loop. */
void state_append(struct buffer *text, struct hub *hub);

#endif
