/* One publish in the ring of the publisher (redis_publisher.h), which alone includes this. */
#ifndef GATEWAY_REDIS_PUBLICATION_H
#define GATEWAY_REDIS_PUBLICATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/redis_channel.h"

enum stage {
    STAGE_QUEUED,       /* to be sent, perhaps again */
    STAGE_SENT,         /* not yet acknowledged */
    STAGE_ACKNOWLEDGED, /* still to be delivered here */
    STAGE_KEPT,         /* settled, but not known to be safe */
    STAGE_DONE,
};

struct redis_publication {
    struct bus_publish *publish;   /* NULL once `published` was called */
    struct message *message;       /* our own reference; NULL where it is not kept */
    struct redis_channel *channel; /* STAGE_ACKNOWLEDGED: where it is awaited */
    uint64_t offset;               /* the same: at which position */
    uint64_t
        mark; /* commands that were sent when it was acknowledged: safe when one more is answered */
    uint64_t sent_ns;
    size_t cost;
    struct redis_limits limits;
    enum stage stage;
    bool is_unanswered;
    bool was_sent;
};

#endif
