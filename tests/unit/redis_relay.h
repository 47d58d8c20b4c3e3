/*
 * A relay in front of the Redis of a test, on the test's own loop: passes everything on, or only
 * some of it, or answers itself with the same text. What Redis sends goes by whole replies, however
 * they were cut or glued on their way, so that what passes makes sense. The mode may change at any
 * time and holds for connections that are open, too.
 *
 * Beside that, some of it may be held back until relay_release.
 */
#ifndef TESTS_REDIS_RELAY_H
#define TESTS_REDIS_RELAY_H

#include "common/buffer.h"
#include "tests/unit/redis_fixture.h"

enum relay_mode {
    RELAY_PASS,
    RELAY_DROP_COMMANDS, /* what gateways send gets lost */
    RELAY_DROP_REPLIES,  /* what Redis sends gets lost */
    RELAY_DROP_MESSAGES, /* what subscribers are sent gets lost, all else passes */
    RELAY_DROP_ANSWERS,  /* what command connections are answered gets lost, all else passes */
    RELAY_ANSWER,        /* Redis is not asked */
    RELAY_REFUSE,        /* connections end as soon as they come */
};

struct relay {
    uv_tcp_t listener;
    uint16_t port;
    const char *socket; /* of the real Redis */
    enum relay_mode mode;
    bool holds_commands;   /* what is sent on command connections */
    bool holds_subscribes; /* on the others */
    bool holds_pushes;     /* what is sent on those */
    size_t attached;       /* answers to ATTACH that came, whatever became of them */
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
    bool is_for_commands;
    struct buffer commands; /* held back */
    struct buffer pushes;   /* held back */
    struct buffer replies;  /* of which the last is not yet whole */
    int open;
};

struct relay_write {
    uv_write_t request;
    char bytes[];
};

static inline void relay_on_closed(uv_handle_t *handle)
{
    struct relay_connection *connection = handle->data;

    if (--connection->open > 0)
        return;
    buffer_deinit(&connection->commands);
    buffer_deinit(&connection->pushes);
    buffer_deinit(&connection->replies);
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

static inline void relay_pass_commands(struct relay_connection *connection, const char *bytes,
                                       size_t size)
{
    const struct relay *relay = connection->relay;
    bool is_held = connection->is_for_commands ? relay->holds_commands : relay->holds_subscribes;

    if (is_held)
        buffer_append(&connection->commands, bytes, size);
    else
        relay_write((uv_stream_t *)&connection->server, bytes, size);
}

static inline void relay_on_command(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct relay_connection *connection = stream->data;
    const struct relay *relay = connection->relay;

    if (size < 0) {
        relay_end(connection);
        return;
    }
    if (size == 0)
        return;
    if (memmem(buffer->base, (size_t)size, "SCRIPT", 6))
        connection->is_for_commands = true;
    if (relay->mode == RELAY_ANSWER)
        relay_write(stream, relay->answer, relay->answer_size);
    else if (relay->mode != RELAY_DROP_COMMANDS)
        relay_pass_commands(connection, buffer->base, (size_t)size);
}

/* The bytes of the first reply, or 0 where it is not yet whole. */
static inline size_t relay_reply_size(const char *bytes, size_t size)
{
    const char *end = memmem(bytes, size, "\r\n", 2);
    long long number;
    size_t at;

    if (!end)
        return 0;
    at = (size_t)(end - bytes) + 2;
    number = strtoll(bytes + 1, NULL, 10);
    if (bytes[0] == '$' && number >= 0)
        at += (size_t)number + 2;
    for (long long i = 0; bytes[0] == '*' && i < number; i++) {
        size_t item = at < size ? relay_reply_size(bytes + at, size - at) : 0;

        if (item == 0)
            return 0;
        at += item;
    }
    return at <= size ? at : 0;
}

static inline void relay_pass_reply(struct relay_connection *connection, const char *reply,
                                    size_t size)
{
    static const char message[] = "*3\r\n$7\r\nmessage";
    struct relay *relay = connection->relay;
    bool is_message = size >= sizeof(message) && memcmp(reply, message, sizeof(message) - 1) == 0;

    if (connection->is_for_commands && memcmp(reply, "*5", 2) == 0)
        relay->attached++;
    if (relay->mode == RELAY_DROP_REPLIES || relay->mode == RELAY_ANSWER ||
        (relay->mode == RELAY_DROP_MESSAGES && is_message) ||
        (relay->mode == RELAY_DROP_ANSWERS && connection->is_for_commands))
        return;
    if (relay->holds_pushes && !connection->is_for_commands) {
        buffer_append(&connection->pushes, reply, size);
        return;
    }
    relay_write((uv_stream_t *)&connection->client, reply, size);
}

static inline void relay_on_reply(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct relay_connection *connection = stream->data;
    struct buffer *replies = &connection->replies;
    size_t whole;

    if (size < 0) {
        relay_end(connection);
        return;
    }
    buffer_append(replies, buffer->base, (size_t)size);
    while ((whole = relay_reply_size((const char *)replies->data, replies->size)) > 0) {
        relay_pass_reply(connection, (const char *)replies->data, whole);
        buffer_consume(replies, whole);
    }
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
    uv_tcp_nodelay(&connection->client, 1); /* as Redis does */
    if (relay->mode == RELAY_REFUSE) {
        relay_end(connection);
        return;
    }
    uv_pipe_connect(&connection->connect, &connection->server, relay->socket, relay_on_connected);
}

static inline void relay_start(struct relay *relay, struct loop *loop, const struct server *server)
{
    *relay = (struct relay){.socket = server->socket};
    list_init(&relay->connections);
    uv_tcp_init(&loop->uv, &relay->listener);
    for (int i = 0; i < 100; i++) {
        struct sockaddr_in address;

        relay->port = free_port();
        uv_ip4_addr("127.0.0.1", relay->port, &address);
        if (uv_tcp_bind(&relay->listener, (struct sockaddr *)&address, 0) == 0 &&
            uv_listen((uv_stream_t *)&relay->listener, 16, relay_on_connection) == 0)
            return;
    }
    fail_msg("no port is free");
}

static inline void relay_cut(struct relay *relay)
{
    while (!list_is_empty(&relay->connections))
        relay_end(container_of(relay->connections.next, struct relay_connection, link));
}

/* Cuts all connections, and those to come, until the mode changes. */
static inline void relay_refuse(struct relay *relay)
{
    relay->mode = RELAY_REFUSE;
    relay_cut(relay);
}

/* Passes on what was held back and is not held any more. */
static inline void relay_release(struct relay *relay)
{
    for (struct list *link = relay->connections.next; link != &relay->connections;
         link = link->next) {
        struct relay_connection *connection = container_of(link, struct relay_connection, link);
        bool holds = connection->is_for_commands ? relay->holds_commands : relay->holds_subscribes;

        if (!holds && connection->commands.size > 0) {
            relay_write((uv_stream_t *)&connection->server, (const char *)connection->commands.data,
                        connection->commands.size);
            connection->commands.size = 0;
        }
        if (!relay->holds_pushes && connection->pushes.size > 0) {
            relay_write((uv_stream_t *)&connection->client, (const char *)connection->pushes.data,
                        connection->pushes.size);
            connection->pushes.size = 0;
        }
    }
}

static inline void relay_stop(struct relay *relay)
{
    relay_cut(relay);
    uv_close((uv_handle_t *)&relay->listener, NULL);
}

static inline void relay_answer(struct relay *relay, const char *answer, size_t size)
{
    relay->mode = RELAY_ANSWER;
    relay->answer = answer;
    relay->answer_size = size;
}

#endif
