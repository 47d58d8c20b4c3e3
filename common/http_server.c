#include "common/http_server.h"

#include <unistd.h>

#include "common/http_response.h"
#include "common/local_host.h"
#include "common/memory.h"
#include "common/stream.h"

#define LISTEN_BACKLOG    64
#define HEADER_LIMIT      8192
#define QUEUE_LIMIT_BYTES ((size_t)1024 * 1024)
#define IDLE_MS           30000
#define LINGER_MS         2000

struct http_server {
    struct listener listener;
    struct loop *loop;
    enum http_verdict (*respond)(void *context, const struct http_request *request,
                                 struct buffer *output);
    void *context;
    size_t (*body_limit)(void *context, const struct http_request *request);
    struct list connections;
    uint64_t connection_limit;
    uint64_t count;
    bool is_stopping;
    bool is_on_loopback;
};

struct server_connection {
    struct stream stream;
    struct waiter waiter;
    struct list link;
    struct http_exchange exchange;
    struct http_server *server;
    bool is_held; /* not read until the pending answer was given */
    bool is_lingering;
};

static struct server_connection *of_stream(struct stream *stream)
{
    return container_of(stream, struct server_connection, stream);
}

static void end(struct server_connection *connection)
{
    loop_cancel(connection->server->loop, &connection->waiter);
    stream_close(&connection->stream);
}

/* All is said. What the client still sends is read for a while and let go, since to close upon it
 * would take the answer from a client that has not read it (RFC 9112 §9.6). */
static void linger(struct server_connection *connection)
{
    connection->is_lingering = true;
    if (stream_shutdown(&connection->stream) || stream_start(&connection->stream)) {
        end(connection);
        return;
    }
    loop_wait(connection->server->loop, &connection->waiter, LINGER_MS);
}

static enum http_verdict answer(void *context, const struct http_request *request,
                                struct buffer *output)
{
    struct http_server *server = context;
    const char *host = http_request_header(request, "host");

    if (!server->is_on_loopback || !host || local_host_is(host))
        return server->respond(server->context, request, output);
    http_response_append_error(output, 421, NULL,
                               "this port is this machine's own: ask for localhost or 127.0.0.1",
                               http_request_is_head(request), request->keep_alive);
    return HTTP_ANSWERED;
}

/* Sends what was answered. False: the connection is on its way out. */
static bool send_output(struct server_connection *connection)
{
    struct stream *stream = &connection->stream;
    struct http_exchange *exchange = &connection->exchange;

    if (exchange->output.size == 0)
        return true;
    /* One answer may be larger than the limit, but none is put on top of so much. */
    if (stream_queued_bytes(stream) > QUEUE_LIMIT_BYTES ||
        stream_write_bytes(stream, exchange->output.data, exchange->output.size)) {
        end(connection);
        return false;
    }
    buffer_deinit(&exchange->output);
    loop_wait(connection->server->loop, &connection->waiter, IDLE_MS);
    if (!exchange->must_end)
        return true;
    stream_stop(stream);
    if (stream_queued_bytes(stream) == 0)
        linger(connection);
    return false;
}

static void feed(struct server_connection *connection, const unsigned char *data, size_t size)
{
    struct http_server *server = connection->server;
    struct http_exchange *exchange = &connection->exchange;
    bool taken;

    if (size > 0 && http_request_reader_is_idle(exchange->reader)) /* a request has its time, too */
        loop_wait(server->loop, &connection->waiter, IDLE_MS);
    http_exchange_feed(exchange, data, size, answer, server, &taken);
    if (send_output(connection) && http_exchange_is_full(exchange)) {
        connection->is_held = true;
        stream_stop(&connection->stream);
    }
}

static void on_read(struct stream *stream, unsigned char *data, size_t size)
{
    struct server_connection *connection = of_stream(stream);

    if (!connection->is_lingering)
        feed(connection, data, size);
}

