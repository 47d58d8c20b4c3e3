/*
 * The way down (SIGTERM, SIGINT): /ready turns red, every shard gives what it owns to the other
 * routers, and when all have left, or --drain-time is over, the workers end. The port stays open
 * until then, because a port that refuses is how others know that a process is dead. A second
 * signal ends the process at once.
 */
#include "router/router.h"

#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/address.h"
#include "common/console.h"
#include "common/cpu_count.h"
#include "common/http_response.h"
#include "common/http_server.h"
#include "common/log.h"
#include "common/machine_memory.h"
#include "common/memory.h"
#include "common/random.h"
#include "common/secret.h"
#include "common/server_socket.h"
#include "router/certificates.h"
#include "router/router_metrics.h"
#include "router/trim.h"
#include "router/worker.h"

#define ADMIN_CONNECTIONS    16
#define TRIM_MS              2000
#define STATE_CHANNELS       1000
#define STATE_CHANNELS_LIMIT 100000

enum phase { RUNNING, LEAVING, STOPPING };

struct router {
    const struct config *config;
    struct budget budget;
    struct router_identity identity;
    char name[ROUTER_NAME_LIMIT + 1];
    char address[ADDRESS_TEXT_LIMIT]; /* ":PORT" where no host is known */
    char *secret;
    struct certificates certificates;
    struct loop loop;
    struct inbox inbox;
    struct http_server *admin;
    struct worker *workers;
    struct worker **worker_pointers;
    unsigned worker_count;
    unsigned left_count;
    uv_signal_t signals[2];
    struct waiter deadline;
    struct waiter trimming;
    struct trim trim;
    enum phase phase;
};

/* What operators ask. */

static bool is_read(const struct http_request *request)
{
    return strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
}

static void respond_text(const struct http_request *request, int status, const char *type,
                         const char *text, size_t size, struct buffer *output)
{
    http_response_append(output, &(struct http_response){
                                     .status = status,
                                     .content_type = type,
                                     .headers = "Cache-Control: no-store\r\n",
                                     .body = text,
                                     .body_size = size,
                                     .is_head = strcmp(request->method, "HEAD") == 0,
                                     .keep_alive = request->keep_alive,
                                 });
}

static void respond_line(const struct http_request *request, int status, const char *line,
                         struct buffer *output)
{
    respond_text(request, status, "text/plain; charset=utf-8", line, strlen(line), output);
}

/* Asks each worker in turn; they answer within one iteration of their loops. */
static json_t *describe(struct router *router, size_t channel_limit)
{
    json_t *shards = json_array();
    char node[17];

    for (unsigned i = 0; i < router->worker_count; i++) {
        struct worker_state state = {.channel_limit = channel_limit, .json = shards};

        state.item.command = WORKER_STATE;
        uv_sem_init(&state.done, 0);
        inbox_post(&router->workers[i].inbox, &state.item.item);
        uv_sem_wait(&state.done);
        uv_sem_destroy(&state.done);
    }
    snprintf(node, sizeof(node), "%016llx", (unsigned long long)router->identity.node);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o}", "node", node, "name", router->name,
                     "address", router->identity.address, "cluster", router->identity.cluster,
                     "version", CARILLON_VERSION, "shards", shards);
}

static size_t channel_limit_of(const struct http_request *request)
{
    char value[16];
    int size = http_query_value(request->query, "channels", value, sizeof(value) - 1);
    unsigned long limit;

    if (size <= 0)
        return STATE_CHANNELS;
    value[size] = '\0';
    limit = strtoul(value, NULL, 10);
    return limit < STATE_CHANNELS_LIMIT ? limit : STATE_CHANNELS_LIMIT;
}

static void respond_state(struct router *router, const struct http_request *request,
                          struct buffer *output)
{
    json_t *state = describe(router, channel_limit_of(request));
    char *text = json_dumps(state, JSON_INDENT(1));

    respond_text(request, 200, "application/json", text ? text : "{}", text ? strlen(text) : 2,
                 output);
    free(text);
    json_decref(state);
}

static void respond_metrics(struct router *router, const struct http_request *request,
                            struct buffer *output)
{
    struct buffer text = {0};

