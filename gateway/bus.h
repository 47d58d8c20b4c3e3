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

/* The largest --max-message-size that any gateway can have. What comes over the bus may be that
 * large, whatever this gateway takes from its own clients: the others may have other limits. */
#define BUS_MESSAGE_LIMIT_BYTES ((size_t)64 * 1024 * 1024)

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
    uint64_t buffer_limit_bytes;   /* publishes that wait for the bus, or to come back from it: data
                                      and 128 bytes each */
    uint64_t message_limit_bytes;  /* largest data of a message that the bus brings */
    uint64_t client_limit_bytes;   /* and that our clients may send, for a warning; 0: unknown */
    const char *redis_prefix;      /* of every key and pub/sub channel */
    const char *router_cluster;
    const char *router_secret_file; /* empty: no secret */
    const struct tls_keeper *tls;   /* where bus_wants_tls: what to show and whom to trust */
    const char *tls_server_name;    /* what servers' certificates must bear; NULL: the host.
                                      Both must outlive the bus */
};

/* A publish on its way; embedded in the caller's object, which must live until `published`. */
struct bus_publish {
    /* 0: in the channel's history at `message->epoch`/`message->offset`, and so acknowledged.
     * UV_ENOBUFS: the buffer is full. UV_EMSGSIZE: the bus takes no message that large. UV_EPROTO:
     * it refused it for good. UV_ECANCELED: the bus was closed first. */
    void (*published)(struct bus_publish *publish, int error);
    struct message *message; /* the caller's reference, kept until `published` */
    struct list link;        /* the bus's own from here on */
    size_t cost;
    uint64_t sent_ns;
    int stage;
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
    struct metric reconnects;
    struct metric holes_filled;   /* messages read from history because live delivery missed them */
    struct metric histories_lost; /* channels whose epoch changed under a subscription */
    struct metric messages_lost;  /* times that `lost` was told */
    struct histogram round_trip;  /* from sending a publish to its acknowledgement */
};

struct bus; /* starts with struct bus_operations *; see bus_backend.h */

/* True for a URL whose connections are TLS: rediss://, routers://. */
bool bus_wants_tls(const char *url);

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

/* Calls `passed` once every publish before it was acknowledged or refused, and, where its channel
 * is subscribed, delivered. */
void bus_wait(struct bus *bus, struct bus_barrier *barrier);

enum bus_state bus_state(const struct bus *bus);

const struct bus_stats *bus_stats(const struct bus *bus);

/* What its stats call queued_bytes may come to so much. */
uint64_t bus_buffer_limit(const struct bus *bus);

/* What kind of bus it is, for logs: "local", "redis", "router". */
const char *bus_name(const struct bus *bus);

/* Ends connections, cancels publishes (`published` with UV_ECANCELED, barriers pass), calls
 * `closed` from the loop, and is freed by then. No other call may be made after this one. */
void bus_close(struct bus *bus, void (*closed)(void *context), void *context);

#endif
