/*
 * The way down (SIGTERM, SIGINT): /ready turns red and the listeners close; the workers send their
 * clients away over the drain time, each once what it published is settled; when the last has gone,
 * the bus is closed, the workers end, and the process with them.
 *
 * Every step that waits for somebody else has a deadline. When the bus is away and nothing settles,
 * it is closed under the clients, which cancels their publishes, and they are sent away then. Those
 * that do not go are cut off, and where a thread does not answer even then, the process ends
 * without it. A second signal ends the process at once.
 */
#include "gateway/gateway.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"
#include "common/cpu_count.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "common/server_socket.h"
#include "gateway/admin.h"
#include "gateway/descriptors.h"
#include "gateway/entrance.h"
#include "gateway/hub.h"

#define DRAIN_EXTRA_MS  2000 /* beyond the drain time and a close timeout */
#define SETTLE_LIMIT_MS 5000
#define ABORT_LIMIT_MS  2000

enum phase { RUNNING, DRAINING, SETTLING, SETTLED, CLOSING_BUS, DISMISSING, ABORTING, STOPPING };

struct gateway {
    struct loop loop;
    struct hub hub;
    struct api *api;
    struct admin *admin;
    uint64_t id; /* of this gateway in the cluster */
    char name[256];
    struct descriptors descriptors;
    struct admission admission;
    struct status status;
    struct settings *settings;
    struct tls_keeper certificates; /* for clients */
    struct tls_keeper bus_certificates;
    char *bus_server_name; /* what the bus must be called; NULL: as in its URL */
    int argument_count;
    char **arguments;
    char **environment;
    uv_signal_t signals[3];
    struct waiter deadline;
    struct bus_barrier settled;
    enum phase phase;
    int exit_code;
};

static void configure_log(const struct config *config)
{
    log_configure((enum log_format)config->log_format, (enum log_level)config->log_level);
}

/* The built-in directory of the page may be missing, but not without a word. */
static void warn_without_page(const struct settings *settings)
{
    if (!settings->files && settings->config.web_root[0] != '\0')
        log_event(LOG_WARNING, log_name("no page, the web root is missing"),
                  log_text("web_root", settings->config.web_root));
}

static int divide_descriptors(struct gateway *gateway, unsigned threads)
{
    const struct config *config = &gateway->settings->config;
    bool is_both = strcmp(config->listen, "off") != 0 && strcmp(config->tls_listen, "off") != 0;
    uint64_t limit = descriptors_raise();
    struct descriptors divided;
    int error = descriptors_divide(&divided, limit, threads, is_both ? 2 : 1,
                                   backend_is_wanted(config) ? config->proxy_concurrency : 0);

    if (!error)
        gateway->descriptors = divided;
    else
        log_event(LOG_ERROR, log_name("too few file descriptors"),
                  log_number("file_descriptors", (int64_t)limit), log_number("threads", threads));
    return error;
}

/* What the user allows, as far as the descriptors do. */
static void limit_connections(struct gateway *gateway)
{
    const struct config *config = &gateway->settings->config;
    struct admission_limits limits = {
        .connections = config->max_connections,
        .per_address = config->max_connections_per_address,
        .refusals = gateway->descriptors.refusals,
        .rate = config->accept_rate,
    };

    if (limits.connections > gateway->descriptors.clients) {
        limits.connections = gateway->descriptors.clients;
        log_event(LOG_WARNING, log_name("fewer file descriptors than --max-connections"),
                  log_number("max_connections", (int64_t)config->max_connections),
                  log_number("file_descriptors", (int64_t)gateway->descriptors.limit),
                  log_number("connections", (int64_t)limits.connections));
    }
    admission_set_limits(&gateway->admission, &limits);
}

/* Certificates, at the start and whenever they change. */

static void on_certificates(struct tls_keeper *keeper)
{
    struct gateway *gateway = container_of(keeper, struct gateway, certificates);

    for (unsigned i = 0; i < gateway->hub.worker_count; i++) {
        struct tls_command *command = memory_zeroed(1, sizeof(*command));

        command->command.kind = COMMAND_TLS;
        command->command.worker = gateway->hub.workers[i];
        command->context = tls_context_ref(keeper->context);
        inbox_post(&gateway->hub.workers[i]->inbox, &command->command.item);
    }
}

static int load_certificates(struct gateway *gateway)
{
    const struct config *config = &gateway->settings->config;
    struct tls_source source = config_client_tls(config);
    char message[TLS_ERROR_LIMIT];

    if (strcmp(config->tls_listen, "off") == 0)
        return 0;

    int error =
        tls_keeper_start(&gateway->certificates, &gateway->loop, &source, on_certificates, message);

    if (error)
        fprintf(stderr, "carillon-gateway: --tls-cert: %s\n", message);
    return error;
}

