/*
 * The hub stands between the workers and the bus, on the main loop: it knows which workers have
 * subscribers of which channel, keeps the bus subscribed to just those channels, passes publishes
 * on and hands each message to each worker that has somebody for it.
 *
 * While the deliveries of a worker are full (flow.h), publishes wait, and with them in the end
 * those who publish. Two things must not last for ever: other gateways do not wait for our workers,
 * and a worker may be stuck. A worker that is OVERRUN_BYTES behind, or took nothing for STUCK_MS
 * while publishes waited for it, is handed no messages until it has caught up, and the others go
 * on; it then closes its clients (1012), who may have missed some. So a worker's messages in memory
 * are bounded by OVERRUN_BYTES whatever arrives from the bus.
 *
 * Publishes wait for the bus, too, while it is up and half of what it may buffer is not
 * acknowledged: publishers then go at its pace. The other half is for when it is away.
 */
#ifndef GATEWAY_HUB_H
#define GATEWAY_HUB_H

#include "common/tls_keeper.h"
#include "common/wakeups.h"
#include "gateway/asks.h"
#include "gateway/backend.h"
#include "gateway/bus.h"
#include "gateway/command.h"
#include "gateway/control.h"
#include "gateway/site.h"
#include "gateway/survey.h"
#include "gateway/worker.h"

#define OVERRUN_BYTES ((uint64_t)128 * 1024 * 1024)
#define STUCK_MS      10000

struct hub {
    struct loop *loop;
    struct inbox inbox;
    struct wakeups wakeups;
    struct bus *bus; /* NULL once it is being closed; the hub answers what is asked of it then */
    struct backend *backend;    /* the application's; NULL: there is none, or not any more */
    struct lag_meter lag_meter; /* of the main loop */
    struct map channels;
    uint64_t max_channels;
    struct status *status;
    struct worker **workers;
    unsigned worker_count;
    uint64_t full;              /* a bit for each worker whose deliveries are full */
    uint64_t overrun;           /* a bit for each worker that is handed no messages */
    struct inbox_item *waiting; /* publishes and settles, oldest first */
    struct inbox_item *last;    /* of those, where there are any */
    uint64_t bus_buffer_bytes;  /* what the bus may buffer */
    struct inbox_item resume;   /* posted where the bus has room again */
    bool is_resuming;           /* it is in the inbox */
    unsigned hand_on_left;      /* publishes that may go on before that */
    struct asks asks;           /* of this tick */
    struct inbox_item put_asks; /* posted while there are any: the end of the tick */
    struct waiter patience;     /* with full workers, set while something waits for them */
    uint64_t watched;           /* the workers that were full when it was set; 0: it is not set */
    uint64_t taken_bytes[64];   /* by each worker then */
    uint64_t stuck_ms;          /* STUCK_MS, unless a test has less time */
    struct survey survey;       /* for operators */
    struct control control;     /* what the gateways say to each other */
    const struct tls_keeper *certificates[2]; /* for clients and the bus; not started: none */
    unsigned drained_count;
    void (*drained)(struct hub *hub); /* the last worker reported COMMAND_DRAINED */
};

/* What the bus tells; `context` is the hub. */
extern const struct bus_events hub_bus_events;

/* Posts a command with a message to a worker; what that costs, the worker takes when it is done
 * with it. */
void hub_post(struct hub *hub, struct worker *worker, struct command *command,
              const struct message *message);

/* True for a worker that is handed no messages until it has caught up. */
bool hub_leaves_out(const struct hub *hub, const struct worker *worker);

/* Prepares the inbox; bus and workers are set by the owner before anything is posted. */
int hub_init(struct hub *hub, struct loop *loop, uint64_t max_channels, struct status *status);

/* Closes the bus and the backend: publishes are cancelled, those that come from now on as well, and
 * `closed` is called from the loop. */
void hub_close_bus(struct hub *hub, void (*closed)(void *context), void *context);

/* Takes in what the workers, which have ended, left behind, and lets go of the loop. */
void hub_close(struct hub *hub);

/* Frees what is left, after the loop has run out. */
void hub_deinit(struct hub *hub);

#endif
