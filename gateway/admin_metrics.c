#include <stdio.h>

#include "common/memory.h"
#include "common/process_metrics.h"
#include "gateway/admin.h"
#include "gateway/backend.h"

/* One table is the list of metrics: name, kind, help, and where to find the value. */

struct worker_metric {
    const char *name;
    enum metric_kind kind;
    const char *help;
    size_t offset;
};

#define WORKER(member) offsetof(struct worker_stats, member)
#define BUS(member)    offsetof(struct bus_stats, member)

static const struct worker_metric worker_metrics[] = {
    {"carillon_connections", METRIC_GAUGE, "Open client connections.", WORKER(connections)},
    {"carillon_websockets", METRIC_GAUGE, "Open WebSocket connections.", WORKER(websockets)},
    {"carillon_http_posts_total", METRIC_COUNTER,
     "Posts beside such streams that went on their way.", WORKER(posts)},
    {"carillon_http_posts_refused_total", METRIC_COUNTER,
     "Posts beside such streams that were answered with an error.", WORKER(posts_refused)},
    {"carillon_http_streams", METRIC_GAUGE,
     "Open streams of clients that have no WebSocket (SSE, HTTP streaming).", WORKER(streams)},
    {"carillon_connections_accepted_total", METRIC_COUNTER, "Connections accepted.",
     WORKER(accepted)},
    {"carillon_connections_refused_full_total", METRIC_COUNTER,
     "Connections refused by --max-connections, or for want of file descriptors.",
     WORKER(refused_full)},
    {"carillon_connections_refused_address_total", METRIC_COUNTER,
     "Connections refused by --max-connections-per-address.", WORKER(refused_address)},
    {"carillon_connections_refused_rate_total", METRIC_COUNTER,
     "Connections refused by --accept-rate.", WORKER(refused_rate)},
    {"carillon_proxy_protocol_errors_total", METRIC_COUNTER,
     "Connections of trusted proxies closed for want of a PROXY header.", WORKER(proxy_errors)},
    {"carillon_handshakes_total", METRIC_COUNTER,
     "Handshakes of WebSockets and streams that succeeded.", WORKER(handshakes)},
    {"carillon_handshakes_refused_total", METRIC_COUNTER,
     "Handshakes of WebSockets and streams answered with an error.", WORKER(handshakes_refused)},
    {"carillon_handshakes_deflate_total", METRIC_COUNTER,
     "WebSocket handshakes that agreed on permessage-deflate.", WORKER(handshakes_deflate)},
    {"carillon_tls_handshakes_waiting", METRIC_GAUGE,
     "Connections that have asked for a TLS handshake whose turn has not come.",
     WORKER(tls_waiting)},
    {"carillon_tls_handshakes_running", METRIC_GAUGE,
     "TLS handshakes that have begun and not ended.", WORKER(tls_running)},
    {"carillon_kernel_tls_connections_total", METRIC_COUNTER,
     "Connections over TLS for which the kernel encrypts.", WORKER(tls_offloaded)},
    {"carillon_kernel_tls_declined_total", METRIC_COUNTER,
     "Connections over TLS for which the kernel was to encrypt, and does not.",
     WORKER(tls_not_offloaded)},
    {"carillon_http_requests_total", METRIC_COUNTER, "HTTP requests that were no handshakes.",
     WORKER(http_requests)},
    {"carillon_request_timeouts_total", METRIC_COUNTER,
     "Requests that began and did not arrive in time.", WORKER(timeouts)},
    {"carillon_messages_received_total", METRIC_COUNTER, "Messages from clients.",
     WORKER(messages_received)},
    {"carillon_messages_refused_total", METRIC_COUNTER, "Messages that the bus did not take.",
     WORKER(messages_refused)},
    {"carillon_received_bytes_total", METRIC_COUNTER, "Bytes from clients.",
     WORKER(bytes_received)},
    {"carillon_deliveries_total", METRIC_COUNTER, "Messages handed to a subscriber's socket.",
     WORKER(deliveries)},
    {"carillon_sent_bytes_total", METRIC_COUNTER, "Bytes to clients.", WORKER(bytes_sent)},
    {"carillon_io_uring_threads", METRIC_GAUGE, "Client threads that can send through io_uring.",
     WORKER(gather.threads)},
    {"carillon_io_uring_batches_total", METRIC_COUNTER,
     "Batches of sends that went through io_uring.", WORKER(gather.batches)},
    {"carillon_io_uring_sends_total", METRIC_COUNTER, "Sends in these batches.",
     WORKER(gather.sends)},
    {"carillon_io_uring_passed_total", METRIC_COUNTER,
     "Sends that could have gone through io_uring and went one by one, that being cheaper.",
     WORKER(gather.plain_sends)},
    {"carillon_deflate_input_bytes_total", METRIC_COUNTER,
     "Bytes of messages that were compressed, each once for all who are sent it alike.",
     WORKER(deflate_before)},
    {"carillon_deflate_output_bytes_total", METRIC_COUNTER, "Bytes that became of them.",
     WORKER(deflate_after)},
    {"carillon_send_queue_high_total", METRIC_COUNTER,
     "Writes to a client for whom half of --send-queue-limit waited already.", WORKER(queues_high)},
    {"carillon_slow_consumers_total", METRIC_COUNTER, "Clients closed for --send-queue-limit.",
     WORKER(slow_consumers)},
    {"carillon_rate_limited_total", METRIC_COUNTER, "Clients closed for --message-rate.",
     WORKER(rate_limited)},
    {"carillon_dead_peers_total", METRIC_COUNTER, "Clients that answered no ping.",
     WORKER(dead_peers)},
    {"carillon_read_holds_total", METRIC_COUNTER,
     "Times that a client was not read because the bus thread was behind.", WORKER(holds)},
    {"carillon_overruns_total", METRIC_COUNTER,
     "Times that a thread was too far behind and missed messages.", WORKER(overruns)},
    {"carillon_channel_losses_total", METRIC_COUNTER,
     "Times that subscribers of a channel could not be given all messages.",
     WORKER(histories_lost)},
    {"carillon_backend_bad_answers_total", METRIC_COUNTER,
     "Answers of the application's backend that were not understood.", WORKER(hook_answers_bad)},
    {"carillon_client_subscriptions", METRIC_GAUGE,
     "Subscriptions of clients of the channel protocol.", WORKER(subscriptions)},
    {"carillon_client_errors_total", METRIC_COUNTER,
     "Requests of the channel protocol that were answered with an error.", WORKER(client_errors)},
    {"carillon_tokens_refused_total", METRIC_COUNTER, "Tokens of clients that are none of ours.",
     WORKER(tokens_refused)},
    {"carillon_worker_channels", METRIC_GAUGE, "Channels with subscribers, summed over threads.",
     WORKER(channels)},
    {"carillon_bus_history_reads_total", METRIC_COUNTER,
     "Times that the bus was asked what subscribers missed, for all who waited at once.",
     WORKER(histories_read)},
};

