#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/memory.h"
#include "gateway/plain.h"
#include "gateway/wires.h"
#include "tests/unit/rules_fixture.h"

/* A client: its session, and what the session told its connection. */
struct client {
    struct session session;
    int opened; /* 1: may begin; negative: the error */
    uint16_t close_code;
    size_t settled;
    size_t sends;
    size_t messages;
    struct buffer sent;
};

static struct loop loop;
static struct inbox hub;
static struct worker_stats stats;
static struct settings settings;
static struct session_host host;
static struct client clients[3];

/* What the sessions posted to the hub: the publishes, oldest first. */
static struct publish_command *published[16];
static size_t published_count;

static struct client *of_session(struct session *session)
{
    return container_of(session, struct client, session);
}

static void on_opened(struct session *session, int error)
{
    of_session(session)->opened = error ? error : 1;
}

static void on_send(struct session_host *its_host, struct session *const *sessions, size_t count,
                    struct block *frames, size_t messages)
{
    for (size_t i = 0; i < count; i++) {
        struct client *client = of_session(sessions[i]);

        assert_ptr_equal(its_host, sessions[i]->host);
        client->sends++;
        client->messages += messages;
        buffer_append(&client->sent, frames->data, frames->size);
    }
}

static void on_close(struct session *session, uint16_t code, const char *reason)
{
    assert_non_null(reason);
    of_session(session)->close_code = code;
}

static void on_settled(struct session *session)
{
    of_session(session)->settled++;
}

static const struct session_events events = {on_opened, on_send, on_close, on_settled};

static void receive(struct inbox *inbox, struct inbox_item *item)
{
    struct command *command = container_of(item, struct command, item);

    (void)inbox;
    if (command->kind != COMMAND_PUBLISH) {
        memory_free(container_of(command, struct channel_command, command));
        return;
    }
    assert_true(published_count < sizeof(published) / sizeof(published[0]));
    published[published_count++] = container_of(command, struct publish_command, command);
}

static void limit_rate(uint32_t rate, uint32_t burst)
{
    settings.config.rules.message_rate = rate;
    settings.config.rules.message_burst = burst;
    namespaces_destroy(settings.namespaces);
    settings.namespaces = namespaces_create(&settings.config);
}

static int set_up(void **state)
{
    (void)state;
    memset(clients, 0, sizeof(clients));
    published_count = 0;
    stats = (struct worker_stats){0};
    settings.config =
        (struct config){.lobby = "lobby",
                        .rules = {.message_rate = 10, .message_burst = 3, .message_size = 1048576}};
    open_to_all(&settings.config);
    settings.namespaces = namespaces_create(&settings.config);
    if (loop_init(&loop) || inbox_init(&hub, &loop.uv, receive))
        return -1;
    host = (struct session_host){
        .events = &events, .settings = &settings, .stats = &stats, .loop = &loop};
    wires_init(&host.wires, &stats, 0);
    channels_init(&host.channels, &host.wires.sink, NULL, &hub, &stats);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        session_close(&clients[i].session);
        buffer_deinit(&clients[i].sent);
    }
    channels_deinit(&host.channels);
    inbox_drain(&hub);
    inbox_close(&hub);
    loop_deinit(&loop);
    namespaces_destroy(settings.namespaces);
    assert_int_equal(published_count, 0);
    return 0;
}

static struct channel_command answer_for(const char *channel)
{
    struct channel_command answer = {.channel_size = strlen(channel)};

    memcpy(answer.channel, channel, answer.channel_size);
    return answer;
}

static void open_session(struct client *client)
{
    struct channel_command answer = answer_for("lobby");

    plain_open(&client->session, &host, "lobby", 5, DEFLATE_OFF);
    channels_subscribed(&host.channels, &answer);
    assert_int_equal(client->opened, 1);
}

static void say(struct client *client, const char *text)
{
    session_message(&client->session, WEBSOCKET_TEXT, text, strlen(text));
    inbox_drain(&hub);
}

/* The hub's answer to the oldest publish. */
static void answer_publish(int error)
{
    struct publish_command *command = published[0];

    assert_true(published_count > 0);
    memmove(published, published + 1, --published_count * sizeof(struct publish_command *));
    command->error = error;
    session_published(command);
}

