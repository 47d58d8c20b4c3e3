/* One client of the load generator, and a server that sends it bytes of our choice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"
#include "tests/bench/client.h"

#define ANSWER                                                                                     \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"            \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

struct fixture {
    struct destination destination;
    struct crowd crowd;
    struct client client;
    int listener;
    int server; /* the connection's other end */
    unsigned opened;
    unsigned messages;
    unsigned pongs;
    char last_message[64];
    char reason[128]; /* why it ended */
};

static struct fixture *fixture_of(struct client *client)
{
    return client->crowd->context;
}

static void on_opened(struct client *client)
{
    fixture_of(client)->opened++;
}

static void on_message(struct client *client, const unsigned char *data, size_t size)
{
    struct fixture *fixture = fixture_of(client);

    fixture->messages++;
    snprintf(fixture->last_message, sizeof(fixture->last_message), "%.*s", (int)size,
             (const char *)data);
}

static void on_pong(struct client *client)
{
    fixture_of(client)->pongs++;
}

static void on_ended(struct client *client, const char *reason)
{
    struct fixture *fixture = fixture_of(client);

    snprintf(fixture->reason, sizeof(fixture->reason), "%s", reason);
}

static const struct client_events events = {on_opened, on_message, on_pong, on_ended};

/* Lets the client handle the next event of its socket. */
static void handle_event(struct fixture *fixture)
{
    struct epoll_event event;

    assert_int_equal(epoll_wait(fixture->crowd.epoll, &event, 1, 30000), 1);
    client_handle(event.data.ptr, event.events);
}

/* Bytes arrive at the client in one piece. */
static void arrive(struct fixture *fixture, const char *bytes, size_t size)
{
    assert_int_equal(send(fixture->server, bytes, size, MSG_NOSIGNAL), size);
    handle_event(fixture);
}

#define ARRIVE(fixture, text) arrive(fixture, text, sizeof(text) - 1)

static int listen_anywhere(struct fixture *fixture, char port[8])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    fixture->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(fixture->listener, (struct sockaddr *)&address, size) < 0 ||
        listen(fixture->listener, 1) < 0 ||
        getsockname(fixture->listener, (struct sockaddr *)&address, &size) < 0)
        return -1;
    snprintf(port, 8, "%u", ntohs(address.sin_port));
    return 0;
}

/* Connected, and the request is on its way. */
static int create_with(void **state, const struct protocol *protocol, bool is_deflated)
{
    struct fixture *fixture = memory_zeroed(1, sizeof(*fixture));
    struct server_url url;
    const char *problem;
    char port[8];

    *state = fixture;
    if (listen_anywhere(fixture, port) || server_url_parse(&url, "ws://h", &problem) ||
        crowd_init(&fixture->crowd, &events, fixture, 1000))
        return -1;
    destination_init(&fixture->destination, &url, 1, protocol, is_deflated);
    if (is_deflated && crowd_inflate(&fixture->crowd))
        return -1;
    if (endpoint_resolve(&fixture->destination.endpoint, "127.0.0.1", port) ||
        client_dial(&fixture->client, &fixture->crowd, &fixture->destination, 0))
        return -1;
    handle_event(fixture);
    fixture->server = accept(fixture->listener, NULL, NULL);
    return fixture->server < 0;
}

static int create(void **state)
{
    return create_with(state, &protocol_plain, false);
}

static int create_nats(void **state)
{
    return create_with(state, &protocol_nats, false);
}

static int create_deflated(void **state)
{
    return create_with(state, &protocol_plain, true);
}

static int create_open(void **state)
{
    int error = create(state);
    struct fixture *fixture = *state;

    if (!error)
        ARRIVE(fixture, ANSWER);
    return error || fixture->opened != 1;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;

    client_close(&fixture->client);
    crowd_deinit(&fixture->crowd);
    destination_deinit(&fixture->destination);
    close(fixture->server);
    close(fixture->listener);
    memory_free(fixture);
    return 0;
}

