/*
 * The hub stands between the workers and the bus, on the main loop: it knows which workers have
 * subscribers of which channel, keeps the bus subscribed to just those channels, passes publishes on
 * and hands each message to each worker that has somebody for it.
 */
#ifndef GATEWAY_HUB_H
#define GATEWAY_HUB_H

#include "gateway/bus.h"
#include "gateway/command.h"
#include "gateway/site.h"
#include "gateway/worker.h"

struct hub {
    struct inbox inbox;
    struct bus *bus;
    struct map channels;
    uint64_t max_channels;
    struct status *status;
    struct worker **workers;
    unsigned worker_count;
    unsigned drained_count;
    void (*drained)(struct hub *hub); /* the last worker has no connection left */
};

/* What the bus tells; `context` is the hub. */
extern const struct bus_events hub_bus_events;

/* Prepares the inbox; bus and workers are set by the owner before anything is posted. */
int hub_init(struct hub *hub, struct loop *loop, uint64_t max_channels, struct status *status);

/* Frees what is left; the workers have ended. */
void hub_deinit(struct hub *hub);

#endif