    router_append_metrics(&text, router->workers, router->worker_count, &router->budget,
                          http_server_accept_errors(router->admin));
    certificates_append_metrics(&router->certificates, &text);
    respond_text(request, 200, "text/plain; version=0.0.4; charset=utf-8", (char *)text.data,
                 text.size, output);
    buffer_deinit(&text);
}

/* True once every shard has met the other routers, or looked for them long enough. */
static bool is_open(const struct router *router)
{
    uint64_t open = 0;

    for (unsigned i = 0; i < router->worker_count; i++)
        open += metric_read(&router->workers[i].open_units);
    return open == router->identity.shards;
}

static enum http_verdict respond(void *context, const struct http_request *request,
                                 struct buffer *output)
{
    struct router *router = context;

    if (!is_read(request)) {
        http_response_append_error(output, 405, "Allow: GET, HEAD\r\n", "use GET", false,
                                   request->keep_alive);
        return HTTP_ANSWERED;
    }
    if (strcmp(request->path, "/health") == 0)
        respond_line(request, 200, "alive\n", output);
    else if (strcmp(request->path, "/ready") == 0 && router->phase != RUNNING)
        respond_line(request, 503, "leaving\n", output);
    else if (strcmp(request->path, "/ready") == 0 && !is_open(router))
        respond_line(request, 503, "looking for the other routers\n", output);
    else if (strcmp(request->path, "/ready") == 0)
        respond_line(request, 200, "ready\n", output);
    else if (strcmp(request->path, "/metrics") == 0)
        respond_metrics(router, request, output);
    else if (strcmp(request->path, "/state") == 0)
        respond_state(router, request, output);
    else if (!console_respond(request, output))
        http_response_append_error(output, 404, NULL,
                                   "try /, /health, /ready, /metrics, /state or /log",
                                   strcmp(request->method, "HEAD") == 0, request->keep_alive);
    return HTTP_ANSWERED;
}

/* The start. */

static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int cannot_listen(const char *option, const char *address, int error)
{
    log_event(LOG_ERROR, log_name("cannot listen"), log_text("option", option),
              log_text("address", address), log_text("error", uv_strerror(error)));
    return error;
}

static void choose_name(struct router *router, const struct sockaddr_storage *address)
{
    char text[ADDRESS_TEXT_LIMIT];
    char host[128] = "router";

    if (router->config->name[0] != '\0') {
        snprintf(router->name, sizeof(router->name), "%s", router->config->name);
        return;
    }
    gethostname(host, sizeof(host) - 1);
    address_format((const struct sockaddr *)address, text);
    snprintf(router->name, sizeof(router->name), "%s%s", host, strrchr(text, ':'));
}

/* Without --advertise others put the host that they see us at before the port. */
static void choose_address(struct router *router, const struct sockaddr_storage *address)
{
    char text[ADDRESS_TEXT_LIMIT];

    address_format((const struct sockaddr *)address, text);
    snprintf(router->address, sizeof(router->address), "%s",
             router->config->advertise[0] != '\0' ? router->config->advertise : strrchr(text, ':'));
}

static unsigned thread_count(const struct config *config)
{
    uint64_t count = config->threads ? config->threads : cpu_count();

    return (unsigned)(count < config->shards ? count : config->shards);
}

static void log_budget(const struct budget *budget, const struct config *config)
{
    if (budget->message < config->max_message_size)
        log_event(LOG_WARNING,
                  log_name("larger messages will be refused: --memory-limit has no room for "
                           "--max-message-size"),
                  log_number("max_message_size", (int64_t)config->max_message_size),
                  log_number("lowered_to", (int64_t)budget->message));
    if (budget->is_lowered)
        log_event(LOG_INFO, log_name("limits lowered to fit into --memory-limit"),
                  log_number("memory_limit", (int64_t)budget->limit),
                  log_number("history_memory", (int64_t)budget->history),
                  log_number("waiting_memory", (int64_t)budget->waiting),
                  log_number("presence_memory", (int64_t)budget->presence),
                  log_number("key_memory", (int64_t)budget->keys),
                  log_number("channel_memory", (int64_t)budget->channels),
                  log_number("link_memory", (int64_t)budget->links),
                  log_number("max_message_size", (int64_t)budget->message));
}

