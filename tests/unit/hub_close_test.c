#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "gateway/hub.h"

/*
 * A hub whose bus is being closed, and one worker that still asks: it is an inbox on the same loop,
 * which writes down the answers.
 */

static struct loop loop;
static struct hub hub;
static struct status status;
static struct worker worker;
static struct worker *workers[] = {&worker};
static char answers[128];
static bool is_closed;

static const char *name_of(const struct command *command)
{
    const struct publish_command *publish = container_of(command, struct publish_command, command);

    switch (command->kind) {
    case COMMAND_PUBLISHED:
        return publish->error == UV_ECANCELED ? "cancelled;" : "published;";
    case COMMAND_SETTLED:
        return "settled;";
    case COMMAND_SUBSCRIBED:
        return "subscribed;";
    case COMMAND_REFUSED:
        return "refused;";
    default:
        return "nonsense;";
    }
}

static void note_answer(struct inbox *inbox, struct inbox_item *item)
{
    struct command *command = container_of(item, struct command, item);
    size_t used = strlen(answers);

    (void)inbox;
    snprintf(answers + used, sizeof(answers) - used, "%s", name_of(command));
    if (command->kind == COMMAND_PUBLISHED)
        message_unref(container_of(command, struct publish_command, command)->publish.message);
    memory_free(command);
}

static void on_closed(void *context)
{
    (void)context;
    is_closed = true;
}

/* Posts what a worker may post, and lets the hub and the worker take it in. */
static void ask(struct command *command, enum command_kind kind)
{
    command->kind = kind;
    command->worker = &worker;
    inbox_post(&hub.inbox, &command->item);
    inbox_drain(&hub.inbox);
    inbox_drain(&worker.inbox);
}

static void ask_for_channel(enum command_kind kind)
{
    struct channel_command *command = memory_zeroed(1, sizeof(*command));

    command->channel_size = 4;
    memcpy(command->channel, "bell", 4);
    ask(&command->command, kind);
}

static void ask_to_publish(void)
{
    struct publish_command *command = memory_zeroed(1, sizeof(*command));

    command->publish.message = message_create(MESSAGE_TEXT, "bell", 4, "ding", 4);
    ask(&command->command, COMMAND_PUBLISH);
}

static void ask_to_settle(void)
{
    struct settle_command *command = memory_zeroed(1, sizeof(*command));

    ask(&command->command, COMMAND_SETTLE);
}

static void open_hub(const char *url)
{
    struct bus_settings settings = {
        .node_id = 1,
        .history_size = 10,
        .history_ttl_ms = 60000,
        .history_memory_bytes = 1 << 20,
        .buffer_limit_bytes = 1 << 20,
        .message_limit_bytes = 1024,
        .redis_prefix = "carillon",
    };
    char error[256];

    answers[0] = '\0';
    is_closed = false;
    hub = (struct hub){.workers = memory_allocate(sizeof(workers)), .worker_count = 1};
    memcpy(hub.workers, workers, sizeof(workers));
    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(hub_init(&hub, &loop, 10, &status), 0);
    assert_int_equal(inbox_init(&worker.inbox, &loop.uv, note_answer), 0);
    assert_int_equal(bus_open(&hub.bus, &loop, url, &settings, &hub_bus_events, &hub, error), 0);
    ask_for_channel(COMMAND_SUBSCRIBE);
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    inbox_drain(&worker.inbox);
    assert_string_equal(answers, "subscribed;");
    answers[0] = '\0';
}

static void close_hub(void)
{
    while (!is_closed)
        uv_run(&loop.uv, UV_RUN_ONCE);
    hub_close(&hub);
    inbox_close(&worker.inbox);
    hub_deinit(&hub);
    loop_deinit(&loop);
}

static void what_is_asked_of_a_closing_bus_is_answered(const char *url)
{
    open_hub(url);
    hub_close_bus(&hub, on_closed, NULL);
    ask_to_publish();
    ask_to_settle();
    ask_for_channel(COMMAND_UNSUBSCRIBE);
    ask_for_channel(COMMAND_SUBSCRIBE);
    assert_string_equal(answers, "cancelled;settled;refused;");
    assert_false(is_closed);
    close_hub();
}

static void closing_local_bus_is_asked_nothing(void **state)
{
    (void)state;
    what_is_asked_of_a_closing_bus_is_answered("local");
}

static void closing_redis_bus_is_asked_nothing(void **state)
{
    (void)state;
    what_is_asked_of_a_closing_bus_is_answered("redis+unix:///nonexistent/redis.sock");
}

/* Nothing that was accepted before is left without its answer. */
static void publish_that_the_bus_holds_is_cancelled(void **state)
{
    (void)state;
    open_hub("redis+unix:///nonexistent/redis.sock");
    ask_to_publish();
    assert_string_equal(answers, "");
    hub_close_bus(&hub, on_closed, NULL);
    inbox_drain(&worker.inbox);
    assert_string_equal(answers, "cancelled;");
    close_hub();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closing_local_bus_is_asked_nothing),
        cmocka_unit_test(closing_redis_bus_is_asked_nothing),
        cmocka_unit_test(publish_that_the_bus_holds_is_cancelled),
    };

    return cmocka_run_group_tests_name("hub_close", tests, NULL, NULL);
}