/* The loop's clock is cached, so time passes when the test says so. */
static void pass_ms(uint64_t ms)
{
    loop.uv.time += ms;
}

static int channel_of(const char *query, char channel[MESSAGE_CHANNEL_LIMIT + 1], size_t *size)
{
    const struct http_request request = {.query = query};
    const char *message = NULL;
    int status = plain_channel(&request, &settings, channel, size, &message);

    assert_int_equal(status != 0, message != NULL);
    return status;
}

static void expect_channel(const char *query, const char *expected)
{
    char channel[MESSAGE_CHANNEL_LIMIT + 1];
    size_t size;

    assert_int_equal(channel_of(query, channel, &size), 0);
    assert_string_equal(channel, expected);
    assert_int_equal(size, strlen(expected));
}

static void expect_no_channel(const char *query)
{
    char channel[MESSAGE_CHANNEL_LIMIT + 1];
    size_t size;

    if (channel_of(query, channel, &size) != 400)
        fail_msg("taken for a channel: %s", query);
}

static void plain_protocol_is_at_two_paths(void **state)
{
    (void)state;
    assert_true(plain_serves("/"));
    assert_true(plain_serves("/ws"));
    assert_false(plain_serves("/ws/"));
    assert_false(plain_serves("/wss"));
    assert_false(plain_serves("/connection/websocket"));
    assert_false(plain_serves(""));
}

static void channel_comes_from_the_query_or_is_the_lobby(void **state)
{
    (void)state;
    expect_channel("", "lobby");
    expect_channel("other=1", "lobby");
    expect_channel("channel=room", "room");
    expect_channel("a=b&channel=room&channel=second", "room");
    expect_channel("channel=gr%C3%BC%c3%9f+dich%21", "gr\xc3\xbc\xc3\x9f dich!");
}

static void channel_name_is_checked(void **state)
{
    (void)state;
    char query[3 * MESSAGE_CHANNEL_LIMIT];

    expect_no_channel("channel=");
    expect_no_channel("channel=&a=b");
    expect_no_channel("channel=a%0Ab");
    expect_no_channel("channel=a%00b");
    expect_no_channel("channel=%7f");
    expect_no_channel("channel=%c2%85");
    expect_no_channel("channel=%ff");
    expect_no_channel("channel=%ed%a0%80");
    expect_no_channel("channel=%4");
    memset(query, 'x', sizeof(query));
    memcpy(query, "channel=", 8);
    query[8 + MESSAGE_CHANNEL_LIMIT + 1] = '\0';
    expect_no_channel(query);
    query[8 + MESSAGE_CHANNEL_LIMIT] = '\0';
    expect_channel(query, query + 8);
}

static void session_begins_when_its_channel_is_open(void **state)
{
    (void)state;
    struct channel_command answer = answer_for("lobby");

    plain_open(&clients[0].session, &host, "lobby", 5, DEFLATE_OFF);
    assert_int_equal(clients[0].opened, 0);
    channels_subscribed(&host.channels, &answer);
    assert_int_equal(clients[0].opened, 1);
    plain_open(&clients[1].session, &host, "lobby", 5, DEFLATE_OFF);
    assert_int_equal(clients[1].opened, 1);
}

static void refused_session_is_told_and_has_left(void **state)
{
    (void)state;
    struct channel_command answer = answer_for("lobby");

    plain_open(&clients[0].session, &host, "lobby", 5, DEFLATE_OFF);
    channels_refused(&host.channels, &answer, UV_EMFILE);
    assert_int_equal(clients[0].opened, UV_EMFILE);
    assert_null(clients[0].session.subscription.channel);
    assert_int_equal(host.channels.by_name.count, 0);
}

static void session_that_was_never_opened_can_be_closed(void **state)
{
    (void)state;
    session_close(&clients[0].session);
    open_session(&clients[1]);
    session_close(&clients[1].session);
    session_close(&clients[1].session);
    channels_end_tick(&host.channels);
    assert_int_equal(host.channels.by_name.count, 0);
}