/* What the links of a thread may hold together: their share, but always one message under way and
 * one that waits, or whoever sends the largest would be closed for it again and again. */
static uint64_t links_limit_of(const struct budget *budget, unsigned threads)
{
    uint64_t share = budget->links / threads;
    uint64_t least = 2 * (budget->message + ROUTER_OVERHEAD_BYTES);

    return share > least ? share : least;
}

static int identify(struct router *router, const struct sockaddr_storage *address)
{
    const struct config *config = router->config;
    uint64_t links_limit = links_limit_of(&router->budget, thread_count(config));
    size_t secret_size = 0;

    if (config->secret_file[0] != '\0') {
        int error = secret_read(config->secret_file, &router->secret, &secret_size);

        if (error) {
            fprintf(stderr, "carillon-router: --secret-file: %s: %s\n", config->secret_file,
                    secret_explain(error));
            return error;
        }
    }
    choose_name(router, address);
    choose_address(router, address);
    router->identity = (struct router_identity){
        .node = random_id(),
        .role = ROLE_ROUTER,
        .name = router->name,
        .address = router->address,
        .cluster = config->cluster,
        .shards = (uint32_t)config->shards,
        .secret = router->secret,
        .secret_size = secret_size,
        .message_limit = (size_t)router->budget.message,
        .queue_limit = (size_t)(config->link_queue_limit < links_limit ? config->link_queue_limit
                                                                       : links_limit),
        .links_limit = (size_t)links_limit,
    };
    return 0;
}

static int load_certificates(struct router *router)
{
    char message[TLS_ERROR_LIMIT];
    int error = certificates_load(&router->certificates, &router->loop, router->config, message);

    if (error)
        fprintf(stderr, "carillon-router: --tls: %s\n", message);
    return error;
}

static int prepare_workers(struct router *router, struct sockaddr_storage *address)
{
    unsigned count = thread_count(router->config);
    const struct certificates *certificates = &router->certificates;
    struct worker_tls tls = {
        .dial = certificates->dial.context,
        .accept = certificates->accept.context,
    };
    bool is_tls = certificates_are_wanted(certificates);

    router->worker_count = count;
    router->workers = memory_zeroed(count, sizeof(*router->workers));
    router->worker_pointers = memory_zeroed(count, sizeof(*router->worker_pointers));
    for (unsigned i = 0; i < count; i++) {
        struct worker *worker = &router->workers[i];

        router->worker_pointers[i] = worker;
        worker->index = i;
        worker->config = router->config;
        worker->budget = &router->budget;
        worker->workers = router->worker_pointers;
        worker->worker_count = count;
        worker->identity = &router->identity;
        worker->main = &router->inbox;
    }
    for (unsigned i = 0; i < count; i++) {
        int socket = server_socket_bind(address, true);
        int error =
            socket < 0 ? socket : worker_prepare(&router->workers[i], socket, is_tls ? &tls : NULL);

        if (error)
            return cannot_listen("--listen", router->config->listen, error);
    }
    return 0;
}

/* From here on threads use the configuration, and all else that is freed at the end. */
static void start_workers(struct router *router, const struct sockaddr_storage *address)
{
    for (unsigned i = 0; i < router->worker_count; i++) {
        int error = worker_start(&router->workers[i]);

        if (!error)
            continue;
        log_event(LOG_ERROR, log_name("cannot start a thread"),
                  log_text("error", uv_strerror(error)));
        _exit(1);
    }
    router->certificates.workers = router->workers;
    router->certificates.worker_count = router->worker_count;
    server_socket_log("router", address);
}

static int start_admin(struct router *router)
{
    const char *text = router->config->admin_listen;
    struct sockaddr_storage address;

    if (strcmp(text, "off") == 0)
        return 0;
    address_parse(text, &address);

    int socket = server_socket_bind(&address, false);
    int error = socket < 0 ? socket
                           : http_server_start(&router->admin, &router->loop, socket,
                                               ADMIN_CONNECTIONS, respond, router);

    if (error)
        return cannot_listen("--admin-listen", text, error);
    server_socket_log("admin", &address);
    return 0;
}

