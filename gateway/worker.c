/*
 * One iteration of the loop: poll; sockets and the inbox fill tick buffers and post publishes; then
 * the check handle flushes every dirty channel, so that whatever came in one iteration leaves in
 * one write per subscriber. What time is left goes to TLS handshakes. Where the hub is on the same
 * loop, what was published in the poll has come back from it before the channels are flushed.
 */
#include "gateway/worker.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/send_ring.h"
#include "common/stream_gather.h"
#include "common/tls_context.h"
#include "gateway/ask.h"
#include "gateway/census.h"
#include "gateway/client.h"
#include "gateway/emulation.h"
#include "gateway/hook.h"
#include "gateway/wires.h"

#define LISTEN_BACKLOG      4096
#define RECENT_MEMORY_BYTES ((uint64_t)32 * 1024 * 1024) /* of the messages that a worker keeps */
#define RECENT_REACH        1000                         /* messages that a client catches up */
#define LARGE_TICK          128 /* deliveries, which take longer than LOOKS_FOR_MORE polls */
#define ENOUGH_MESSAGES     64  /* in a tick; more of them hardly make each cheaper */
#define LOOKS_FOR_MORE      4

static struct worker *of_inbox(struct inbox *inbox)
{
    return container_of(inbox, struct worker, inbox);
}

static void tell_hub(struct worker *worker, enum command_kind kind)
{
    struct signal_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = kind;
    command->command.worker = worker;
    inbox_post(worker->hub, &command->command.item);
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
    if (!worker->is_draining || worker->has_reported_drained ||
        worker->connections.memory.count > 0)
        return;

    worker->has_reported_drained = true;
    tell_hub(worker, COMMAND_DRAINED);
}

static void on_freed(struct connection_host *host)
{
    report_if_drained(container_of(host, struct worker, connections));
}

static void on_accepted(struct listener *listener, int socket, const struct sockaddr_storage *peer)
{
    connection_accept(&container_of(listener, struct worker, listener)->connections, socket, peer,
                      false);
}

static void on_tls_accepted(struct listener *listener, int socket,
                            const struct sockaddr_storage *peer)
{
    connection_accept(&container_of(listener, struct worker, tls_listener)->connections, socket,
                      peer, true);
}

static void close_listener(struct listener *listener)
{
    if (listener->loop)
        listener_close(listener, NULL);
}

static void drain(struct worker *worker)
{
    close_listener(&worker->listener);
    close_listener(&worker->tls_listener);
    worker->is_draining = true;
    connections_drain(&worker->connections,
                      worker->connections.sessions.settings->config.drain_time_ms);
    report_if_drained(worker);
}

static void abort_all(struct worker *worker)
{
    list_append_all(&worker->connections.leaving, &worker->settling);
    connections_abort(&worker->connections);
}

static void end_survey(struct worker *worker)
{
    uv_idle_stop(&worker->survey_turn);
    survey_answer(worker->survey, &worker->connections.slow, loop_now_ms(worker->loop));
    worker->survey = NULL;
}

static void look_for_survey(struct worker *worker)
{
    if (survey_look(worker->survey, &worker->connections.sessions.channels))
        end_survey(worker);
}

static void on_survey_turn(uv_idle_t *handle)
{
    look_for_survey(container_of(handle, struct worker, survey_turn));
}

static void begin_survey(struct worker *worker, struct survey_command *survey)
{
    worker->survey = survey;
    uv_idle_start(&worker->survey_turn, on_survey_turn);
}

static void stop(struct worker *worker)
{
    if (worker->survey)
        end_survey(worker);
    uv_close((uv_handle_t *)&worker->survey_turn, NULL);
    lag_meter_stop(&worker->lag_meter);
    if (worker->has_thread)
        wakeups_stop(&worker->wakeups);
    uv_close((uv_handle_t *)&worker->after_poll, NULL);
    uv_close((uv_handle_t *)&worker->busy, NULL);
    uv_close((uv_handle_t *)&worker->due, NULL);
    inbox_close(&worker->inbox);
}

static void reload(struct worker *worker, struct settings *settings)
{
    settings_unref(worker->connections.sessions.settings);
    worker->connections.sessions.settings = settings;
    worker->connections.sessions.wires.compress_min = settings->config.compress_min;
}

static void renew_tls(struct worker *worker, struct tls_context *context)
{
    tls_context_unref(worker->connections.tls);
    worker->connections.tls = context;
}

