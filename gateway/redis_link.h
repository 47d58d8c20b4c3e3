/*
 * A link is our side of one connection to Redis, and it lasts: what it holds is the intention to be
 * connected. It resolves, connects, logs in, reads replies, notices a server that is gone or hangs,
 * and starts over, for ever, with backoff and jitter.
 *
 * A link either sends commands, each answered in turn (REDIS_LINK_COMMANDS), or is a RESP2
 * subscriber, which answers when it likes (REDIS_LINK_SUBSCRIBER). It is embedded in its owner,
 * belongs to the owner's loop, and dies after `closed`.
 */
#ifndef GATEWAY_REDIS_LINK_H
#define GATEWAY_REDIS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "common/backoff.h"
#include "common/block.h"
#include "common/loop.h"
#include "common/stream.h"
#include "common/tls_keeper.h"
#include "gateway/redis_addresses.h"
#include "gateway/redis_pulse.h"
#include "gateway/redis_reply.h"
#include "gateway/redis_requests.h"
#include "gateway/redis_trouble.h"
#include "gateway/redis_url.h"

struct redis_link;

struct redis_link_events {
    /* Connected, logged in, the database selected. */
    void (*ready)(struct redis_link *link);
    /* No longer so, and nothing may be sent from here on; the commands that were not answered are
     * told after it. Only after `ready`. */
    void (*down)(struct redis_link *link);
    /* A reply that answers no command, or an error: what a subscriber lives for. NULL for
     * REDIS_LINK_COMMANDS. */
    void (*pushed)(struct redis_link *link, const redisReply *reply);
    void (*closed)(struct redis_link *link);
};

enum redis_link_kind { REDIS_LINK_COMMANDS, REDIS_LINK_SUBSCRIBER };

enum redis_link_state {
    REDIS_LINK_WAITING,    /* for its next attempt */
    REDIS_LINK_RESOLVING,  /* the host's name */
    REDIS_LINK_CONNECTING, /* to one of its addresses */
    REDIS_LINK_GREETING,   /* login, database, and a first PING */
    REDIS_LINK_READY,
    REDIS_LINK_DROPPING, /* the stream is being closed; WAITING follows */
    REDIS_LINK_CLOSING,
    REDIS_LINK_CLOSED,
};

struct redis_link {
    struct loop *loop;
    const struct redis_url *url;
    const struct redis_link_events *events;
    const struct tls_keeper *tls; /* for rediss://; set by the owner before the start */
    const char *tls_host; /* what the server's certificate must bear; NULL: the URL's host */
    enum redis_link_kind kind;
    enum redis_link_state state;
    size_t byte_limit; /* of strings in one reply */

    struct stream stream;
    struct redis_addresses addresses;
    struct redis_reader *reader;
    struct block *output; /* commands of this loop iteration */
    uv_prepare_t flush;   /* sends them before the loop waits */

    struct redis_requests requests;
    uint64_t sent_count;     /* commands since the start, those that were lost included */
    uint64_t answered_count; /* of them, in order */

    struct waiter waiter; /* next attempt, deadline or next look at the pulse, as the state says */
    struct backoff backoff;
    uint64_t ready_ms;
    struct redis_pulse pulse;
    bool is_steady;    /* this connection, or else the last one, lasted a while */
    bool is_announced; /* the log says that this connection is there */

    struct redis_trouble trouble;
    int handles; /* still to be closed */
};

/* Prepares a link that does nothing yet. `url` and `events` must outlive it. */
void redis_link_init(struct redis_link *link, struct loop *loop, enum redis_link_kind kind,
                     const struct redis_url *url, const struct redis_link_events *events);

/* Starts the first attempt. Replies may hold `byte_limit` bytes of strings. */
void redis_link_start(struct redis_link *link, size_t byte_limit);

/*
 * Sends a command on a link that is READY (or, for its own use, GREETING). It goes out with all
 * others of this loop iteration, in one write. `answered` is called once; it is NULL exactly on a
 * subscriber, whose replies come as `pushed`.
 */
void redis_link_send(struct redis_link *link, size_t count, const char *const *words,
                     const size_t *sizes, redis_answered *answered, void *context, uint64_t tag);

/*
 * Puts a mark on what a subscriber is sent: once the mark has passed, everything that Redis wrote
 * to this connection before it saw the mark has been `pushed`. On a link that is not READY it has
 * passed at once.
 */
uint64_t redis_link_mark(struct redis_link *link);

static inline bool redis_link_has_passed(const struct redis_link *link, uint64_t mark)
{
    return link->pulse.answered_count >= mark;
}

/* Gives the connection up and comes back later; `reason` is one line for the log. */
void redis_link_drop(struct redis_link *link, const char *reason);

static inline bool redis_link_is_ready(const struct redis_link *link)
{
    return link->state == REDIS_LINK_READY;
}

/* Ends the link; unanswered commands are told, then `closed` comes from the loop. */
void redis_link_close(struct redis_link *link);

#endif
