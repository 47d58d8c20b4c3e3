/*
 * What the tests of the Redis bus share: a real redis-server in a directory of its own, gateways'
 * buses on one loop, traffic between them, and a record of what each was given. Every wait is for a
 * condition; WAIT_LIMIT_MS only ends a test that would never end.
 */
#ifndef TESTS_REDIS_FIXTURE_H
#define TESTS_REDIS_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "gateway/bus.h"

#define WAIT_LIMIT_MS 60000
#define CHANNEL       "room"
#define SERVER_WORDS  16

/* Below the range from which the kernel takes ports for others (ip_local_port_range): while a
 * server is down, nobody else may come by its port. */
#define FIRST_PORT 10000
#define LAST_PORT  29999

/* The server. */

struct server {
    pid_t pid;
    uint16_t port;
    char directory[64];
    char socket[96];
    char password[32]; /* of the default user, for our own commands */
};

static inline bool port_is_free(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_free = bind(handle, (struct sockaddr *)&address, sizeof(address)) == 0;

    close(handle);
    return is_free;
}

static inline uint16_t free_port(void)
{
    uint16_t port;

    do
        port = (uint16_t)(FIRST_PORT + random_id() % (LAST_PORT - FIRST_PORT + 1));
    while (!port_is_free(port));
    return port;
}

static inline void server_prepare(struct server *server)
{
    *server = (struct server){.port = free_port()};
    snprintf(server->directory, sizeof(server->directory), "/tmp/carillon-redis-XXXXXX");
    assert_non_null(mkdtemp(server->directory));
    snprintf(server->socket, sizeof(server->socket), "%s/redis.sock", server->directory);
}

static inline redisContext *server_connect(const struct server *server)
{
    redisContext *context = redisConnectUnix(server->socket);

    if (context && !context->err && server->password[0])
        freeReplyObject(redisCommand(context, "AUTH %s", server->password));
    return context;
}

static inline bool server_answers(const struct server *server)
{
    redisContext *context = server_connect(server);
    redisReply *reply = context && !context->err ? redisCommand(context, "PING") : NULL;
    bool answers = reply && reply->type == REDIS_REPLY_STATUS;

    if (reply)
        freeReplyObject(reply);
    if (context)
        redisFree(context);
    return answers;
}

/* REDIS_SERVER names another one that is to be tested, such as valkey-server. */
static inline const char *server_program(void)
{
    const char *program = getenv("REDIS_SERVER");

    return program ? program : "redis-server";
}

static inline void server_launch(struct server *server, const char *const *options)
{
    char port[8];
    const char *words[SERVER_WORDS + 16] = {
        server_program(), "--bind", "127.0.0.1",       "--port",     port,     "--unixsocket",
        server->socket,   "--dir",  server->directory, "--loglevel", "warning"};
    size_t count = 11;

    snprintf(port, sizeof(port), "%u", server->port);
    while (options && *options)
        words[count++] = *options++;
    words[count] = NULL;
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0) {
        int null = open("/dev/null", O_RDWR);

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves no server behind */
        dup2(null, 0);
        dup2(null, 1);
        dup2(null, 2);
        execvp(words[0], (char *const *)words);
        _exit(127);
    }
}

/* Starts a prepared server with further options, NULL-terminated, and waits until it answers. One
 * that ends at once, because somebody else has its port for a moment, is started again. */
static inline void server_start(struct server *server, const char *const *options)
{
    server_launch(server, options);
    for (int i = 0; i < WAIT_LIMIT_MS / 10 && !server_answers(server); i++) {
        usleep(10000);
        if (waitpid(server->pid, NULL, WNOHANG) == server->pid)
            server_launch(server, options);
    }
    assert_true(server_answers(server));
}

static inline void server_kill(struct server *server)
{
    kill(server->pid, SIGKILL);
    waitpid(server->pid, NULL, 0);
    server->pid = 0;
}

static inline void server_remove(struct server *server)
{
    char command[128];

    if (server->pid > 0)
        server_kill(server);
    snprintf(command, sizeof(command), "rm -rf '%s'", server->directory);
    assert_int_equal(system(command), 0);
}

/* Runs a command that must not fail; returns its integer, if it has one. */
__attribute__((format(printf, 2, 3))) static inline long long
server_call(const struct server *server, const char *format, ...)
{
    redisContext *context = server_connect(server);
    va_list arguments;
    redisReply *reply;
    long long result;

    assert_true(context && !context->err);
    va_start(arguments, format);
    reply = redisvCommand(context, format, arguments);
    va_end(arguments);
    assert_non_null(reply);
    if (reply->type == REDIS_REPLY_ERROR)
        fail_msg("%s: %s", format, reply->str);
    result = reply->type == REDIS_REPLY_INTEGER ? reply->integer : 0;
    freeReplyObject(reply);
    redisFree(context);
    return result;
}

/* The gateways. */