/* Messages of the channel are gone, and its subscribers are told so. */
static void lose(struct worker *worker, struct channel *channel)
{
    metric_add(&worker->stats.histories_lost, 1);
    channel_flush(channel);
    if (channel_recent(channel))
        recent_lost(channel_recent(channel));
    channel_each(channel, wires_lost, NULL);
}

static void lost(struct worker *worker, const struct channel_command *command)
{
    struct channel *channel = channels_find(&worker->connections.sessions.channels,
                                            command->channel, command->channel_size);

    if (channel)
        lose(worker, channel);
}

static void deliver(struct worker *worker, struct message *message)
{
    struct channel *channel = channels_find(&worker->connections.sessions.channels,
                                            message->channel, message->channel_size);

    if (!channel || channel_state(channel) != CHANNEL_OPEN)
        return;
    if (channel_recent(channel) && !message_is_ephemeral(message->kind) &&
        !recent_add(channel_recent(channel), message)) {
        lose(worker, channel);
        recent_add(channel_recent(channel), message);
    }
    channel_append(channel, message);
    worker->due_messages++;
    worker->due_deliveries += channel_subscriber_count(channel);
}

/* A message from the hub is off our hands, or in those of our sockets. */
static void take(struct worker *worker, uint64_t cost)
{
    if (flow_take(&worker->deliveries, cost))
        tell_hub(worker, COMMAND_CAUGHT_UP);
}

/* The hub has caught up: sockets and streams come first by turns. */
static void go_on(struct worker *worker)
{
    struct connection_host *host = &worker->connections;

    if (worker->streams_are_next)
        client_streams_go_on(&host->sessions);
    connections_go_on(host);
    if (!worker->streams_are_next)
        client_streams_go_on(&host->sessions);
    worker->streams_are_next = !worker->streams_are_next;
}

/* What is known is said before connections are closed. */
static void say_all(struct worker *worker)
{
    client_send_replies(&worker->connections.sessions);
    channels_flush(&worker->connections.sessions.channels);
}

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct worker *worker = of_inbox(inbox);
    struct channels *channels = &worker->connections.sessions.channels;
    struct command *command = container_of(item, struct command, item);

    switch (command->kind) {
    case COMMAND_PUBLISHED: {
        struct publish_command *publish = container_of(command, struct publish_command, command);
        uint64_t cost = message_cost(publish->publish.message);

        session_published(publish);
        take(worker, cost);
        return;
    }
    case COMMAND_DELIVER: {
        struct deliver_command *delivery = container_of(command, struct deliver_command, command);

        deliver(worker, delivery->message);
        take(worker, message_cost(delivery->message));
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
    case COMMAND_ANSWERED:
        ask_deliver(container_of(command, struct ask_command, command));
        return;
    case COMMAND_HOOKED:
        hook_deliver(container_of(command, struct hook_command, command));
        return;
    case COMMAND_EMULATED:
        emulation_deliver(container_of(command, struct emulation_command, command));
        return;
    case COMMAND_SETTLED:
        say_all(worker);
        connections_dismiss(&worker->connections, &worker->settling);
        settle(worker);
        break;
    case COMMAND_GO_ON:
        go_on(worker);
        break;
    case COMMAND_OVERRUN:
        metric_add(&worker->stats.overruns, 1);
        say_all(worker);
        connections_restart(&worker->connections);
        break;
    case COMMAND_CONTROL: {
        struct message *message = container_of(command, struct control_command, command)->message;

        client_control(&worker->connections.sessions, message);
        take(worker, message_cost(message));
        message_unref(message);
        break;
    }
    case COMMAND_CENSUS:
        census_look(container_of(command, struct census_command, command), channels);
        command->kind = COMMAND_COUNTED;
        inbox_post(worker->hub, &command->item);
        return;
    case COMMAND_RELOAD:
        reload(worker, container_of(command, struct reload_command, command)->settings);
        break;
    case COMMAND_TLS:
        renew_tls(worker, container_of(command, struct tls_command, command)->context);
        break;
    case COMMAND_SURVEY:
        begin_survey(worker, container_of(command, struct survey_command, command));
        return;
    case COMMAND_DRAIN:
        drain(worker);
        break;
    case COMMAND_ABORT:
        abort_all(worker);
        break;
    case COMMAND_STOP:
        stop(worker);
        break;
    default:
        abort(); /* a command for the hub */
    }
    memory_free(command);
}

