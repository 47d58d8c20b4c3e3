#include "router/unit.h"

#include <stdio.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "router/peer_link.h"

#define UNMIRRORED_LOG_MS 10000

static uint64_t fresh_number(void *context)
{
    (void)context;
    return random_id();
}

void unit_prepare(struct worker *worker, struct unit *unit, uint32_t number)
{
    const struct config *config = worker->config;
    const struct budget *budget = worker->budget;
    struct shard_settings settings = {
        .node = worker->identity->node,
        .name = worker->identity->name,
        .address = worker->identity->address,
        .history = {.message_limit = config->history_size,
                    .ttl_ms = config->history_ttl_ms,
                    .memory_limit = budget->history / config->shards},
        .waiting_limit_bytes = budget->waiting / config->shards,
        .place_limit = config->max_channels / config->shards + 1,
        .place_limit_bytes = budget->channels / config->shards,
        .presence_limit_bytes = budget->presence / config->shards,
        .key_limit_bytes = budget->keys / config->shards,
        .random = fresh_number,
    };

    unit->worker = worker;
    unit->number = number;
    list_init(&unit->links);
    shard_init(&unit->shard, &settings, &peer_link_output, unit, worker_now_ms(worker));
    router_dialer_start(&unit->dialer, &worker->host, number, &config->peers,
                        &peer_link_dialer_events);
}

void unit_log_alone(struct unit *unit)
{
    bool is_alone = unit->is_open && unit->worker->config->peers.count > 0 &&
                    metric_read(&unit->shard.stats.peers) == 0;

    if (is_alone == unit->is_alone)
        return;
    unit->is_alone = is_alone;
    metric_add(&unit->worker->alone_units, is_alone ? 1 : (uint64_t)-1);
    if (is_alone)
        log_event(LOG_WARNING,
                  log_name("no other router is connected: messages are held here alone"),
                  log_number("shard", unit->number));
    else
        log_event(LOG_INFO, log_name("another router is connected"),
                  log_number("shard", unit->number));
}

/* A router that is full refuses copies now and then, and each second it may be another channel. */
void unit_log_unmirrored(struct unit *unit)
{
    uint64_t count = metric_read(&unit->shard.stats.unmirrored);
    uint64_t now_ms = worker_now_ms(unit->worker);

    if ((count > 0) == unit->has_unmirrored ||
        (unit->unmirrored_told_ms > 0 && now_ms - unit->unmirrored_told_ms < UNMIRRORED_LOG_MS))
        return;
    unit->has_unmirrored = count > 0;
    unit->unmirrored_told_ms = now_ms;
    if (count > 0)
        log_event(LOG_WARNING,
                  log_name("another router refuses channels: their messages are held here alone"),
                  log_number("shard", unit->number), log_number("channels", (int64_t)count));
    else
        log_event(LOG_INFO, log_name("no channel is refused by another router any more"),
                  log_number("shard", unit->number));
}

void unit_open(struct unit *unit)
{
    if (unit->is_open)
        return;
    unit->is_open = true;
    metric_add(&unit->worker->open_units, 1);
    shard_open(&unit->shard, worker_now_ms(unit->worker));
    unit_log_alone(unit);
}

/* Describing. */

/* Those of clients: what gateways say to each other is nobody else's affair. */
static void add_place(void *context, const struct shard_place_view *view)
{
    char node[17] = "";

    if (view->channel[0] == CHANNEL_NAME_INTERNAL)
        return;
    if (view->mirror)
        snprintf(node, sizeof(node), "%016llx", (unsigned long long)view->mirror);
    json_array_append_new(
        context, json_pack("{s:s%, s:s, s:s, s:I, s:I, s:I, s:I, s:s}", "channel", view->channel,
                           view->channel_size, "role", view->role, "epoch", view->epoch, "offset",
                           (json_int_t)view->offset, "committed", (json_int_t)view->committed,
                           "history", (json_int_t)view->history, "subscribers",
                           (json_int_t)view->subscribers, "mirror", node));
}

static json_t *describe_links(const struct unit *unit)
{
    json_t *links = json_array();

    for (struct list *at = unit->links.next; at != &unit->links; at = at->next) {
        const struct peer_link *link = container_of(at, struct peer_link, link);
        const struct router_peer *peer = &link->router_link.peer;
        char node[17];

        if (!link->is_up)
            continue;
        snprintf(node, sizeof(node), "%016llx", (unsigned long long)peer->node);
        json_array_append_new(
            links,
            json_pack("{s:s, s:s, s:s, s:s, s:I}", "role", peer_link_role(&link->router_link),
                      "node", node, "name", peer->name, "address", peer->address, "queued_bytes",
                      (json_int_t)stream_queued_bytes(&link->router_link.stream)));
    }
    return links;
}

static void add_missing(void *context, const struct router_dialer_missing *missing)
{
    json_array_append_new(context, json_pack("{s:s, s:s, s:I, s:s}", "address", missing->address,
                                             "host", missing->host, "missing_ms",
                                             (json_int_t)missing->for_ms, "error", missing->error));
}

static json_t *describe_missing(struct unit *unit)
{
    json_t *missing = json_array();

    router_dialer_each_missing(&unit->dialer, add_missing, missing);
    return missing;
}

json_t *unit_describe(struct unit *unit, size_t channel_limit)
{
    json_t *places = json_array();

    shard_each_place(&unit->shard, channel_limit, add_place, places);
    return json_pack("{s:I, s:b, s:I, s:o, s:o, s:o}", "shard", (json_int_t)unit->number, "leaving",
                     (int)unit->shard.is_leaving, "channel_count",
                     (json_int_t)metric_read(&unit->shard.stats.places), "links",
                     describe_links(unit), "missing", describe_missing(unit), "channels", places);
}
