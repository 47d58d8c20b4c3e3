/*
 * A request is one command or several; a command has parts, each something that the bus is asked.
 * Commands begin in their order and go on side by side, as a client's would; the answer goes when
 * all have ended, or API_WAIT_MS after the request came: the bus may be away for longer than
 * anybody waits. What is still under way then holds the call's memory and nothing else.
 */
#include <string.h>

#include "common/http_response.h"
#include "common/memory.h"
#include "gateway/api_inside.h"
#include "gateway/json_check.h"
#include "gateway/json_walk.h"
#include "gateway/namespaces.h"

#define PARSE_FLAGS                                                                                \
    (JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | JSON_DISABLE_EOF_CHECK)

static const struct {
    const char *name;
    int (*begin)(struct api_command *command);
    void (*finish)(struct api_command *command);
} methods[API_METHOD_COUNT] = {
    [API_PUBLISH] = {"publish", api_publish, api_publish_result},
    [API_BROADCAST] = {"broadcast", api_broadcast, api_broadcast_result},
    [API_SUBSCRIBE] = {"subscribe", api_subscribe, NULL},
    [API_UNSUBSCRIBE] = {"unsubscribe", api_unsubscribe, NULL},
    [API_DISCONNECT] = {"disconnect", api_disconnect, NULL},
    [API_REFRESH] = {"refresh", api_refresh, NULL},
    [API_PRESENCE] = {"presence", api_presence, NULL},
    [API_PRESENCE_STATS] = {"presence_stats", api_presence, NULL},
    [API_HISTORY] = {"history", api_history, NULL},
    [API_HISTORY_REMOVE] = {"history_remove", api_history_remove, NULL},
    [API_CHANNELS] = {"channels", api_channels, NULL},
    [API_INFO] = {"info", api_info, NULL},
    [API_RPC] = {"rpc", NULL, NULL},
};

struct document {
    struct list link;
    json_t *json;
};

const char *api_method_name(enum api_method method)
{
    return method < API_METHOD_COUNT ? methods[method].name : "unknown";
}

enum api_method api_method_find(const char *name)
{
    enum api_method method = API_PUBLISH;

    while (method < API_METHOD_COUNT && strcmp(methods[method].name, name) != 0)
        method++;
    return method;
}

/* The end. */

static void unref(struct api_call *call)
{
    if (--call->references > 0)
        return;
    for (size_t i = 0; i < call->command_count; i++) {
        buffer_deinit(&call->commands[i].result);
        memory_free(call->commands[i].parts);
    }
    while (!list_is_empty(&call->documents)) {
        struct document *document = container_of(call->documents.next, struct document, link);

        list_remove(&document->link);
        json_decref(document->json);
        memory_free(document);
    }
    memory_free(call->commands);
    buffer_deinit(&call->body);
    memory_free(call);
}

void api_append_error(struct buffer *out, int code)
{
    buffer_printf(out, "\"error\":{\"code\":%d,\"message\":", code);
    client_write_json_string(out, text_of(client_error_text((enum client_error)code)));
    buffer_append_text(out, "}");
}

static void append_reply(struct buffer *out, const struct api_command *command)
{
    bool is_batch = command->call->form == API_BATCH;

    buffer_append_text(out, "{");
    if (command->code) {
        api_append_error(out, command->code);
    } else {
        buffer_printf(out, "\"%s\":", is_batch ? api_method_name(command->method) : "result");
        if (command->result.size > 0)
            buffer_append(out, command->result.data, command->result.size);
        else
            buffer_append_text(out, "{}");
    }
    buffer_append_text(out, "}");
}

static void append_replies(struct buffer *out, const struct api_call *call)
{
    const char *separator = call->form == API_BATCH ? "," : "\n";

    if (call->form == API_BATCH)
        buffer_append_text(out, "{\"replies\":[");
    for (size_t i = 0; i < call->command_count; i++) {
        if (i > 0)
            buffer_append_text(out, separator);
        append_reply(out, &call->commands[i]);
    }
    if (call->form == API_BATCH)
        buffer_append_text(out, "]}");
}

