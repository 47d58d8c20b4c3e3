/*
 * A dialer keeps one link to every router of a cluster, for one shard: it resolves the names it was
 * given, again and again, takes in the addresses that routers tell of each other, dials each, and
 * dials anew what was lost, at once at first and then with backoff and jitter (redial.h), for
 * ever.
 *
 * It also finds out who is dead: an address that refuses, or where another node answers, has no
 * process any more that was there before.
 *
 * Embedded in its owner; lives on the host's loop, ends with `router_dialer_close`.
 */
#ifndef COMMON_ROUTER_DIALER_H
#define COMMON_ROUTER_DIALER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/address.h"
#include "common/list.h"
#include "common/option.h"
#include "common/router_link.h"

#define ROUTER_DIALER_LIMIT 64 /* addresses */

struct router_dialer;

struct router_dialer_events {
    /* A new link for the owner to embed in something: returns its memory, which is the owner's. */
    struct router_link *(*create)(struct router_dialer *dialer);
    /* True where the owner has a link with this node already, or does not want one. */
    bool (*is_covered)(struct router_dialer *dialer, uint64_t node);
    /* As in router_link_events. */
    void (*ready)(struct router_dialer *dialer, struct router_link *link);
    void (*frame)(struct router_dialer *dialer, struct router_link *link,
                  const struct router_frame *frame);
    /* The link is gone; the owner frees it. */
    void (*closed)(struct router_dialer *dialer, struct router_link *link);
    /* That node's process is gone for good. */
    void (*died)(struct router_dialer *dialer, uint64_t node);
    /* All addresses that are known have been tried once. May be NULL. */
    void (*tried)(struct router_dialer *dialer);
    void (*closed_all)(struct router_dialer *dialer);
};

struct router_dialer {
    struct router_link_host *host;
    const struct router_dialer_events *events;
    uint32_t shard;
    uint16_t default_port;
    struct list targets;
    size_t target_count;
    struct list names;
    size_t resolving; /* names whose answer is awaited */
    bool was_resolved;
    bool was_tried;
    bool is_closing;
    struct waiter waiter; /* for resolving again */
};

/* Starts with the names (HOST:PORT or HOST), which may be none. */
void router_dialer_start(struct router_dialer *dialer, struct router_link_host *host,
                         uint32_t shard, const struct option_list *names,
                         const struct router_dialer_events *events);

/* An address (numeric HOST:PORT) that somebody told; nothing happens where it is known or is none.
 */
void router_dialer_add(struct router_dialer *dialer, const char *address);

/* A link with this node, ours or one that was accepted, is gone: looks at once whether it lives. */
void router_dialer_probe(struct router_dialer *dialer, uint64_t node);

/* Checks a list of names: NULL, or the one that is none. */
const char *router_dialer_check(const struct option_list *names);

/* An address with which there is no link, though there should be one. */
struct router_dialer_missing {
    const char *address;
    const char *host;  /* the name that it was found by, or its own */
    uint64_t for_ms;   /* how long it has been missing */
    const char *error; /* what the last attempt came to; empty: the first is under way */
};

/* Shows them, for operators. */
void router_dialer_each_missing(struct router_dialer *dialer,
                                void (*visit)(void *context,
                                              const struct router_dialer_missing *missing),
                                void *context);

/* Closes all links; `closed_all` comes from the loop. */
void router_dialer_close(struct router_dialer *dialer);

#endif
