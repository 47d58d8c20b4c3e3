/*
 * One deadline for each request, from the asking to the outcome: it covers the wait for its turn,
 * the look-up of the name, the connection and the answer, so nothing has to be added up to know how
 * long a client waits at most.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "gateway/backend_inside.h"
#include "gateway/config.h"

const char *backend_hook_name(enum backend_hook hook)
{
    static const char *const names[HOOK_COUNT] = {"connect", "refresh", "subscribe", "publish",
                                                  "rpc"};

    return names[hook];
}

const char *backend_outcome_name(enum backend_outcome outcome)
{
    static const char *const names[BACKEND_OUTCOMES] = {"answered",  "refused", "timeout",  "away",
                                                        "too_large", "busy",    "cancelled"};

    return names[outcome];
}

const char *backend_hook_url(const struct config *config, enum backend_hook hook)
{
    const char *const urls[HOOK_COUNT] = {
        [HOOK_CONNECT] = config->proxy_connect,
        [HOOK_REFRESH] = config->proxy_refresh,
        [HOOK_SUBSCRIBE] = config->proxy_subscribe,
        [HOOK_PUBLISH] = config->proxy_publish,
        [HOOK_RPC] = config->proxy_rpc,
    };

    return urls[hook];
}

bool backend_is_wanted(const struct config *config)
{
    for (int i = 0; i < HOOK_COUNT; i++) {
        if (backend_hook_url(config, (enum backend_hook)i)[0] != '\0')
            return true;
    }
    return false;
}

static bool has_part(CURLU *address, CURLUPart part)
{
    char *text = NULL;
    bool is_there = !curl_url_get(address, part, &text, 0) && text && *text;

    curl_free(text);
    return is_there;
}

bool backend_url_is_valid(const char *url)
{
    CURLU *address = curl_url();
    bool is_http = strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0;
    bool is_valid = address && is_http && !curl_url_set(address, CURLUPART_URL, url, 0) &&
                    has_part(address, CURLUPART_HOST);

    curl_url_cleanup(address);
    return is_valid;
}

static size_t cost_of(const struct backend_request *request)
{
    return request->body.size + request->headers_size;
}

static void start_waiting(struct backend *backend)
{
    while (backend->waiting_count > 0 && backend->under_way_count < backend->concurrency) {
        struct backend_request *request =
            container_of(backend->waiting.next, struct backend_request, link);

        list_remove(&request->link);
        backend->waiting_count--;
        if (backend->urls[request->hook][0] == '\0') {
            backend_finish(request, BACKEND_CANCELLED, "there is no such hook");
            return; /* having started others */
        }
        list_append(&backend->under_way, &request->link);
        backend->under_way_count++;
        transfer_start(&backend->transfers, request);
    }
}

static void note_levels(struct backend *backend)
{
    metric_set(&backend->stats.under_way, backend->under_way_count);
    metric_set(&backend->stats.waiting, backend->waiting_count);
}

/* A line where it begins to fail, and one where that is over. */
static void note_outcome(struct backend *backend, enum backend_hook hook,
                         enum backend_outcome outcome, const char *detail)
{
    bool is_failing = outcome != BACKEND_ANSWERED;
    uint64_t left_out;

    metric_add(&backend->stats.outcomes[hook][outcome], 1);
    if (outcome == BACKEND_CANCELLED || is_failing == backend->is_failing[hook])
        return;
    if (!log_limit_pass(&backend->log_limit, loop_now_ms(backend->loop), &left_out))
        return;
    backend->is_failing[hook] = is_failing;
    if (is_failing)
        log_event(LOG_WARNING, log_name("the backend does not answer a hook"),
                  log_text("hook", backend_hook_name(hook)),
                  log_text("outcome", backend_outcome_name(outcome)), log_text("reason", detail),
                  log_number("left_out", (int64_t)left_out));
    else
        log_event(LOG_INFO, log_name("the backend answers a hook again"),
                  log_text("hook", backend_hook_name(hook)),
                  log_number("left_out", (int64_t)left_out));
}