static void count(struct api_call *call)
{
    struct api_stats *stats = &call->api->stats;

    for (size_t i = 0; i < call->command_count; i++) {
        const struct api_command *command = &call->commands[i];
        int slot = command->code ? command->code - CLIENT_ERROR_INTERNAL + 1 : 0;

        metric_add(&stats->requests[command->method][slot], 1);
    }
    histogram_record(&stats->time, uv_hrtime() - call->started_ns);
}

static void answer(struct api_call *call)
{
    struct buffer body = {0};

    call->is_answered = true;
    loop_cancel(call->api->hub->loop, &call->deadline);
    count(call);
    if (call->pending.exchange) {
        append_replies(&body, call);
        http_pending_answer(&call->pending, &(struct http_response){
                                                .status = 200,
                                                .content_type = "application/json",
                                                .headers = "Cache-Control: no-store\r\n",
                                                .body = body.data,
                                                .body_size = body.size,
                                            });
        buffer_deinit(&body);
    }
    unref(call);
}

/* The commands still go on: what they do is done, whoever asked for it. */
static void on_abandoned(struct http_pending *pending)
{
    (void)pending;
}

static void on_deadline(struct waiter *waiter)
{
    struct api_call *call = container_of(waiter, struct api_call, deadline);

    for (size_t i = 0; i < call->command_count; i++) {
        if (call->commands[i].left > 0)
            call->commands[i].code = CLIENT_ERROR_NOT_AVAILABLE;
    }
    answer(call);
}

/* The first error of a part is the command's, but for those that tell of each part. */
static void finish(struct api_command *command)
{
    struct api_call *call = command->call;

    if (call->is_answered)
        return;
    if (!command->code && methods[command->method].finish) {
        methods[command->method].finish(command);
    } else {
        for (size_t i = 0; i < command->part_count && !command->code; i++)
            command->code = command->parts[i].code;
    }
    if (--call->left == 0)
        answer(call);
}

struct api_part *api_parts(struct api_command *command, size_t part_count)
{
    if (part_count > API_PARTS_LIMIT - command->call->parts_total)
        return NULL;
    command->call->parts_total += part_count;
    command->parts = memory_zeroed(part_count + 1, sizeof(*command->parts));
    command->part_count = part_count;
    for (size_t i = 0; i < part_count; i++)
        command->parts[i].command = command;
    return command->parts;
}

void api_part_begin(struct api_part *part)
{
    part->command->left++;
    part->command->call->references++;
}

void api_part_done(struct api_part *part, int code)
{
    struct api_call *call = part->command->call;

    part->code = code;
    if (--part->command->left == 0)
        finish(part->command);
    unref(call);
}

static void begin(struct api_command *command)
{
    int (*function)(struct api_command *) =
        command->method < API_METHOD_COUNT ? methods[command->method].begin : NULL;

    command->left = 1;
    command->code = !function          ? CLIENT_ERROR_METHOD_NOT_FOUND
                    : !command->params ? CLIENT_ERROR_BAD_REQUEST
                                       : function(command);
    if (--command->left == 0)
        finish(command);
}

int api_code_of(int error)
{
    switch (error) {
    case 0:
        return 0;
    case UV_ENOTCONN:
    case UV_ENOBUFS:
    case UV_ECANCELED:
    case UV_ETIMEDOUT:
    case UV_ENOTSUP:
        return CLIENT_ERROR_NOT_AVAILABLE;
    default:
        return CLIENT_ERROR_INTERNAL;
    }
}

const struct channel_rules *api_rules(const struct api_command *command, struct text channel,
                                      int *code)
{
    const struct channel_rules *rules = NULL;

    if (channel_name_is_valid(channel.data, channel.size)) {
        rules = namespaces_find(command->call->api->settings->namespaces, channel);
        *code = CLIENT_ERROR_UNKNOWN_CHANNEL;
    } else {
        *code = CLIENT_ERROR_BAD_REQUEST;
    }
    return rules;
}

/* The beginning: what the body says. */

static struct api_command *add(struct api_call *call, const char *method, json_t *params,
                               struct text text)
{
    struct api_command *command;

    call->commands =
        memory_resize(call->commands, (call->command_count + 1) * sizeof(*call->commands));
    command = &call->commands[call->command_count++];
    *command = (struct api_command){
        .call = call,
        .method = api_method_find(method),
        .params = json_is_object(params) ? params : NULL,
        .text = text,
    };
    return command;
}

