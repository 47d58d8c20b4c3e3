#include "gateway/gateway.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "gateway/admin.h"
#include "gateway/hub.h"

/*
 * The way down (SIGTERM, SIGINT): /ready turns red and the listeners close; the workers send their
 * clients away over the drain time; when the last has gone, what they published is waited for; then
 * the bus is closed, the workers end, and the process with them. Every step that waits for somebody
 * else has a deadline, and a second signal ends the process at once.
 */

#define FD_RESERVE       64   /* descriptors that are no client's */
#define DRAIN_EXTRA_MS   2000 /* beyond the drain time and a close timeout */
#define SETTLE_LIMIT_MS  5000

enum phase { RUNNING, DRAINING, SETTLING, STOPPING };

struct gateway {
    struct loop loop;
    struct hub hub;
    struct admin *admin;
    struct admission admission;
    struct status status;
    struct settings *settings;
    int argument_count;
    char **arguments;
    char **environment;
    uv_signal_t signals[3];
    struct waiter deadline;
    struct bus_barrier settled;
    enum phase phase;
    int exit_code;
};

static void raise_file_limit(const struct config *config)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max != RLIM_INFINITY && config->max_connections + FD_RESERVE > limit.rlim_max)
        log_event(LOG_WARNING, log_name("fewer file descriptors than --max-connections"),
                  log_number("max_connections", (int64_t)config->max_connections),
                  log_number("file_descriptors", (int64_t)limit.rlim_max));
}

static socklen_t address_size(const struct sockaddr_storage *address)
{
    return address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                          : sizeof(struct sockaddr_in);
}

/* A bound socket. With `shared`, several may be bound to one address, and the kernel spreads the
 * connections over those that listen. */
static int bind_socket(struct sockaddr_storage *address, bool shared)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int on = 1;
    int off = 0;
    socklen_t size = address_size(address);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (shared)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    if (address->ss_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, (struct sockaddr *)address, size) ||
        getsockname(fd, (struct sockaddr *)address, &size)) {
        int error = -errno;

        close(fd);
        return error;
    }
    return fd;
}

/* SO_REUSEPORT would let a second gateway of the same user share the port in silence, so the port is
 * first claimed without it. */
static int claim(struct sockaddr_storage *address)
{
    int fd = bind_socket(address, false);

    if (fd < 0)
        return fd;
    if (listen(fd, 1)) {
        int error = -errno;

        close(fd);
        return error;
    }
    close(fd);
    return 0;
}

static int cannot_listen(const char *option, const char *address, int error)
{
    log_event(LOG_ERROR, log_name("cannot listen"), log_text("option", option),
              log_text("address", address), log_text("error", uv_strerror(error)));
    return error;
}

static void log_listening(const char *role, const struct sockaddr_storage *address)
{
    char text[ADDRESS_TEXT_LIMIT];

    address_format((const struct sockaddr *)address, text);
    log_event(LOG_INFO, log_name("listening"), log_text("role", role), log_text("address", text));
}

static int start_workers(struct gateway *gateway, unsigned count)
{
    const char *listen_text = gateway->settings->config.listen;
    struct sockaddr_storage address;

    address_parse(listen_text, &address);

    int error = claim(&address);

    if (error)
        return cannot_listen("--listen", listen_text, error);
    gateway->hub.workers = memory_zeroed(count, sizeof(*gateway->hub.workers));
    for (unsigned i = 0; i < count; i++) {
        int fd = bind_socket(&address, true);

        if (fd < 0)
            return cannot_listen("--listen", listen_text, fd);
        error = worker_start(&gateway->hub.workers[i], i, fd, gateway->settings,
                             &gateway->admission, &gateway->status, &gateway->hub.inbox);
        if (error)
            return cannot_listen("--listen", listen_text, error);
    }
    gateway->hub.worker_count = count;
    log_listening("public", &address);
    return 0;
}

static int start_admin(struct gateway *gateway)
{
    const char *text = gateway->settings->config.admin_listen;
    struct sockaddr_storage address;

    if (strcmp(text, "off") == 0)
        return 0;
    address_parse(text, &address);

    int fd = bind_socket(&address, false);
    int error = fd < 0 ? fd : admin_start(&gateway->admin, &gateway->loop, fd, &gateway->hub);

    if (error)
        return cannot_listen("--admin-listen", text, error);
    log_listening("admin", &address);
    return 0;
}