/* Of a request that is in no list any more. */
static void tell(struct backend_request *request, enum backend_outcome outcome, const char *detail)
{
    note_outcome(request->backend, request->hook, outcome, detail);
    request->outcome = outcome;
    if (outcome != BACKEND_ANSWERED)
        buffer_deinit(&request->answer);
    request->done(request);
}

/* It was under way if its link is in that list, and its transfer has been ended; or it waited, and
 * has been taken out of there. */
void backend_finish(struct backend_request *request, enum backend_outcome outcome,
                    const char *detail)
{
    struct backend *backend = request->backend;

    if (!list_is_empty(&request->link)) {
        list_remove(&request->link);
        backend->under_way_count--;
    }
    loop_cancel(backend->loop, &request->deadline);
    backend->bytes -= cost_of(request);
    histogram_record(&backend->stats.durations, uv_hrtime() - request->since_ns);
    tell(request, outcome, detail);
    start_waiting(backend);
    note_levels(backend);
}

/* Ends one before its time. */
static void end(struct backend_request *request, enum backend_outcome outcome, const char *detail)
{
    struct backend *backend = request->backend;

    if (request->easy) {
        transfer_end(&backend->transfers, request);
    } else {
        list_remove(&request->link);
        backend->waiting_count--;
    }
    backend_finish(request, outcome, detail);
}

static void on_deadline(struct waiter *waiter)
{
    end(container_of(waiter, struct backend_request, deadline), BACKEND_TIMED_OUT,
        "it took too long");
}

static bool has_room(const struct backend *backend, const struct backend_request *request)
{
    return backend->waiting_count < BACKEND_WAITING_LIMIT &&
           cost_of(request) <= BACKEND_BYTES_LIMIT - backend->bytes;
}

void backend_ask(struct backend *backend, struct backend_request *request)
{
    request->backend = backend;
    list_init(&request->link);
    if (backend->urls[request->hook][0] == '\0') {
        tell(request, BACKEND_CANCELLED, "there is no such hook");
        return;
    }
    if (!has_room(backend, request)) {
        tell(request, BACKEND_BUSY, "too many requests wait already");
        return;
    }
    request->since_ns = uv_hrtime();
    waiter_init(&request->deadline, on_deadline);
    loop_wait(backend->loop, &request->deadline, backend->timeout_ms);
    backend->bytes += cost_of(request);
    list_append(&backend->waiting, &request->link);
    backend->waiting_count++;
    start_waiting(backend);
    note_levels(backend);
}

static void replace(char **text, const char *value)
{
    memory_free(*text);
    *text = memory_copy_text(value, strlen(value));
}

void backend_configure(struct backend *backend, const struct config *config)
{
    for (size_t i = 0; i < HOOK_COUNT; i++)
        replace(&backend->urls[i], backend_hook_url(config, (enum backend_hook)i));
    replace(&backend->ca_file, config->proxy_tls_ca);
    backend->timeout_ms = config->proxy_timeout_ms;
    backend->concurrency = config->proxy_concurrency;
    backend->answer_limit = BACKEND_ANSWER_SIZE_LIMIT;
    if (backend->answer_limit < 2 * config->max_message_size)
        backend->answer_limit = 2 * (size_t)config->max_message_size;
    transfers_keep(&backend->transfers, backend->concurrency);
    start_waiting(backend);
    note_levels(backend);
}

struct backend *backend_create(struct loop *loop, const struct config *config)
{
    struct backend *backend = memory_zeroed(1, sizeof(*backend));

    backend->loop = loop;
    list_init(&backend->waiting);
    list_init(&backend->under_way);
    transfers_init(&backend->transfers, loop);
    backend_configure(backend, config);
    return backend;
}

static void end_all(struct list *requests)
{
    while (!list_is_empty(requests))
        end(container_of(requests->next, struct backend_request, link), BACKEND_CANCELLED,
            "the gateway stops");
}

void backend_close(struct backend *backend)
{
    if (!backend)
        return;
    end_all(&backend->waiting); /* first, or else they would take the places of others */
    end_all(&backend->under_way);
    for (size_t i = 0; i < HOOK_COUNT; i++)
        memory_free(backend->urls[i]);
    memory_free(backend->ca_file);
    transfers_close(&backend->transfers);
}

const struct backend_stats *backend_stats(const struct backend *backend)
{
    return &backend->stats;
}