static void message_goes_to_the_hub_as_it_is(void **state)
{
    (void)state;
    open_session(&clients[0]);
    session_message(&clients[0].session, WEBSOCKET_BINARY, "\0\xff", 2);
    session_message(&clients[0].session, WEBSOCKET_TEXT, NULL, 0);
    inbox_drain(&hub);
    assert_int_equal(published_count, 2);

    const struct message *message = published[0]->publish.message;

    assert_int_equal(message->kind, MESSAGE_BINARY);
    assert_string_equal(message->channel, "lobby");
    assert_int_equal(message->data_size, 2);
    assert_memory_equal(message->data, "\0\xff", 2);
    assert_true(message->time_ms > 0);
    assert_int_equal(published[1]->publish.message->kind, MESSAGE_TEXT);
    assert_int_equal(published[1]->publish.message->data_size, 0);
    assert_int_equal(metric_read(&stats.messages_received), 2);
    answer_publish(0);
    answer_publish(0);
    assert_int_equal(clients[0].close_code, 0);
    assert_int_equal(metric_read(&stats.messages_refused), 0);
}

static void session_is_settled_with_its_last_publish(void **state)
{
    (void)state;
    open_session(&clients[0]);
    say(&clients[0], "a");
    say(&clients[0], "b");
    assert_int_equal(clients[0].session.pending, 2);
    session_close(&clients[0].session);
    answer_publish(0);
    assert_int_equal(clients[0].settled, 0);
    answer_publish(0);
    assert_int_equal(clients[0].settled, 1);
    assert_int_equal(clients[0].session.pending, 0);
}

static void sender_is_told_what_became_of_a_refused_message(void **state)
{
    (void)state;
    open_session(&clients[0]);
    say(&clients[0], "a");
    answer_publish(UV_ENOBUFS);
    assert_int_equal(clients[0].close_code, WEBSOCKET_CLOSE_TRY_LATER);
    say(&clients[0], "b");
    answer_publish(UV_EPROTO);
    assert_int_equal(clients[0].close_code, WEBSOCKET_CLOSE_INTERNAL);
    assert_int_equal(metric_read(&stats.messages_refused), 2);
}

static void nothing_is_read_while_the_hub_is_behind(void **state)
{
    (void)state;
    static char text[1024 * 1024];
    struct session *session = &clients[0].session;
    size_t count = 0;

    limit_rate(0, 3);
    open_session(&clients[0]);
    plain_open(&clients[1].session, &host, "lobby", 5, DEFLATE_OFF);
    for (; session_may_publish(session); count++) {
        session_message(session, WEBSOCKET_BINARY, text, sizeof(text));
        inbox_drain(&hub);
        assert_true(flow_depth(&host.publishes) <= FLOW_LIMIT_BYTES + 2 * sizeof(text));
    }
    assert_in_range(count, 4, 5);
    assert_int_equal(published_count, count);
    assert_false(session_may_publish(&clients[1].session)); /* all of the worker wait */
    assert_true(flow_take(&host.publishes, flow_depth(&host.publishes)));
    assert_true(session_may_publish(session));
    while (published_count > 0)
        answer_publish(0);
}

static void deliver(enum message_kind kind, const void *data, size_t size)
{
    struct message *message = message_create(kind, "lobby", 5, data, size);

    channel_append(channels_find(&host.channels, "lobby", 5), message);
    message_unref(message);
}

static void tick_is_one_send_of_whole_frames(void **state)
{
    (void)state;
    static const char expected[] = "\x81\x02"
                                   "hi"
                                   "\x82\x01\xff"
                                   "\x81\x00";

    open_session(&clients[0]);
    open_session(&clients[1]);
    deliver(MESSAGE_TEXT, "hi", 2);
    deliver(MESSAGE_BINARY, "\xff", 1);
    deliver(MESSAGE_TEXT, "", 0);
    channels_end_tick(&host.channels);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(clients[i].sends, 1);
        assert_int_equal(clients[i].messages, 3);
        assert_int_equal(clients[i].sent.size, sizeof(expected) - 1);
        assert_memory_equal(clients[i].sent.data, expected, sizeof(expected) - 1);
    }
}

