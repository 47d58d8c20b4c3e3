/*
 * The bus gives every channel one order and carries messages between gateways. This is the only
 * thing the gateway knows of it; behind it stand `local` (bus_local.c), Redis (bus_redis.c) and
 * routers (bus_router.c).
 *
 * A bus lives on the main loop: every call is made there and every event comes there. bus_subscribe
 * may tell `subscribed`, and bus_publish may deliver and call `published`, before they return.
 *
 * What it promises (shared/design.md §5): per channel, `deliver` comes in the bus's order, each
 * message once; a hole is filled from history before anything later is delivered, or told by
 * `lost`; publishes accepted while the bus is away go out in order when it is back, each once.
 */
#ifndef GATEWAY_BUS_H
#define GATEWAY_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/loop.h"
#include "common/message.h"
#include "common/metrics.h"
#include "common/text.h"

/* The largest --max-message-size that any gateway can have. What comes over the bus may be that
 * large, whatever this gateway takes from its own clients: the others may have other limits. */
#define BUS_MESSAGE_LIMIT_BYTES ((size_t)64 * 1024 * 1024)

#define BUS_PAGE_LIMIT    10000 /* messages of an answer */
#define BUS_CLIENT_LIMIT  64
#define BUS_USER_LIMIT    255
#define BUS_INFO_LIMIT    4096
#define BUS_PRESENCE_MS   15000
#define BUS_KEY_WINDOW_MS ((uint64_t)5 * 60 * 1000)

enum bus_state {
    BUS_DOWN, /* publishes would not arrive, or not come back; they are kept up to the limit */
    BUS_UP,
};

struct bus_events {
    /* A message of a subscribed channel; the bus keeps its reference (take one to keep it). */
    void (*deliver)(void *context, struct message *message);
    /* The first subscription of the channel took effect: whatever is published from now on, on any
     * gateway, will be delivered. Comes once for each bus_subscribe. While the bus is down it comes
     * at once, and delivery starts from where the channel stands when the bus is back. */
    void (*subscribed)(void *context, const char *channel, size_t channel_size);
    /* Messages of the channel were lost to this gateway: neither live nor in history. Where the bus
     * refuses the channel altogether it comes again and again, until that is over. */
    void (*lost)(void *context, const char *channel, size_t channel_size);
    /* The bus came up or went down. The first event is always BUS_UP. */
    void (*state_changed)(void *context, enum bus_state state);
};

struct tls_keeper;

struct bus_settings {
    uint64_t node_id;              /* this gateway, `publisher` of its messages; never 0 */
    uint64_t history_size;         /* messages kept per channel */
    uint64_t history_ttl_ms;       /* and for how long after the last one */
    uint64_t history_memory_bytes; /* of all channels together; only `local` counts it */
    uint64_t buffer_limit_bytes;  /* publishes that wait for the bus, or to come back from it: data,
                                     key, origin and 128 bytes each */
    uint64_t message_limit_bytes; /* largest data of a message that the bus brings */
    uint64_t client_limit_bytes;  /* and that our clients may send, for a warning; 0: unknown */
    const char *redis_prefix;     /* of every key and pub/sub channel */
    const char *router_cluster;
    const char *router_secret_file; /* empty: no secret */
    const struct tls_keeper *tls;   /* where bus_wants_tls: what to show and whom to trust */
    const char *tls_server_name;    /* what servers' certificates must bear; NULL: the host.
                                      Both must outlive the bus */
};

/* A publish on its way; embedded in the caller's object, which must live until `published`. Where
 * `message->key` names a message that the channel was given within BUS_KEY_WINDOW_MS, that one's
 * place is acknowledged again, and nothing is delivered. Messages of an ephemeral kind
 * (message_is_ephemeral) go to whoever is subscribed now, without a place or a promise. */
struct bus_publish {
    /* 0: in the channel's history at `message->epoch`/`message->offset`, and so acknowledged.
     * UV_ENOBUFS: the buffer is full. UV_ENOTCONN: it is ephemeral, and the bus is away.
     * UV_EMSGSIZE: the bus takes no message that large. UV_ENOTSUP: it is too old for its kind, its
     * key or its limits. UV_EPROTO: it refused it for good.
     * UV_ECANCELED: the bus was closed first. */
    void (*published)(struct bus_publish *publish, int error);
    struct message *message; /* the caller's reference, kept until `published` */
    bool has_limits;         /* of the channel's history; else the bus's own settings */
    uint64_t history_size;   /* 0: this message is not kept */
    uint64_t history_ttl_ms;
    bool is_repeat;   /* the answer is another message's, with the same key */
    struct list link; /* the bus's own from here on */
    size_t cost;
    uint64_t sent_ns;
    int stage;
};

/* Who is on a channel. What it points at is good during the call alone. */
struct bus_present {
    struct text client; /* its id, 1 to BUS_CLIENT_LIMIT bytes, of which there is one in the cluster
                         */
    struct text user;   /* at most BUS_USER_LIMIT bytes */
    struct text info;   /* bytes that the bus does not look into; with more than BUS_INFO_LIMIT of
                           them a client is listed without */
};

struct bus_answer {
    /* Of bus_ask_presence. */
    const struct bus_present *present;
    size_t present_count;

