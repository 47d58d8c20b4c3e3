/* The command that publishes a message: a call of REDIS_SCRIPT_PUBLISH. Main loop only. */
#ifndef GATEWAY_REDIS_PUBLISH_H
#define GATEWAY_REDIS_PUBLISH_H

#include <stdint.h>

#include "common/message.h"

struct redis_bus;
struct redis_limits;

/* Writes it to the bus's command under construction. `previous`: the sequence before this one that
 * is in flight on the channel, or 0. */
void redis_publish_write(struct redis_bus *bus, const struct message *message, uint64_t previous,
                         const struct redis_limits *limits);

#endif