static void on_trimming(struct waiter *waiter)
{
    struct router *router = container_of(waiter, struct router, trimming);

    if (trim_is_due(&router->trim, router_used_bytes(router->workers, router->worker_count)))
        trim_now();
    loop_wait(&router->loop, &router->trimming, TRIM_MS);
}

/* The way down. */

static void stop(struct router *router)
{
    router->phase = STOPPING;
    loop_cancel(&router->loop, &router->deadline);
    loop_cancel(&router->loop, &router->trimming);
    if (router->admin)
        http_server_stop(router->admin);
    for (unsigned i = 0; i < router->worker_count; i++)
        worker_signal(&router->workers[i], WORKER_STOP);
    for (unsigned i = 0; i < router->worker_count; i++)
        worker_join(&router->workers[i]);
    for (unsigned i = 0; i < router->worker_count; i++)
        worker_destroy(&router->workers[i]);
    inbox_drain(&router->inbox);
    inbox_close(&router->inbox);
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&router->signals[i], NULL);
    certificates_close(&router->certificates);
}

static void on_deadline(struct waiter *waiter)
{
    log_event(LOG_WARNING, log_name("stopping before everything was given to other routers"));
    stop(container_of(waiter, struct router, deadline));
}

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct router *router = container_of(inbox, struct router, inbox);

    memory_free(container_of(item, struct worker_item, item)); /* WORKER_HAS_LEFT is all there is */
    if (++router->left_count == router->worker_count && router->phase == LEAVING)
        stop(router);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct router *router = handle->data;

    if (router->phase != RUNNING) {
        log_event(LOG_WARNING, log_name("stopped at once by a second signal"));
        _exit(1);
    }
    log_event(LOG_INFO, log_name("leaving"), log_text("signal", strsignal(number)));
    router->phase = LEAVING;
    loop_wait(&router->loop, &router->deadline, router->config->drain_time_ms);
    for (unsigned i = 0; i < router->worker_count; i++)
        worker_signal(&router->workers[i], WORKER_LEAVE);
}

static void watch_signals(struct router *router)
{
    static const int numbers[] = {SIGTERM, SIGINT};

    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP,
           SIG_IGN); /* there is nothing to load again but certificates, which are watched */
    for (size_t i = 0; i < 2; i++) {
        router->signals[i].data = router;
        uv_signal_init(&router->loop.uv, &router->signals[i]);
        uv_signal_start(&router->signals[i], on_signal, numbers[i]);
    }
}

int router_run(const struct config *config)
{
    struct router *router = memory_zeroed(1, sizeof(*router));
    struct sockaddr_storage address;
    int error;

    router->config = config;
    log_configure((enum log_format)config->log_format, (enum log_level)config->log_level);
    waiter_init(&router->deadline, on_deadline);
    waiter_init(&router->trimming, on_trimming);
    if (loop_init(&router->loop) || inbox_init(&router->inbox, &router->loop.uv, receive))
        return 1;
    raise_file_limit();
    watch_signals(router);
    router->budget = budget_of(config, thread_count(config), machine_memory());
    log_budget(&router->budget, router->config);
    address_parse(config->listen, &address);
    error = server_socket_claim(&address);
    if (error) {
        cannot_listen("--listen", config->listen, error);
        return 1;
    }
    if (identify(router, &address) || load_certificates(router))
        return 2;
    if (prepare_workers(router, &address) || start_admin(router))
        return 1;
    start_workers(router, &address);
    log_event(LOG_INFO, log_name("router started"), log_text("name", router->name),
              log_text("cluster", config->cluster), log_number("shards", router->identity.shards),
              log_number("threads", router->worker_count));
    loop_wait(&router->loop, &router->trimming, TRIM_MS);
    uv_run(&router->loop.uv, UV_RUN_DEFAULT);

    loop_deinit(&router->loop);
    memory_free(router->workers);
    memory_free(router->worker_pointers);
    memory_free(router->secret);
    memory_free(router);
    log_event(LOG_INFO, log_name("stopped"));
    return 0;
}
