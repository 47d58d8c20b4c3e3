#include "gateway/emulation.h"

#include <string.h>

#include "common/http_response.h"
#include "common/memory.h"
#include "gateway/worker.h"

static void on_abandoned(struct http_pending *pending)
{
    (void)pending; /* the command comes back, and finds nobody */
}

void emulation_send(struct session_host *host, const struct emulation_request *request,
                    const struct http_request *http, char *headers)
{
    struct emulation_command *command = memory_zeroed(1, sizeof(*command) + request->data.size);

    command->command.kind = COMMAND_EMULATE;
    command->command.worker = host->channels.worker;
    command->node = request->node;
    command->headers = headers;
    memcpy(command->session, request->session.data, request->session.size);
    command->data_size = request->data.size;
    memcpy(command->data, request->data.data, request->data.size);
    http_pending_begin(&command->pending, http, on_abandoned);
    flow_post(&host->publishes, emulation_cost(command));
    inbox_post(host->channels.hub, &command->command.item);
}

static void come_back(struct emulation_command *command, int status)
{
    command->status = status;
    command->command.kind = COMMAND_EMULATED;
    inbox_post(&command->command.worker->inbox, &command->command.item);
}

static int status_of(int error)
{
    switch (error) {
    case 0:
        return 204;
    case UV_ENOENT:
        return 404;
    case UV_EMSGSIZE:
        return 413;
    default:
        return 429;
    }
}

static void on_sent(struct control_sending *sending, int error)
{
    struct emulation_command *command = container_of(sending, struct emulation_command, sending);

    come_back(command, status_of(error));
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
        return "the bus takes nothing at present";
    }
}

void emulation_deliver(struct emulation_command *command)
{
    struct worker_stats *stats = &command->command.worker->stats;
    struct http_response response = {
        .status = command->status,
        .headers = command->headers,
    };
    struct buffer body = {0};

    metric_add(command->status == 204 ? &stats->posts : &stats->posts_refused, 1);
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
