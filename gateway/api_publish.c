/* Publishing: to the bus at once, with the history limits of the channel's namespace. */
#include "common/memory.h"
#include "common/wall_clock.h"
#include "gateway/api_inside.h"
#include "gateway/client_message.h"

#define TAGS_LIMIT 64

/* What is published, on however many channels. */
struct draft {
    enum message_kind kind;
    struct text data;
    struct text key;
    bool skips_history;
    struct buffer bytes;  /* of data that came in base64 */
    struct buffer origin; /* with the tags */
};

static void forget(struct draft *draft)
{
    buffer_deinit(&draft->bytes);
    buffer_deinit(&draft->origin);
}

static int read_tags(struct api_params *params, struct buffer *origin)
{
    struct api_params tags = api_object(params, "tags");
    struct client_tag items[TAGS_LIMIT];
    const char *name;
    json_t *value;
    size_t count = 0;

    if (!tags.object || json_object_size(tags.object) == 0)
        return 0;
    json_object_foreach((json_t *)tags.object, name, value)
    {
        if (count == TAGS_LIMIT)
            return CLIENT_ERROR_LIMIT_EXCEEDED;
        items[count++] = (struct client_tag){.name = text_of(name), .value = api_text(&tags, name)};
    }
    params->is_bad |= tags.is_bad;
    client_origin_write(origin, NULL, items, count);
    return origin->size > MESSAGE_ORIGIN_LIMIT ? CLIENT_ERROR_LIMIT_EXCEEDED : 0;
}

static int read_draft(struct api_command *command, struct api_params *params, struct draft *draft)
{
    const struct config *config = &command->call->api->settings->config;
    bool is_base64;
    int code;

    *draft = (struct draft){.kind = MESSAGE_JSON};
    draft->data = api_payload(params, "data", "b64data", &draft->bytes, &is_base64);
    if (is_base64 && !client_is_json(draft->data))
        draft->kind = MESSAGE_BINARY;
    draft->key = api_text(params, "idempotency_key");
    draft->skips_history = api_flag(params, "skip_history");
    api_flag(params, "delta"); /* who wants differences gets them in any case */
    code = read_tags(params, &draft->origin);
    if (params->is_bad || draft->data.size == 0 || draft->key.size > MESSAGE_KEY_LIMIT)
        return CLIENT_ERROR_BAD_REQUEST;
    if (draft->data.size > config->max_message_size)
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    return code;
}

static void on_published(struct bus_publish *publish, int error)
{
    struct api_part *part = container_of(publish, struct api_part, publish);
    struct message *message = publish->message;

    part->offset = message->offset;
    epoch_copy(part->epoch, message->epoch);
    message_unref(message);
    api_part_done(part, error == UV_EPROTO || error == UV_EMSGSIZE ? CLIENT_ERROR_LIMIT_EXCEEDED
                                                                   : api_code_of(error));
}

static void publish(struct api_part *part, struct text channel, const struct draft *draft)
{
    struct bus *bus = part->command->call->api->hub->bus;
    const struct channel_rules *rules = api_rules(part->command, channel, &part->code);
    struct message_draft message = {
        .kind = draft->skips_history ? message_passing_kind(draft->kind) : draft->kind,
        .channel = channel,
        .data = draft->data,
        .key = draft->key,
        .origin = {(const char *)draft->origin.data, draft->origin.size},
    };

    if (!rules)
        return;
    part->code = 0;
    if (!bus || bus_state(bus) != BUS_UP) {
        part->code = CLIENT_ERROR_NOT_AVAILABLE;
        return;
    }
    api_part_begin(part);
    part->publish = (struct bus_publish){
        .published = on_published,
        .message = message_write(&message),
        .has_limits = true,
        .history_size = rules->history_size,
        .history_ttl_ms = rules->history_ttl_ms,
    };
    part->publish.message->time_ms = wall_clock_ms();
    bus_publish(bus, &part->publish);
}

static void append_place(struct buffer *out, const struct api_part *part)
{
    if (part->offset == 0) { /* it skips the history, and has no place */
        buffer_append_text(out, "{}");
        return;
    }
    buffer_printf(out, "{\"offset\":%llu,\"epoch\":", (unsigned long long)part->offset);
    client_write_json_string(out, text_of(part->epoch));
    buffer_append_text(out, "}");
}

int api_publish(struct api_command *command)
{
    struct api_params params = {.object = command->params, .text = command->text};
    struct text channel = api_text(&params, "channel");
    struct draft draft;
    int code = read_draft(command, &params, &draft);

    if (!code && !api_parts(command, 1))
        code = CLIENT_ERROR_LIMIT_EXCEEDED;
    if (!code)
        publish(command->parts, channel, &draft);
    forget(&draft);
    return code;
}

void api_publish_result(struct api_command *command)
{
    command->code = command->parts[0].code;
    if (!command->code)
        append_place(&command->result, command->parts);
}

int api_broadcast(struct api_command *command)
{
    struct api_params params = {.object = command->params, .text = command->text};
    const json_t *channels = api_array(&params, "channels");
    size_t count = json_array_size(channels);
    struct draft draft;
    int code = read_draft(command, &params, &draft);

    if (!code && count == 0)
        code = CLIENT_ERROR_BAD_REQUEST;
    if (!code && (count > API_CHANNELS_LIMIT || !api_parts(command, count)))
        code = CLIENT_ERROR_LIMIT_EXCEEDED;
    for (size_t i = 0; i < count && !code; i++) {
        const json_t *name = json_array_get(channels, i);
        struct text channel = {json_string_value(name), json_string_length(name)};

        if (!channel.data)
            channel = (struct text){"", 0};
        publish(&command->parts[i], channel, &draft);
    }
    forget(&draft);
    return code;
}

void api_broadcast_result(struct api_command *command)
{
    struct buffer *out = &command->result;

    buffer_append_text(out, "{\"responses\":[");
    for (size_t i = 0; i < command->part_count; i++) {
        const struct api_part *part = &command->parts[i];

        buffer_append_text(out, i > 0 ? ",{" : "{");
        if (part->code) {
            api_append_error(out, part->code);
        } else {
            buffer_append_text(out, "\"result\":");
            append_place(out, part);
        }
        buffer_append_text(out, "}");
    }
    buffer_append_text(out, "]}");
}
