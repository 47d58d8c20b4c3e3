#include "gateway/state.h"

#include <jansson.h>
#include <stdlib.h>

#include "common/process_metrics.h"

static json_int_t passed_since(const struct hub *hub, uint64_t time_ms)
{
    uint64_t now_ms = loop_now_ms(hub->loop);

    return (json_int_t)(now_ms > time_ms ? now_ms - time_ms : 0);
}

static json_t *describe_channels(const struct top_channels *top)
{
    json_t *channels = json_array();

    for (size_t i = 0; i < top->count; i++)
        json_array_append_new(channels, json_pack("{s:s%, s:I}", "channel", top->items[i].name,
                                                  top->items[i].name_size, "subscribers",
                                                  (json_int_t)top->items[i].subscribers));
    return channels;
}

static json_t *describe_slow(const struct hub *hub, const struct survey_result *result)
{
    json_t *clients = json_array();

    for (size_t i = 0; i < result->slow_count; i++) {
        const struct slow_client *client = &result->slow[i];

        json_array_append_new(
            clients,
            json_pack("{s:I, s:s, s:I, s:I, s:b}", "connection", (json_int_t)client->connection,
                      "address", client->address, "queued_bytes", (json_int_t)client->queued_bytes,
                      "ms_ago", passed_since(hub, client->seen_ms), "closed", client->is_closed));
    }
    return clients;
}

void state_append(struct buffer *text, struct hub *hub)
{
    const struct survey_result *result =
        survey_take(&hub->survey, hub->workers, hub->worker_count, loop_now_ms(hub->loop));
    json_t *counted = result->taken_ms ? json_integer(passed_since(hub, result->taken_ms)) : NULL;
    json_t *state =
        json_pack("{s:s, s:s, s:f, s:{s:s, s:b}, s:b, s:i, s:I, s:o?, s:o, s:o}", "program",
                  "gateway", "version", CARILLON_VERSION, "started", process_start_time(), "bus",
                  "kind", bus_name(hub->bus), "up", bus_state(hub->bus) == BUS_UP, "draining",
                  (int)atomic_load(&hub->status->is_draining), "threads", (int)hub->worker_count,
                  "channel_count", (json_int_t)hub->channels.count, "counted_ms_ago", counted,
                  "channels", describe_channels(&result->top), "slow", describe_slow(hub, result));
    char *printed = json_dumps(state, JSON_INDENT(1));

    buffer_append_text(text, printed ? printed : "{}");
    free(printed); /* jansson's own */
    json_decref(state);
}
