/*
 * The application's backend, which is asked over HTTP what a client may do (hook.h says in which
 * words). Every request is a POST of JSON and gets an outcome within its time, whatever the backend
 * does: so many are under way at a time, so many more wait, and one beyond these is told at once
 * that there is no room.
 *
 * Belongs to the main loop, as its requests do while they are with it. What connections there are
 * is libcurl's to say: it keeps them for the next request, and repeats one whose kept connection
 * the backend had closed meanwhile.
 */
#ifndef GATEWAY_BACKEND_H
#define GATEWAY_BACKEND_H

#include <stdbool.h>

#include "common/buffer.h"
#include "common/list.h"
#include "common/log_limit.h"
#include "common/loop.h"
#include "common/metrics.h"

#define BACKEND_WAITING_LIMIT     1024 /* requests that wait for their turn, */
#define BACKEND_BYTES_LIMIT       ((size_t)32 * 1024 * 1024) /* and bytes of all that are here */
#define BACKEND_ANSWER_SIZE_LIMIT ((size_t)64 * 1024)        /* or twice the largest message */

struct config;
struct backend;

enum backend_hook {
    HOOK_CONNECT,
    HOOK_REFRESH,
    HOOK_SUBSCRIBE,
    HOOK_PUBLISH,
    HOOK_RPC,
    HOOK_COUNT,
};

enum backend_outcome {
    BACKEND_ANSWERED,  /* with 200, and `answer` */
    BACKEND_REFUSED,   /* with another status, redirections among them */
    BACKEND_TIMED_OUT, /* --proxy-timeout, the wait for its turn included */
    BACKEND_AWAY,      /* no connection, or none that lasted */
    BACKEND_TOO_LARGE, /* the answer */
    BACKEND_BUSY,      /* too many wait already */
    BACKEND_CANCELLED, /* the gateway stops, or the hook was taken out of the configuration */
    BACKEND_OUTCOMES,
};

/* Embedded in the asker's object, which must live until `done`. Zeroed but for what the asker
 * fills in. */
struct backend_request {
    enum backend_hook hook;
    struct buffer body; /* JSON */
    /* "Name: value" texts one behind the other, each with its zero, and an empty one at the end.
     * NULL: none. */
    const char *headers;
    size_t headers_size;
    /* Comes once, maybe before backend_ask returns. `body` and `answer` are to be freed by the
     * asker. */
    void (*done)(struct backend_request *request);
    enum backend_outcome outcome;
    struct buffer answer;

    /* The backend's own. */
    struct backend *backend;
    struct list link;
    struct waiter deadline;
    uint64_t since_ns;
    void *easy;                /* CURL; NULL while it waits */
    struct curl_slist *fields; /* the header as libcurl takes it */
};

struct backend_stats {
    struct metric outcomes[HOOK_COUNT][BACKEND_OUTCOMES];
    struct metric under_way;
    struct metric waiting;
    struct histogram durations; /* of what was not turned away at once, from the asking on */
};

/* What belongs to a hook is known by this name: in options, logs and metrics. */
const char *backend_hook_name(enum backend_hook hook);
const char *backend_outcome_name(enum backend_outcome outcome);

/* Its address; empty: there is no such hook. */
const char *backend_hook_url(const struct config *config, enum backend_hook hook);

/* Whether there is any hook. */
bool backend_is_wanted(const struct config *config);

/* An address that a hook may have: http or https, a host. Any thread. */
bool backend_url_is_valid(const char *url);

struct backend *backend_create(struct loop *loop, const struct config *config);

/* Requests that come from now on, and those that wait, go by this configuration. It is copied. */
void backend_configure(struct backend *backend, const struct config *config);

void backend_ask(struct backend *backend, struct backend_request *request);

/* Ends every request (BACKEND_CANCELLED) before it returns, and frees the backend once the loop has
 * let go of its handles. NULL is allowed. */
void backend_close(struct backend *backend);

const struct backend_stats *backend_stats(const struct backend *backend);

#endif
