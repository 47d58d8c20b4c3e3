/*
 * A worker is a thread with a loop and the shards that are its own: shard number s lives on worker
 * s modulo their count. Every worker listens on the router's port; a connection that asks for a
 * shard of another worker is handed there. Created and destroyed on the main thread; in between it
 * is reached through its inbox alone.
 */
#ifndef ROUTER_WORKER_H
#define ROUTER_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "common/buffer.h"
#include "common/inbox.h"
#include "common/lag_meter.h"
#include "common/listener.h"
#include "common/router_dialer.h"
#include "common/router_link.h"
#include "router/budget.h"
#include "router/config.h"
#include "router/shard.h"

struct worker;

/* A shard with what carries it. */
struct unit {
    struct worker *worker;
    uint32_t number;
    struct shard shard;
    struct router_dialer dialer;
    struct list links; /* struct peer_link */
    bool is_open;
    bool is_alone;       /* no other router is linked, though some should be */
    bool has_unmirrored; /* one is, and refuses to hold some channels; as the log has it */
    uint64_t unmirrored_told_ms;
};

struct worker {
    unsigned index;
    const struct config *config;
    const struct budget *budget;
    struct worker **workers; /* all of them */
    unsigned worker_count;
    const struct router_identity *identity;
    struct inbox *main; /* to be told what happens */
    uv_thread_t thread;
    struct loop loop;
    struct inbox inbox;
    struct listener listener;
    struct lag_meter lag_meter;
    struct router_link_host host;
    struct waiter tick;
    struct waiter opening; /* the longest that other routers are waited for */
    uint64_t weighed_ms;   /* when links were last looked at for what they hold */
    struct list greeting;  /* links that have not said which shard they want */
    struct unit *units;
    unsigned unit_count;
    bool is_leaving;
    bool has_left;
    bool is_stopping;
    struct metric open_units;
    struct metric alone_units;      /* with no other router, though there should be one */
    struct metric link_queue_bytes; /* what waits for the link that has most */
    uint64_t refusal_ms;            /* since when refusals are counted */
    unsigned refusals;
    unsigned closing; /* dialers that are still to be closed */
};

enum worker_command {
    WORKER_LEAVE, /* give everything away; answered by WORKER_HAS_LEFT */
    WORKER_STOP,  /* end */
    WORKER_TAKE,  /* struct worker_take: a connection for one of its shards */
    WORKER_TLS,   /* struct worker_tls */
    WORKER_STATE, /* struct worker_state */
    WORKER_HAS_LEFT,
};

struct worker_item {
    struct inbox_item item;
    enum worker_command command;
};

/* Describes all shards in JSON for whoever waits for `done`. */
struct worker_state {
    struct worker_item item;
    size_t channel_limit;
    void *json; /* json_t array to append to */
    uv_sem_t done;
};

/* Certificates for links from now on; the worker takes over one reference of each. */
struct worker_tls {
    struct worker_item item;
    struct tls_context *dial;
    struct tls_context *accept;
};

/* Prepares a worker, whose links are TLS unless `tls` is NULL; it takes references of its own. What
 * else it is given must outlive it. 0 or a libuv error. */
int worker_prepare(struct worker *worker, int socket, const struct worker_tls *tls);

/* Starts its thread, once all workers are prepared: they hand connections to each other. */
int worker_start(struct worker *worker);

void worker_signal(struct worker *worker, enum worker_command command);

/* The time of its loop. */
uint64_t worker_now_ms(const struct worker *worker);

/* A dialer of its units has ended. */
void worker_dialer_closed(struct worker *worker);

/* Waits for the thread of a worker that was sent WORKER_STOP. */
void worker_join(struct worker *worker);

/* Frees what a worker had whose thread has ended, as have those of all others: until then they may
 * hand it connections. */
void worker_destroy(struct worker *worker);

#endif