static void answer_in_pieces_opens_once_and_frames_may_follow_it(void **state)
{
    struct fixture *fixture = *state;
    static const char rest[] = "\r\n\x81\x02hi";

    arrive(fixture, ANSWER, strlen(ANSWER) - 2);
    assert_int_equal(fixture->opened, 0);
    ARRIVE(fixture, rest);
    assert_int_equal(fixture->opened, 1);
    assert_string_equal(fixture->last_message, "hi");
}

static void refusal_ends_the_client_with_its_reason(void **state)
{
    struct fixture *fixture = *state;

    ARRIVE(fixture, "HTTP/1.1 404 Not Found\r\n\r\n");
    assert_string_equal(fixture->reason, "answered the handshake with HTTP/1.1 404 Not Found");
    assert_int_equal(fixture->client.state, CLIENT_CLOSED);
}

static void frames_in_pieces_and_fragments_are_whole_messages(void **state)
{
    struct fixture *fixture = *state;

    ARRIVE(fixture, "\x81");
    ARRIVE(fixture, "\x05he");
    ARRIVE(fixture, "llo\x82\x01");
    assert_string_equal(fixture->last_message, "hello");
    ARRIVE(fixture, "x\x01\x03one");
    assert_string_equal(fixture->last_message, "x");
    ARRIVE(fixture, "\x80\x04 two");
    assert_string_equal(fixture->last_message, "one two");
    assert_int_equal(fixture->messages, 3);
}

static void pong_counts_only_when_it_was_asked_for(void **state)
{
    struct fixture *fixture = *state;

    ARRIVE(fixture, "\x8a\x00");
    assert_int_equal(fixture->pongs, 0);
    client_write_ping(&fixture->client);
    client_flush(&fixture->client);
    ARRIVE(fixture, "\x8a\x03"
                    "end"
                    "\x8a\x00");
    assert_int_equal(fixture->pongs, 1);
}

static void ping_is_answered(void **state)
{
    struct fixture *fixture = *state;
    unsigned char received[512];
    ssize_t size;

    ARRIVE(fixture, "\x89\x01?");
    do { /* behind the request */
        size = recv(fixture->server, received, sizeof(received), 0);
        assert_true(size >= 7);
    } while (received[size - 7] != 0x8a);
    assert_int_equal(received[size - 6], 0x81);
    assert_int_equal(received[size - 1] ^ received[size - 5], '?');
}

static void server_that_breaks_the_protocol_is_left(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *reason;
    } bad[] = {
        {"\x81\x81\0\0\0\0x", 7, "sent a masked frame"},
        {"\xc1\x01x", 3, "sent a frame with a reserved bit"},
        {"\xa1\x01x", 3, "sent a frame with a reserved bit"},
        {"\x83\x00", 2, "sent an opcode that RFC 6455 does not know"},
        {"\x81\x7e\x03\xe9", 4, "sent a message larger than any of ours"},
        {"\x89\x7e\x00\x7e", 4, "sent a message larger than any of ours"},
        {"\x88\x05\x03\xf1"
         "bye",
         7, "closed by the server, code 1009 bye"},
        {"\x88\x00", 2, "closed by the server, code 1005 "},
    };
    struct fixture *fixture;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (i > 0)
            assert_int_equal(create_open(state), 0);
        fixture = *state;
        arrive(fixture, bad[i].bytes, bad[i].size);
        assert_string_equal(fixture->reason, bad[i].reason);
        assert_int_equal(fixture->client.state, CLIENT_CLOSED);
        if (i + 1 < sizeof(bad) / sizeof(bad[0]))
            destroy(state);
    }
}

static void end_without_a_close_frame_is_told(void **state)
{
    struct fixture *fixture = *state;

    shutdown(fixture->server, SHUT_WR);
    handle_event(fixture);
    assert_string_equal(fixture->reason, "closed by the server without a close frame");
}

