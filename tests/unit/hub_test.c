/* The hub between a bus and workers that take what they are handed only when the test says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "gateway/ask.h"
#include "gateway/hub.h"

#define WORKERS 2
#define LARGE   ((size_t)1024 * 1024)

/* A worker without a thread: commands lie in its inbox until the test takes them. */
struct idle_worker {
    struct worker worker;
    unsigned counts[COMMAND_STOP + 1]; /* of each command that was taken */
    char heard[128];                   /* the first byte of each delivered message */
    char answered[128];                /* the first byte of each publish given back */
    unsigned asked;                    /* answers, of which */
    unsigned shared;                   /* so many came with another's question */
    char told[128];                    /* the first byte of each message in the last one */
    uint64_t stands_at;                /* its offset */
};

static struct loop loop;
static struct loop idle_loop; /* of the workers; it does not run */
static struct hub hub;
static struct status status;
static struct worker *workers[WORKERS];
static struct idle_worker *idle[WORKERS];

static void note(char *text, const struct message *message)
{
    size_t size = strlen(text);

    if (size < sizeof(idle[0]->heard) - 1)
        text[size] = (char)message->data[0];
}

static void tell_hub(struct worker *worker, enum command_kind kind)
{
    struct signal_command *command = memory_zeroed(1, sizeof(*command));

    command->command.kind = kind;
    command->command.worker = worker;
    inbox_post(&hub.inbox, &command->command.item);
}

static void take(struct worker *worker, const struct message *message)
{
    if (flow_take(&worker->deliveries, message_cost(message)))
        tell_hub(worker, COMMAND_CAUGHT_UP);
}

static void take_answer(struct idle_worker *it, struct ask_command *command)
{
    assert_int_equal(command->error, 0);
    it->asked++;
    it->shared += command->is_shared;
    it->stands_at = command->answer.offset;
    memset(it->told, 0, sizeof(it->told));
    for (size_t i = 0; i < command->answer.message_count; i++)
        note(it->told, command->answer.messages[i]);
    ask_destroy(command);
}

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct worker *worker = container_of(inbox, struct worker, inbox);
    struct idle_worker *it = container_of(worker, struct idle_worker, worker);
    struct command *command = container_of(item, struct command, item);

    it->counts[command->kind]++;
    if (command->kind == COMMAND_ANSWERED) {
        take_answer(it, container_of(command, struct ask_command, command));
        return;
    }
    if (command->kind == COMMAND_PUBLISHED) {
        struct publish_command *publish = container_of(command, struct publish_command, command);

        assert_int_equal(publish->error, 0);
        note(it->answered, publish->publish.message);
        take(worker, publish->publish.message);
        message_unref(publish->publish.message);
    } else if (command->kind == COMMAND_DELIVER) {
        struct deliver_command *delivery = container_of(command, struct deliver_command, command);

        note(it->heard, delivery->message);
        take(worker, delivery->message);
        message_unref(delivery->message);
    }
    memory_free(command);
}

/* Posts to the hub, which takes it in at once. */
static void post(struct command *command, enum command_kind kind, unsigned worker)
{
    command->kind = kind;
    command->worker = workers[worker];
    inbox_post(&hub.inbox, &command->item);
    inbox_drain(&hub.inbox);
}

static void subscribe(unsigned worker, const char *channel)
{
    struct channel_command *command = memory_zeroed(1, sizeof(*command));

    command->channel_size = strlen(channel);
    memcpy(command->channel, channel, command->channel_size);
    post(&command->command, COMMAND_SUBSCRIBE, worker);
}

static struct message *make_message(const char *channel, char first, size_t size)
{
    static char data[LARGE];

    data[0] = first;
    return message_create(MESSAGE_BINARY, channel, strlen(channel), data, size);
}

static void publish(unsigned worker, const char *channel, char first, size_t size)
{
    struct publish_command *command = memory_zeroed(1, sizeof(*command));

    command->publish.message = make_message(channel, first, size);
    flow_post(&workers[worker]->connections.sessions.publishes,
              message_cost(command->publish.message));
    post(&command->command, COMMAND_PUBLISH, worker);
}

static void settle(unsigned worker)
{
    struct settle_command *command = memory_zeroed(1, sizeof(*command));

    post(&command->command, COMMAND_SETTLE, worker);
}

/* The worker takes all that is in its inbox, and the hub hears of it. */
static void worker_takes(unsigned worker)
{
    inbox_drain(&workers[worker]->inbox);
    inbox_drain(&hub.inbox);
}

/* Until nothing is left on either side. */
static void all_take_everything(void)
{
    for (int round = 0; round < 50; round++) {
        worker_takes(0);
        worker_takes(1);
    }
}

static uint64_t depth(unsigned worker)
{
    return flow_depth(&workers[worker]->deliveries);
}

