/* Acts on clients, which go to all gateways (control.h): answered when the bus has taken them, and
 * done a moment later. An act on somebody who is nowhere is one that does nothing. */
#include <string.h>

#include "common/memory.h"
#include "gateway/api_inside.h"

#define REASON_LIMIT 123 /* RFC 6455 §5.5.1 */
#define INFO_LIMIT   ((size_t)16 * 1024)
#define USER_LIMIT   1024
#define EXCEPT_LIMIT 1000

/* Who is meant; the names are the parameters'. */
struct whom {
    Carillon__Control__Clients clients;
    char *except[EXCEPT_LIMIT];
};

/* What is not supported is refused rather than ignored. */
static bool has_unknown(const struct api_params *params, const char *const *names)
{
    for (size_t i = 0; names[i]; i++) {
        if (api_has(params, names[i]))
            return true;
    }
    return false;
}

static int read_whom(struct api_params *params, struct whom *whom)
{
    struct text user = api_text(params, "user");
    struct text client = api_text(params, "client");

    carillon__control__clients__init(&whom->clients);
    whom->clients.user = (char *)user.data;
    whom->clients.client = (char *)client.data;
    if (params->is_bad || (user.size == 0 && client.size == 0) || user.size > USER_LIMIT ||
        client.size > BUS_CLIENT_LIMIT)
        return CLIENT_ERROR_BAD_REQUEST;
    return 0;
}

static int read_except(struct api_params *params, struct whom *whom)
{
    const json_t *list = api_array(params, "whitelist");
    size_t count = json_array_size(list);

    if (params->is_bad)
        return CLIENT_ERROR_BAD_REQUEST;
    if (count > EXCEPT_LIMIT)
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    for (size_t i = 0; i < count; i++) {
        whom->except[i] = (char *)json_string_value(json_array_get(list, i));
        if (!whom->except[i])
            return CLIENT_ERROR_BAD_REQUEST;
    }
    whom->clients.except = whom->except;
    whom->clients.n_except = count;
    return 0;
}

static void on_sent(struct control_sending *sending, int error)
{
    int code = error == UV_EPROTO ? CLIENT_ERROR_NOT_AVAILABLE : api_code_of(error);

    api_part_done(container_of(sending, struct api_part, sending), code);
}

static int send_act(struct api_command *command, Carillon__Control__Control *act)
{
    struct api_part *part = api_parts(command, 1);

    if (!part)
        return CLIENT_ERROR_LIMIT_EXCEEDED;
    part->sending.sent = on_sent;
    api_part_begin(part);
    control_send(&command->call->api->hub->control, &part->sending, act);
    return 0;
}

static int read_reason(struct api_params *params, uint32_t *code, char **reason, uint32_t least,
                       uint32_t most)
{
    int64_t number = api_number(params, "code");
    struct text text = api_text(params, "reason");

    if (params->is_bad || text.size > REASON_LIMIT ||
        (number != 0 && (number < least || number > most)))
        return CLIENT_ERROR_BAD_REQUEST;
    if (number != 0)
        *code = (uint32_t)number;
    if (number != 0 || text.size > 0)
        *reason = (char *)text.data;
    return 0;
}

int api_disconnect(struct api_command *command)
{
    static const char *const unknown[] = {"session", NULL};
    struct api_params params = {.object = command->params, .text = command->text};
    struct api_params how = api_object(&params, "disconnect");
    Carillon__Control__Disconnect disconnect = CARILLON__CONTROL__DISCONNECT__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;
    struct whom whom = {.except = {NULL}};
    int code = read_whom(&params, &whom);

    disconnect.code = CLIENT_DISCONNECT_FORCED;
    disconnect.reason = (char *)client_disconnect_text(CLIENT_DISCONNECT_FORCED);
    if (!code)
        code = read_except(&params, &whom);
    if (!code)
        code = read_reason(how.object ? &how : &params, &disconnect.code, &disconnect.reason, 3000,
                           4999);
    if (code || has_unknown(&params, unknown))
        return code ? code : CLIENT_ERROR_BAD_REQUEST;
    disconnect.clients = &whom.clients;
    act.act_case = CARILLON__CONTROL__CONTROL__ACT_DISCONNECT;
    act.disconnect = &disconnect;
    return send_act(command, &act);
}

