/*
 * The way of what a client posts beside its stream to the session that it is for, which may be
 * another worker's, or another gateway's: to the hub, from there over the bus where that has to be
 * (control.h), and back with the status of the answer to the post.
 *
 * 204 says that it is on its way; a session that has ended since loses it, as a socket would, and
 * its client knows by the end of its stream. 404 says that there is no such gateway (any more),
 * upon which SDKs connect again. They do so for 500 and above, too, which would be no help while
 * the bus is away: that is 429, for this command alone.
 *
 * Posts wait in the hub for their turn among publishes, and are answered after it: who posts faster
 * than the bus takes it, or the worker, waits for his answers.
 */
#ifndef GATEWAY_EMULATION_H
#define GATEWAY_EMULATION_H

#include "common/http_exchange.h"
#include "gateway/command.h"
#include "gateway/control.h"
#include "gateway/emulation_request.h"
#include "gateway/session.h"

struct emulation_command {
    struct command command;
    struct http_pending pending;    /* the worker's: the answer that waits */
    struct control_sending sending; /* the hub's */
    uint64_t node;
    int status;
    char *headers; /* of the answer */
    char session[EMULATION_SESSION_LIMIT];
    size_t data_size;
    unsigned char data[];
};

/* What a command costs on its way to the hub (flow.h). */
static inline uint64_t emulation_cost(const struct emulation_command *command)
{
    return sizeof(*command) + command->data_size;
}

/* On a worker: sends it on, and keeps the answer to `http` waiting. Takes over the headers. */
void emulation_send(struct session_host *host, const struct emulation_request *request,
                    const struct http_request *http, char *headers);

/* On the hub's thread: passes it on, and posts the command back. */
void emulation_put(struct emulation_command *command, struct control *control);

/* On the worker's thread: answers, where somebody still waits, and frees it. */
void emulation_deliver(struct emulation_command *command);

#endif
