/* Clients of the channel protocol without a bus: what it answers late, or with an error, or to
 * those who have gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/memory.h"
#include "gateway/ask.h"
#include "gateway/client.h"
#include "gateway/site.h"
#include "tests/unit/rules_fixture.h"

struct peer {
    struct session session;
    bool is_gone;
    uint16_t close_code;
    struct buffer sent; /* frames */
    size_t sends;
};

static struct loop loop;
static struct inbox hub;
static struct worker_stats stats;
static struct settings settings;
static struct status status;
static struct session_host host;
static struct peer peer;
static int publish_error; /* what the bus says of each publish; of a join nobody is told */

/* What the hub was asked, oldest first. */
static struct ask_command *asks[32];
static size_t ask_count;

static void on_opened(struct session *session, int error)
{
    (void)session;
    assert_int_equal(error, 0);
}

static void on_send(struct session_host *its_host, struct session *const *sessions, size_t count,
                    struct block *frames, size_t messages)
{
    (void)its_host;
    (void)sessions;
    (void)messages;
    assert_int_equal(count, 1);
    peer.sends++;
    buffer_append(&peer.sent, frames->data, frames->size);
}

/* As a connection does it. */
static void on_close(struct session *session, uint16_t code, const char *reason)
{
    assert_non_null(reason);
    if (peer.close_code)
        return;
    session->protocol->flush(session);
    peer.close_code = code;
}

static void on_settled(struct session *session)
{
    (void)session;
}

static const struct session_events events = {on_opened, on_send, on_close, on_settled};

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct command *command = container_of(item, struct command, item);

    (void)inbox;
    switch (command->kind) {
    case COMMAND_ASK:
        asks[ask_count++] = container_of(command, struct ask_command, command);
        break;
    case COMMAND_PUBLISH: {
        struct publish_command *publish = container_of(command, struct publish_command, command);

        publish->error = publish_error;
        session_published(publish);
        break;
    }
    case COMMAND_PRESENCE:
        memory_free(container_of(command, struct presence_command, command));
        break;
    default:
        memory_free(container_of(command, struct channel_command, command));
    }
}

static int set_up(void **state)
{
    (void)state;
    peer = (struct peer){0};
    ask_count = 0;
    publish_error = UV_EMSGSIZE;
    stats = (struct worker_stats){0};
    settings.config = (struct config){.handshake_timeout_ms = 1000, .client_channel_limit = 10};
    settings.config.max_message_size = 1000;
    settings.config.proxy_connect = settings.config.proxy_refresh = "";
    settings.config.proxy_subscribe = settings.config.proxy_publish = "";
    settings.config.proxy_rpc = "";
    settings.allows_anonymous = true;
    open_to_all(&settings.config);
    settings.config.rules.allow_recovery = true;
    settings.config.rules.allow_history_for_client = true;
    settings.config.rules.allow_history_for_anonymous = true;
    settings.config.rules.history_size = 10;
    settings.config.rules.history_ttl_ms = 1000;
    settings.config.rules.allow_presence_for_client = true;
    settings.config.rules.allow_presence_for_anonymous = true;
    settings.config.rules.presence = true;
    settings.namespaces = namespaces_create(&settings.config);
    atomic_store(&status.is_bus_up, true);
    if (loop_init(&loop) || inbox_init(&hub, &loop.uv, receive))
        return -1;
    host = (struct session_host){.events = &events,
                                 .settings = &settings,
                                 .stats = &stats,
                                 .status = &status,
                                 .loop = &loop};
    clients_init(&host.clients);
    wires_init(&host.wires, &stats, 0);
    channels_init(&host.channels, &host.wires.sink, NULL, &hub, &stats);
    recents_init(&host.recents, 1 << 20, 100, client_ask_recent, &host);
    client_open(&peer.session, &host, TRANSPORT_WEBSOCKET_JSON, NULL);
    return 0;
}