/* Parses one value; the rest is left in `*text`. */
static json_t *parse(struct api_call *call, struct text *text, struct text *value)
{
    struct document *document;
    json_error_t error;
    json_t *json = json_loadb(text->data, text->size, PARSE_FLAGS, &error);

    if (!json)
        return NULL;
    document = memory_zeroed(1, sizeof(*document));
    document->json = json;
    list_init(&document->link);
    list_append(&call->documents, &document->link);
    *value = (struct text){text->data, (size_t)error.position};
    *text = (struct text){text->data + value->size, text->size - value->size};
    *text = json_trim(*text);
    return json;
}

static const char *read_old(struct api_call *call, json_t *json, struct text value)
{
    const char *method = json_string_value(json_object_get(json, "method"));
    struct text params = {NULL, 0};
    json_t *object = json_object_get(json, "params");

    if (!method)
        return "expected a \"method\"";
    if (!object) {
        object = json_object();
        json_object_set_new(json, "params", object);
    }
    api_member(value, "params", &params);
    add(call, method, object, params);
    return NULL;
}

static const char *read_command(struct api_call *call, json_t *json, struct text value)
{
    const char *name = json_object_iter_key(json_object_iter(json));
    struct text params = {NULL, 0};

    if (!name || json_object_size(json) != 1)
        return "expected commands of one method each";
    api_member(value, name, &params);
    add(call, name, json_object_get(json, name), params);
    return NULL;
}

static const char *read_batch(struct api_call *call, json_t *json, struct text value)
{
    const json_t *commands = json_object_get(json, "commands");
    struct text list = {NULL, 0};
    struct json_items items;
    const char *problem = NULL;

    if (!json_is_array(commands) || !api_member(value, "commands", &list) ||
        !json_items_init(&items, list))
        return "expected \"commands\"";
    if (json_array_size(commands) > API_COMMANDS_LIMIT)
        return "too many commands";
    for (size_t i = 0; i < json_array_size(commands) && !problem; i++) {
        struct text item = {NULL, 0};

        json_items_next(&items, &item);
        problem = read_command(call, json_array_get(commands, i), item);
    }
    return problem;
}

/* NULL, or what is wrong with the body. `method` is the one in the path; NULL: the old style. */
static const char *read_body(struct api_call *call, const char *method)
{
    struct text rest = json_trim((struct text){(const char *)call->body.data, call->body.size});
    const char *problem = NULL;

    if (rest.size == 0 && method) /* nothing is as good as an empty object */
        rest = text_of("{}");
    do {
        struct text value;
        json_t *json = parse(call, &rest, &value);

        if (!json)
            return "the body is not JSON";
        if (!json_is_object(json))
            return "expected a JSON object";
        if (!json_is_valid(value))
            return "the JSON is too deep, or half a character is in it";
        if (!method)
            problem = read_old(call, json, value);
        else if (call->form == API_BATCH)
            problem = read_batch(call, json, value);
        else
            add(call, method, json, value);
        if (call->command_count > API_COMMANDS_LIMIT)
            problem = "too many commands";
    } while (!problem && rest.size > 0 && !method);
    if (!problem && rest.size > 0)
        problem = "the body is not JSON";
    return problem;
}

int api_call_begin(struct api *api, const struct http_request *request, const char *method,
                   const char **problem)
{
    struct api_call *call = memory_zeroed(1, sizeof(*call));

    call->api = api;
    call->references = 1;
    call->started_ns = uv_hrtime();
    call->form = !method ? API_LINES : strcmp(method, "batch") == 0 ? API_BATCH : API_ONE;
    list_init(&call->documents);
    buffer_append(&call->body, request->body.data, request->body.size);
    *problem = read_body(call, method);
    if (*problem) {
        unref(call);
        return 400;
    }
    http_pending_begin(&call->pending, request, on_abandoned);
    waiter_init(&call->deadline, on_deadline);
    loop_wait(api->hub->loop, &call->deadline, API_WAIT_MS);
    call->references++; /* while they are being begun, too */
    call->left = call->command_count + 1;
    for (size_t i = 0; i < call->command_count; i++)
        begin(&call->commands[i]);
    if (--call->left == 0)
        answer(call);
    unref(call);
    return 0;
}