static int open_bus(struct gateway *gateway)
{
    const struct config *config = &gateway->settings->config;
    struct bus_settings settings = {
        .node_id = random_id(),
        .history_size = config->history_size,
        .history_ttl_ms = config->history_ttl_ms,
        .buffer_limit_bytes = config->bus_buffer_bytes,
        .message_limit_bytes = config->max_message_size,
        .redis_prefix = config->redis_prefix,
    };
    char message[256];
    int error = bus_open(&gateway->hub.bus, &gateway->loop, config->bus, &settings,
                         &hub_bus_events, &gateway->hub, message);

    if (error)
        fprintf(stderr, "carillon-gateway: --bus: %s\n", message);
    return error;
}

static void on_bus_closed(void *context)
{
    struct gateway *gateway = context;

    for (unsigned i = 0; i < gateway->hub.worker_count; i++)
        worker_signal(gateway->hub.workers[i], COMMAND_STOP);
    for (unsigned i = 0; i < gateway->hub.worker_count; i++)
        worker_join(gateway->hub.workers[i]);
    inbox_drain(&gateway->hub.inbox);
    inbox_close(&gateway->hub.inbox);
    for (size_t i = 0; i < 3; i++)
        uv_close((uv_handle_t *)&gateway->signals[i], NULL);
}

static void stop(struct gateway *gateway)
{
    if (gateway->phase == STOPPING)
        return;
    gateway->phase = STOPPING;
    loop_cancel(&gateway->loop, &gateway->deadline);
    if (gateway->admin)
        admin_stop(gateway->admin);
    bus_close(gateway->hub.bus, on_bus_closed, gateway);
}

static void on_settled(struct bus_barrier *barrier)
{
    stop(container_of(barrier, struct gateway, settled));
}

static void on_drained(struct hub *hub)
{
    struct gateway *gateway = container_of(hub, struct gateway, hub);

    if (gateway->phase != DRAINING)
        return;
    gateway->phase = SETTLING;
    loop_wait(&gateway->loop, &gateway->deadline, SETTLE_LIMIT_MS);
    gateway->settled.passed = on_settled;
    bus_wait(hub->bus, &gateway->settled);
}

static void on_deadline(struct waiter *waiter)
{
    struct gateway *gateway = container_of(waiter, struct gateway, deadline);

    log_event(LOG_WARNING, log_name("stopping without waiting longer"),
              log_number("publishes_left",
                         (int64_t)metric_read(&bus_stats(gateway->hub.bus)->queued_messages)));
    stop(gateway);
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

    if (settings_load(&settings, gateway->argument_count, gateway->arguments,
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
    settings_unref(gateway->settings);
    gateway->settings = settings;
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
    unsigned count = (unsigned)config->threads;

    if (count == 0)
        count = uv_available_parallelism();
    return count > 64 ? 64 : count;
}

int gateway_run(struct settings *settings, int argument_count, char **arguments,
                char **environment)
{
    struct gateway *gateway = memory_zeroed(1, sizeof(*gateway));

    gateway->settings = settings;
    gateway->argument_count = argument_count;
    gateway->arguments = arguments;
    gateway->environment = environment;
    gateway->hub.drained = on_drained;
    log_configure((enum log_format)settings->config.log_format,
                  (enum log_level)settings->config.log_level);
    raise_file_limit(&settings->config);
    waiter_init(&gateway->deadline, on_deadline);
    if (loop_init(&gateway->loop) || admission_init(&gateway->admission) ||
        hub_init(&gateway->hub, &gateway->loop, settings->config.max_channels,
                 &gateway->status))
        return 1;
    watch_signals(gateway);
    if (open_bus(gateway))
        return 2;
    if (start_workers(gateway, thread_count(&settings->config)) || start_admin(gateway))
        return 1;
    uv_run(&gateway->loop.uv, UV_RUN_DEFAULT);

    hub_deinit(&gateway->hub);
    loop_deinit(&gateway->loop);
    admission_deinit(&gateway->admission);
    settings_unref(gateway->settings);
    log_event(LOG_INFO, log_name("stopped"));
    memory_free(gateway);
    return 0;
}