static void on_resumed(struct http_exchange *exchange)
{
    struct server_connection *connection =
        container_of(exchange, struct server_connection, exchange);

    if (stream_is_closing(&connection->stream))
        return;
    if (connection->is_held) {
        connection->is_held = false;
        if (stream_start(&connection->stream)) {
            end(connection);
            return;
        }
    }
    feed(connection, NULL, 0);
}

static void on_drained(struct stream *stream)
{
    struct server_connection *connection = of_stream(stream);

    if (connection->exchange.must_end && !connection->is_lingering)
        linger(connection);
}

static void on_ended(struct stream *stream, int error)
{
    (void)error;
    end(of_stream(stream));
}

static void free_if_done(struct http_server *server)
{
    if (server->is_stopping && server->count == 0)
        memory_free(server);
}

static void on_closed(struct stream *stream)
{
    struct server_connection *connection = of_stream(stream);
    struct http_server *server = connection->server;

    list_remove(&connection->link);
    http_exchange_deinit(&connection->exchange);
    memory_free(connection);
    server->count--;
    free_if_done(server);
}

static const struct stream_events stream_events = {
    .read = on_read, .ended = on_ended, .drained = on_drained, .closed = on_closed};

static void on_deadline(struct waiter *waiter)
{
    struct server_connection *connection = container_of(waiter, struct server_connection, waiter);

    if (connection->exchange.pending)
        loop_wait(connection->server->loop, waiter, IDLE_MS);
    else
        end(connection);
}

static size_t body_limit(void *context, const struct http_request *request)
{
    const struct http_server *server = context;

    return server->body_limit ? server->body_limit(server->context, request) : 0;
}

static void on_accepted(struct listener *listener, int socket, const struct sockaddr_storage *peer)
{
    struct http_server *server = container_of(listener, struct http_server, listener);
    struct server_connection *connection;

    (void)peer;
    if (server->count == server->connection_limit) {
        close(socket);
        return;
    }
    connection = memory_zeroed(1, sizeof(*connection));
    connection->server = server;
    waiter_init(&connection->waiter, on_deadline);
    http_exchange_init(&connection->exchange, HEADER_LIMIT);
    connection->exchange.resumed = on_resumed;
    http_request_reader_allow_bodies(connection->exchange.reader, body_limit, server);
    list_init(&connection->link);
    list_append(&server->connections, &connection->link);
    server->count++;
    if (stream_accept(&connection->stream, server->loop, socket, &stream_events) ||
        stream_start(&connection->stream)) {
        end(connection);
        return;
    }
    loop_wait(server->loop, &connection->waiter, IDLE_MS);
}

int http_server_start(struct http_server **out, struct loop *loop, int socket,
                      uint64_t connection_limit,
                      enum http_verdict (*respond)(void *context,
                                                   const struct http_request *request,
                                                   struct buffer *output),
                      void *context)
{
    struct http_server *server = memory_zeroed(1, sizeof(*server));
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof(address);

    server->is_on_loopback = getsockname(socket, (struct sockaddr *)&address, &size) == 0 &&
                             local_host_is_loopback((const struct sockaddr *)&address);
    server->loop = loop;
    server->respond = respond;
    server->context = context;
    server->connection_limit = connection_limit;
    list_init(&server->connections);
    *out = server;
    return listener_start(&server->listener, loop, socket, LISTEN_BACKLOG, on_accepted);
}

void http_server_allow_bodies(struct http_server *server,
                              size_t (*limit)(void *context, const struct http_request *request))
{
    server->body_limit = limit;
}

static void on_listener_closed(struct listener *listener)
{
    struct http_server *server = container_of(listener, struct http_server, listener);

    server->is_stopping = true;
    free_if_done(server);
}

void http_server_stop(struct http_server *server)
{
    for (struct list *link = server->connections.next; link != &server->connections;
         link = link->next)
        end(container_of(link, struct server_connection, link));
    listener_close(&server->listener, on_listener_closed);
}

uint64_t http_server_accept_errors(const struct http_server *server)
{
    return metric_read(&server->listener.errors);
}
