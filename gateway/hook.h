/*
 * Questions of workers to the application's backend: the commands that carry them to the hub, on
 * whose thread the backend is asked, and back with its answer.
 */
#ifndef GATEWAY_HOOK_H
#define GATEWAY_HOOK_H

#include "gateway/backend.h"
#include "gateway/command.h"

struct hook_command {
    struct command command;
    struct backend_request request;
    /* On the worker, with what it asked; frees nothing. */
    void (*answered)(struct hook_command *command);
    void *owner;
    char headers[];
};

/* Takes over the body; the headers, as in backend_request, are copied. Then inbox_post. */
struct hook_command *hook_create(enum backend_hook hook, struct worker *worker, struct buffer *body,
                                 const char *headers, size_t headers_size,
                                 void (*answered)(struct hook_command *command), void *owner);

/* On the hub's thread: asks, and posts the command back. `backend` NULL: it is closed. */
void hook_put(struct hook_command *command, struct backend *backend);

/* On the worker's thread: tells the owner, and frees it. */
void hook_deliver(struct hook_command *command);

/* Frees a command that was never answered, or has been. */
void hook_destroy(struct hook_command *command);

#endif
