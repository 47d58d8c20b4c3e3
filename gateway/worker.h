/*
 * A worker is a thread with a loop, a listener and the connections and channels that it accepted.
 * Created and destroyed on the main thread; in between it is reached through its inbox alone.
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
    uv_thread_t thread;
    struct loop loop;
    struct inbox inbox;
    struct inbox *hub;
    struct listener listener; /* where its socket is */
    struct listener tls_listener;
    struct wakeups wakeups;
    uv_check_t after_poll;
    uv_idle_t busy; /* keeps the loop from waiting while handshakes do */
    uv_timer_t due; /* for the first channel that gathers more than a tick */
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
    uint64_t node;           /* the gateway, among all */
    int socket;              /* negative: no listener without TLS */
    int tls_socket;          /* negative: none with TLS */
    struct tls_context *tls; /* NULL where there is no TLS */
    struct settings *settings;
    struct admission *admission; /* this and what follows must outlive the worker */
    const struct status *status;
    struct inbox *hub;
};

/* Prepares a worker and starts its thread. 0 or a libuv error. */
int worker_start(struct worker **worker, unsigned index, const struct worker_means *means);

/* Sends a command that carries nothing but its kind. */
void worker_signal(struct worker *worker, enum command_kind kind);

/* Waits for the thread of a worker that was sent COMMAND_STOP. */
void worker_join(struct worker *worker);

/* Frees a worker whose thread has ended. */
void worker_destroy(struct worker *worker);

#endif
