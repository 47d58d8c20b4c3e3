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

struct http_server {
    struct listener listener;
    struct loop *loop;
    enum http_verdict (*respond)(void *context, const struct http_request *request,
                                 struct buffer *output);
    void *context;
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

static void on_read(struct stream *stream, unsigned char *data, size_t size)
{
    struct server_connection *connection = of_stream(stream);
    struct http_exchange *exchange = &connection->exchange;
    bool taken;

    http_exchange_feed(exchange, data, size, answer, connection->server, &taken);
    if (exchange->output.size == 0)
        return;
    if (stream_write_bytes(stream, exchange->output.data, exchange->output.size) ||
        stream_queued_bytes(stream) > QUEUE_LIMIT_BYTES) {
        end(connection);
        return;
    }
    buffer_deinit(&exchange->output);
    loop_wait(connection->server->loop, &connection->waiter, IDLE_MS);
    if (exchange->must_end) {
        stream_stop(stream);
        if (stream_queued_bytes(stream) == 0)
            end(connection);
    }
}

static void on_drained(struct stream *stream)
{
    struct server_connection *connection = of_stream(stream);

    if (connection->exchange.must_end)
        end(connection);
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
    end(container_of(waiter, struct server_connection, waiter));
}

static void on_accepted(struct listener *listener, int socket)
{
    struct http_server *server = container_of(listener, struct http_server, listener);
    struct server_connection *connection;

    if (server->count == server->connection_limit) {
        close(socket);
        return;
    }
    connection = memory_zeroed(1, sizeof(*connection));
    connection->server = server;
    waiter_init(&connection->waiter, on_deadline);
    http_exchange_init(&connection->exchange, HEADER_LIMIT);
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