/* A worker that is alone shares the main loop, unless there are links to others on it: a gateway
 * that sends to a hundred thousand clients in one tick would be dead for a router, and its backend
 * for it.
 */
static bool is_loop_shared(const struct config *config, unsigned worker_count)
{
    return worker_count == 1 && bus_is_local(config->bus) && !backend_is_wanted(config);
}

static int start_worker(struct gateway *gateway, unsigned index, bool shares_loop,
                        struct entrance entrances[2])
{
    struct worker_means means = {
        .loop = shares_loop ? &gateway->loop : NULL,
        .node = gateway->id,
        .tls = gateway->certificates.context,
        .settings = gateway->settings,
        .admission = &gateway->admission,
        .status = &gateway->status,
        .hub = &gateway->hub.inbox,
    };

    if (entrance_open(&entrances[0], &means.socket) ||
        entrance_open(&entrances[1], &means.tls_socket))
        return UV_EIO;

    int error = worker_start(&gateway->hub.workers[index], index, &means);

    return error ? entrance_fail(entrances[0].option, entrances[0].text, error) : 0;
}

static int start_workers(struct gateway *gateway, unsigned count)
{
    const struct config *config = &gateway->settings->config;
    struct entrance entrances[2] = {
        {.option = "--listen", .role = "public", .text = config->listen},
        {.option = "--tls-listen", .role = "tls", .text = config->tls_listen},
    };

    if (entrance_claim(&entrances[0]) || entrance_claim(&entrances[1]))
        return UV_EADDRINUSE;
    bool is_shared = is_loop_shared(config, count);

    gateway->hub.workers = memory_zeroed(count, sizeof(*gateway->hub.workers));
    for (unsigned i = 0; i < count; i++) {
        int error = start_worker(gateway, i, is_shared, entrances);

        if (error)
            return error;
    }
    gateway->hub.worker_count = count;
    for (size_t i = 0; i < 2; i++) {
        if (entrances[i].is_open)
            server_socket_log(entrances[i].role, &entrances[i].address);
    }
    return 0;
}

static int start_admin(struct gateway *gateway)
{
    const char *text = gateway->settings->config.admin_listen;
    struct sockaddr_storage address;

    if (strcmp(text, "off") == 0)
        return 0;
    address_parse(text, &address);

    int fd = server_socket_bind(&address, false);
    int error = fd < 0 ? fd
                       : admin_start(&gateway->admin, &gateway->loop, fd, &gateway->hub,
                                     gateway->api, gateway->descriptors.admin);

    if (error)
        return entrance_fail("--admin-listen", text, error);
    server_socket_log("admin", &address);
    return 0;
}

static int load_bus_certificates(struct gateway *gateway)
{
    const struct config *config = &gateway->settings->config;
    struct tls_source source = config_bus_tls(config);
    char message[TLS_ERROR_LIMIT];

    if (!bus_wants_tls(config->bus))
        return 0;
    if (config->bus_tls_server_name[0] != '\0')
        gateway->bus_server_name =
            memory_copy_text(config->bus_tls_server_name, strlen(config->bus_tls_server_name));

    int error =
        tls_keeper_start(&gateway->bus_certificates, &gateway->loop, &source, NULL, message);

    if (error)
        fprintf(stderr, "carillon-gateway: --bus-tls: %s\n", message);
    return error;
}

static int open_bus(struct gateway *gateway)
{
    const struct config *config = &gateway->settings->config;
    struct bus_settings settings = {
        .node_id = gateway->id,
        .history_size = config->rules.history_size,
        .history_ttl_ms = config->rules.history_ttl_ms,
        .history_memory_bytes = config->history_memory_bytes,
        .buffer_limit_bytes = config->bus_buffer_bytes,
        .message_limit_bytes = BUS_MESSAGE_LIMIT_BYTES,
        .client_limit_bytes = config->max_message_size,
        .redis_prefix = config->redis_prefix,
        .router_cluster = config->router_cluster,
        .router_secret_file = config->router_secret_file,
        .tls = &gateway->bus_certificates,
        .tls_server_name = gateway->bus_server_name,
    };
    char message[256];
    gateway->hub.bus_buffer_bytes = config->bus_buffer_bytes;

    int error = bus_open(&gateway->hub.bus, &gateway->loop, config->bus, &settings, &hub_bus_events,
                         &gateway->hub, message);

    if (error)
        fprintf(stderr, "carillon-gateway: --bus: %s\n", message);
    return error;
}

