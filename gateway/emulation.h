/*
 * The way of what a client posts beside its stream to the session that it is for, which may be
 * another worker's, or another gateway's: to the hub, from there over the bus where that has to be
 * (control.h), and back with the status of the answer to the post.
 *
 * 204 says that it is on its way; a session that has ended since loses it, as a socket would, and
 * its client knows by the end of its stream. 404 says that there is no such gateway (any more), and
 * that the client does best to connect again.
 */
#ifndef GATEWAY_EMULATION_H
#define GATEWAY_EMULATION_H

#include "common/http_exchange.h"
#include "gateway/command.h"
#include "gateway/control.h"
#include "gateway/emulation_request.h"

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

/* On a worker: sends it on, and keeps the answer to `http` waiting. Takes over the headers. */
void emulation_send(struct worker *worker, struct inbox *hub,
                    const struct emulation_request *request, const struct http_request *http,
                    char *headers);

/* On the hub's thread: passes it on, and posts the command back. */
void emulation_put(struct emulation_command *command, struct control *control);

/* On the worker's thread: answers, where somebody still waits, and frees it. */
void emulation_deliver(struct emulation_command *command);

#endif
