/*
 * What the gateway answers over plain HTTP: /health, /ready and the chat page on the public
 * listener. A request in, a response out; no I/O. Any thread.
 */
#ifndef GATEWAY_SITE_H
#define GATEWAY_SITE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/buffer.h"
#include "common/http_request.h"
#include "gateway/settings.h"

/* What the whole process says of itself; written by the main loop. */
struct status {
    atomic_bool is_bus_up;
    atomic_bool is_hearing; /* what is said to this gateway over the bus (control.h) */
    atomic_bool is_draining;
};

/* Answers an HTTP/1.1 request that names no host or several (400, RFC 9112 §3.2); returns false for
 * any other request, having appended nothing. */
bool site_refuse_host(const struct http_request *request, struct buffer *output);

/* Answers /health and /ready; returns false for any other path, having appended nothing. */
bool site_respond_status(const struct status *status, const struct http_request *request,
                         struct buffer *output);

/* Answers any request that is not a WebSocket handshake. */
void site_respond(const struct settings *settings, const struct status *status,
                  const struct http_request *request, struct buffer *output);

#endif
