/* What was published, who is there, what gateways and channels there are. */
#include <stdlib.h>

#include "common/memory.h"
#include "gateway/api_inside.h"
#include "gateway/census.h"
#include "gateway/client_message.h"
#include "gateway/client_writer.h"

/* The channel of a command that asks the bus about it; points into the parameters. 0 or an error.
 */
static int take_channel(struct api_command *command, struct api_params *params,
                        const struct channel_rules **rules)
{
    struct text channel = api_text(params, "channel");
    struct bus *bus = command->call->api->hub->bus;
    struct api_part *part;
    int code;

    *rules = api_rules(command, channel, &code);
    if (params->is_bad)
        return CLIENT_ERROR_BAD_REQUEST;
    if (!*rules)
        return code;
    if (!bus)
        return CLIENT_ERROR_NOT_AVAILABLE;
    part = api_parts(command, 1);
    if (!part)
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    part->ask = (struct bus_ask){.channel = channel.data, .channel_size = channel.size};
    return 0;
}

static struct api_part *of_ask(struct bus_ask *ask)
{
    return container_of(ask, struct api_part, ask);
}

/* History. */

/* False where it is too much. */
static bool write_history(struct buffer *out, const struct bus_answer *answer)
{
    size_t i;
    const struct client_publication *publications;
    struct client_writer writer;
    struct arena arena;

    arena_init(&arena, ARENA_UNLIMITED);
    publications = client_publications_of(answer->messages, answer->message_count, false, &arena);
    writer_begin(&writer, out, CLIENT_JSON);
    writer_list_open(&writer, "publications");
    for (i = 0; i < answer->message_count && out->size < API_RESULT_LIMIT_BYTES; i++) {
        writer_item_open(&writer, 1);
        writer_publication(&writer, &publications[i]);
        writer_close(&writer);
    }
    writer_list_close(&writer);
    writer_uint_always(&writer, "offset", 3, answer->offset);
    writer_text_always(&writer, "epoch", 2, text_of(answer->epoch));
    writer_close(&writer);
    arena_deinit(&arena);
    return i == answer->message_count;
}

static void on_history(struct bus_ask *ask, int error, const struct bus_answer *answer)
{
    struct api_part *part = of_ask(ask);
    bool wants_position = ask->epoch[0] != '\0' || ask->offset > 0;
    int code = api_code_of(error);

    if (!code && answer->is_lost && wants_position)
        code = CLIENT_ERROR_UNRECOVERABLE_POSITION;
    if (!code && !write_history(&part->command->result, answer))
        code = CLIENT_ERROR_LIMIT_EXCEEDED;
    api_part_done(part, code);
}

int api_history(struct api_command *command)
{
    struct api_params params = {.object = command->params, .text = command->text};
    struct api_params since = api_object(&params, "since");
    int64_t limit = api_number(&params, "limit");
    bool is_reverse = api_flag(&params, "reverse");
    int64_t offset = api_number(&since, "offset");
    struct text epoch = api_text(&since, "epoch");
    const struct channel_rules *rules;
    struct bus_ask *ask;
    int code;

    if (since.is_bad || offset < 0 || limit > INT32_MAX)
        return CLIENT_ERROR_BAD_REQUEST;
    if (epoch.size > MESSAGE_EPOCH_LIMIT)
        return CLIENT_ERROR_UNRECOVERABLE_POSITION;
    code = take_channel(command, &params, &rules);
    if (code)
        return code;
    if (rules->history_size == 0)
        return CLIENT_ERROR_NOT_AVAILABLE;
    ask = &command->parts[0].ask;
    ask->answered = on_history;
    ask->limit = limit < 0 || limit > BUS_PAGE_LIMIT ? BUS_PAGE_LIMIT : (uint64_t)limit;
    ask->is_reverse = is_reverse;
    ask->offset = (uint64_t)offset;
    memcpy(ask->epoch, epoch.data, epoch.size);
    api_part_begin(&command->parts[0]);
    bus_ask_history(command->call->api->hub->bus, ask);
    return 0;
}

static void on_forgotten(struct bus_ask *ask, int error, const struct bus_answer *answer)
{
    (void)answer;
    api_part_done(of_ask(ask), api_code_of(error));
}

int api_history_remove(struct api_command *command)
{
    struct api_params params = {.object = command->params, .text = command->text};
    const struct channel_rules *rules;
    int code = take_channel(command, &params, &rules);

    if (code)
        return code;
    if (rules->history_size == 0)
        return CLIENT_ERROR_NOT_AVAILABLE;
    command->parts[0].ask.answered = on_forgotten;
    api_part_begin(&command->parts[0]);
    bus_forget_history(command->call->api->hub->bus, &command->parts[0].ask);
    return 0;
}

/* Presence. */

