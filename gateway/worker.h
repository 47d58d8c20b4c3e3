/*
 * A worker has a listener, and the connections and channels of those whom it accepted, on a loop
 * and in a thread of its own. Created and destroyed on the main thread; in between it is reached
 * through its inbox alone.
 *
 * The only worker of a gateway with a bus of its own shares the main loop: a message then goes to
 * the bus and back without a wake-up between threads, at the end of the poll that it came in
 * (inbox.h).
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "common/lag_meter.h"
#include "common/listener.h"
#include "common/wakeups.h"
#include "gateway/command.h"
#include "gateway/connection.h"
#include "gateway/survey.h"

struct worker {
    unsigned index;
    bool has_thread; /* of its own, as its loop is */
    uv_thread_t thread;
    struct loop *loop;
    struct inbox inbox;
    struct inbox *hub;
    struct listener listener; /* where its socket is */
    struct listener tls_listener;
    struct wakeups wakeups;
    uv_check_t after_poll;
    uv_idle_t busy; /* keeps the loop from waiting: handshakes do, or the end of the tick */
    uv_timer_t due; /* for the first channel that gathers more than a tick */
    uint64_t due_deliveries; /* that the tick will have made at its end, */
    unsigned due_messages;   /* of so many messages, */
    unsigned seen_messages;  /* of which so many were known at the last look for more */
    unsigned looks;
    struct lag_meter lag_meter;
    struct connection_host connections;
    struct flow deliveries; /* messages from the hub, and publishes that it gives back */
    struct list settling;   /* connections whose settle_command is with the hub */
    struct worker_stats stats;
    uv_idle_t survey_turn;         /* runs while there is a survey */
    struct survey_command *survey; /* NULL: none */
    bool streams_are_next;         /* to go on when the hub has caught up */
    bool is_draining;
    bool has_reported_drained;
};

/* What a worker is given; sockets are bound, and the worker's from the start on. */
struct worker_means {
    struct loop *loop;       /* the main loop, to share it; NULL: one of its own */
    uint64_t node;           /* the gateway, among all */
    int socket;              /* negative: no listener without TLS */
    int tls_socket;          /* negative: none with TLS */
    struct tls_context *tls; /* NULL where there is no TLS */
    struct settings *settings;
    struct admission *admission; /* this and what follows must outlive the worker */
    const struct status *status;
    struct inbox *hub;
};

/* Prepares a worker and starts its thread, or serves clients when the loop that it shares runs. 0
 * or a libuv error. */
int worker_start(struct worker **worker, unsigned index, const struct worker_means *means);

/* Sends a command that carries nothing but its kind. */
void worker_signal(struct worker *worker, enum command_kind kind);

/* Has a worker look at its channels and answer a survey: a moment later, or at once where the
 * caller has its loop and the channels are few. */
void worker_survey(struct worker *worker, struct survey_command *survey);

/* Waits for the end of a worker that was sent COMMAND_STOP. */
void worker_join(struct worker *worker);

/* Frees a worker that has ended, when the loop that it shared has run out. */
void worker_destroy(struct worker *worker);

#endif
