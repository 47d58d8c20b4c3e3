#include <stdio.h>

#include "common/memory.h"
#include "gateway/admin.h"

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
    {"carillon_connections_accepted_total", METRIC_COUNTER, "Connections accepted.",
     WORKER(accepted)},
    {"carillon_connections_refused_full_total", METRIC_COUNTER,
     "Connections refused by --max-connections.", WORKER(refused_full)},
    {"carillon_connections_refused_address_total", METRIC_COUNTER,
     "Connections refused by --max-connections-per-address.", WORKER(refused_address)},
    {"carillon_handshakes_total", METRIC_COUNTER, "WebSocket handshakes that succeeded.",
     WORKER(handshakes)},
    {"carillon_handshakes_refused_total", METRIC_COUNTER,
     "WebSocket handshakes answered with an error.", WORKER(handshakes_refused)},
    {"carillon_http_requests_total", METRIC_COUNTER, "HTTP requests that were no handshakes.",
     WORKER(http_requests)},
    {"carillon_request_timeouts_total", METRIC_COUNTER, "Requests that did not arrive in time.",
     WORKER(timeouts)},
    {"carillon_messages_received_total", METRIC_COUNTER, "Messages from clients.",
     WORKER(messages_received)},
    {"carillon_messages_refused_total", METRIC_COUNTER, "Messages that the bus did not take.",
     WORKER(messages_refused)},
    {"carillon_received_bytes_total", METRIC_COUNTER, "Bytes from clients.",
     WORKER(bytes_received)},
    {"carillon_deliveries_total", METRIC_COUNTER, "Messages handed to a subscriber's socket.",
     WORKER(deliveries)},
    {"carillon_sent_bytes_total", METRIC_COUNTER, "Bytes to clients.", WORKER(bytes_sent)},
    {"carillon_slow_consumers_total", METRIC_COUNTER, "Clients closed for --send-queue-limit.",
     WORKER(slow_consumers)},
    {"carillon_rate_limited_total", METRIC_COUNTER, "Clients closed for --message-rate.",
     WORKER(rate_limited)},
    {"carillon_dead_peers_total", METRIC_COUNTER, "Clients that answered no ping.",
     WORKER(dead_peers)},
    {"carillon_channel_losses_total", METRIC_COUNTER,
     "Times that subscribers of a channel could not be given all messages.",
     WORKER(histories_lost)},
    {"carillon_worker_channels", METRIC_GAUGE, "Channels with subscribers, summed over threads.",
     WORKER(channels)},
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
    {"carillon_bus_reconnects_total", METRIC_COUNTER, "Connections to the bus made again.",
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

void admin_append_metrics(struct buffer *text, const struct hub *hub)
{
    const struct bus_stats *bus = bus_stats(hub->bus);
    struct histogram *busy = memory_zeroed(1, sizeof(*busy));

    for (size_t m = 0; m < COUNT(worker_metrics); m++) {
        const struct worker_metric *metric = &worker_metrics[m];
        uint64_t sum = 0;

        for (unsigned i = 0; i < hub->worker_count; i++)
            sum += value_at(&hub->workers[i]->stats, metric->offset);
        metrics_describe(text, metric->name, metric->kind, metric->help);
        metrics_sample(text, metric->name, "", (double)sum);
    }
    append_closes(text, hub);
    for (size_t m = 0; m < COUNT(bus_metrics); m++) {
        metrics_describe(text, bus_metrics[m].name, bus_metrics[m].kind, bus_metrics[m].help);
        metrics_sample(text, bus_metrics[m].name, "",
                       (double)value_at(bus, bus_metrics[m].offset));
    }
    metrics_describe(text, "carillon_bus_round_trip_seconds", METRIC_HISTOGRAM,
                     "From sending a publish to its acknowledgement.");
    metrics_histogram(text, "carillon_bus_round_trip_seconds", &bus->round_trip);
    for (unsigned i = 0; i < hub->worker_count; i++)
        histogram_merge(busy, &hub->workers[i]->stats.loop_busy);
    metrics_describe(text, "carillon_loop_busy_seconds", METRIC_HISTOGRAM,
                     "How long one loop iteration kept everything else waiting.");
    metrics_histogram(text, "carillon_loop_busy_seconds", busy);
    memory_free(busy);
}
