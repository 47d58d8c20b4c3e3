/*
 * A worker is a thread with a loop, a listener and the connections and channels that it accepted.
 * Created and destroyed on the main thread; in between it is reached through its inbox alone.
 */
#ifndef GATEWAY_WORKER_H
#define GATEWAY_WORKER_H

#include "gateway/command.h"
#include "gateway/connection.h"

struct worker {
    unsigned index;
    uv_thread_t thread;
    struct loop loop;
    struct inbox inbox;
    struct inbox *hub;
    uv_tcp_t listener;
    uv_prepare_t before_poll;
    uv_check_t after_poll;
    uint64_t awake_ns; /* when the last poll returned */
    struct connection_host connections;
    struct list settling; /* connections whose settle_command is with the hub */
    struct worker_stats stats;
    bool is_draining;
    bool has_reported_drained;
};

/*
 * Prepares a worker that will accept from `listener_fd` (bound, owned by the worker from here on) and
 * starts its thread. `admission`, `status` and `hub` must outlive it. 0 or a libuv error.
 */
int worker_start(struct worker **worker, unsigned index, int listener_fd,
                 struct settings *settings, struct admission *admission,
                 const struct status *status, struct inbox *hub);

/* Sends a command that carries nothing but its kind. */
void worker_signal(struct worker *worker, enum command_kind kind);

/* Waits for the thread of a worker that was sent COMMAND_STOP, and frees it. */
void worker_join(struct worker *worker);

#endif
