/*
 * A question to the router that owns a channel: who is there, or what was published. Embedded in
 * the asker's object, which must live until `answered`; that comes once, and never from inside the
 * call that asks. Where the router dies meanwhile, the next one is asked from the start.
 */
#ifndef GATEWAY_ROUTER_ASK_H
#define GATEWAY_ROUTER_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/message.h"
#include "common/router_frame.h"

struct router_client_link;

struct router_answer {
    /* Of a presence ask. */
    struct router_present *present;
    size_t present_count;

    /* Of a history ask: where the channel stands, and the messages, whose references are the
     * answer's. */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    char previous[MESSAGE_EPOCH_LIMIT + 1]; /* as in struct bus_answer */
    uint64_t fork;
    bool is_lost; /* what was asked for is gone, or never was */
    struct message **messages;
    size_t message_count;
};

struct router_ask {
    const char *channel; /* the asker's */
    size_t channel_size;

    /* Of a history ask. No epoch: from the oldest message on, or in reverse from the newest; else
     * what follows the message at (epoch, offset), or precedes it. */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    uint64_t limit; /* of messages; 0: only where the channel stands */
    bool is_reverse;

    /*
     * `answer` is good during the call, and empty where there is an error: UV_ENOTCONN where no
     * router is there, UV_ENOTSUP where it is too old to be asked, UV_ETIMEDOUT where nobody had an
     * answer in time, UV_EPROTO where it was refused for good, UV_ECANCELED at the end.
     */
    void (*answered)(struct router_ask *ask, int error, const struct router_answer *answer);

    /* The client's own. */
    struct list link;
    enum router_frame_kind kind;
    uint64_t request;
    struct router_client_link *target; /* NULL: not asked yet, or again from retry_ms on */
    uint64_t retry_ms;
    uint64_t deadline_ms;
    unsigned moves;
    struct router_answer answer;
};

#endif