static void hang_up(void)
{
    if (!peer.is_gone)
        session_close(&peer.session);
    peer.is_gone = true;
}

static int tear_down(void **state)
{
    (void)state;
    hang_up();
    buffer_deinit(&peer.sent);
    channels_deinit(&host.channels);
    inbox_drain(&hub);
    recents_deinit(&host.recents);
    clients_deinit(&host.clients);
    inbox_close(&hub);
    loop_deinit(&loop);
    namespaces_destroy(settings.namespaces);
    assert_int_equal(ask_count, 0);
    assert_int_equal(metric_read(&stats.subscriptions), 0);
    return 0;
}

static void say(const char *text)
{
    session_message(&peer.session, WEBSOCKET_TEXT, text, strlen(text));
    inbox_drain(&hub);
}

static bool was_told(const char *text)
{
    return peer.sent.size >= strlen(text) &&
           memmem(peer.sent.data, peer.sent.size, text, strlen(text));
}

static void assert_told(const char *text)
{
    if (!was_told(text))
        fail_msg("not told %s but %.*s", text, (int)peer.sent.size, (const char *)peer.sent.data);
}

static void answer_ask(int error)
{
    struct ask_command *command = asks[0];

    assert_true(ask_count > 0);
    memmove(asks, asks + 1, --ask_count * sizeof(struct ask_command *));
    command->error = error;
    ask_deliver(command);
}

static void connect_client(void)
{
    say("{\"id\":1,\"connect\":{}}");
    assert_told("{\"id\":1,\"connect\":{\"client\":");
}

/* The hub subscribes, and the question where the channel stands is put. */
static void open_channel(const char *name)
{
    struct channel_command opened = {.channel_size = strlen(name)};

    memcpy(opened.channel, name, opened.channel_size);
    channels_subscribed(&host.channels, &opened);
    recents_end_tick(&host.recents);
    inbox_drain(&hub);
}

static void a_bus_that_is_away_is_told_as_not_available(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}");
    open_channel("room");
    answer_ask(UV_ENOTCONN);
    assert_told("{\"id\":2,\"error\":{\"code\":108");
    say("{\"id\":3,\"history\":{\"channel\":\"room\",\"limit\":1}}");
    answer_ask(UV_ETIMEDOUT);
    assert_told("{\"id\":3,\"error\":{\"code\":108");
    say("{\"id\":4,\"presence\":{\"channel\":\"room\"}}");
    answer_ask(UV_EIO);
    assert_told("{\"id\":4,\"error\":{\"code\":100");
    atomic_store(&status.is_bus_up, false);
    say("{\"id\":5,\"publish\":{\"channel\":\"room\",\"data\":1}}");
    assert_told("{\"id\":5,\"error\":{\"code\":108");
}

static void what_the_bus_refuses_for_good_is_a_limit(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"publish\":{\"channel\":\"room\",\"data\":1}}");
    assert_told("{\"id\":2,\"error\":{\"code\":106");
}

static void publish_two(void)
{
    connect_client();
    publish_error = 0;
    peer.sends = 0;
    say("{\"id\":2,\"publish\":{\"channel\":\"room\",\"data\":1}}\n"
        "{\"id\":3,\"publish\":{\"channel\":\"room\",\"data\":2}}");
}

static void publishes_of_a_tick_are_acknowledged_together_at_its_end(void **state)
{
    (void)state;
    publish_two();
    assert_int_equal(peer.sends, 0);
    client_send_replies(&host);
    assert_int_equal(peer.sends, 1);
    assert_told("{\"id\":2,\"publish\":{}}\n{\"id\":3,\"publish\":{}}");
    client_send_replies(&host);
    assert_int_equal(peer.sends, 1);
}

