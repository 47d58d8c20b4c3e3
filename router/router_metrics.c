#include "router/router_metrics.h"

#include <stddef.h>
#include <stdio.h>

#include "common/memory.h"
#include "common/process_metrics.h"

struct shard_metric {
    const char *name;
    enum metric_kind kind;
    const char *help;
    size_t offset;
};

#define STAT(member) offsetof(struct shard_stats, member)

static const struct shard_metric metrics[] = {
    {"carillon_router_channels", METRIC_GAUGE, "Channels in memory.", STAT(places)},
    {"carillon_router_owned_channels", METRIC_GAUGE, "Channels that this router owns.",
     STAT(owned)},
    {"carillon_router_subscriptions", METRIC_GAUGE, "Channels of gateways, each counted once.",
     STAT(subscriptions)},
    {"carillon_router_gateway_links", METRIC_GAUGE, "Connections of gateways, one for each shard.",
     STAT(gateways)},
    {"carillon_router_peer_links", METRIC_GAUGE, "Connections with other routers, likewise.",
     STAT(peers)},
    {"carillon_router_present_clients", METRIC_GAUGE, "Clients on all channels, one each.",
     STAT(present)},
    {"carillon_router_evicted_total", METRIC_COUNTER,
     "Messages that left their history before their time, for want of memory.", STAT(evicted)},
    {"carillon_router_published_total", METRIC_COUNTER, "Publishes that were acknowledged.",
     STAT(published)},
    {"carillon_router_published_alone_total", METRIC_COUNTER,
     "Of them, those that no other router holds.", STAT(alone)},
    {"carillon_router_unmirrored_channels", METRIC_GAUGE,
     "Channels that are held once because the router which should hold them, too, refused.",
     STAT(unmirrored)},
    {"carillon_router_duplicates_total", METRIC_COUNTER, "Publishes that were repetitions.",
     STAT(duplicates)},
    {"carillon_router_repeated_keys_total", METRIC_COUNTER,
     "Publishes that were not appended because their idempotency key was known.", STAT(repeated)},
    {"carillon_router_evicted_keys_total", METRIC_COUNTER,
     "Idempotency keys that were forgotten before their time, for want of memory.",
     STAT(keys_evicted)},
    {"carillon_router_refused_total", METRIC_COUNTER, "Publishes and requests refused for room.",
     STAT(refused)},
    {"carillon_router_delivered_total", METRIC_COUNTER, "Messages sent to gateways.",
     STAT(delivered)},
    {"carillon_router_claims_total", METRIC_COUNTER, "Channels that were claimed.", STAT(claims)},
    {"carillon_router_taken_total", METRIC_COUNTER, "Channels taken from another router.",
     STAT(taken)},
    {"carillon_router_given_total", METRIC_COUNTER, "Channels given to another router.",
     STAT(given)},
    {"carillon_router_failovers_total", METRIC_COUNTER,
     "Channels taken over, under a new epoch, from a router that died.", STAT(failovers)},
    {"carillon_router_forks_total", METRIC_COUNTER,
     "Epochs that had to change because it was not certain that the owner is dead.", STAT(forks)},
    {"carillon_router_conflicts_total", METRIC_COUNTER, "Channels that had two owners.",
     STAT(conflicts)},
    {"carillon_router_strays_total", METRIC_COUNTER,
     "Messages of an owner that had to give way, published behind the others.", STAT(strays)},
    {"carillon_router_losses_total", METRIC_COUNTER,
     "Subscriptions whose missed messages were gone.", STAT(lost)},
};

static uint64_t sum_of(const struct worker *workers, unsigned worker_count, size_t offset)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < worker_count; i++) {
        for (unsigned u = 0; u < workers[i].unit_count; u++) {
            const unsigned char *stats = (const unsigned char *)&workers[i].units[u].shard.stats;

            sum += metric_read((const struct metric *)(const void *)(stats + offset));
        }
    }
    return sum;
}

static uint64_t link_bytes(const struct worker *workers, unsigned worker_count)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < worker_count; i++)
        bytes += metric_read(&workers[i].host.held_bytes);
    return bytes;
}

uint64_t router_used_bytes(const struct worker *workers, unsigned worker_count)
{
    return sum_of(workers, worker_count, STAT(history_bytes)) +
           sum_of(workers, worker_count, STAT(waiting_bytes)) +
           sum_of(workers, worker_count, STAT(presence_bytes)) +
           sum_of(workers, worker_count, STAT(key_bytes)) +
           sum_of(workers, worker_count, STAT(place_bytes)) + link_bytes(workers, worker_count);
}

