/*
 * What the tests of asks, presence, keys and ephemeral messages share: one or two gateways' buses
 * on a loop, local or over a real Redis or router, and questions to them. Every wait is for a
 * condition.
 */
#ifndef TESTS_BUS_ASKS_FIXTURE_H
#define TESTS_BUS_ASKS_FIXTURE_H

#include "tests/unit/redis_pair.h"

#define ASKS_TEXT 16384

struct asks_stage {
    struct loop loop;
    struct server server; /* without a process where the bus is local */
    bool is_redis;
    bool is_router;
    struct node nodes[2];
    char heard[ASKS_TEXT]; /* by the first node, since it was last looked at: "text@offset", or
                              "text!" of what is ephemeral */
};

static struct asks_stage *asks_stage; /* of the test that is running */

static inline void asks_append_message(char text[ASKS_TEXT], const struct message *message)
{
    size_t size = message->data_size < 16 ? message->data_size : 16;
    size_t end = strlen(text);
    char place[32] = "!";

    if (message_is_ephemeral(message->kind)) {
        assert_true(message->offset == 0 && message->epoch[0] == '\0');
    } else {
        assert_true(message->offset > 0 && message->epoch[0] != '\0');
        snprintf(place, sizeof(place), "@%llu", (unsigned long long)message->offset);
    }
    assert_true(end + size + sizeof(place) < ASKS_TEXT);
    snprintf(text + end, ASKS_TEXT - end, "%s%.*s%s", end > 0 ? " " : "", (int)size,
             (const char *)message->data, place);
}

static inline void asks_on_deliver(void *context, struct message *message)
{
    struct node *node = context;

    node->heard++;
    if (node == &asks_stage->nodes[0])
        asks_append_message(asks_stage->heard, message);
}

static inline void asks_open(struct asks_stage *stage, size_t i)
{
    struct node *node = &stage->nodes[i];
    char url[64] = "local";

    if (stage->is_redis)
        snprintf(url, sizeof(url), "redis://127.0.0.1:%u", stage->server.port);
    if (stage->is_router)
        snprintf(url, sizeof(url), "router://127.0.0.1:%u", stage->server.port);
    node_prepare(node, i + 1);
    node->events.deliver = asks_on_deliver;
    node->settings.router_cluster = "carillon";
    node->settings.history_size = 5000;
    node->settings.history_memory_bytes = (uint64_t)256 * 1024 * 1024;
    node->settings.message_limit_bytes = (uint64_t)1024 * 1024;
    node_open(node, &stage->loop, url);
    run_until(&stage->loop, node_is_up, node);
    node_subscribe(node, CHANNEL);
    run_until(&stage->loop, node_is_subscribed, node);
}

/* One gateway, or two where there is a Redis to connect them. */
static inline void asks_start(struct asks_stage *stage, bool is_redis)
{
    signal(SIGPIPE, SIG_IGN);
    log_configure(LOG_LOGFMT, getenv("BUS_TEST_LOG") ? LOG_DEBUG : LOG_ERROR);
    *stage = (struct asks_stage){.is_redis = is_redis};
    asks_stage = stage;
    assert_int_equal(loop_init(&stage->loop), 0);
    if (is_redis) {
        server_prepare(&stage->server);
        server_start(&stage->server, no_files);
        asks_open(stage, 1);
    }
    asks_open(stage, 0);
}

#ifdef CARILLON_ROUTER_PROGRAM

/* A router's process; the buses find it when it is there. */
static inline void asks_launch_router(struct server *server)
{
    char address[32];

    snprintf(address, sizeof(address), "127.0.0.1:%u", server->port);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid > 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(CARILLON_ROUTER_PROGRAM, CARILLON_ROUTER_PROGRAM, "--listen", address, "--admin-listen",
          "off", "--history-size", "5000", "--log-level", "error", NULL);
    _exit(127);
}

/* Two gateways at one router. */
static inline void asks_start_at_router(struct asks_stage *stage)
{
    signal(SIGPIPE, SIG_IGN);
    log_configure(LOG_LOGFMT, getenv("BUS_TEST_LOG") ? LOG_DEBUG : LOG_ERROR);
    *stage = (struct asks_stage){.is_router = true};
    asks_stage = stage;
    assert_int_equal(loop_init(&stage->loop), 0);
    server_prepare(&stage->server);
    asks_launch_router(&stage->server);
    asks_open(stage, 1);
    asks_open(stage, 0);
}

#endif

static inline void asks_stop(struct asks_stage *stage)
{
    for (size_t i = 0; i < 2; i++) {
        if (stage->nodes[i].bus && !stage->nodes[i].is_closed)
            node_close(&stage->nodes[i], &stage->loop);
    }
    loop_deinit(&stage->loop);
    if (stage->is_redis || stage->is_router)
        server_remove(&stage->server);
}

/* What the first node heard since this was last called. */
static inline void asks_assert_heard(struct asks_stage *stage, const char *heard)
{
    assert_string_equal(stage->heard, heard);
    stage->heard[0] = '\0';
}

/* Publishing. */

struct saying {
    struct bus_publish publish;
    uint64_t offset;
    int error;
    bool is_over;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
};