    /* Of bus_ask_history: where the channel stands, and the messages, whose references are the
     * answer's. No epoch: nothing was ever published. */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    char
        previous[MESSAGE_EPOCH_LIMIT + 1]; /* the epoch before this one, of which positions up to */
    uint64_t fork; /* this offset are good here, too; empty: none is known */
    bool is_lost;  /* what was asked for is gone, or never was; the messages are what there is */
    /* Fewer than were asked for, although there are more, where they would take too much memory:
     * whoever wants more asks again from the last of them. */
    struct message *const *messages;
    size_t message_count;
};

/* A question to the bus, embedded in the asker's object, which must live until `answered`. */
struct bus_ask {
    const char *channel; /* the asker's, until it is answered; need not be subscribed */
    size_t channel_size;

    /* Of bus_ask_history. No epoch: from the oldest message on, or in reverse from the newest; else
     * what follows the message at (epoch, offset), or precedes it. */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    uint64_t limit; /* of messages, BUS_PAGE_LIMIT at most; 0: only where the channel stands */
    bool is_reverse;
    bool begins; /* a channel on which nothing was ever published gets its epoch now: whoever stands
                    at its beginning can then be told from those who stand in another life. For
                    channels that are subscribed */

    /* Comes once, and never from inside the call that asks. `answer` is good during the call, and
     * empty where there is an error: UV_ENOTCONN where the bus is away, UV_ENOTSUP where it is too
     * old to be asked, UV_ETIMEDOUT, UV_EPROTO where it refused for good, UV_ENOBUFS where a list
     * of who is there would take too much memory, UV_ECANCELED at the end. */
    void (*answered)(struct bus_ask *ask, int error, const struct bus_answer *answer);

    struct list link; /* the bus's own */
    void *own;
};

/* A callback for when everything that was published before has been settled. */
struct bus_barrier {
    void (*passed)(struct bus_barrier *barrier);
    struct list link; /* the bus's own */
    uint64_t position;
};

struct bus_stats {
    struct metric up;              /* 0 or 1 */
    struct metric published;       /* acknowledged publishes */
    struct metric refused;         /* publishes that ended in an error */
    struct metric repeated;        /* publishes sent again after a lost acknowledgement */
    struct metric delivered;       /* messages from the bus, after duplicates were dropped */
    struct metric duplicates;      /* messages dropped because they had been delivered before */
    struct metric queued_messages; /* publishes accepted and not yet acknowledged */
    struct metric queued_bytes;
    struct metric subscriptions;
    struct metric reconnects;     /* times that it came up again */
    struct metric holes_filled;   /* messages read from history because live delivery missed them */
    struct metric histories_lost; /* channels whose epoch changed under a subscription */
    struct metric messages_lost;  /* times that `lost` was told */
    struct histogram round_trip;  /* from sending a publish to its acknowledgement */
};

struct bus; /* starts with struct bus_operations *; see bus_backend.h */

/* True for a URL whose connections are TLS: rediss://, routers://. */
bool bus_wants_tls(const char *url);

/* True for `local`: no other program hears of it when the bus's loop is busy for a while. */
bool bus_is_local(const char *url);

/*
 * Opens the bus that `url` names (`local`, `redis://…`). `events` must outlive the bus. Returns 0,
 * or UV_EINVAL with one line in `error` that says what is wrong with the URL. Connecting goes on in
 * the background: a server that is away is no error.
 */
int bus_open(struct bus **bus, struct loop *loop, const char *url,
             const struct bus_settings *settings, const struct bus_events *events, void *context,
             char error[256]);

/* Whether bus_open would take this, as far as can be told without connecting anywhere. */
int bus_check(const char *url, const struct bus_settings *settings, char error[256]);

/* Subscribes to a channel that is not subscribed. */
void bus_subscribe(struct bus *bus, const char *channel, size_t channel_size);

void bus_unsubscribe(struct bus *bus, const char *channel, size_t channel_size);

void bus_publish(struct bus *bus, struct bus_publish *publish);

/* What was published, and where a channel stands. */
void bus_ask_history(struct bus *bus, struct bus_ask *ask);

/* Drops what is kept of a channel's messages; its place in the order stays. The answer is empty. */
void bus_forget_history(struct bus *bus, struct bus_ask *ask);

/*
 * Somebody is on a channel, which this gateway has subscribed, or is there with another `info`; and
 * is not any more. The bus remembers who is there and announces them as often as it takes: while
 * this gateway lives they are listed, and BUS_PRESENCE_MS after its death they are not.
 * Unsubscribing removes everybody.
 */
void bus_presence_set(struct bus *bus, const char *channel, size_t channel_size,
                      const struct bus_present *who);
void bus_presence_remove(struct bus *bus, const char *channel, size_t channel_size,
                         struct text client);

/* Who is on a channel, on all gateways. */
void bus_ask_presence(struct bus *bus, struct bus_ask *ask);

/* Calls `passed` once every publish before it was acknowledged or refused, and, where its channel
 * is subscribed, delivered. That may be at once, or in the middle of what the bus does. */
void bus_wait(struct bus *bus, struct bus_barrier *barrier);

enum bus_state bus_state(const struct bus *bus);

const struct bus_stats *bus_stats(const struct bus *bus);

/* What its stats call queued_bytes may come to so much. */
uint64_t bus_buffer_limit(const struct bus *bus);

/* What kind of bus it is, for logs: "local", "redis", "router". */
const char *bus_name(const struct bus *bus);

/* Ends connections, cancels publishes (`published` with UV_ECANCELED, barriers pass), calls
 * `closed` from the loop, and is freed by then. No other call may be made after this one, nor this
 * one from inside a callback of the bus. */
void bus_close(struct bus *bus, void (*closed)(void *context), void *context);

#endif