struct node {
    struct bus *bus;
    struct bus_settings settings;
    struct bus_events events;
    uint64_t id;
    char **texts; /* what was delivered on CHANNEL, in order */
    size_t count;
    size_t capacity;
    size_t heard; /* deliveries on all channels */
    size_t subscribed;
    size_t lost;
    size_t accepted; /* publishes that ended well */
    size_t refused;
    size_t full; /* of them, with UV_ENOBUFS */
    size_t started;
    size_t ups; /* times that the bus came up */
    bool is_closed;
    uint64_t last_offset;
};

struct sending {
    struct bus_publish publish;
    struct node *node;
};

static inline void on_deliver(void *context, struct message *message)
{
    struct node *node = context;

    node->heard++;
    if (strcmp(message->channel, CHANNEL) != 0)
        return;
    assert_true(message->offset > 0 && message->epoch[0] != '\0');
    if (node->count == node->capacity) {
        node->capacity = node->capacity ? node->capacity * 2 : 1024;
        node->texts = memory_resize(node->texts, node->capacity * sizeof(*node->texts));
    }
    node->texts[node->count++] = memory_copy_text((const char *)message->data, message->data_size);
    node->last_offset = message->offset;
}

static inline void on_subscribed(void *context, const char *channel, size_t size)
{
    struct node *node = context;

    (void)channel;
    (void)size;
    node->subscribed++;
}

static inline void on_lost(void *context, const char *channel, size_t size)
{
    struct node *node = context;

    (void)channel;
    (void)size;
    node->lost++;
}

static inline void on_state_changed(void *context, enum bus_state state)
{
    if (state == BUS_UP)
        ((struct node *)context)->ups++;
}

static inline void on_closed(void *context)
{
    ((struct node *)context)->is_closed = true;
}

static inline void on_published(struct bus_publish *publish, int error)
{
    struct sending *sending = container_of(publish, struct sending, publish);
    struct node *node = sending->node;

    if (error == 0)
        node->accepted++;
    else
        node->refused++;
    if (error == UV_ENOBUFS)
        node->full++;
    message_unref(publish->message);
    memory_free(sending);
}

/* A node with the usual settings, to be changed before node_open. */
static inline void node_prepare(struct node *node, uint64_t id)
{
    *node = (struct node){
        .id = id,
        .settings = {.node_id = id,
                     .history_size = 100000,
                     .history_ttl_ms = 60000,
                     .buffer_limit_bytes = 64ull * 1024 * 1024,
                     .message_limit_bytes = 65536,
                     .redis_prefix = "test"},
        .events = {on_deliver, on_subscribed, on_lost, on_state_changed},
    };
}

static inline void node_open(struct node *node, struct loop *loop, const char *url)
{
    char error[256] = "";
    int result = bus_open(&node->bus, loop, url, &node->settings, &node->events, node, error);

    if (result)
        fail_msg("%s", error);
}

static inline void node_subscribe(struct node *node, const char *channel)
{
    bus_subscribe(node->bus, channel, strlen(channel));
}

static inline void node_publish(struct node *node, const char *channel, const char *text)
{
    struct sending *sending = memory_zeroed(1, sizeof(*sending));

    sending->node = node;
    sending->publish.published = on_published;
    sending->publish.message =
        message_create(MESSAGE_TEXT, channel, strlen(channel), text, strlen(text));
    node->started++;
    bus_publish(node->bus, &sending->publish);
}

/* The loop. */

static inline void on_poll(uv_timer_t *timer)
{
    (void)timer;
}

typedef bool condition(void *context);

/* Runs the loop until `holds`, calling it often. */
static inline void run_until(struct loop *loop, condition *holds, void *context)
{
    uv_timer_t poll;
    uint64_t start = uv_hrtime();

    uv_timer_init(&loop->uv, &poll);
    uv_timer_start(&poll, on_poll, 1, 1);
    while (!holds(context)) {
        uv_run(&loop->uv, UV_RUN_ONCE);
        if (uv_hrtime() - start > (uint64_t)WAIT_LIMIT_MS * 1000000)
            fail_msg("nothing happens any more");
    }
    uv_close((uv_handle_t *)&poll, NULL);
    uv_run(&loop->uv, UV_RUN_NOWAIT);
}

static inline bool node_is_up(void *context)
{
    return bus_state(((struct node *)context)->bus) == BUS_UP;
}

static inline bool node_is_down(void *context)
{
    return bus_state(((struct node *)context)->bus) == BUS_DOWN;
}

static inline bool node_is_subscribed(void *context)
{
    return ((struct node *)context)->subscribed > 0;
}

static inline bool node_is_closed(void *context)
{
    return ((struct node *)context)->is_closed;
}

static inline bool node_has_settled(void *context)
{
    struct node *node = context;

    return node->accepted + node->refused == node->started;
}

static inline void node_close(struct node *node, struct loop *loop)
{
    bus_close(node->bus, on_closed, node);
    run_until(loop, node_is_closed, node);
    for (size_t i = 0; i < node->count; i++)
        memory_free(node->texts[i]);
    memory_free(node->texts);
}

/* A cluster: one server, some nodes that are subscribed to CHANNEL, and traffic among them. */