/* What is said, as far as it is not simple. */
struct manner {
    enum message_kind kind;
    const char *key;
    bool has_limits;
    uint64_t history_size;
};

static inline void asks_on_published(struct bus_publish *publish, int error)
{
    struct saying *saying = container_of(publish, struct saying, publish);

    saying->is_over = true;
    saying->error = error;
    saying->offset = publish->message->offset;
    epoch_copy(saying->epoch, publish->message->epoch);
    message_unref(publish->message);
}

static inline void asks_begin_to_say(struct node *node, struct saying *saying, const char *text,
                                     struct manner manner)
{
    *saying = (struct saying){.publish = {.published = asks_on_published,
                                          .has_limits = manner.has_limits,
                                          .history_size = manner.history_size,
                                          .history_ttl_ms = 60000}};
    saying->publish.message = message_write(&(struct message_draft){
        .kind = manner.kind,
        .channel = text_of(CHANNEL),
        .data = text_of(text),
        .key = text_of(manner.key ? manner.key : ""),
        .origin = text_of("somebody"),
    });
    bus_publish(node->bus, &saying->publish);
}

static inline bool saying_is_over(void *saying)
{
    return ((struct saying *)saying)->is_over;
}

/* Says it, and waits until it has its place and everybody on the loop has heard it. */
static inline struct saying asks_say_so(struct asks_stage *stage, const char *text,
                                        struct manner manner)
{
    struct saying saying;
    struct bus_barrier barrier = {.passed = on_passed};

    asks_begin_to_say(&stage->nodes[0], &saying, text, manner);
    run_until(&stage->loop, saying_is_over, &saying);
    has_passed = false;
    bus_wait(stage->nodes[0].bus, &barrier);
    run_until(&stage->loop, barrier_has_passed, NULL);
    return saying;
}

static inline uint64_t asks_say(struct asks_stage *stage, const char *text)
{
    struct saying saying = asks_say_so(stage, text, (struct manner){0});

    assert_int_equal(saying.error, 0);
    assert_false(saying.publish.is_repeat);
    return saying.offset;
}

/* Asking. */

struct question {
    struct bus_ask ask;
    size_t count; /* of messages, or of clients */
    uint64_t offset;
    int error;
    bool is_being_asked;
    bool is_answered;
    bool is_lost;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    char text[ASKS_TEXT]; /* of the first 500: "text@offset", or "client=user/info", which come in
                             any order and so are looked for one by one */
};

static inline void asks_on_answered(struct bus_ask *ask, int error, const struct bus_answer *answer)
{
    struct question *question = container_of(ask, struct question, ask);

    assert_false(question->is_being_asked);
    assert_false(question->is_answered);
    question->is_answered = true;
    question->error = error;
    question->is_lost = answer->is_lost;
    question->offset = answer->offset;
    epoch_copy(question->epoch, answer->epoch);
    question->count = answer->message_count + answer->present_count;
    for (size_t i = 0; i < answer->message_count && i < 500; i++) {
        assert_string_equal(answer->messages[i]->epoch, answer->epoch);
        asks_append_message(question->text, answer->messages[i]);
    }
    for (size_t i = 0; i < answer->present_count && i < 100; i++) {
        const struct bus_present *who = &answer->present[i];
        size_t end = strlen(question->text);

        snprintf(question->text + end, ASKS_TEXT - end, "[%.*s=%.*s/%.*s]", (int)who->client.size,
                 who->client.data, (int)who->user.size, who->user.data, (int)who->info.size,
                 who->info.data ? who->info.data : "");
    }
}

static inline void asks_put(struct node *node, struct question *question,
                            void (*put)(struct bus *bus, struct bus_ask *ask))
{
    question->ask.channel = CHANNEL;
    question->ask.channel_size = strlen(CHANNEL);
    question->ask.answered = asks_on_answered;
    question->is_being_asked = true;
    put(node->bus, &question->ask);
    question->is_being_asked = false;
}

static inline bool question_is_answered(void *question)
{
    return ((struct question *)question)->is_answered;
}

static inline void asks_wait(struct asks_stage *stage, struct question *question)
{
    run_until(&stage->loop, question_is_answered, question);
}

/* Asks the first node for history. */
static inline struct question asks_history(struct asks_stage *stage, struct bus_ask ask)
{
    struct question question = {.ask = ask};

    asks_put(&stage->nodes[0], &question, bus_ask_history);
    asks_wait(stage, &question);
    assert_int_equal(question.error, 0);
    return question;
}

static inline struct question asks_presence_at(struct asks_stage *stage, struct node *node)
{
    struct question question = {0};

    asks_put(node, &question, bus_ask_presence);
    asks_wait(stage, &question);
    assert_int_equal(question.error, 0);
    return question;
}

static inline void asks_enter(struct node *node, const char *client, const char *user,
                              const char *info)
{
    bus_presence_set(node->bus, CHANNEL, strlen(CHANNEL),
                     &(struct bus_present){text_of(client), text_of(user), text_of(info)});
}

static inline void asks_leave(struct node *node, const char *client)
{
    bus_presence_remove(node->bus, CHANNEL, strlen(CHANNEL), text_of(client));
}

#endif
