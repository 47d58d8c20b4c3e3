/*
 * A router's connection with a gateway or another router, accepted or dialed, between its handshake
 * and the shard that it belongs to. Lives from the moment that it is accepted or dialed until it is
 * closed; owned by its worker, on whose thread all of this runs.
 */
#ifndef ROUTER_PEER_LINK_H
#define ROUTER_PEER_LINK_H

#include "common/address.h"
#include "router/worker.h"

/* A connection that was accepted or dialed. */
struct peer_link {
    struct router_link router_link;
    struct shard_link shard_link;
    struct list link;
    struct unit *unit; /* NULL until it is known */
    bool is_up;        /* the shard has it */
    bool is_dialed;
    bool is_handed_over;           /* to another worker */
    char from[ADDRESS_TEXT_LIMIT]; /* where the other end is, for the log */
};

/* A connection for a shard of another worker; WORKER_TAKE. */
struct worker_take {
    struct worker_item item;
    struct router_arrival arrival;
};

/* How shards send and drop. */
extern const struct shard_output peer_link_output;

/* What becomes of the connections that a unit dials. */
extern const struct router_dialer_events peer_link_dialer_events;

/* Takes a connection that came in; which shard it wants, its Hello says. */
void peer_link_accept(struct worker *worker, struct router_arrival *arrival);

/* "router" or "gateway": what the other end is. */
const char *peer_link_role(const struct router_link *link);

#endif