#define NODES 2

struct cluster {
    struct loop loop;
    struct server server;
    struct node nodes[NODES];
    size_t total;    /* messages that each node publishes */
    size_t sent;     /* so far */
    size_t per_turn; /* messages of each node in one turn of the loop */
    size_t mark;     /* for conditions */
};

/* The loop and the server. */
static inline void cluster_prepare(struct cluster *cluster, const char *const *options)
{
    signal(SIGPIPE, SIG_IGN);
    log_configure(LOG_LOGFMT, getenv("BUS_TEST_LOG") ? LOG_DEBUG : LOG_ERROR);
    *cluster = (struct cluster){.per_turn = 2};
    assert_int_equal(loop_init(&cluster->loop), 0);
    server_prepare(&cluster->server);
    server_start(&cluster->server, options);
}

/* The nodes, which reach the server on `port`. */
static inline void cluster_open(struct cluster *cluster, uint16_t port, uint64_t history_size)
{
    char url[64];

    snprintf(url, sizeof(url), "redis://127.0.0.1:%u", port);
    for (uint64_t i = 0; i < NODES; i++) {
        struct node *node = &cluster->nodes[i];

        node_prepare(node, i + 1);
        node->settings.history_size = history_size;
        node_open(node, &cluster->loop, url);
        run_until(&cluster->loop, node_is_up, node);
        node_subscribe(node, CHANNEL);
        run_until(&cluster->loop, node_is_subscribed, node);
    }
}

static inline void cluster_start_with(struct cluster *cluster, const char *const *options,
                                      uint64_t history_size)
{
    cluster_prepare(cluster, options);
    cluster_open(cluster, cluster->server.port, history_size);
}

static inline void cluster_start(struct cluster *cluster, const char *const *options)
{
    cluster_start_with(cluster, options, 100000);
}

static inline void cluster_stop(struct cluster *cluster)
{
    for (size_t i = 0; i < NODES; i++)
        node_close(&cluster->nodes[i], &cluster->loop);
    loop_deinit(&cluster->loop);
    server_remove(&cluster->server);
}

static inline bool cluster_is_up(void *context)
{
    struct cluster *cluster = context;

    for (size_t i = 0; i < NODES; i++)
        if (bus_state(cluster->nodes[i].bus) != BUS_UP)
            return false;
    return true;
}

static inline bool cluster_is_down(void *context)
{
    struct cluster *cluster = context;

    for (size_t i = 0; i < NODES; i++)
        if (bus_state(cluster->nodes[i].bus) != BUS_DOWN)
            return false;
    return true;
}

static inline void cluster_talk(struct cluster *cluster)
{
    for (size_t turn = 0; turn < cluster->per_turn && cluster->sent < cluster->total; turn++) {
        for (size_t i = 0; i < NODES; i++) {
            char text[32];

            snprintf(text, sizeof(text), "%zu %zu", i, cluster->sent);
            node_publish(&cluster->nodes[i], CHANNEL, text);
        }
        cluster->sent++;
    }
}

/* Talks until `mark` messages of each node are on their way. */
static inline bool cluster_has_sent_mark(void *context)
{
    struct cluster *cluster = context;

    cluster_talk(cluster);
    return cluster->sent >= cluster->mark;
}

static inline void cluster_talk_until(struct cluster *cluster, size_t mark)
{
    cluster->mark = mark;
    run_until(&cluster->loop, cluster_has_sent_mark, cluster);
}

static inline bool cluster_has_everything(void *context)
{
    struct cluster *cluster = context;

    cluster_talk(cluster);
    for (size_t i = 0; i < NODES; i++)
        if (cluster->nodes[i].count < cluster->total * NODES ||
            !node_has_settled(&cluster->nodes[i]))
            return false;
    return cluster->sent == cluster->total;
}

static inline bool cluster_has_settled(void *context)
{
    struct cluster *cluster = context;

    cluster_talk(cluster);
    return cluster->sent == cluster->total && node_has_settled(&cluster->nodes[0]) &&
           node_has_settled(&cluster->nodes[1]);
}

/* Talks to the end, and then: every node was given every message, once, in the same order, which is
 * each publisher's own. */
static inline void cluster_finish(struct cluster *cluster)
{
    size_t next[NODES] = {0};
    const struct node *first = &cluster->nodes[0];

    run_until(&cluster->loop, cluster_has_everything, cluster);
    for (size_t i = 0; i < first->count; i++) {
        size_t publisher;
        size_t number;

        assert_int_equal(sscanf(first->texts[i], "%zu %zu", &publisher, &number), 2);
        assert_true(publisher < NODES);
        assert_int_equal(number, next[publisher]);
        next[publisher]++;
    }
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(cluster->nodes[i].count, cluster->total * NODES);
        assert_int_equal(cluster->nodes[i].accepted, cluster->total);
        for (size_t k = 0; k < first->count; k++)
            assert_string_equal(cluster->nodes[i].texts[k], first->texts[k]);
        assert_int_equal(cluster->nodes[i].lost, 0);
    }
}

#endif
