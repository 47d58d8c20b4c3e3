/*
 * libcurl's multi interface on our loop: it says which sockets it wants watched and when it wants
 * to be called anyway, and is told what happened. It never waits, names are looked up in threads
 * of its own, and a request that is given up meanwhile does not wait for such a thread
 * (CURLOPT_QUICK_EXIT).
 */
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "gateway/backend_inside.h"

struct watch {
    uv_poll_t poll;
    struct transfers *transfers;
};

static struct transfers *of_timer(uv_timer_t *timer)
{
    return container_of(timer, struct transfers, timer);
}

static void let_go(struct transfers *transfers)
{
    if (--transfers->handles == 0)
        memory_free(transfers);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *watch = (struct watch *)(void *)handle;

    let_go(watch->transfers);
    memory_free(watch);
}

static void on_timer_closed(uv_handle_t *handle)
{
    let_go(of_timer((uv_timer_t *)(void *)handle));
}

static enum backend_outcome outcome_of(CURL *easy, CURLcode code, const char **detail)
{
    long status = 0;

    *detail = curl_easy_strerror(code);
    switch (code) {
    case CURLE_OK:
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        *detail = "its status is not 200";
        return status == 200 ? BACKEND_ANSWERED : BACKEND_REFUSED;
    case CURLE_WRITE_ERROR:
        *detail = "its answer is too large";
        return BACKEND_TOO_LARGE;
    case CURLE_OPERATION_TIMEDOUT:
        return BACKEND_TIMED_OUT;
    default:
        return BACKEND_AWAY;
    }
}

/* What has ended; finishing one may start another. */
static void collect(struct transfers *transfers)
{
    const CURLMsg *message;
    int left;

    while (!transfers->is_closing && (message = curl_multi_info_read(transfers->multi, &left))) {
        struct backend_request *request = NULL;
        const char *detail;
        enum backend_outcome outcome;

        if (message->msg != CURLMSG_DONE)
            continue;
        outcome = outcome_of(message->easy_handle, message->data.result, &detail);
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &request);
        transfer_end(transfers, request);
        backend_finish(request, outcome, detail);
    }
}

static void act(struct transfers *transfers, curl_socket_t socket, int what)
{
    int running;

    curl_multi_socket_action(transfers->multi, socket, what, &running);
    collect(transfers);
}

static void on_timer(uv_timer_t *timer)
{
    act(of_timer(timer), CURL_SOCKET_TIMEOUT, 0);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct transfers *transfers = ((struct watch *)(void *)poll)->transfers;
    uv_os_fd_t socket;
    int what = status < 0 ? CURL_CSELECT_ERR : 0;

    if (events & UV_READABLE)
        what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        what |= CURL_CSELECT_OUT;
    if (uv_fileno((uv_handle_t *)(void *)poll, &socket) == 0)
        act(transfers, socket, what);
}

static int on_wants_time(CURLM *multi, long timeout_ms, void *context)
{
    struct transfers *transfers = context;

    (void)multi;
    if (timeout_ms < 0)
        uv_timer_stop(&transfers->timer);
    else if (!transfers->is_closing)
        uv_timer_start(&transfers->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static struct watch *watch_create(struct transfers *transfers, curl_socket_t socket)
{
    struct watch *watch = memory_zeroed(1, sizeof(*watch));

    watch->transfers = transfers;
    if (uv_poll_init_socket(&transfers->loop->uv, &watch->poll, socket)) {
        memory_free(watch);
        return NULL;
    }
    transfers->handles++;
    curl_multi_assign(transfers->multi, socket, watch);
    return watch;
}

static int on_wants_watch(CURL *easy, curl_socket_t socket, int what, void *context, void *own)
{
    struct transfers *transfers = context;
    struct watch *watch = own;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            curl_multi_assign(transfers->multi, socket, NULL);
            uv_poll_stop(&watch->poll);
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (!watch)
        watch = watch_create(transfers, socket);
    if (!watch)
        return -1;

    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

    return uv_poll_start(&watch->poll, events, on_ready) ? -1 : 0;
}

void transfers_init(struct transfers *transfers, struct loop *loop)
{
    transfers->loop = loop;
    transfers->handles = 1;
    uv_timer_init(&loop->uv, &transfers->timer);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(transfers->multi = curl_multi_init()))
        abort();
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETFUNCTION, on_wants_watch);
    curl_multi_setopt(transfers->multi, CURLMOPT_SOCKETDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERFUNCTION, on_wants_time);
    curl_multi_setopt(transfers->multi, CURLMOPT_TIMERDATA, transfers);
    curl_multi_setopt(transfers->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
}

void transfers_keep(struct transfers *transfers, uint64_t connections)
{
    curl_multi_setopt(transfers->multi, CURLMOPT_MAXCONNECTS, (long)connections);
}

static size_t on_body(char *data, size_t one, size_t size, void *context)
{
    struct backend_request *request = context;

    (void)one;
    if (size > request->backend->answer_limit - request->answer.size)
        return 0; /* CURLE_WRITE_ERROR */
    buffer_append(&request->answer, data, size);
    return size;
}

static struct curl_slist *append(struct curl_slist *fields, const char *field)
{
    struct curl_slist *longer = curl_slist_append(fields, field);

    if (!longer)
        abort(); /* memory, which never fails here */
    return longer;
}

static struct curl_slist *fields_of(const struct backend_request *request)
{
    struct curl_slist *fields = append(NULL, "Content-Type: application/json");

    fields = append(fields, "Accept: application/json");
    fields = append(fields, "Expect:"); /* and wait for no 100 */
    for (const char *field = request->headers; field && *field; field += strlen(field) + 1)
        fields = append(fields, field);
    return fields;
}

static void limit_protocols(CURL *easy)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
}

/* The rest is as libcurl has it: no redirections, no cookies of its own, no .netrc, and TLS that
 * is checked. */
static void set_up(CURL *easy, struct backend_request *request)
{
    const struct backend *backend = request->backend;

    limit_protocols(easy);
    curl_easy_setopt(easy, CURLOPT_URL, backend->urls[request->hook]);
    curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* whatever the environment says */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (backend->ca_file[0] != '\0')
        curl_easy_setopt(easy, CURLOPT_CAINFO, backend->ca_file);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "carillon-gateway/" CARILLON_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->fields);
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, (const char *)request->body.data);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
}

void transfer_start(struct transfers *transfers, struct backend_request *request)
{
    CURL *easy = curl_easy_init();

    if (!easy)
        abort(); /* memory, which never fails here */
    request->easy = easy;
    request->fields = fields_of(request);
    set_up(easy, request);
    curl_multi_add_handle(transfers->multi, easy); /* which asks for a call of the timer */
}

void transfer_end(struct transfers *transfers, struct backend_request *request)
{
    curl_multi_remove_handle(transfers->multi, request->easy);
    curl_easy_cleanup(request->easy);
    curl_slist_free_all(request->fields);
    request->easy = NULL;
    request->fields = NULL;
}

void transfers_close(struct transfers *transfers)
{
    transfers->is_closing = true;
    curl_multi_cleanup(transfers->multi); /* takes its sockets back */
    transfers->multi = NULL;
    uv_close((uv_handle_t *)&transfers->timer, on_timer_closed);
}
