#include "gateway/hook.h"

#include <string.h>

#include "common/memory.h"
#include "gateway/worker.h"

struct hook_command *hook_create(enum backend_hook hook, struct worker *worker, struct buffer *body,
                                 const char *headers, size_t headers_size,
                                 void (*answered)(struct hook_command *command), void *owner)
{
    struct hook_command *command = memory_zeroed(1, sizeof(*command) + headers_size);

    command->command.kind = COMMAND_HOOK;
    command->command.worker = worker;
    command->request.hook = hook;
    command->request.body = *body;
    *body = (struct buffer){0};
    if (headers_size > 0) {
        memcpy(command->headers, headers, headers_size);
        command->request.headers = command->headers;
        command->request.headers_size = headers_size;
    }
    command->answered = answered;
    command->owner = owner;
    return command;
}

static void on_done(struct backend_request *request)
{
    struct hook_command *command = container_of(request, struct hook_command, request);

    command->command.kind = COMMAND_HOOKED;
    inbox_post(&command->command.worker->inbox, &command->command.item);
}

void hook_put(struct hook_command *command, struct backend *backend)
{
    command->request.done = on_done;
    if (backend) {
        backend_ask(backend, &command->request);
        return;
    }
    command->request.outcome = BACKEND_CANCELLED;
    on_done(&command->request);
}

void hook_deliver(struct hook_command *command)
{
    command->answered(command);
    hook_destroy(command);
}

void hook_destroy(struct hook_command *command)
{
    buffer_deinit(&command->request.body);
    buffer_deinit(&command->request.answer);
    memory_free(command);
}