static bool is_waiting(void)
{
    return hub.waiting != NULL;
}

/* Publishes large messages until the hub holds one back; returns how many it did not. */
static unsigned fill(unsigned publisher, const char *channel)
{
    unsigned count = 0;

    for (; !is_waiting(); count++) {
        assert_true(count < 20);
        publish(publisher, channel, (char)('a' + count), LARGE);
    }
    return count - 1;
}

static int set_up(void **state)
{
    (void)state;
    struct bus_settings settings = {.node_id = 1,
                                    .message_limit_bytes = LARGE,
                                    .history_size = 100,
                                    .history_ttl_ms = 60000,
                                    .history_memory_bytes = LARGE};
    char error[256];

    assert_int_equal(loop_init(&loop), 0);
    assert_int_equal(loop_init(&idle_loop), 0);
    memset(&hub, 0, sizeof(hub));
    assert_int_equal(hub_init(&hub, &loop, 100, &status), 0);
    assert_int_equal(bus_open(&hub.bus, &loop, "local", &settings, &hub_bus_events, &hub, error),
                     0);
    hub.workers = memory_zeroed(WORKERS, sizeof(*hub.workers));
    hub.worker_count = WORKERS;
    for (unsigned i = 0; i < WORKERS; i++) {
        idle[i] = memory_zeroed(1, sizeof(*idle[i]));
        workers[i] = hub.workers[i] = &idle[i]->worker;
        workers[i]->index = i;
        workers[i]->has_thread = true;
        assert_int_equal(inbox_init(&workers[i]->inbox, &idle_loop.uv, receive), 0);
    }
    return 0;
}

static void on_bus_closed(void *context)
{
    (void)context;
    hub.bus = NULL;
}

static int tear_down(void **state)
{
    (void)state;
    all_take_everything();
    assert_false(is_waiting());
    bus_close(hub.bus, on_bus_closed, NULL);
    while (hub.bus)
        uv_run(&loop.uv, UV_RUN_ONCE);
    for (unsigned i = 0; i < WORKERS; i++)
        inbox_close(&workers[i]->inbox);
    hub_close(&hub);
    loop_deinit(&idle_loop);
    loop_deinit(&loop);
    hub_deinit(&hub);
    for (unsigned i = 0; i < WORKERS; i++)
        memory_free(idle[i]);
    return 0;
}

static void message_goes_to_the_workers_with_subscribers(void **state)
{
    (void)state;
    subscribe(1, "room");
    publish(0, "room", 'm', 10);
    publish(0, "elsewhere", 'n', 10);
    all_take_everything();
    assert_string_equal(idle[0]->heard, "");
    assert_string_equal(idle[1]->heard, "m");
    assert_string_equal(idle[0]->answered, "mn");
    assert_int_equal(idle[1]->counts[COMMAND_SUBSCRIBED], 1);
    assert_int_equal(flow_depth(&workers[0]->connections.sessions.publishes), 0);
    assert_int_equal(depth(0), 0);
    assert_int_equal(depth(1), 0);
}

static void publishes_wait_for_a_worker_that_is_behind_and_keep_their_order(void **state)
{
    (void)state;
    subscribe(0, "room");
    subscribe(1, "room");

    unsigned taken = fill(0, "room");

    assert_in_range(taken, 1, 5);
    for (unsigned i = taken + 1; i < 12; i++)
        publish(0, "room", (char)('a' + i), LARGE);
    assert_true(depth(0) <= FLOW_LIMIT_BYTES + 2 * LARGE + 1024);
    assert_true(depth(1) <= FLOW_LIMIT_BYTES + 2 * LARGE + 1024);
    /* So many come back to the publisher, no more. */
    assert_true(flow_depth(&workers[0]->connections.sessions.publishes) >= (12 - taken) * LARGE);
    all_take_everything();
    assert_string_equal(idle[0]->heard, "abcdefghijkl");
    assert_string_equal(idle[1]->heard, "abcdefghijkl");
    assert_string_equal(idle[0]->answered, "abcdefghijkl");
    assert_int_equal(idle[0]->counts[COMMAND_OVERRUN], 0);
}

static void publisher_is_told_when_it_may_go_on(void **state)
{
    (void)state;
    struct flow *publishes = &workers[0]->connections.sessions.publishes;

    subscribe(1, "room");
    fill(0, "room");
    for (char first = 'A'; !flow_is_full(publishes); first++)
        publish(0, "room", first, LARGE);
    worker_takes(0);
    assert_int_equal(idle[0]->counts[COMMAND_GO_ON], 0); /* the other one is behind */
    all_take_everything();
    assert_int_equal(idle[0]->counts[COMMAND_GO_ON], 1);
    assert_int_equal(flow_depth(publishes), 0);
}