static void write_presence(struct buffer *out, const struct bus_answer *answer)
{
    struct client_writer writer;
    struct arena arena;

    arena_init(&arena, ARENA_UNLIMITED);
    writer_begin(&writer, out, CLIENT_JSON);
    writer_map_open(&writer, "presence");
    for (size_t i = 0; i < answer->present_count; i++) {
        const struct bus_present *present = &answer->present[i];
        struct client_origin origin;

        client_origin_read(&origin, present->info, &arena);
        origin.info.client = present->client;
        origin.info.user = present->user;
        writer_entry_open(&writer, 1, present->client);
        writer_info(&writer, &origin.info);
        writer_entry_close(&writer);
    }
    writer_map_close(&writer);
    writer_close(&writer);
    arena_deinit(&arena);
}

static void on_presence(struct bus_ask *ask, int error, const struct bus_answer *answer)
{
    struct api_part *part = of_ask(ask);
    struct api_command *command = part->command;

    if (!error && command->method == API_PRESENCE)
        write_presence(&command->result, answer);
    else if (!error)
        buffer_printf(&command->result, "{\"num_clients\":%zu,\"num_users\":%u}",
                      answer->present_count, client_count_users(answer));
    api_part_done(part, api_code_of(error));
}

int api_presence(struct api_command *command)
{
    struct api_params params = {.object = command->params, .text = command->text};
    const struct channel_rules *rules;
    int code = take_channel(command, &params, &rules);

    if (code)
        return code;
    if (!rules->presence)
        return CLIENT_ERROR_NOT_AVAILABLE;
    command->parts[0].ask.answered = on_presence;
    api_part_begin(&command->parts[0]);
    bus_ask_presence(command->call->api->hub->bus, &command->parts[0].ask);
    return 0;
}

/* The cluster. */

struct listing {
    struct buffer *out;
    bool is_first;
};

static void separate(struct listing *listing)
{
    if (!listing->is_first)
        buffer_append_text(listing->out, ",");
    listing->is_first = false;
}

static void append_channel(struct map_entry *entry, void *context)
{
    const struct control_channel *channel = container_of(entry, struct control_channel, entry);
    struct listing *listing = context;

    separate(listing);
    client_write_json_string(listing->out, (struct text){entry->key, entry->key_size});
    buffer_printf(listing->out, ":{\"num_clients\":%llu}", (unsigned long long)channel->clients);
}

static void on_surveyed(struct control_survey *survey)
{
    struct api_part *part = container_of(survey, struct api_part, survey);
    struct listing listing = {&part->command->result, true};
    int code = survey->missing > 0   ? CLIENT_ERROR_NOT_AVAILABLE
               : survey->is_too_much ? CLIENT_ERROR_LIMIT_EXCEEDED
                                     : 0;

    if (!code) {
        buffer_append_text(listing.out, "{\"channels\":{");
        map_each(&survey->found, append_channel, &listing);
        buffer_append_text(listing.out, "}}");
    }
    api_part_done(part, code);
}

int api_channels(struct api_command *command)
{
    struct hub *hub = command->call->api->hub;
    struct api_params params = {.object = command->params, .text = command->text};
    struct text pattern = api_text(&params, "pattern");
    struct api_part *part;

    if (params.is_bad || pattern.size > CENSUS_PATTERN_LIMIT)
        return CLIENT_ERROR_BAD_REQUEST;
    if (!hub->control.hub || !hub->bus)
        return CLIENT_ERROR_NOT_AVAILABLE;
    part = api_parts(command, 1);
    if (!part)
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    part->survey.done = on_surveyed;
    api_part_begin(part);
    control_survey_start(&hub->control, &part->survey, pattern.data);
    return 0;
}

static void append_node(const struct control_node *node, void *context)
{
    struct listing *listing = context;
    struct buffer *out = listing->out;

    separate(listing);
    buffer_printf(out, "{\"uid\":\"%016llx\",\"name\":", (unsigned long long)node->id);
    client_write_json_string(out, text_of(node->name));
    buffer_append_text(out, ",\"version\":");
    client_write_json_string(out, text_of(node->version));
    buffer_printf(out,
                  ",\"num_clients\":%llu,\"num_users\":%llu,\"num_subs\":%llu,"
                  "\"num_channels\":%llu,\"uptime\":%llu}",
                  (unsigned long long)node->clients, (unsigned long long)node->users,
                  (unsigned long long)node->subscriptions, (unsigned long long)node->channels,
                  (unsigned long long)node->uptime_s);
}

int api_info(struct api_command *command)
{
    struct hub *hub = command->call->api->hub;
    struct listing listing = {&command->result, true};

    if (!hub->control.hub)
        return CLIENT_ERROR_NOT_AVAILABLE;
    buffer_append_text(listing.out, "{\"nodes\":[");
    control_each_node(&hub->control, append_node, &listing);
    buffer_append_text(listing.out, "]}");
    return 0;
}
