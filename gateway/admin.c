#include "gateway/admin.h"

#include <string.h>

#include "common/http_exchange.h"
#include "common/http_response.h"
#include "common/memory.h"
#include "common/stream.h"

#define CONNECTION_LIMIT  64
#define HEADER_LIMIT      8192
#define QUEUE_LIMIT_BYTES (1024u * 1024)
#define IDLE_MS           30000

struct admin {
    uv_tcp_t listener;
    struct loop *loop;
    struct hub *hub;
    struct list connections;
    unsigned count;
    bool is_stopping;
};

struct admin_connection {
    struct stream stream;
    struct waiter waiter;
    struct list link;
    struct http_exchange exchange;
    struct admin *admin;
};

static struct admin_connection *of_stream(struct stream *stream)
{
    return container_of(stream, struct admin_connection, stream);
}

static enum http_verdict respond(void *context, const struct http_request *request,
                                 struct buffer *output)
{
    struct admin *admin = context;
    struct buffer text = {0};

    if (site_respond_status(admin->hub->status, request, output))
        return HTTP_ANSWERED;
    if (strcmp(request->path, "/metrics") != 0) {
        http_response_append_error(output, 404, NULL, "try /metrics, /health or /ready", false,
                                   request->keep_alive);
        return HTTP_ANSWERED;
    }
    admin_append_metrics(&text, admin->hub);
    http_response_append(output, &(struct http_response){
                                     .status = 200,
                                     .content_type = "text/plain; version=0.0.4; charset=utf-8",
                                     .body = text.data,
                                     .body_size = text.size,
                                     .is_head = strcmp(request->method, "HEAD") == 0,
                                     .keep_alive = request->keep_alive,
                                 });
    buffer_deinit(&text);
    return HTTP_ANSWERED;
}

static void end(struct admin_connection *connection)
{
    loop_cancel(connection->admin->loop, &connection->waiter);
    stream_close(&connection->stream);
}

static void on_read(struct stream *stream, unsigned char *data, size_t size)
{
    struct admin_connection *connection = of_stream(stream);
    struct http_exchange *exchange = &connection->exchange;
    bool taken;

    http_exchange_feed(exchange, data, size, respond, connection->admin, &taken);
    if (exchange->output.size == 0)
        return;
    if (stream_write_bytes(stream, exchange->output.data, exchange->output.size) ||
        stream_queued_bytes(stream) > QUEUE_LIMIT_BYTES) {
        end(connection);
        return;
    }
    buffer_deinit(&exchange->output);
    loop_wait(connection->admin->loop, &connection->waiter, IDLE_MS);
    if (exchange->must_end) {
        stream_stop(stream);
        if (stream_queued_bytes(stream) == 0)
            end(connection);
    }
}

static void on_drained(struct stream *stream)
{
    struct admin_connection *connection = of_stream(stream);

    if (connection->exchange.must_end)
        end(connection);
}

static void on_ended(struct stream *stream, int error)
{
    (void)error;
    end(of_stream(stream));
}

static void free_if_done(struct admin *admin)
{
    if (admin->is_stopping && admin->count == 0)
        memory_free(admin);
}

static void on_closed(struct stream *stream)
{
    struct admin_connection *connection = of_stream(stream);
    struct admin *admin = connection->admin;

    list_remove(&connection->link);
    http_exchange_deinit(&connection->exchange);
    memory_free(connection);
    admin->count--;
    free_if_done(admin);
}

static const struct stream_events stream_events = {
    .read = on_read, .ended = on_ended, .drained = on_drained, .closed = on_closed};

static void on_deadline(struct waiter *waiter)
{
    end(container_of(waiter, struct admin_connection, waiter));
}

static void on_connection(uv_stream_t *listener, int error)
{
    struct admin *admin = container_of(listener, struct admin, listener);
    struct admin_connection *connection;

    if (error)
        return;
    connection = memory_zeroed(1, sizeof(*connection));
    connection->admin = admin;
    waiter_init(&connection->waiter, on_deadline);
    http_exchange_init(&connection->exchange, HEADER_LIMIT);
    list_init(&connection->link);
    list_append(&admin->connections, &connection->link);
    admin->count++;
    if (stream_accept(&connection->stream, admin->loop, listener, &stream_events) ||
        admin->count > CONNECTION_LIMIT || stream_start(&connection->stream)) {
        end(connection);
        return;
    }
    loop_wait(admin->loop, &connection->waiter, IDLE_MS);
}

int admin_start(struct admin **out, struct loop *loop, int fd, struct hub *hub)
{
    struct admin *admin = memory_zeroed(1, sizeof(*admin));

    admin->loop = loop;
    admin->hub = hub;
    list_init(&admin->connections);
    *out = admin;

    int error = uv_tcp_init(&loop->uv, &admin->listener);

    if (!error)
        error = uv_tcp_open(&admin->listener, fd);
    if (!error)
        error = uv_listen((uv_stream_t *)&admin->listener, CONNECTION_LIMIT, on_connection);
    return error;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct admin *admin = container_of(handle, struct admin, listener);

    admin->is_stopping = true;
    free_if_done(admin);
}

void admin_stop(struct admin *admin)
{
    for (struct list *link = admin->connections.next; link != &admin->connections;
         link = link->next)
        end(container_of(link, struct admin_connection, link));
    uv_close((uv_handle_t *)&admin->listener, on_listener_closed);
}