static void many_small_publishes_let_the_loop_serve_its_sockets(void **state)
{
    (void)state;
    enum { COUNT = 3500 };
    unsigned before = idle[0]->counts[COMMAND_PUBLISHED];
    unsigned turns = 0;

    for (unsigned i = 0; i < COUNT; i++) {
        struct publish_command *command = memory_zeroed(1, sizeof(*command));

        command->command.kind = COMMAND_PUBLISH;
        command->command.worker = workers[0];
        command->publish.message = make_message("room", 'm', 1);
        flow_post(&workers[0]->connections.sessions.publishes,
                  message_cost(command->publish.message));
        inbox_post(&hub.inbox, &command->command.item);
    }
    for (; is_waiting() || turns == 0; turns++) {
        unsigned done = idle[0]->counts[COMMAND_PUBLISHED];

        assert_true(turns < COUNT);
        inbox_drain(&hub.inbox);
        inbox_drain(&workers[0]->inbox);
        assert_in_range(idle[0]->counts[COMMAND_PUBLISHED] - done, 1, 400);
    }
    assert_int_equal(idle[0]->counts[COMMAND_PUBLISHED] - before, COUNT);
    assert_int_equal(turns, 9);
}

static void settle_waits_behind_the_publishes_before_it(void **state)
{
    (void)state;
    subscribe(1, "room");
    fill(0, "room");
    settle(0);
    worker_takes(0);
    assert_int_equal(idle[0]->counts[COMMAND_SETTLED], 0);
    publish(0, "room", 'z', LARGE);
    all_take_everything();
    assert_int_equal(idle[0]->counts[COMMAND_SETTLED], 1);
    assert_non_null(strchr(idle[1]->heard, 'z'));
}

static void channels_open_and_close_while_publishes_wait(void **state)
{
    (void)state;
    subscribe(1, "room");
    fill(0, "room");
    subscribe(0, "other");
    assert_true(is_waiting());
    worker_takes(0);
    assert_int_equal(idle[0]->counts[COMMAND_SUBSCRIBED], 1);
}

static void worker_that_takes_nothing_stops_the_others_for_a_while_only(void **state)
{
    (void)state;
    hub.stuck_ms = 50;
    subscribe(0, "room");
    subscribe(1, "room");
    for (int i = 0; i < 10; i++) { /* worker 0 does its work, worker 1 does nothing */
        publish(0, "room", 'a', LARGE);
        worker_takes(0);
    }
    assert_true(is_waiting());
    while (is_waiting()) {
        uv_run(&loop.uv, UV_RUN_ONCE);
        worker_takes(0);
    }
    /* The publishes go on, and the worker that is stuck costs no more memory. */
    uint64_t before = depth(1);

    for (int i = 0; i < 20; i++) {
        publish(0, "room", 'm', LARGE);
        worker_takes(0);
    }
    assert_false(is_waiting());
    assert_int_equal(depth(1), before);
    assert_int_equal(idle[0]->counts[COMMAND_OVERRUN], 0);

    /* When it has caught up, it is told that it has missed something, and misses nothing more. */
    size_t heard = strlen(idle[1]->heard);

    assert_int_equal(heard, 0);
    worker_takes(1);
    publish(0, "room", 'z', 10);
    all_take_everything();
    assert_int_equal(idle[1]->counts[COMMAND_OVERRUN], 1);
    assert_null(strchr(idle[1]->heard, 'm'));
    assert_int_equal(idle[1]->heard[strlen(idle[1]->heard) - 1], 'z');
}

static void worker_that_is_slow_but_works_is_waited_for(void **state)
{
    (void)state;
    enum { LOOKS = 3 };
    struct flow *deliveries = &workers[1]->deliveries;

    hub.stuck_ms = 50;
    subscribe(1, "room");
    flow_post(deliveries, LOOKS);
    fill(1, "room");
    for (int i = 0; i < LOOKS; i++) {
        flow_take(deliveries, 1);
        while (hub.taken_bytes[1] != flow_taken(deliveries)) /* until the hub has looked */
            uv_run(&loop.uv, UV_RUN_ONCE);
        assert_true(is_waiting());
    }
    all_take_everything();
    assert_int_equal(idle[1]->counts[COMMAND_OVERRUN], 0);
    assert_int_equal(strlen(idle[1]->heard), strlen(idle[1]->answered));
}

/* Other gateways publish on, whatever our workers do. */
static void worker_that_the_bus_outruns_is_bounded_and_told(void **state)
{
    (void)state;
    struct message *message = make_message("room", 'b', LARGE);

    subscribe(1, "room");
    for (unsigned i = 0; i < 2 * OVERRUN_BYTES / LARGE; i++)
        hub_bus_events.deliver(&hub, message);
    assert_in_range(depth(1), OVERRUN_BYTES, OVERRUN_BYTES + LARGE + 1024);
    all_take_everything();
    hub_bus_events.deliver(&hub, message);
    all_take_everything();
    assert_int_equal(idle[1]->counts[COMMAND_OVERRUN], 1);
    assert_in_range(idle[1]->counts[COMMAND_DELIVER], OVERRUN_BYTES / LARGE,
                    OVERRUN_BYTES / LARGE + 3);
    message_unref(message);
}