static const struct worker_metric bus_metrics[] = {
    {"carillon_bus_up", METRIC_GAUGE, "1 while the bus is connected.", BUS(up)},
    {"carillon_bus_published_total", METRIC_COUNTER, "Publishes that the bus acknowledged.",
     BUS(published)},
    {"carillon_bus_refused_total", METRIC_COUNTER, "Publishes that ended in an error.",
     BUS(refused)},
    {"carillon_bus_repeated_total", METRIC_COUNTER, "Publishes sent again.", BUS(repeated)},
    {"carillon_bus_delivered_total", METRIC_COUNTER, "Messages from the bus.", BUS(delivered)},
    {"carillon_bus_duplicates_total", METRIC_COUNTER, "Messages dropped as seen before.",
     BUS(duplicates)},
    {"carillon_bus_queued_messages", METRIC_GAUGE, "Publishes not acknowledged yet.",
     BUS(queued_messages)},
    {"carillon_bus_queued_bytes", METRIC_GAUGE, "Their size.", BUS(queued_bytes)},
    {"carillon_bus_subscriptions", METRIC_GAUGE, "Channels subscribed on the bus.",
     BUS(subscriptions)},
    {"carillon_bus_reconnects_total", METRIC_COUNTER, "Times that the bus was lost and is back.",
     BUS(reconnects)},
    {"carillon_bus_holes_filled_total", METRIC_COUNTER, "Messages read from history.",
     BUS(holes_filled)},
    {"carillon_bus_histories_lost_total", METRIC_COUNTER, "Channels whose epoch changed.",
     BUS(histories_lost)},
    {"carillon_bus_losses_total", METRIC_COUNTER, "Holes that history could not fill.",
     BUS(messages_lost)},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint64_t value_at(const void *stats, size_t offset)
{
    return metric_read(
        (const struct metric *)(const void *)((const unsigned char *)stats + offset));
}

static void append_closes(struct buffer *text, const struct hub *hub)
{
    char label[32];

    metrics_describe(text, "carillon_closes_total", METRIC_COUNTER,
                     "WebSocket connections closed, by code; 1006 is a connection that broke.");
    for (unsigned code = 0; code < STATS_CLOSE_COUNT; code++) {
        uint64_t sum = 0;

        for (unsigned i = 0; i < hub->worker_count; i++)
            sum += metric_read(&hub->workers[i]->stats.closes[code]);
        if (code == STATS_CLOSE_COUNT - 1)
            snprintf(label, sizeof(label), "code=\"other\"");
        else
            snprintf(label, sizeof(label), "code=\"%u\"", STATS_CLOSE_FIRST + code);
        metrics_sample(text, "carillon_closes_total", label, (double)sum);
    }
}

static void append_tls(struct buffer *text, const struct hub *hub)
{
    static const struct {
        const char *label;
        size_t offset;
    } results[] = {
        {"result=\"full\"", WORKER(tls_full)},
        {"result=\"resumed\"", WORKER(tls_resumed)},
        {"result=\"failed\"", WORKER(tls_failed)},
        {"result=\"timeout\"", WORKER(tls_timeouts)},
    };

    metrics_describe(text, "carillon_tls_handshakes_total", METRIC_COUNTER,
                     "TLS handshakes of clients, by result; full and resumed ones succeeded.");
    for (size_t r = 0; r < COUNT(results); r++) {
        uint64_t sum = 0;

        for (unsigned i = 0; i < hub->worker_count; i++)
            sum += value_at(&hub->workers[i]->stats, results[r].offset);
        metrics_sample(text, "carillon_tls_handshakes_total", results[r].label, (double)sum);
    }
}

static void append_certificates(struct buffer *text, const struct hub *hub)
{
    bool has_any = hub->certificates[0]->context || hub->certificates[1]->context;

    if (!has_any)
        return;
    tls_keeper_describe_expiry(text);
    for (size_t i = 0; i < COUNT(hub->certificates); i++)
        tls_keeper_append_expiry(text, hub->certificates[i]);
}

static void append_accept_errors(struct buffer *text, const struct hub *hub, uint64_t sum)
{
    for (unsigned i = 0; i < hub->worker_count; i++)
        sum += metric_read(&hub->workers[i]->listener.errors) +
               metric_read(&hub->workers[i]->tls_listener.errors);
    metrics_single(text, "carillon_accept_errors_total", METRIC_COUNTER,
                   "Times that no connection could be accepted, for want of file descriptors or "
                   "memory.",
                   (double)sum);
}

/* The depth of the queues between the threads. */
static void append_flows(struct buffer *text, const struct hub *hub)
{
    uint64_t publishes = 0;
    uint64_t deliveries = 0;

    for (unsigned i = 0; i < hub->worker_count; i++) {
        publishes += flow_depth(&hub->workers[i]->connections.sessions.publishes);
        deliveries += flow_depth(&hub->workers[i]->deliveries);
    }
    metrics_single(text, "carillon_publish_queue_bytes", METRIC_GAUGE,
                   "Messages of clients that the bus thread has not taken up.", (double)publishes);
    metrics_single(text, "carillon_delivery_queue_bytes", METRIC_GAUGE,
                   "Messages for clients that their threads have not taken up.",
                   (double)deliveries);
}

/* Limits, for those who divide by them; and whether we are on the way down. */
static void append_limits(struct buffer *text, const struct hub *hub)
{
    metrics_single(text, "carillon_connections_limit", METRIC_GAUGE,
                   "Client connections that are served at a time.",
                   (double)admission_connection_limit(hub->workers[0]->connections.admission));
    metrics_single(text, "carillon_bus_queue_limit_bytes", METRIC_GAUGE,
                   "What carillon_bus_queued_bytes may come to, --bus-buffer.",
                   (double)bus_buffer_limit(hub->bus));
    metrics_single(text, "carillon_draining", METRIC_GAUGE, "1 once SIGTERM was received.",
                   atomic_load(&hub->status->is_draining));
}

/* Those of clients: what gateways say to each other is no affair of who looks at these. */
static uint64_t bus_value(const struct hub *hub, const struct worker_metric *metric)
{
    uint64_t value = value_at(bus_stats(hub->bus), metric->offset);

    if (metric->offset == BUS(subscriptions))
        return value - hub->control.channels;
    return metric->offset == BUS(delivered) ? value - hub->control.heard : value;
}

static void append_bus(struct buffer *text, const struct hub *hub)
{
    const struct bus *bus = hub->bus;
    const struct bus_stats *stats = bus_stats(bus);
    char label[32];

    snprintf(label, sizeof(label), "kind=\"%s\"", bus_name(bus));
    metrics_describe(text, "carillon_bus_info", METRIC_GAUGE, "Always 1; the label says what.");
    metrics_sample(text, "carillon_bus_info", label, 1);
    for (size_t m = 0; m < COUNT(bus_metrics); m++)
        metrics_single(text, bus_metrics[m].name, bus_metrics[m].kind, bus_metrics[m].help,
                       (double)bus_value(hub, &bus_metrics[m]));
    metrics_describe(text, "carillon_bus_round_trip_seconds", METRIC_HISTOGRAM,
                     "From sending a publish to its acknowledgement.");
    metrics_histogram(text, "carillon_bus_round_trip_seconds", &stats->round_trip);
}

static void append_backend(struct buffer *text, const struct hub *hub)
{
    static const char requests[] = "carillon_backend_requests_total";
    static const char seconds[] = "carillon_backend_request_seconds";
    const struct backend_stats *stats;
    char labels[64];

    if (!hub->backend)
        return;
    stats = backend_stats(hub->backend);
    metrics_describe(text, requests, METRIC_COUNTER,
                     "Requests to the application's backend, by hook and outcome.");
    for (int hook = 0; hook < HOOK_COUNT; hook++) {
        for (int outcome = 0; outcome < BACKEND_OUTCOMES; outcome++) {
            snprintf(labels, sizeof(labels), "hook=\"%s\",outcome=\"%s\"",
                     backend_hook_name((enum backend_hook)hook),
                     backend_outcome_name((enum backend_outcome)outcome));
            metrics_sample(text, requests, labels,
                           (double)metric_read(&stats->outcomes[hook][outcome]));
        }
    }
    metrics_single(text, "carillon_backend_requests_in_flight", METRIC_GAUGE,
                   "Requests that the backend has not answered yet.",
                   (double)metric_read(&stats->under_way));
    metrics_single(text, "carillon_backend_requests_waiting", METRIC_GAUGE,
                   "Requests that wait for --proxy-concurrency.",
                   (double)metric_read(&stats->waiting));
    metrics_describe(text, seconds, METRIC_HISTOGRAM, "From asking for a request to its outcome.");
    metrics_histogram(text, seconds, &stats->durations);
}

static void append_lag(struct buffer *text, struct hub *hub)
{
    struct histogram *lag = memory_zeroed(1, sizeof(*lag));

    for (unsigned i = 0; i < hub->worker_count; i++)
        histogram_merge(lag, &hub->workers[i]->lag_meter.lag);
    metrics_describe(text, "carillon_loop_lag_seconds", METRIC_HISTOGRAM,
                     "How long one iteration of a client thread kept everything else waiting.");
    metrics_histogram(text, "carillon_loop_lag_seconds", lag);
    memory_free(lag);
    metrics_describe(text, "carillon_main_loop_lag_seconds", METRIC_HISTOGRAM,
                     "The same of the thread that owns the bus, which may have the clients, too "
                     "(--threads).");
    metrics_histogram(text, "carillon_main_loop_lag_seconds", &hub->lag_meter.lag);
    lag_meter_describe_peak(text);
    lag_meter_append_peak(text, &hub->lag_meter, "main");
    for (unsigned i = 0; i < hub->worker_count; i++) {
        char thread[16];

        snprintf(thread, sizeof(thread), "%u", i);
        lag_meter_append_peak(text, &hub->workers[i]->lag_meter, thread);
    }
}

void admin_append_metrics(struct buffer *text, struct hub *hub, uint64_t accept_errors)
{
    process_append_metrics(text, "gateway");
    for (size_t m = 0; m < COUNT(worker_metrics); m++) {
        const struct worker_metric *metric = &worker_metrics[m];
        uint64_t sum = 0;

        for (unsigned i = 0; i < hub->worker_count; i++)
            sum += value_at(&hub->workers[i]->stats, metric->offset);
        metrics_single(text, metric->name, metric->kind, metric->help, (double)sum);
    }
    append_accept_errors(text, hub, accept_errors);
    append_closes(text, hub);
    append_tls(text, hub);
    append_certificates(text, hub);
    append_flows(text, hub);
    append_limits(text, hub);
    append_bus(text, hub);
    append_backend(text, hub);
    append_lag(text, hub);
}
