/*
 * A relay in front of the Redis of a test, on the test's own loop: passes bytes on, or only those
 * of one direction, or answers everything itself with the same text. The mode may change at any
 * time and holds for connections that are open, too.
 */
#ifndef TESTS_REDIS_RELAY_H
#define TESTS_REDIS_RELAY_H

#include "tests/unit/redis_fixture.h"

enum relay_mode {
    RELAY_PASS,
    RELAY_DROP_COMMANDS, /* what gateways send gets lost */
    RELAY_DROP_REPLIES,  /* what Redis sends gets lost */
    RELAY_DROP_MESSAGES, /* what subscribers are sent gets lost, all else passes */
    RELAY_ANSWER,        /* Redis is not asked */
};

struct relay {
    uv_tcp_t listener;
    uint16_t port;
    const char *socket; /* of the real Redis */
    enum relay_mode mode;
    const char *answer;
    size_t answer_size;
    struct list connections;
};

struct relay_connection {
    struct relay *relay;
    struct list link;
    uv_tcp_t client;
    uv_pipe_t server;
    uv_connect_t connect;
    int open;
};

struct relay_write {
    uv_write_t request;
    char bytes[];
};

static inline void relay_on_closed(uv_handle_t *handle)
{
    struct relay_connection *connection = handle->data;

    if (--connection->open == 0)
        memory_free(connection);
}

static inline void relay_end(struct relay_connection *connection)
{
    if (uv_is_closing((uv_handle_t *)&connection->client))
        return;
    list_remove(&connection->link);
    uv_close((uv_handle_t *)&connection->client, relay_on_closed);
    uv_close((uv_handle_t *)&connection->server, relay_on_closed);
}

static inline void relay_on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    static char bytes[65536];

    (void)handle;
    (void)suggested;
    *buffer = uv_buf_init(bytes, sizeof(bytes));
}

static inline void relay_on_written(uv_write_t *request, int error)
{
    (void)error;
    memory_free(container_of(request, struct relay_write, request));
}

static inline void relay_write(uv_stream_t *stream, const char *bytes, size_t size)
{
    struct relay_write *write = memory_allocate(sizeof(*write) + size);
    uv_buf_t buffer = uv_buf_init(write->bytes, (unsigned)size);

    memcpy(write->bytes, bytes, size);
    if (uv_write(&write->request, stream, &buffer, 1, relay_on_written))
        memory_free(write);
}

static inline void relay_on_command(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct relay_connection *connection = stream->data;
    const struct relay *relay = connection->relay;

    if (size < 0)
        relay_end(connection);
    else if (size > 0 && relay->mode == RELAY_ANSWER)
        relay_write(stream, relay->answer, relay->answer_size);
    else if (size > 0 && relay->mode != RELAY_DROP_COMMANDS)
        relay_write((uv_stream_t *)&connection->server, buffer->base, (size_t)size);
}

static inline void relay_on_reply(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct relay_connection *connection = stream->data;
    enum relay_mode mode = connection->relay->mode;
    static const char message[] = "*3\r\n$7\r\nmessage";

    if (size < 0) {
        relay_end(connection);
        return;
    }
    if (mode == RELAY_DROP_MESSAGES && (size_t)size >= sizeof(message) &&
        memcmp(buffer->base, message, sizeof(message) - 1) == 0)
        return;
    if (size > 0 && mode != RELAY_DROP_REPLIES && mode != RELAY_ANSWER)
        relay_write((uv_stream_t *)&connection->client, buffer->base, (size_t)size);
}

static inline void relay_on_connected(uv_connect_t *request, int error)
{
    struct relay_connection *connection = request->data;

    if (error == UV_ECANCELED)
        return;
    if (error) {
        relay_end(connection);
        return;
    }
    uv_read_start((uv_stream_t *)&connection->server, relay_on_allocate, relay_on_reply);
    uv_read_start((uv_stream_t *)&connection->client, relay_on_allocate, relay_on_command);
}

static inline void relay_on_connection(uv_stream_t *listener, int error)
{
    struct relay *relay = container_of((uv_tcp_t *)listener, struct relay, listener);
    struct relay_connection *connection = memory_zeroed(1, sizeof(*connection));

    assert_int_equal(error, 0);
    connection->relay = relay;
    connection->open = 2;
    list_init(&connection->link);
    list_append(&relay->connections, &connection->link);
    uv_tcp_init(listener->loop, &connection->client);
    uv_pipe_init(listener->loop, &connection->server, 0);
    connection->client.data = connection;
    connection->server.data = connection;
    connection->connect.data = connection;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&connection->client), 0);
    uv_pipe_connect(&connection->connect, &connection->server, relay->socket, relay_on_connected);
}

static inline void relay_start(struct relay *relay, struct loop *loop, const struct server *server)
{
    struct sockaddr_in address;

    *relay = (struct relay){.port = free_port(), .socket = server->socket};
    list_init(&relay->connections);
    uv_ip4_addr("127.0.0.1", relay->port, &address);
    uv_tcp_init(&loop->uv, &relay->listener);
    assert_int_equal(uv_tcp_bind(&relay->listener, (struct sockaddr *)&address, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&relay->listener, 16, relay_on_connection), 0);
}

static inline void relay_stop(struct relay *relay)
{
    while (!list_is_empty(&relay->connections))
        relay_end(container_of(relay->connections.next, struct relay_connection, link));
    uv_close((uv_handle_t *)&relay->listener, NULL);
}

static inline void relay_answer(struct relay *relay, const char *answer, size_t size)
{
    relay->mode = RELAY_ANSWER;
    relay->answer = answer;
    relay->answer_size = size;
}

#endif