static void frame_of_every_length_form_is_whole(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        size_t header_size;
        unsigned char header[WEBSOCKET_HEADER_LIMIT];
    } cases[] = {
        {0, 2, {0x82, 0}},
        {125, 2, {0x82, 125}},
        {126, 4, {0x82, 126, 0, 126}},
        {65535, 4, {0x82, 126, 0xff, 0xff}},
        {65536, 10, {0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
    };
    static unsigned char data[65536];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 31 >> 3);
    open_session(&clients[0]);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer *sent = &clients[0].sent;

        buffer_deinit(sent);
        deliver(MESSAGE_BINARY, data, cases[i].size);
        channels_end_tick(&host.channels);
        assert_int_equal(sent->size, cases[i].header_size + cases[i].size);
        assert_memory_equal(sent->data, cases[i].header, cases[i].header_size);
        assert_memory_equal(sent->data + cases[i].header_size, data, cases[i].size);
    }
}

static bool charge(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!session_charge(&clients[0].session))
            return false;
    }
    return true;
}

/* Ten a second, three at once. */
static void rate_allows_a_burst_and_refills(void **state)
{
    (void)state;
    open_session(&clients[0]);
    assert_true(charge(3));
    assert_int_equal(clients[0].close_code, 0);
    pass_ms(100);
    assert_true(charge(1));
    pass_ms(3600000);
    assert_true(charge(3));
    pass_ms(50);
    assert_false(charge(1));
    assert_int_equal(clients[0].close_code, WEBSOCKET_CLOSE_POLICY);
    pass_ms(50);
    assert_true(charge(1));
    assert_false(charge(1));
    assert_int_equal(metric_read(&stats.rate_limited), 2);
}

static void rate_counts_fractions_of_messages(void **state)
{
    (void)state;
    open_session(&clients[0]);
    charge(3);
    for (int i = 0; i < 99; i++) {
        pass_ms(1);
        assert_false(charge(1));
    }
    pass_ms(1);
    assert_true(charge(1));
}

static void message_over_the_rate_is_not_sent_on(void **state)
{
    (void)state;
    open_session(&clients[0]);
    for (int i = 0; i < 4; i++)
        say(&clients[0], "a");
    assert_int_equal(published_count, 3);
    assert_int_equal(clients[0].close_code, WEBSOCKET_CLOSE_POLICY);
    while (published_count > 0)
        answer_publish(0);
}

static void highest_rate_and_burst_do_not_overflow(void **state)
{
    (void)state;
    limit_rate(1000000, 1000000);
    open_session(&clients[0]);
    pass_ms(UINT32_MAX);
    assert_true(charge(1000000));
    assert_false(charge(1));
}

static void rate_of_zero_is_no_limit(void **state)
{
    (void)state;
    limit_rate(0, 3);
    open_session(&clients[0]);
    assert_true(charge(1000));
}

#define SESSION_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(plain_protocol_is_at_two_paths),
        SESSION_TEST(channel_comes_from_the_query_or_is_the_lobby),
        SESSION_TEST(channel_name_is_checked),
        SESSION_TEST(session_begins_when_its_channel_is_open),
        SESSION_TEST(refused_session_is_told_and_has_left),
        SESSION_TEST(session_that_was_never_opened_can_be_closed),
        SESSION_TEST(message_goes_to_the_hub_as_it_is),
        SESSION_TEST(session_is_settled_with_its_last_publish),
        SESSION_TEST(sender_is_told_what_became_of_a_refused_message),
        SESSION_TEST(nothing_is_read_while_the_hub_is_behind),
        SESSION_TEST(tick_is_one_send_of_whole_frames),
        SESSION_TEST(frame_of_every_length_form_is_whole),
        SESSION_TEST(rate_allows_a_burst_and_refills),
        SESSION_TEST(rate_counts_fractions_of_messages),
        SESSION_TEST(message_over_the_rate_is_not_sent_on),
        SESSION_TEST(highest_rate_and_burst_do_not_overflow),
        SESSION_TEST(rate_of_zero_is_no_limit),
    };

    return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