int api_unsubscribe(struct api_command *command)
{
    static const char *const unknown[] = {"session", NULL};
    struct api_params params = {.object = command->params, .text = command->text};
    struct text channel = api_text(&params, "channel");
    Carillon__Control__Unsubscribe unsubscribe = CARILLON__CONTROL__UNSUBSCRIBE__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;
    struct whom whom = {.except = {NULL}};
    int code = read_whom(&params, &whom);
    int why;

    unsubscribe.code = CLIENT_UNSUBSCRIBE_SERVER;
    unsubscribe.reason = (char *)client_unsubscribe_text(CLIENT_UNSUBSCRIBE_SERVER);
    if (!code)
        code = read_reason(&params, &unsubscribe.code, &unsubscribe.reason, 2000, 2999);
    if (!code && has_unknown(&params, unknown))
        code = CLIENT_ERROR_BAD_REQUEST;
    if (!code && !api_rules(command, channel, &why))
        code = why;
    if (code)
        return code;
    unsubscribe.clients = &whom.clients;
    unsubscribe.channel = (char *)channel.data;
    act.act_case = CARILLON__CONTROL__CONTROL__ACT_UNSUBSCRIBE;
    act.unsubscribe = &unsubscribe;
    return send_act(command, &act);
}

/* JSON that a subscription carries. */
struct carried {
    struct buffer bytes;
    struct text json;
};

static int read_carried(struct api_params *params, const char *name, const char *base64_name,
                        struct carried *carried, ProtobufCBinaryData *out)
{
    bool is_base64;

    carried->json = api_payload(params, name, base64_name, &carried->bytes, &is_base64);
    if (params->is_bad || (is_base64 && !client_is_json(carried->json)))
        return CLIENT_ERROR_BAD_REQUEST;
    out->data = (uint8_t *)carried->json.data;
    out->len = carried->json.size;
    return carried->json.size > INFO_LIMIT ? CLIENT_ERROR_LIMIT_EXCEEDED : 0;
}

static int read_recovery(struct api_params *params, Carillon__Control__Subscribe *subscribe)
{
    struct api_params since = api_object(params, "recover_since");
    int64_t offset = api_number(&since, "offset");
    struct text epoch = api_text(&since, "epoch");

    if (params->is_bad || since.is_bad || offset < 0 || epoch.size > MESSAGE_EPOCH_LIMIT)
        return CLIENT_ERROR_BAD_REQUEST;
    subscribe->recovers = since.object != NULL;
    subscribe->offset = (uint64_t)offset;
    subscribe->epoch = (char *)epoch.data;
    return 0;
}

int api_subscribe(struct api_command *command)
{
    static const char *const unknown[] = {"session", "override", NULL};
    struct api_params params = {.object = command->params, .text = command->text};
    struct text channel = api_text(&params, "channel");
    Carillon__Control__Subscribe subscribe = CARILLON__CONTROL__SUBSCRIBE__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;
    struct carried info = {0};
    struct carried data = {0};
    struct whom whom = {.except = {NULL}};
    int code = read_whom(&params, &whom);
    int why = 0;

    subscribe.expire_at_s = api_number(&params, "expire_at");
    if (!code)
        code = read_recovery(&params, &subscribe);
    if (!code)
        code = read_carried(&params, "info", "b64info", &info, &subscribe.info);
    if (!code)
        code = read_carried(&params, "data", "b64data", &data, &subscribe.data);
    if (!code && (has_unknown(&params, unknown) || subscribe.expire_at_s < 0))
        code = CLIENT_ERROR_BAD_REQUEST;
    if (!code && !api_rules(command, channel, &why))
        code = why;
    if (!code) {
        subscribe.clients = &whom.clients;
        subscribe.channel = (char *)channel.data;
        act.act_case = CARILLON__CONTROL__CONTROL__ACT_SUBSCRIBE;
        act.subscribe = &subscribe;
        code = send_act(command, &act);
    }
    buffer_deinit(&info.bytes);
    buffer_deinit(&data.bytes);
    return code;
}

int api_refresh(struct api_command *command)
{
    static const char *const unknown[] = {"session", "info", NULL};
    struct api_params params = {.object = command->params, .text = command->text};
    Carillon__Control__Refresh refresh = CARILLON__CONTROL__REFRESH__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;
    struct whom whom = {.except = {NULL}};
    int code;

    refresh.is_expired = api_flag(&params, "expired");
    refresh.expire_at_s = api_number(&params, "expire_at");
    code = read_whom(&params, &whom);
    if (code || refresh.expire_at_s < 0 || has_unknown(&params, unknown))
        return CLIENT_ERROR_BAD_REQUEST;
    refresh.clients = &whom.clients;
    act.act_case = CARILLON__CONTROL__CONTROL__ACT_REFRESH;
    act.refresh = &refresh;
    return send_act(command, &act);
}