/* What the process's memory is for, and how much each use may take. */
static void append_memory(struct buffer *text, const struct worker *workers, unsigned worker_count,
                          const struct budget *budget)
{
    const struct {
        const char *label;
        uint64_t used;
        uint64_t limit;
    } kinds[] = {
        {"kind=\"history\"", sum_of(workers, worker_count, STAT(history_bytes)), budget->history},
        {"kind=\"waiting\"", sum_of(workers, worker_count, STAT(waiting_bytes)), budget->waiting},
        {"kind=\"presence\"", sum_of(workers, worker_count, STAT(presence_bytes)),
         budget->presence},
        {"kind=\"keys\"", sum_of(workers, worker_count, STAT(key_bytes)), budget->keys},
        {"kind=\"channels\"", sum_of(workers, worker_count, STAT(place_bytes)), budget->channels},
        {"kind=\"links\"", link_bytes(workers, worker_count), budget->links},
    };

    metrics_describe(text, "carillon_router_memory_bytes", METRIC_GAUGE,
                     "Memory in use, by what it is for.");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        metrics_sample(text, "carillon_router_memory_bytes", kinds[i].label, (double)kinds[i].used);
    metrics_describe(text, "carillon_router_memory_limit_bytes", METRIC_GAUGE,
                     "What each of these may take, and the whole process.");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        metrics_sample(text, "carillon_router_memory_limit_bytes", kinds[i].label,
                       (double)kinds[i].limit);
    metrics_sample(text, "carillon_router_memory_limit_bytes", "kind=\"all\"",
                   (double)budget->limit);
}

static void append_limits(struct buffer *text, const struct config *config)
{
    metrics_single(text, "carillon_router_channels_limit", METRIC_GAUGE, "--max-channels.",
                   (double)config->max_channels);
    metrics_single(text, "carillon_router_link_queue_limit_bytes", METRIC_GAUGE,
                   "--link-queue-limit.", (double)config->link_queue_limit);
}

static void append_links(struct buffer *text, const struct worker *workers, unsigned worker_count)
{
    uint64_t open = 0;
    uint64_t alone = 0;
    uint64_t longest = 0;
    uint64_t too_large = 0;

    for (unsigned i = 0; i < worker_count; i++) {
        uint64_t queued = metric_read(&workers[i].link_queue_bytes);

        too_large += metric_read(&workers[i].host.too_large);
        open += metric_read(&workers[i].open_units);
        alone += metric_read(&workers[i].alone_units);
        longest = queued > longest ? queued : longest;
    }
    metrics_single(text, "carillon_router_open_shards", METRIC_GAUGE,
                   "Shards that have met the other routers, or looked for them long enough.",
                   (double)open);
    metrics_single(text, "carillon_router_alone_shards", METRIC_GAUGE,
                   "Shards with no other router connected, though --peers names some: their "
                   "messages are held once.",
                   (double)alone);
    metrics_single(text, "carillon_router_link_queue_bytes", METRIC_GAUGE,
                   "What waits for the gateway or router that reads most slowly.", (double)longest);
    metrics_single(text, "carillon_router_too_large_total", METRIC_COUNTER,
                   "Publishes refused because they were above --max-message-size.",
                   (double)too_large);
}

static void append_threads(struct buffer *text, struct worker *workers, unsigned worker_count,
                           uint64_t accept_errors)
{
    struct histogram *lag = memory_zeroed(1, sizeof(*lag));

    for (unsigned i = 0; i < worker_count; i++) {
        accept_errors += metric_read(&workers[i].listener.errors);
        histogram_merge(lag, &workers[i].lag_meter.lag);
    }
    metrics_single(text, "carillon_accept_errors_total", METRIC_COUNTER,
                   "Times that no connection could be accepted, for want of file descriptors or "
                   "memory.",
                   (double)accept_errors);
    metrics_describe(text, "carillon_loop_lag_seconds", METRIC_HISTOGRAM,
                     "How long one iteration of a thread kept everything else waiting.");
    metrics_histogram(text, "carillon_loop_lag_seconds", lag);
    memory_free(lag);
    lag_meter_describe_peak(text);
    for (unsigned i = 0; i < worker_count; i++) {
        char thread[16];

        snprintf(thread, sizeof(thread), "%u", i);
        lag_meter_append_peak(text, &workers[i].lag_meter, thread);
    }
}

void router_append_metrics(struct buffer *text, struct worker *workers, unsigned worker_count,
                           const struct budget *budget, uint64_t accept_errors)
{
    process_append_metrics(text, "router");
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
        metrics_single(text, metrics[i].name, metrics[i].kind, metrics[i].help,
                       (double)sum_of(workers, worker_count, metrics[i].offset));
    append_links(text, workers, worker_count);
    append_memory(text, workers, worker_count, budget);
    append_limits(text, workers[0].config);
    append_threads(text, workers, worker_count, accept_errors);
}
