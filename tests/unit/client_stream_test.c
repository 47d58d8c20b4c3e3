/* Clients without a WebSocket, whose commands come beside their stream: when they wait, what may
 * come first, and what one that goes on may do to the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/memory.h"
#include "gateway/client.h"
#include "gateway/site.h"
#include "gateway/worker.h"
#include "tests/unit/rules_fixture.h"

#define PEERS 3

struct peer {
    struct session session;
    bool is_gone;
    uint16_t close_code;
    struct buffer sent;
    char name[80]; /* of the session */
};

static struct loop loop;
static struct inbox hub;
static struct worker worker;
static struct settings settings;
static struct status status;
static struct session_host *host = &worker.connections.sessions;
static struct peer peers[PEERS];
static struct peer *victim; /* leaves when anybody else is sent something */

static struct peer *of_session(struct session *session)
{
    return container_of(session, struct peer, session);
}

static void hang_up(struct peer *peer)
{
    if (!peer->is_gone)
        session_close(&peer->session);
    peer->is_gone = true;
}

static void on_opened(struct session *session, int error)
{
    (void)session;
    assert_int_equal(error, 0);
}

static void on_send(struct session_host *its_host, struct session *const *sessions, size_t count,
                    struct block *frames, size_t messages)
{
    struct peer *peer = of_session(sessions[0]);

    assert_ptr_equal(its_host, sessions[0]->host);
    assert_int_equal(count, 1);
    (void)messages;
    buffer_append(&peer->sent, frames->data, frames->size);
    if (victim && victim != peer)
        hang_up(victim);
}

static void on_close(struct session *session, uint16_t code, const char *reason)
{
    assert_non_null(reason);
    of_session(session)->close_code = code;
    hang_up(of_session(session));
}

static void on_settled(struct session *session)
{
    (void)session;
}

static const struct session_events events = {on_opened, on_send, on_close, on_settled};

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    (void)inbox;
    memory_free(container_of(item, struct channel_command, command.item));
}

static const char *heard(struct peer *peer)
{
    buffer_append(&peer->sent, "", 1);
    peer->sent.size--;
    return (const char *)peer->sent.data;
}

static void connect_peer(struct peer *peer)
{
    static const char command[] = "{\"id\":1,\"connect\":{}}";
    const char *at;

    client_open(&peer->session, host, TRANSPORT_STREAM_JSON, NULL);
    session_message(&peer->session, WEBSOCKET_TEXT, command, sizeof(command) - 1);
    at = strstr(heard(peer), "\"session\":\"");
    assert_non_null(at);
    assert_int_equal(sscanf(at, "\"session\":\"%79[^\"]", peer->name), 1);
    buffer_deinit(&peer->sent);
}

