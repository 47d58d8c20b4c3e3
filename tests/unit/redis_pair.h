/* One server and one node, perhaps with a relay between them, for tests of the Redis bus. */
#ifndef TESTS_REDIS_PAIR_H
#define TESTS_REDIS_PAIR_H

#include "tests/unit/redis_relay.h"

static const char *const no_files[] = {"--save", "", NULL};

struct pair {
    struct loop loop;
    struct server server;
    struct relay relay;
    struct node node;
    size_t turns;
};

static inline void pair_start(struct pair *pair)
{
    signal(SIGPIPE, SIG_IGN);
    log_configure(LOG_LOGFMT, getenv("BUS_TEST_LOG") ? LOG_DEBUG : LOG_ERROR);
    *pair = (struct pair){0};
    assert_int_equal(loop_init(&pair->loop), 0);
    server_prepare(&pair->server);
    node_prepare(&pair->node, 7);
}

static inline void pair_open(struct pair *pair, const char *login, const char *path)
{
    char url[256];

    snprintf(url, sizeof(url), "redis://%s127.0.0.1:%u%s", login, pair->server.port, path);
    node_open(&pair->node, &pair->loop, url);
}

static inline void pair_open_relay(struct pair *pair)
{
    char url[64];

    relay_start(&pair->relay, &pair->loop, &pair->server);
    snprintf(url, sizeof(url), "redis://localhost:%u", pair->relay.port);
    node_open(&pair->node, &pair->loop, url);
}

static inline void pair_stop(struct pair *pair)
{
    node_close(&pair->node, &pair->loop);
    if (pair->relay.port)
        relay_stop(&pair->relay);
    loop_deinit(&pair->loop);
    server_remove(&pair->server);
}

static inline bool node_heard_all(void *context)
{
    struct node *node = context;

    return node_has_settled(node) && node->count == node->accepted;
}

static inline void assert_texts_in_order(const struct node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        char text[24];

        snprintf(text, sizeof(text), "%zu", i);
        assert_string_equal(node->texts[i], text);
    }
}

/* The number that follows what was published before. */
static inline void node_publish_number(struct node *node)
{
    char text[24];

    snprintf(text, sizeof(text), "%zu", node->started);
    node_publish(node, CHANNEL, text);
}

/* Publishes some more numbers, and waits until all came back in order. */
static inline void pair_talk(struct pair *pair, size_t count)
{
    struct node *node = &pair->node;

    run_until(&pair->loop, node_is_up, node);
    if (!node->subscribed) {
        node_subscribe(node, CHANNEL);
        run_until(&pair->loop, node_is_subscribed, node);
    }
    for (size_t i = 0; i < count; i++)
        node_publish_number(node);
    run_until(&pair->loop, node_heard_all, node);
    assert_texts_in_order(node);
}

/* A barrier that a test waits for. */

static bool has_passed;

static inline void on_passed(struct bus_barrier *barrier)
{
    (void)barrier;
    has_passed = true;
}

static inline bool barrier_has_passed(void *context)
{
    (void)context;
    return has_passed;
}

#endif