static void stop_workers(struct gateway *gateway)
{
    struct hub *hub = &gateway->hub;

    gateway->phase = STOPPING;
    loop_cancel(&gateway->loop, &gateway->deadline);
    for (unsigned i = 0; i < hub->worker_count; i++)
        worker_signal(hub->workers[i], COMMAND_STOP);
    for (unsigned i = 0; i < hub->worker_count; i++)
        worker_join(hub->workers[i]);
    hub_close(hub);
    for (size_t i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&gateway->signals[i], NULL);
    tls_keeper_close(&gateway->certificates);
    tls_keeper_close(&gateway->bus_certificates);
}

/* Clients that were still waiting for the bus are sent away now that it answers nothing any more,
 * and those that read slowly have until then to take what was accepted before: it is the connection
 * that gives them up (--flush-timeout, then --close-timeout), not we. */
static void on_bus_closed(void *context)
{
    struct gateway *gateway = context;
    const struct config *config = &gateway->settings->config;
    struct hub *hub = &gateway->hub;

    if (hub->drained_count == hub->worker_count) {
        stop_workers(gateway);
        return;
    }
    gateway->phase = DISMISSING;
    loop_wait(&gateway->loop, &gateway->deadline,
              config->flush_timeout_ms + config->close_timeout_ms + DRAIN_EXTRA_MS);
}

static void close_bus(struct gateway *gateway)
{
    gateway->phase = CLOSING_BUS;
    loop_cancel(&gateway->loop, &gateway->deadline);
    if (gateway->admin)
        admin_stop(gateway->admin); /* which shows the metrics of the bus */
    hub_close_bus(&gateway->hub, on_bus_closed, gateway);
}

/* The bus is in the middle of something, so it is closed a moment later. */
static void on_settled(struct bus_barrier *barrier)
{
    struct gateway *gateway = container_of(barrier, struct gateway, settled);

    if (gateway->phase == SETTLING) {
        gateway->phase = SETTLED;
        loop_wait(&gateway->loop, &gateway->deadline, 0);
    }
}

static void on_drained(struct hub *hub)
{
    struct gateway *gateway = container_of(hub, struct gateway, hub);

    if (gateway->phase == DISMISSING || gateway->phase == ABORTING) {
        stop_workers(gateway);
    } else if (gateway->phase == DRAINING) {
        gateway->phase = SETTLING;
        loop_wait(&gateway->loop, &gateway->deadline, SETTLE_LIMIT_MS);
        gateway->settled.passed = on_settled;
        bus_wait(hub->bus, &gateway->settled);
    }
}

static void abort_clients(struct gateway *gateway)
{
    struct hub *hub = &gateway->hub;

    gateway->phase = ABORTING;
    for (unsigned i = 0; i < hub->worker_count; i++)
        worker_signal(hub->workers[i], COMMAND_ABORT);
    loop_wait(&gateway->loop, &gateway->deadline, ABORT_LIMIT_MS);
}

static void on_deadline(struct waiter *waiter)
{
    struct gateway *gateway = container_of(waiter, struct gateway, deadline);

    if (gateway->phase == DISMISSING) {
        abort_clients(gateway);
        return;
    }
    if (gateway->phase == ABORTING) {
        inbox_drain(&gateway->hub.inbox); /* where it shares a loop, the last word may be there */
        if (gateway->phase != ABORTING)
            return;
        log_event(LOG_ERROR, log_name("stopped without a thread that does not answer"));
        _exit(1);
    }
    if (gateway->phase != SETTLED)
        log_event(LOG_WARNING, log_name("stopping without waiting longer"),
                  log_number("publishes_left",
                             (int64_t)metric_read(&bus_stats(gateway->hub.bus)->queued_messages)));
    close_bus(gateway);
}

static void drain(struct gateway *gateway, int number)
{
    const struct config *config = &gateway->settings->config;

    log_event(LOG_INFO, log_name("draining"), log_text("signal", strsignal(number)));
    gateway->phase = DRAINING;
    atomic_store(&gateway->status.is_draining, true);
    loop_wait(&gateway->loop, &gateway->deadline,
              config->drain_time_ms + config->close_timeout_ms + DRAIN_EXTRA_MS);
    for (unsigned i = 0; i < gateway->hub.worker_count; i++)
        worker_signal(gateway->hub.workers[i], COMMAND_DRAIN);
}

