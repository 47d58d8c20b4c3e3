/* What backend.c (requests, limits, times) and backend_transfer.c (libcurl) share. Nobody else
 * includes it. */
#ifndef GATEWAY_BACKEND_INSIDE_H
#define GATEWAY_BACKEND_INSIDE_H

#include <curl/curl.h>

#include "gateway/backend.h"

/* Of libcurl on our loop; embedded in the backend. */
struct transfers {
    CURLM *multi;
    uv_timer_t timer;
    struct loop *loop;
    unsigned handles; /* of libuv that are not closed yet: the timer, and one for each socket */
    bool is_closing;
};

struct backend {
    struct transfers transfers; /* must stay first, see transfers_close */
    struct loop *loop;
    struct list waiting;
    struct list under_way;
    size_t waiting_count;
    size_t under_way_count;
    size_t bytes;
    char *urls[HOOK_COUNT]; /* empty: there is no such hook */
    char *ca_file;          /* empty: whom this machine trusts */
    uint64_t timeout_ms;
    uint64_t concurrency;
    size_t answer_limit;
    bool is_failing[HOOK_COUNT]; /* the last outcome was none of the backend's words */
    struct log_limit log_limit;
    struct backend_stats stats;
};

/* backend.c: what became of a transfer, which has been ended; `detail` is for the log. */
void backend_finish(struct backend_request *request, enum backend_outcome outcome,
                    const char *detail);

/* backend_transfer.c */

/* Aborts where libcurl cannot be had, which is for want of memory alone. */
void transfers_init(struct transfers *transfers, struct loop *loop);

/* Sends a request. */
void transfer_start(struct transfers *transfers, struct backend_request *request);

/* Stops it, wherever it is. Not from inside of libcurl's callbacks. */
void transfer_end(struct transfers *transfers, struct backend_request *request);

/* Connections that may be kept for the next request. */
void transfers_keep(struct transfers *transfers, uint64_t connections);

/* Lets go of all connections, of which none is in use. `transfers` begins the memory that is freed
 * once the loop has closed the handles. */
void transfers_close(struct transfers *transfers);

#endif