/* A frame whose payload is shorter than 126 bytes. */
static void arrive_as_frame(struct fixture *fixture, const char *payload)
{
    char frame[128];
    int size = snprintf(frame + 2, sizeof(frame) - 2, "%s", payload);

    frame[0] = (char)0x82;
    frame[1] = (char)size;
    arrive(fixture, frame, 2 + (size_t)size);
}

static void channel_is_joined_before_the_client_is_open(void **state)
{
    struct fixture *fixture = *state;

    ARRIVE(fixture, ANSWER);
    assert_int_equal(fixture->opened, 0);
    arrive_as_frame(fixture, "INFO {}\r\nPONG\r\nMSG bench-1 1 2\r\nhi\r\n");
    assert_int_equal(fixture->opened, 1);
    assert_string_equal(fixture->last_message, "hi");
}

static void stream_may_be_cut_anywhere(void **state)
{
    struct fixture *fixture = *state;
    static const char stream[] = "PONG\r\nMSG bench-1 1 5\r\nfirst\r\nPING\r\n"
                                 "MSG bench-1 1 6\r\nsecond\r\n";

    ARRIVE(fixture, ANSWER);
    for (size_t i = 0; i + 1 < sizeof(stream); i++)
        arrive_as_frame(fixture, (const char[]){stream[i], '\0'});
    assert_int_equal(fixture->messages, 2);
    assert_string_equal(fixture->last_message, "second");
    assert_int_equal(fixture->client.unread.size, 0);
}

static void refusal_of_the_channel_ends_the_client(void **state)
{
    struct fixture *fixture = *state;

    ARRIVE(fixture, ANSWER);
    arrive_as_frame(fixture, "-ERR 'no'\r\n");
    assert_string_equal(fixture->reason, "refused by the server: -ERR 'no'");
}

static void what_no_protocol_says_ends_the_client(void **state)
{
    struct fixture *fixture = *state;

    ARRIVE(fixture, ANSWER);
    arrive_as_frame(fixture, "MSG bench-1 1 x\r\n");
    assert_string_equal(fixture->reason, "sent what its protocol does not know");
}

#define DEFLATED_ANSWER                                                                            \
    "HTTP/1.1 101 Switching Protocols\r\n"                                                         \
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"                                       \
    "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"

/* The example of RFC 7692 §7.2.3.1, whole and in fragments. */
static void compressed_messages_are_inflated(void **state)
{
    struct fixture *fixture = *state;

    ARRIVE(fixture, DEFLATED_ANSWER);
    assert_int_equal(fixture->opened, 1);
    ARRIVE(fixture, "\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00");
    assert_string_equal(fixture->last_message, "Hello");
    ARRIVE(fixture, "\x81\x02hi");
    assert_string_equal(fixture->last_message, "hi");
    ARRIVE(fixture, "\x41\x03\xf2\x48\xcd\x80\x04\xc9\xc9\x07\x00");
    assert_string_equal(fixture->last_message, "Hello");
    assert_int_equal(fixture->messages, 3);
    ARRIVE(fixture, "\xc1\x02\xff\xff");
    assert_string_equal(fixture->reason, "sent a compressed message that cannot be inflated");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, create_open, destroy)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(answer_in_pieces_opens_once_and_frames_may_follow_it,
                                        create, destroy),
        cmocka_unit_test_setup_teardown(refusal_ends_the_client_with_its_reason, create, destroy),
#define CASE_WITH(setup, name) cmocka_unit_test_setup_teardown(name, setup, destroy)
        CASE_WITH(create_nats, channel_is_joined_before_the_client_is_open),
        CASE_WITH(create_nats, stream_may_be_cut_anywhere),
        CASE_WITH(create_nats, refusal_of_the_channel_ends_the_client),
        CASE_WITH(create_nats, what_no_protocol_says_ends_the_client),
        CASE_WITH(create_deflated, compressed_messages_are_inflated),
        CASE(frames_in_pieces_and_fragments_are_whole_messages),
        CASE(pong_counts_only_when_it_was_asked_for),
        CASE(ping_is_answered),
        CASE(server_that_breaks_the_protocol_is_left),
        CASE(end_without_a_close_frame_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