/* What a worker asks for those who come back, before the hub looks at anything. */
static void ask(unsigned worker, const char *channel, const char *epoch, uint64_t offset,
                uint64_t limit)
{
    struct ask_command *command =
        ask_create(ASK_HISTORY, workers[worker], channel, strlen(channel), NULL, NULL);

    command->ask.begins = true;
    command->ask.offset = offset;
    command->ask.limit = limit;
    epoch_copy(command->ask.epoch, epoch);
    inbox_post(&hub.inbox, &command->command.item);
}

static void answers_come(unsigned count)
{
    for (int i = 0; idle[0]->asked + idle[1]->asked < count; i++) {
        assert_in_range(i, 0, 1000);
        inbox_drain(&hub.inbox);
        uv_run(&loop.uv, UV_RUN_NOWAIT);
        inbox_drain(&workers[0]->inbox);
        inbox_drain(&workers[1]->inbox);
    }
    assert_int_equal(idle[0]->asked + idle[1]->asked, count);
}

/* Five messages, and the epoch that they stand in. */
static void talk(const char *channel, char epoch[MESSAGE_EPOCH_LIMIT + 1])
{
    struct ask_command *command;

    for (int first = 'a'; first <= 'e'; first++)
        publish(0, channel, (char)first, 10);
    all_take_everything();
    command = ask_create(ASK_HISTORY, workers[0], channel, strlen(channel), NULL, NULL);
    ask_put(command, hub.bus);
    while (command->answer.epoch[0] == '\0')
        uv_run(&loop.uv, UV_RUN_ONCE);
    epoch_copy(epoch, command->answer.epoch);
    inbox_drain(&workers[0]->inbox);
    idle[0]->asked = 0;
}

static void what_workers_ask_in_one_tick_is_one_question(void **state)
{
    (void)state;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];

    talk("room", epoch);
    ask(0, "room", epoch, 3, 10);
    ask(1, "room", epoch, 1, 2);
    answers_come(2);
    assert_int_equal(idle[0]->shared, 0);
    assert_int_equal(idle[1]->shared, 1);
    assert_string_equal(idle[0]->told, "bcde"); /* from the lowest position, as far as any wants */
    assert_string_equal(idle[1]->told, "bcde");
    ask(1, "room", epoch, 4, 10);
    answers_come(3); /* in a later tick, another one */
    assert_int_equal(idle[1]->shared, 1);
    assert_string_equal(idle[1]->told, "e");
}

static void who_asks_only_where_a_channel_stands_is_told_by_any_answer(void **state)
{
    (void)state;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];

    talk("room", epoch);
    ask(0, "room", "", 0, 0);
    ask(1, "room", epoch, 4, 10);
    answers_come(2);
    assert_int_equal(idle[1]->shared, 1);
    assert_int_equal(idle[0]->stands_at, 5);
    assert_string_equal(idle[1]->told, "e");
}

static void questions_about_other_channels_or_lives_stay_apart(void **state)
{
    (void)state;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    char other[MESSAGE_EPOCH_LIMIT + 1];

    talk("room", epoch);
    talk("hall", other);
    ask(0, "room", epoch, 4, 10);
    ask(1, "hall", other, 3, 10);
    ask(1, "room", "", 0, 10); /* from the beginning, in any life */
    answers_come(3);
    assert_int_equal(idle[0]->shared + idle[1]->shared, 0);
    assert_string_equal(idle[0]->told, "e");
}

#define HUB_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HUB_TEST(message_goes_to_the_workers_with_subscribers),
        HUB_TEST(publishes_wait_for_a_worker_that_is_behind_and_keep_their_order),
        HUB_TEST(publisher_is_told_when_it_may_go_on),
        HUB_TEST(many_small_publishes_let_the_loop_serve_its_sockets),
        HUB_TEST(settle_waits_behind_the_publishes_before_it),
        HUB_TEST(channels_open_and_close_while_publishes_wait),
        HUB_TEST(worker_that_takes_nothing_stops_the_others_for_a_while_only),
        HUB_TEST(worker_that_is_slow_but_works_is_waited_for),
        HUB_TEST(worker_that_the_bus_outruns_is_bounded_and_told),
        HUB_TEST(what_workers_ask_in_one_tick_is_one_question),
        HUB_TEST(who_asks_only_where_a_channel_stands_is_told_by_any_answer),
        HUB_TEST(questions_about_other_channels_or_lives_stay_apart),
    };

    return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
