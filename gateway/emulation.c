#include "gateway/emulation.h"

#include <string.h>

#include "common/http_response.h"
#include "common/memory.h"
#include "gateway/worker.h"

static void on_abandoned(struct http_pending *pending)
{
    (void)pending; /* the command comes back, and finds nobody */
}

void emulation_send(struct worker *worker, struct inbox *hub,
                    const struct emulation_request *request, const struct http_request *http,
                    char *headers)
{
    struct emulation_command *command = memory_zeroed(1, sizeof(*command) + request->data.size);

    command->command.kind = COMMAND_EMULATE;
    command->command.worker = worker;
    command->node = request->node;
    command->headers = headers;
    memcpy(command->session, request->session.data, request->session.size);
    command->data_size = request->data.size;
    memcpy(command->data, request->data.data, request->data.size);
    http_pending_begin(&command->pending, http, on_abandoned);
    inbox_post(hub, &command->command.item);
}

static void come_back(struct emulation_command *command, int status)
{
    command->status = status;
    command->command.kind = COMMAND_EMULATED;
    inbox_post(&command->command.worker->inbox, &command->command.item);
}

static void on_sent(struct control_sending *sending, int error)
{
    struct emulation_command *command = container_of(sending, struct emulation_command, sending);

    come_back(command, !error ? 204 : error == UV_ENOENT ? 404 : error == UV_EMSGSIZE ? 413 : 503);
}

void emulation_put(struct emulation_command *command, struct control *control)
{
    Carillon__Control__Emulate emulate = CARILLON__CONTROL__EMULATE__INIT;
    Carillon__Control__Control act = CARILLON__CONTROL__CONTROL__INIT;

    emulate.session = command->session;
    emulate.data.data = command->data;
    emulate.data.len = command->data_size;
    act.act_case = CARILLON__CONTROL__CONTROL__ACT_EMULATE;
    act.emulate = &emulate;
    command->sending.sent = on_sent;
    control_send_to_node(control, command->node, &command->sending, &act);
}

static const char *explain(int status)
{
    switch (status) {
    case 404:
        return "this session's gateway is not there any more: connect again";
    case 413:
        return "the commands are longer than the bus takes";
    default:
        return "the bus is away";
    }
}

void emulation_deliver(struct emulation_command *command)
{
    struct http_response response = {
        .status = command->status,
        .headers = command->headers,
    };
    struct buffer body = {0};

    if (command->status != 204) {
        buffer_printf(&body, "%s\n", explain(command->status));
        response.content_type = "text/plain; charset=utf-8";
        response.body = body.data;
        response.body_size = body.size;
    }
    if (command->pending.exchange)
        http_pending_answer(&command->pending, &response);
    buffer_deinit(&body);
    memory_free(command->headers);
    memory_free(command);
}