static void reload(struct gateway *gateway)
{
    char error[OPTION_ERROR_LIMIT];
    struct settings *settings;

    if (settings_load(&settings, gateway->settings, gateway->argument_count, gateway->arguments,
                      gateway->environment, error) != OPTION_RUN) {
        log_event(LOG_ERROR, log_name("reload refused, the old settings stay"),
                  log_text("error", error));
        return;
    }
    for (unsigned i = 0; i < gateway->hub.worker_count; i++) {
        struct reload_command *command = memory_zeroed(1, sizeof(*command));

        command->command.kind = COMMAND_RELOAD;
        command->command.worker = gateway->hub.workers[i];
        command->settings = settings_ref(settings);
        inbox_post(&gateway->hub.workers[i]->inbox, &command->command.item);
    }
    inbox_send_wakeups(); /* not after we have said that it is done */
    gateway->hub.max_channels = settings->config.max_channels;
    backend_configure(gateway->hub.backend, &settings->config);
    api_configure(gateway->api, settings);

    struct tls_source source = config_client_tls(&settings->config);
    struct tls_source bus_source = config_bus_tls(&settings->config);

    tls_keeper_reload(&gateway->certificates, &source);
    tls_keeper_reload(&gateway->bus_certificates, &bus_source);
    settings_unref(gateway->settings);
    gateway->settings = settings;
    configure_log(&settings->config);
    warn_without_page(settings);
    divide_descriptors(gateway, gateway->hub.worker_count);
    limit_connections(gateway);
    if (settings->not_applied[0] != '\0')
        log_event(LOG_WARNING, log_name("options that were changed take a restart"),
                  log_text("options", settings->not_applied));
    log_event(LOG_INFO, log_name("reloaded"));
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct gateway *gateway = handle->data;

    if (number == SIGHUP) {
        if (gateway->phase == RUNNING)
            reload(gateway);
        return;
    }
    if (gateway->phase == RUNNING) {
        drain(gateway, number);
        return;
    }
    log_event(LOG_WARNING, log_name("stopped at once by a second signal"));
    _exit(1);
}

static void watch_signals(struct gateway *gateway)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};

    signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < 3; i++) {
        gateway->signals[i].data = gateway;
        uv_signal_init(&gateway->loop.uv, &gateway->signals[i]);
        uv_signal_start(&gateway->signals[i], on_signal, numbers[i]);
    }
}

static unsigned thread_count(const struct config *config)
{
    unsigned count = config->threads > 0 ? (unsigned)config->threads : cpu_count();

    return count > 64 ? 64 : count;
}

/* What it is called in the cluster: as the machine is, or the container. */
static void name_gateway(struct gateway *gateway)
{
    size_t size = sizeof(gateway->name);

    if (uv_os_gethostname(gateway->name, &size))
        snprintf(gateway->name, sizeof(gateway->name), "%016llx", (unsigned long long)gateway->id);
}

int gateway_run(struct settings *settings, int argument_count, char **arguments, char **environment)
{
    struct gateway *gateway = memory_zeroed(1, sizeof(*gateway));

    gateway->settings = settings;
    gateway->id = random_id();
    name_gateway(gateway);
    gateway->argument_count = argument_count;
    gateway->arguments = arguments;
    gateway->environment = environment;
    gateway->hub.drained = on_drained;
    gateway->hub.certificates[0] = &gateway->certificates;
    gateway->hub.certificates[1] = &gateway->bus_certificates;
    configure_log(&settings->config);
    waiter_init(&gateway->deadline, on_deadline);
    if (loop_init(&gateway->loop) || admission_init(&gateway->admission) ||
        hub_init(&gateway->hub, &gateway->loop, settings->config.max_channels, &gateway->status))
        return 1;
    watch_signals(gateway);
    if (load_certificates(gateway) || load_bus_certificates(gateway) || open_bus(gateway))
        return 2;

    unsigned threads = thread_count(&settings->config);

    if (divide_descriptors(gateway, threads))
        return 1;
    gateway->hub.backend = backend_create(&gateway->loop, &settings->config);
    warn_without_page(settings);
    limit_connections(gateway);
    gateway->api = api_create(&gateway->hub, settings);
    if (start_admin(gateway))
        return 1;
    if (start_workers(gateway, threads))
        _exit(1); /* without what is done at an exit: there may be threads */
    control_start(&gateway->hub.control, &gateway->hub, gateway->id, gateway->name);
    uv_run(&gateway->loop.uv, UV_RUN_DEFAULT);

    for (unsigned i = 0; i < gateway->hub.worker_count; i++)
        worker_destroy(gateway->hub.workers[i]);
    api_destroy(gateway->api);
    hub_deinit(&gateway->hub);
    loop_deinit(&gateway->loop);
    admission_deinit(&gateway->admission);
    settings_unref(gateway->settings);
    memory_free(gateway->bus_server_name);
    log_event(LOG_INFO, log_name("stopped"));
    memory_free(gateway);
    return 0;
}
