#include "gateway/worker.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/memory.h"

/*
 * One iteration of the loop: poll; sockets and the inbox fill tick buffers and post publishes; then
 * the check handle flushes every dirty channel, so that whatever came in one iteration leaves in one
 * write per subscriber.
 */

#define LISTEN_BACKLOG 4096

static struct worker *of_inbox(struct inbox *inbox)
{
    return container_of(inbox, struct worker, inbox);
}

static void settle(struct worker *worker)
{
    if (!list_is_empty(&worker->settling) || list_is_empty(&worker->connections.leaving))
        return;

    struct settle_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = COMMAND_SETTLE;
    command->command.worker = worker;
    list_append_all(&worker->settling, &worker->connections.leaving);
    inbox_post(worker->hub, &command->command.item);
}

static void on_left(struct connection_host *host)
{
    settle(container_of(host, struct worker, connections));
}

static void report_if_drained(struct worker *worker)
{
    if (!worker->is_draining || worker->has_reported_drained || worker->connections.count > 0)
        return;

    struct signal_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = COMMAND_DRAINED;
    command->command.worker = worker;
    worker->has_reported_drained = true;
    inbox_post(worker->hub, &command->command.item);
}

static void on_freed(struct connection_host *host)
{
    report_if_drained(container_of(host, struct worker, connections));
}

static void on_connection(uv_stream_t *listener, int error)
{
    struct worker *worker = listener->data;

    if (error)
        log_event(LOG_WARNING, log_name("cannot accept"), log_text("error", uv_strerror(error)));
    else
        connection_accept(&worker->connections, listener);
}

static void stop_listening(struct worker *worker)
{
    if (!uv_is_closing((uv_handle_t *)&worker->listener))
        uv_close((uv_handle_t *)&worker->listener, NULL);
}

static void drain(struct worker *worker)
{
    stop_listening(worker);
    worker->is_draining = true;
    connections_drain(&worker->connections,
                      worker->connections.sessions.settings->config.drain_time_ms);
    report_if_drained(worker);
}

static void stop(struct worker *worker)
{
    stop_listening(worker);
    list_append_all(&worker->connections.leaving, &worker->settling);
    connections_abort(&worker->connections);
    uv_close((uv_handle_t *)&worker->before_poll, NULL);
    uv_close((uv_handle_t *)&worker->after_poll, NULL);
    inbox_close(&worker->inbox);
}

static void reload(struct worker *worker, struct settings *settings)
{
    settings_unref(worker->connections.sessions.settings);
    worker->connections.sessions.settings = settings;
}

static void lost(struct worker *worker, const struct channel_command *command)
{
    struct channel *channel = channels_find(&worker->connections.sessions.channels,
                                            command->channel, command->channel_size);

    if (!channel)
        return;
    metric_add(&worker->stats.histories_lost, 1);
    channel_flush(channel);
    channel_each(channel, connection_restart, NULL);
}

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct worker *worker = of_inbox(inbox);
    struct channels *channels = &worker->connections.sessions.channels;
    struct command *command = container_of(item, struct command, item);

    switch (command->kind) {
    case COMMAND_PUBLISHED:
        session_published(container_of(command, struct publish_command, command));
        return;
    case COMMAND_DELIVER: {
        struct deliver_command *delivery = container_of(command, struct deliver_command, command);

        channels_deliver(channels, delivery->message);
        message_unref(delivery->message);
        break;
    }
    case COMMAND_SUBSCRIBED:
        channels_subscribed(channels, container_of(command, struct channel_command, command));
        break;
    case COMMAND_REFUSED:
        channels_refused(channels, container_of(command, struct channel_command, command),
                         UV_EMFILE);
        break;
    case COMMAND_LOST:
        lost(worker, container_of(command, struct channel_command, command));
        break;
    case COMMAND_SETTLED:
        channel_flush_all(&channels->dirty);
        connections_dismiss(&worker->connections, &worker->settling);
        settle(worker);
        break;
    case COMMAND_RELOAD:
        reload(worker, container_of(command, struct reload_command, command)->settings);
        break;
    case COMMAND_DRAIN:
        drain(worker);
        break;
    case COMMAND_STOP:
        stop(worker);
        break;
    default:
        abort(); /* a command for the hub */
    }
    memory_free(command);
}

static void on_before_poll(uv_prepare_t *handle)
{
    struct worker *worker = container_of(handle, struct worker, before_poll);

    if (worker->awake_ns > 0)
        histogram_record(&worker->stats.loop_busy, uv_hrtime() - worker->awake_ns);
}

static void on_after_poll(uv_check_t *handle)
{
    struct worker *worker = container_of(handle, struct worker, after_poll);

    channels_end_tick(&worker->connections.sessions.channels);
}

/* The first callback of an iteration cannot be hooked, so an iteration is measured from the end of
 * the prepare phase, less the time that the poll slept. */
static void run(void *argument)
{
    struct worker *worker = argument;

    uv_run(&worker->loop.uv, UV_RUN_DEFAULT);
}

int worker_start(struct worker **out, unsigned index, int listener_fd, struct settings *settings,
                 struct admission *admission, const struct status *status, struct inbox *hub)
{
    struct worker *worker = memory_zeroed(1, sizeof(*worker));
    struct connection_host *host = &worker->connections;

    worker->index = index;
    worker->hub = hub;
    list_init(&worker->settling);
    list_init(&host->connections);
    list_init(&host->leaving);
    host->admission = admission;
    host->status = status;
    host->next_id = (uint64_t)index << 48 | 1;
    host->left = on_left;
    host->freed = on_freed;
    host->sessions = (struct session_host){
        .events = &connection_session_events,
        .settings = settings_ref(settings),
        .stats = &worker->stats,
        .loop = &worker->loop,
    };
    channels_init(&host->sessions.channels, &session_sink, worker, hub, &worker->stats);

    int error = loop_init(&worker->loop);

    if (!error)
        error = inbox_init(&worker->inbox, &worker->loop.uv, receive);
    if (!error)
        error = uv_prepare_init(&worker->loop.uv, &worker->before_poll);
    if (!error)
        error = uv_prepare_start(&worker->before_poll, on_before_poll);
    if (!error)
        error = uv_check_init(&worker->loop.uv, &worker->after_poll);
    if (!error)
        error = uv_check_start(&worker->after_poll, on_after_poll);
    if (!error)
        error = uv_tcp_init(&worker->loop.uv, &worker->listener);
    worker->listener.data = worker;
    if (!error)
        error = uv_tcp_open(&worker->listener, listener_fd);
    if (!error)
        error = uv_listen((uv_stream_t *)&worker->listener, LISTEN_BACKLOG, on_connection);
    if (!error)
        error = uv_thread_create(&worker->thread, run, worker);
    *out = worker; /* on an error the process ends; nothing is taken down piece by piece */
    return error;
}

void worker_signal(struct worker *worker, enum command_kind kind)
{
    struct signal_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = kind;
    command->command.worker = worker;
    inbox_post(&worker->inbox, &command->command.item);
}

void worker_join(struct worker *worker)
{
    uv_thread_join(&worker->thread);
    channels_deinit(&worker->connections.sessions.channels);
    settings_unref(worker->connections.sessions.settings);
    loop_deinit(&worker->loop);
    memory_free(worker);
}
