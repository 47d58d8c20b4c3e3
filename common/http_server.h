/*
 * A small HTTP server for operators and their tools, on the main loop of a program: a handful of
 * connections at a time; one more is closed. What the requests mean is the owner's, who may answer
 * them later (HTTP_PENDING).
 *
 * On the loopback interface a request has to name this machine (local_host.h) or no host, and gets
 * 421 where it names another one: it may be of a stranger's page in a browser here. On other
 * addresses no name is wrong, since those who ask there (Prometheus, for one) use the names of
 * their network.
 */
#ifndef COMMON_HTTP_SERVER_H
#define COMMON_HTTP_SERVER_H

#include <stdint.h>

#include "common/http_exchange.h"
#include "common/listener.h"
#include "common/loop.h"

struct http_server;

/*
 * Listens on `socket` (bound, owned by the server from here on) and answers with `respond`,
 * `connection_limit` connections at a time. 0 or a libuv error.
 */
int http_server_start(struct http_server **server, struct loop *loop, int socket,
                      uint64_t connection_limit,
                      enum http_verdict (*respond)(void *context,
                                                   const struct http_request *request,
                                                   struct buffer *output),
                      void *context);

/* Lets requests have bodies, see http_request_reader_allow_bodies; `context` is the server's. */
void http_server_allow_bodies(struct http_server *server,
                              size_t (*limit)(void *context, const struct http_request *request));

/* Closes listener and connections; memory is freed on the loop. */
void http_server_stop(struct http_server *server);

/* Times that accepting failed. */
uint64_t http_server_accept_errors(const struct http_server *server);

#endif