static void on_busy(uv_idle_t *handle)
{
    (void)handle;
}

static void on_unblocked(struct connection_host *host)
{
    uv_idle_start(&container_of(host, struct worker, connections)->busy, on_busy);
}

static void on_due(uv_timer_t *timer)
{
    (void)timer; /* it ends the poll, and so the tick */
}

static void end_tick(struct worker *worker, struct channels *channels)
{
    uint32_t wait_ms;

    channels->now_ms = (uint32_t)loop_now_ms(worker->loop);
    channels->gather_ms = (uint32_t)worker->connections.sessions.settings->config.coalesce_max_ms;
    channels_end_tick(channels);
    if (channels_wait(channels, &wait_ms))
        uv_timer_start(&worker->due, on_due, wait_ms, 0);
}

/* A burst of messages that is still coming in when its first one is read would be two ticks, the
 * first of one message; and who waits for his message to come back before he sends the next one
 * keeps them apart for ever. Before a few messages go to many, the loop therefore polls again,
 * without waiting, as long as that finds more. */
static bool looks_for_more(struct worker *worker)
{
    if (worker->due_deliveries < LARGE_TICK || worker->due_messages >= ENOUGH_MESSAGES ||
        worker->due_messages == worker->seen_messages || worker->looks == LOOKS_FOR_MORE ||
        worker->connections.sessions.settings->config.coalesce_max_ms > 0)
        return false;
    worker->seen_messages = worker->due_messages;
    worker->looks++;
    return true;
}

static void finish_tick(struct worker *worker)
{
    worker->due_deliveries = 0;
    worker->due_messages = worker->seen_messages = worker->looks = 0;
    worker->connections.sessions.recents.now_ms = loop_now_ms(worker->loop);
    worker->connections.sessions.recents.reach_bytes =
        worker->connections.sessions.settings->config.send_queue_limit;
    recents_end_tick(&worker->connections.sessions.recents);
    stream_gather_begin(worker->loop);
    client_send_replies(&worker->connections.sessions);
    end_tick(worker, &worker->connections.sessions.channels);
    stream_gather_end(worker->loop);
}

static void on_after_poll(uv_check_t *handle)
{
    struct worker *worker = container_of(handle, struct worker, after_poll);

    inbox_end_poll();
    if (!uv_is_active((uv_handle_t *)handle))
        return; /* it was stopped by what it received */

    bool goes_on = looks_for_more(worker);

    if (!goes_on)
        finish_tick(worker);
    if (connections_shake_hands(&worker->connections) || goes_on)
        uv_idle_start(&worker->busy, on_busy);
    else
        uv_idle_stop(&worker->busy);
}

/* The first thread speaks for all, which are alike; but who insisted hears of each. */
static void log_sends(const struct worker *worker, enum gather_mode mode, int error)
{
    static const struct {
        const char *choice;
        const char *sends;
    } modes[] = {
        [GATHER_AUTO] = {"auto", "through io_uring where that is cheaper"},
        [GATHER_ON] = {"on", "through io_uring"},
        [GATHER_OFF] = {"off", "one by one"},
    };
    struct log_field choice = log_text("io_uring", modes[mode].choice);

    if (worker->index > 0 && !(error && mode == GATHER_ON))
        return;
    if (error)
        log_event(mode == GATHER_ON ? LOG_WARNING : LOG_INFO, log_name("no io_uring"), choice,
                  log_number("thread", worker->index), log_text("sends", modes[GATHER_OFF].sends),
                  log_text("reason", send_ring_explain(error)));
    else
        log_event(LOG_INFO, log_name("sends of a tick"), choice,
                  log_text("sends", modes[mode].sends));
}

/* On the thread that runs the worker's loop: its ring is of no use to another. */
static void start_gather(struct worker *worker)
{
    enum gather_mode mode =
        (enum gather_mode)worker->connections.sessions.settings->config.io_uring;

    log_sends(worker, mode, stream_gather_create(worker->loop, mode, &worker->stats.gather));
    if (worker->index == 0 && worker->connections.tls)
        config_log_kernel_tls(&worker->connections.sessions.settings->config);
}

static void run(void *argument)
{
    struct worker *worker = argument;

    start_gather(worker);
    uv_run(&worker->loop->uv, UV_RUN_DEFAULT);
    stream_gather_destroy(worker->loop);
}