static int set_up(void **state)
{
    (void)state;
    memset(peers, 0, sizeof(peers));
    worker = (struct worker){.index = 5};
    victim = NULL;
    settings.config = (struct config){.handshake_timeout_ms = 1000, .client_channel_limit = 10};
    settings.config.max_message_size = 100;
    settings.config.proxy_connect = settings.config.proxy_refresh = "";
    settings.config.proxy_subscribe = settings.config.proxy_publish = "";
    settings.config.proxy_rpc = "";
    settings.allows_anonymous = true;
    open_to_all(&settings.config);
    settings.namespaces = namespaces_create(&settings.config);
    atomic_store(&status.is_bus_up, true);
    if (loop_init(&loop) || inbox_init(&hub, &loop.uv, receive))
        return -1;
    *host = (struct session_host){.events = &events,
                                  .settings = &settings,
                                  .stats = &worker.stats,
                                  .status = &status,
                                  .loop = &loop,
                                  .node = 7};
    wires_init(&host->wires, &worker.stats, 0);
    channels_init(&host->channels, &host->wires.sink, &worker, &hub, &worker.stats);
    recents_init(&host->recents, 1 << 20, 100, client_ask_recent, host);
    clients_init(&host->clients);
    for (size_t i = 0; i < PEERS; i++)
        connect_peer(&peers[i]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    victim = NULL;
    for (size_t i = 0; i < PEERS; i++) {
        hang_up(&peers[i]);
        buffer_deinit(&peers[i].sent);
    }
    channels_deinit(&host->channels);
    inbox_drain(&hub);
    recents_deinit(&host->recents);
    clients_deinit(&host->clients);
    inbox_close(&hub);
    loop_deinit(&loop);
    namespaces_destroy(settings.namespaces);
    return 0;
}

static void post(const struct peer *peer, const char *commands)
{
    client_emulate(host, text_of(peer->name), commands, strlen(commands));
}

static void let_hub_fall_behind(void)
{
    flow_post(&host->publishes, 2 * FLOW_LIMIT_BYTES);
    assert_false(session_may_publish(&peers[0].session));
}

static void let_hub_catch_up(void)
{
    assert_true(flow_take(&host->publishes, 2 * FLOW_LIMIT_BYTES));
    client_streams_go_on(host);
}

static void commands_are_for_the_session_that_they_name(void **state)
{
    (void)state;
    assert_true(strncmp(peers[0].name, "5-", 2) == 0);
    post(&peers[1], "{\"id\":2,\"ping\":{}}");
    assert_non_null(strstr(heard(&peers[1]), "{\"id\":2,\"ping\":{}}\n"));
    assert_int_equal(peers[0].sent.size + peers[2].sent.size, 0);
    client_emulate(host, text_of("5-0"), "{}", 2);
    client_emulate(host, (struct text){NULL, 0}, "{}", 2);
}

static void commands_wait_in_their_order_while_the_hub_is_behind(void **state)
{
    const char *second;
    const char *third;

    (void)state;
    let_hub_fall_behind();
    post(&peers[0], "{\"id\":2,\"ping\":{}}");
    post(&peers[0], "{\"id\":3,\"ping\":{}}");
    assert_int_equal(peers[0].sent.size, 0);
    client_streams_go_on(host);
    assert_int_equal(peers[0].sent.size, 0);
    let_hub_catch_up();
    second = strstr(heard(&peers[0]), "{\"id\":2,");
    third = strstr(heard(&peers[0]), "{\"id\":3,");
    assert_true(second && third && second < third);
    buffer_deinit(&peers[0].sent);
    post(&peers[0], "{\"id\":4,\"ping\":{}}");
    assert_non_null(strstr(heard(&peers[0]), "{\"id\":4,"));
}

static void who_goes_on_all_the_same_is_sent_away(void **state)
{
    (void)state;
    let_hub_fall_behind();
    for (int i = 0; i < 6; i++)
        post(&peers[0], "{\"id\":2,\"ping\":{}}");
    assert_int_equal(peers[0].close_code, 3013);
    assert_false(peers[1].is_gone);
    let_hub_catch_up();
}

static void who_goes_on_may_end_others_that_waited(void **state)
{
    (void)state;
    let_hub_fall_behind();
    for (size_t i = 0; i < PEERS; i++)
        post(&peers[i], "{\"id\":2,\"ping\":{}}");
    victim = &peers[1];
    let_hub_catch_up();
    assert_true(peers[1].is_gone);
    assert_int_equal(peers[1].sent.size, 0);
    assert_non_null(strstr(heard(&peers[0]), "{\"id\":2,"));
    assert_non_null(strstr(heard(&peers[2]), "{\"id\":2,"));
}

static void who_is_being_sent_away_is_not_heard(void **state)
{
    (void)state;
    peers[0].session.is_held = true;
    post(&peers[0], "{\"id\":2,\"ping\":{}}");
    assert_int_equal(peers[0].sent.size, 0);
}

/* A stream begins with `text`; 0, or the code of its end. */
static uint16_t begin_with(const char *text, enum transport transport, size_t size)
{
    struct peer *peer = &peers[0];

    hang_up(peer);
    peer->is_gone = false;
    peer->close_code = 0;
    client_open(&peer->session, host, transport, NULL);
    session_message(&peer->session, WEBSOCKET_TEXT, text, size ? size : strlen(text));
    buffer_deinit(&peer->sent);
    return peer->close_code;
}

static void stream_begins_with_its_connect_and_nothing_else(void **state)
{
    static const char protobuf[] = "\x04\x08\x01\x22\x00";
    static const char two[] = "\x04\x08\x01\x22\x00\x04\x08\x02\x52\x00";

    (void)state;
    assert_int_equal(begin_with("{\"id\":1,\"connect\":{}}\n \r\n", TRANSPORT_EVENTS, 0), 0);
    assert_int_equal(
        begin_with("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"ping\":{}}", TRANSPORT_EVENTS, 0), 3501);
    assert_int_equal(begin_with("{\"id\":1,\"ping\":{}}", TRANSPORT_EVENTS, 0), 3501);
    assert_int_equal(begin_with("x", TRANSPORT_STREAM_JSON, 0), 3501);
    assert_int_equal(begin_with(protobuf, TRANSPORT_STREAM_PROTOBUF, sizeof(protobuf) - 1), 0);
    assert_int_equal(begin_with(two, TRANSPORT_STREAM_PROTOBUF, sizeof(two) - 1), 3501);
    assert_int_equal(begin_with("{\"id\":1,\"connect\":{}}\n{\"id\":2,\"ping\":{}}",
                                TRANSPORT_WEBSOCKET_JSON, 0),
                     0);
}

static void farewell_is_a_push_of_the_transport(void **state)
{
    struct buffer farewell = {0};

    (void)state;
    peers[0].session.protocol->say_farewell(&peers[0].session, 3503, "out", &farewell);
    buffer_append(&farewell, "", 1);
    assert_string_equal((const char *)farewell.data,
                        "{\"push\":{\"disconnect\":{\"code\":3503,\"reason\":\"out\"}}}\n");
    buffer_deinit(&farewell);
}

#define STREAM_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(commands_are_for_the_session_that_they_name),
        STREAM_TEST(commands_wait_in_their_order_while_the_hub_is_behind),
        STREAM_TEST(who_goes_on_all_the_same_is_sent_away),
        STREAM_TEST(who_goes_on_may_end_others_that_waited),
        STREAM_TEST(who_is_being_sent_away_is_not_heard),
        STREAM_TEST(stream_begins_with_its_connect_and_nothing_else),
        STREAM_TEST(farewell_is_a_push_of_the_transport),
    };

    return cmocka_run_group_tests_name("client_stream", tests, NULL, NULL);
}