static void acknowledgements_go_before_what_is_said_later(void **state)
{
    (void)state;
    publish_two();
    publish_error = UV_EMSGSIZE;
    say("{\"id\":4,\"publish\":{\"channel\":\"room\",\"data\":3}}");
    assert_int_equal(peer.sends, 2); /* as the next frame is read, and its own error */
    assert_told("{\"id\":2,\"publish\":{}}\n{\"id\":3,\"publish\":{}}");
    assert_told("{\"id\":4,\"error\"");
    client_send_replies(&host);
    assert_int_equal(peer.sends, 2);
}

/* Also where it is not the protocol that ends it: a broken frame, say. */
static void acknowledgements_go_before_the_end(void **state)
{
    (void)state;
    publish_two();
    on_close(&peer.session, 1002, "");
    assert_told("{\"id\":2,\"publish\":{}}\n{\"id\":3,\"publish\":{}}");
}

static void answers_amid_a_frame_go_before_the_end_as_well(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"ping\":{}}\nnonsense");
    assert_int_equal(peer.close_code, 3501);
    assert_told("{\"id\":2,\"ping\":{}}");
}

static void who_has_gone_at_the_end_of_the_tick_is_told_nothing(void **state)
{
    (void)state;
    publish_two();
    hang_up();
    client_send_replies(&host);
    assert_int_equal(peer.sends, 0);
}

static void answers_for_one_who_has_gone_are_dropped(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}");
    open_channel("room");
    say("{\"id\":3,\"history\":{\"channel\":\"room\",\"limit\":1}}\n"
        "{\"id\":4,\"presence_stats\":{\"channel\":\"room\"}}");
    hang_up();
    answer_ask(0);
    answer_ask(0);
    answer_ask(UV_ECANCELED);
    assert_false(was_told("{\"id\":3"));
}

static void one_who_leaves_before_the_bus_answered_can_come_again(void **state)
{
    (void)state;
    connect_client();
    say("{\"id\":2,\"subscribe\":{\"channel\":\"room\"}}");
    open_channel("room");
    say("{\"id\":3,\"unsubscribe\":{\"channel\":\"room\"}}");
    assert_true(was_told("{\"id\":2,\"error\":{\"code\":107"));
    assert_told("{\"id\":3,\"unsubscribe\":{}}");
    answer_ask(0);
    assert_false(was_told("{\"id\":2,\"subscribe"));
    say("{\"id\":4,\"subscribe\":{\"channel\":\"room\"}}");
    recents_end_tick(&host.recents);
    inbox_drain(&hub);
    while (ask_count > 0)
        answer_ask(0);
    assert_told("{\"id\":4,\"subscribe\":{");
}

static void no_more_than_some_questions_are_under_way(void **state)
{
    char text[64];

    (void)state;
    connect_client();
    for (unsigned id = 2; id < 19; id++) {
        snprintf(text, sizeof(text), "{\"id\":%u,\"presence\":{\"channel\":\"room\"}}", id);
        say(text);
    }
    assert_int_equal(ask_count, 16);
    assert_told("{\"id\":18,\"error\":{\"code\":111");
    while (ask_count > 0)
        answer_ask(0);
    assert_told("{\"id\":17,\"presence\":{");
}

static void silence_at_the_beginning_ends_as_stale(void **state)
{
    (void)state;
    while (!peer.close_code)
        uv_run(&loop.uv, UV_RUN_ONCE);
    assert_int_equal(peer.close_code, 3502);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_bus_that_is_away_is_told_as_not_available),
        CASE(what_the_bus_refuses_for_good_is_a_limit),
        CASE(publishes_of_a_tick_are_acknowledged_together_at_its_end),
        CASE(acknowledgements_go_before_what_is_said_later),
        CASE(acknowledgements_go_before_the_end),
        CASE(answers_amid_a_frame_go_before_the_end_as_well),
        CASE(who_has_gone_at_the_end_of_the_tick_is_told_nothing),
        CASE(answers_for_one_who_has_gone_are_dropped),
        CASE(one_who_leaves_before_the_bus_answered_can_come_again),
        CASE(no_more_than_some_questions_are_under_way),
        CASE(silence_at_the_beginning_ends_as_stale),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