/* A loop that it shares tells the inboxes by itself when it polls. */
static int get_loop(struct worker *worker, struct loop *shared)
{
    worker->has_thread = !shared;
    worker->loop = shared ? shared : memory_zeroed(1, sizeof(*worker->loop));
    if (shared)
        return 0;

    int error = loop_init(worker->loop);

    return error ? error : wakeups_start(&worker->wakeups, &worker->loop->uv);
}

static int begin(struct worker *worker)
{
    if (worker->has_thread)
        return uv_thread_create(&worker->thread, run, worker);
    start_gather(worker);
    return 0;
}

static int listen_on(struct worker *worker, const struct worker_means *means)
{
    int error = 0;

    if (means->socket >= 0)
        error = listener_start(&worker->listener, worker->loop, means->socket, LISTEN_BACKLOG,
                               on_accepted);
    if (!error && means->tls_socket >= 0)
        error = listener_start(&worker->tls_listener, worker->loop, means->tls_socket,
                               LISTEN_BACKLOG, on_tls_accepted);
    return error;
}

static void init_host(struct worker *worker, const struct worker_means *means)
{
    struct connection_host *host = &worker->connections;

    connections_init(host);
    host->tls = means->tls ? tls_context_ref(means->tls) : NULL;
    host->admission = means->admission;
    host->status = means->status;
    host->next_id = (uint64_t)worker->index << 48 | 1;
    host->left = on_left;
    host->unblocked = on_unblocked;
    host->freed = on_freed;
    host->sessions = (struct session_host){
        .events = &connection_session_events,
        .settings = settings_ref(means->settings),
        .stats = &worker->stats,
        .loop = worker->loop,
        .node = means->node,
    };
    host->sessions.status = means->status;
    clients_init(&host->sessions.clients);
    wires_init(&host->sessions.wires, &worker->stats, means->settings->config.compress_min);
    channels_init(&host->sessions.channels, &host->sessions.wires.sink, worker, means->hub,
                  &worker->stats);
    recents_init(&host->sessions.recents, RECENT_MEMORY_BYTES, RECENT_REACH, client_ask_recent,
                 &host->sessions);
}

int worker_start(struct worker **out, unsigned index, const struct worker_means *means)
{
    struct worker *worker = memory_zeroed(1, sizeof(*worker));

    worker->index = index;
    worker->hub = means->hub;
    list_init(&worker->settling);

    int error = get_loop(worker, means->loop);

    init_host(worker, means);
    if (!error)
        error = inbox_init(&worker->inbox, &worker->loop->uv, receive);
    if (!error)
        error = lag_meter_start(&worker->lag_meter, &worker->loop->uv);
    if (!error)
        error = uv_check_init(&worker->loop->uv, &worker->after_poll);
    if (!error)
        error = uv_check_start(&worker->after_poll, on_after_poll);
    if (!error)
        error = uv_idle_init(&worker->loop->uv, &worker->busy);
    if (!error)
        error = uv_idle_init(&worker->loop->uv, &worker->survey_turn);
    if (!error)
        error = uv_timer_init(&worker->loop->uv, &worker->due);
    if (!error)
        error = listen_on(worker, means);
    if (!error)
        error = begin(worker);
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

void worker_survey(struct worker *worker, struct survey_command *survey)
{
    if (worker->has_thread) {
        survey->command.kind = COMMAND_SURVEY;
        survey->command.worker = worker;
        inbox_post(&worker->inbox, &survey->command.item);
        return;
    }
    begin_survey(worker, survey);
    look_for_survey(worker);
}

void worker_join(struct worker *worker)
{
    if (!worker->has_thread) {
        inbox_drain(&worker->inbox);
        return;
    }
    inbox_send_wakeups(); /* amid an iteration, whose end would wait for theirs */
    uv_thread_join(&worker->thread);
}

void worker_destroy(struct worker *worker)
{
    channels_deinit(&worker->connections.sessions.channels);
    wires_deinit(&worker->connections.sessions.wires);
    inflater_deinit(&worker->connections.sessions.inflater);
    recents_deinit(&worker->connections.sessions.recents);
    clients_deinit(&worker->connections.sessions.clients);
    settings_unref(worker->connections.sessions.settings);
    tls_context_unref(worker->connections.tls);
    connections_deinit(&worker->connections);
    if (worker->has_thread) {
        loop_deinit(worker->loop);
        memory_free(worker->loop);
    } else {
        stream_gather_destroy(worker->loop);
    }
    memory_free(worker);
}
