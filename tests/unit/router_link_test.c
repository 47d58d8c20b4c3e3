#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"
#include "common/router_link.h"

#define WAIT_LIMIT_MS 60000
#define PULSE_MS      5
#define LARGE         ((size_t)65536)
#define MANY          1000 /* more than the kernel takes of them */

#define MIXED_UP "a router of the cluster \"carillon\" was asked for the cluster \"bells\""

static struct loop loop;
static struct router_link_host host;
static struct router_identity identity;
static uv_timer_t pulse; /* lets a loop iteration end where nothing else happens */
static unsigned pulses;
static unsigned ready_count;
static unsigned closed_count;
static unsigned frame_count;
static uint64_t refused;              /* the publish that was refused last */
static struct router_arrival arrival; /* of a link that was handed over */

static void on_pulse(uv_timer_t *timer)
{
    (void)timer;
    pulses++;
}

/* Runs the loop until `count` is `expected`. */
static void run_until(const unsigned *count, unsigned expected)
{
    for (pulses = 0; *count != expected; uv_run(&loop.uv, UV_RUN_ONCE)) {
        if (pulses > WAIT_LIMIT_MS / PULSE_MS)
            fail_msg("never");
    }
}

static bool on_greeted(struct router_link *link)
{
    (void)link;
    return true;
}

static void on_ready(struct router_link *link)
{
    (void)link;
    ready_count++;
}

static void on_frame(struct router_link *link, const struct router_frame *frame)
{
    (void)link;
    frame_count++;
    if (frame->kind == FRAME_REFUSED) {
        assert_int_equal(frame->refused.reason, REASON_INVALID);
        assert_int_equal(frame->channel_size, 4);
        assert_memory_equal(frame->channel, "room", 4);
        refused = frame->refused.sequence;
    }
}

static void on_closed(struct router_link *link, int error)
{
    (void)link;
    (void)error;
    closed_count++;
}

static const struct router_link_events events = {
    .hello = on_greeted,
    .welcome = on_greeted,
    .ready = on_ready,
    .frame = on_frame,
    .closed = on_closed,
};

static int set_up(void **state)
{
    (void)state;
    ready_count = 0;
    closed_count = 0;
    frame_count = 0;
    refused = 0;
    identity = (struct router_identity){.node = 1,
                                        .role = ROLE_ROUTER,
                                        .name = "r1",
                                        .address = "",
                                        .cluster = CLUSTER_NAME_DEFAULT,
                                        .shards = 1,
                                        .message_limit = 1000,
                                        .queue_limit = 1000000};
    if (loop_init(&loop) || router_link_host_init(&host, &loop, &identity) ||
        uv_timer_init(&loop.uv, &pulse))
        return -1;
    return uv_timer_start(&pulse, on_pulse, PULSE_MS, PULSE_MS);
}

static int tear_down(void **state)
{
    (void)state;
    router_link_host_close(&host);
    uv_close((uv_handle_t *)&pulse, NULL);
    loop_deinit(&loop);
    return 0;
}

static int listen_anywhere(struct sockaddr_in *address)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t size = sizeof(*address);

    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)address, size), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, &size), 0);
    assert_int_equal(listen(listener, 1), 0);
    return listener;
}

static void both_ends_know_what_both_can_do_and_the_other_takes(void **state)
{
    struct router_link dialer;
    struct router_link acceptor;
    struct sockaddr_in address;
    int listener = listen_anywhere(&address);

    (void)state;
    router_link_dial(&dialer, &host, NULL, (struct sockaddr *)&address, "localhost", 0, &events);
    router_link_accept(&acceptor, &host, NULL,
                       &(struct router_arrival){.socket = accept(listener, NULL, NULL)}, &events);
    close(listener);
    run_until(&ready_count, 2);
    assert_int_equal(dialer.peer.capabilities, ROUTER_CAPABILITIES);
    assert_int_equal(acceptor.peer.capabilities, ROUTER_CAPABILITIES);
    assert_true(dialer.peer.message_limit == 1000 && acceptor.peer.message_limit == 1000);
    router_link_close(&dialer, "");
    router_link_close(&acceptor, "");
    run_until(&closed_count, 2);
}

static void append_frame(struct buffer *bytes, const struct router_frame *frame)
{
    size_t start = bytes->size;

    buffer_reserve(bytes, FRAMING_HEADER_BYTES);
    bytes->size += FRAMING_HEADER_BYTES;
    router_frame_append(bytes, frame);
    framing_write_header(bytes->data + start, bytes->size - start - FRAMING_HEADER_BYTES);
}

/* Writes, and lets the loop run until the other side has read it all. */
static void write_all(int peer, const struct buffer *bytes)
{
    size_t at = 0;

    while (at < bytes->size) {
        ssize_t size = send(peer, bytes->data + at, bytes->size - at, MSG_DONTWAIT);

        at += size > 0 ? (size_t)size : 0;
        uv_run(&loop.uv, UV_RUN_ONCE);
    }
}

static void append_publish(struct buffer *bytes, uint64_t number, size_t size)
{
    unsigned char *data = memory_zeroed(size, 1);
    struct message *message = message_create(MESSAGE_BINARY, "room", 4, data, size);

    message->publisher = 2;
    message->sequence = number;
    append_frame(bytes, &(struct router_frame){.kind = FRAME_PUBLISH,
                                               .channel = "room",
                                               .channel_size = 4,
                                               .publish = {message, number - 1, true}});
    message_unref(message);
    memory_free(data);
}

static void append_hello_as(struct buffer *bytes, enum router_role role, unsigned capabilities)
{
    static const unsigned char nonce[ROUTER_NONCE_BYTES];

    append_frame(bytes, &(struct router_frame){.kind = FRAME_HELLO,
                                               .hello = {.version = ROUTER_VERSION,
                                                         .capabilities = capabilities,
                                                         .node = 2,
                                                         .role = role,
                                                         .name = "g",
                                                         .nonce = nonce}});
}

static void append_hello(struct buffer *bytes, unsigned capabilities)
{
    append_hello_as(bytes, ROLE_GATEWAY, capabilities);
}

/* One that was built before there were capabilities, or with fewer of them. */
static void assert_known(unsigned capabilities)
{
    struct router_link acceptor;
    struct sockaddr_in address;
    struct buffer greeting = {0};
    int listener = listen_anywhere(&address);
    int peer = socket(AF_INET, SOCK_STREAM, 0);

    closed_count = 0;
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    append_hello(&greeting, capabilities);
    router_link_accept(
        &acceptor, &host, NULL,
        &(struct router_arrival){.socket = accept(listener, NULL, NULL), .read = greeting},
        &events);
    assert_int_equal(acceptor.state, ROUTER_LINK_PROVING);
    assert_int_equal(acceptor.peer.capabilities, capabilities);
    router_link_close(&acceptor, "");
    run_until(&closed_count, 1);
    close(listener);
    close(peer);
}

static void what_the_other_end_cannot_do_is_known(void **state)
{
    (void)state;
    assert_known(0);
    assert_known(ROUTER_CAN_HISTORY);
}

/* Who asks for another cluster is told the names of both. */
static void an_acceptor_refuses_who_is_of_another_cluster(void **state)
{
    static const unsigned char nonce[ROUTER_NONCE_BYTES];
    struct router_link acceptor;
    struct sockaddr_in address;
    struct buffer greeting = {0};
    unsigned char answer[256];
    int listener = listen_anywhere(&address);
    int peer = socket(AF_INET, SOCK_STREAM, 0);
    struct router_frame frame;
    ssize_t size;

    (void)state;
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    append_frame(&greeting, &(struct router_frame){.kind = FRAME_HELLO,
                                                   .hello = {.version = ROUTER_VERSION,
                                                             .node = 2,
                                                             .role = ROLE_ROUTER,
                                                             .name = "r2",
                                                             .nonce = nonce,
                                                             .cluster = "bells"}});
    router_link_accept(
        &acceptor, &host, NULL,
        &(struct router_arrival){.socket = accept(listener, NULL, NULL), .read = greeting},
        &events);
    run_until(&closed_count, 1);
    assert_string_equal(acceptor.reason, MIXED_UP);
    size = read(peer, answer, sizeof(answer));
    assert_true(size > FRAMING_HEADER_BYTES);
    assert_int_equal(router_frame_read(answer + FRAMING_HEADER_BYTES,
                                       (size_t)size - FRAMING_HEADER_BYTES, 1000, &frame),
                     0);
    assert_int_equal(frame.kind, FRAME_ERROR);
    assert_int_equal(frame.error.code, ROUTER_ERROR_CLUSTER);
    assert_string_equal(frame.error.text, MIXED_UP);
    router_frame_release(&frame);
    close(listener);
    close(peer);
}

/* A router from before there were names welcomes anybody, and is of the default cluster. */
static void a_dialer_leaves_who_welcomes_it_to_another_cluster(void **state)
{
    static const unsigned char nonce[ROUTER_NONCE_BYTES];
    struct router_link dialer;
    struct sockaddr_in address;
    struct buffer welcome = {0};
    int listener = listen_anywhere(&address);
    int peer;

    (void)state;
    identity.cluster = "bells";
    router_link_dial(&dialer, &host, NULL, (struct sockaddr *)&address, "localhost", 0, &events);
    peer = accept(listener, NULL, NULL);
    append_frame(
        &welcome,
        &(struct router_frame){
            .kind = FRAME_WELCOME,
            .hello = {
                .version = ROUTER_VERSION, .node = 2, .name = "r2", .shards = 1, .nonce = nonce}});
    assert_int_equal(write(peer, welcome.data, welcome.size), (ssize_t)welcome.size);
    run_until(&closed_count, 1);
    assert_string_equal(dialer.reason, MIXED_UP);
    buffer_deinit(&welcome);
    close(listener);
    close(peer);
}

/* What a dialer sends behind its Hello is not lost where another loop takes the link over. */
static bool on_hello_elsewhere(struct router_link *link)
{
    assert_true(router_link_depart(link, &arrival));
    router_link_close(link, "handed over");
    return false;
}

static void a_link_is_handed_over_with_all_that_was_read(void **state)
{
    static const struct router_link_events elsewhere = {.hello = on_hello_elsewhere,
                                                        .closed = on_closed};
    struct router_link first;
    struct router_link second;
    struct sockaddr_in address;
    struct buffer sent = {0};
    int listener = listen_anywhere(&address);
    int peer = socket(AF_INET, SOCK_STREAM, 0);

    (void)state;
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    append_hello(&sent, 0);
    append_frame(&sent, &(struct router_frame){.kind = FRAME_PROOF, .proof = {NULL, 0}});
    buffer_append(&sent, "\0\0", 2); /* and the beginning of a frame */

    struct buffer copy = {0};

    buffer_append(&copy, sent.data, sent.size);
    router_link_accept(
        &first, &host, NULL,
        &(struct router_arrival){.socket = accept(listener, NULL, NULL), .read = copy}, &elsewhere);
    run_until(&closed_count, 1);
    assert_int_equal(arrival.read.size, sent.size);
    assert_memory_equal(arrival.read.data, sent.data, sent.size);

    router_link_accept(&second, &host, NULL, &arrival, &events);
    assert_int_equal(second.state, ROUTER_LINK_READY);
    router_link_close(&second, "");
    run_until(&closed_count, 2);
    buffer_deinit(&sent);
    close(listener);
    close(peer);
}

/* A link that is ready, and the other end of its connection, which has read nothing. */
static int accept_ready_as(struct router_link *link, enum router_role role)
{
    struct sockaddr_in address;
    struct buffer greeting = {0};
    int listener = listen_anywhere(&address);
    int peer = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    append_hello_as(&greeting, role, 0);
    append_frame(&greeting, &(struct router_frame){.kind = FRAME_PROOF, .proof = {NULL, 0}});
    router_link_accept(
        link, &host, NULL,
        &(struct router_arrival){.socket = accept(listener, NULL, NULL), .read = greeting},
        &events);
    assert_int_equal(link->state, ROUTER_LINK_READY);
    close(listener);
    return peer;
}

static int accept_ready(struct router_link *link)
{
    return accept_ready_as(link, ROLE_GATEWAY);
}

/* Delivers messages of LARGE bytes, as many as are wanted, or until the link is closed. */
static void deliver_large(struct router_link *link, unsigned count)
{
    static unsigned char data[LARGE];
    struct message *message = message_create(MESSAGE_BINARY, "c", 1, data, sizeof(data));

    message->publisher = 1;
    message->sequence = 1;
    for (unsigned i = 0; i < count && link->state == ROUTER_LINK_READY; i++)
        router_link_send(link, &(struct router_frame){.kind = FRAME_DELIVER,
                                                      .channel = "c",
                                                      .channel_size = 1,
                                                      .deliver = {message}});
    message_unref(message);
}

static void who_does_not_read_is_closed_at_the_limit_of_its_queue(void **state)
{
    struct router_link link;
    int peer;

    (void)state;
    identity.queue_limit = 2 * LARGE;
    peer = accept_ready(&link);
    deliver_large(&link, MANY);
    assert_int_equal(link.state, ROUTER_LINK_CLOSING);
    assert_string_equal(link.reason, "it reads too slowly");
    run_until(&closed_count, 1);
    close(peer);
}

static void of_links_that_hold_too_much_the_one_that_holds_most_is_closed(void **state)
{
    struct router_link slower;
    struct router_link slow;
    int peers[2];

    (void)state;
    identity.queue_limit = MANY * LARGE;
    identity.links_limit = 64 * LARGE;
    peers[0] = accept_ready(&slow);
    peers[1] = accept_ready(&slower);
    while (stream_queued_bytes(&slow.stream) < 16 * LARGE)
        deliver_large(&slow, 1);
    deliver_large(&slower, MANY);
    assert_int_equal(slower.state, ROUTER_LINK_CLOSING);
    assert_string_equal(slower.reason, "all links hold too much, and this one most");
    assert_int_equal(slow.state, ROUTER_LINK_READY);
    assert_true(metric_read(&host.held_bytes) <= identity.links_limit);
    router_link_close(&slow, "");
    run_until(&closed_count, 2);
    close(peers[0]);
    close(peers[1]);
}

/* Writes what the peer's host takes of the rest of a frame that never ends. */
static void send_more(int peer)
{
    static unsigned char part[LARGE];

    (void)!send(peer, part, sizeof(part), MSG_DONTWAIT);
    uv_run(&loop.uv, UV_RUN_ONCE);
}

static void halves_of_frames_count_as_held(void **state)
{
    static const unsigned char header[] = {0x00, 0x80, 0x00, 0x00}; /* of 8 MiB */
    struct router_link strange;
    struct router_link other;
    int peers[2];

    (void)state;
    identity.message_limit = 8 << 20;
    identity.links_limit = 1 << 20;
    peers[0] = accept_ready(&other);
    peers[1] = accept_ready(&strange);
    assert_int_equal(write(peers[1], header, sizeof(header)), sizeof(header));
    for (unsigned i = 0; i < MANY && strange.state == ROUTER_LINK_READY; i++)
        send_more(peers[1]);
    assert_int_equal(strange.state, ROUTER_LINK_CLOSING);
    assert_string_equal(strange.reason, "all links hold too much, and this one most");
    assert_int_equal(other.state, ROUTER_LINK_READY);
    router_link_close(&other, "");
    run_until(&closed_count, 2);
    close(peers[0]);
    close(peers[1]);
}

/* Reads what a router answers until it has refused `number`. */
static void await_refusal(int peer, uint64_t number)
{
    struct framing_reader reader;
    unsigned char bytes[4096];

    framing_reader_init(&reader, sizeof(bytes));
    for (pulses = 0; refused != number; uv_run(&loop.uv, UV_RUN_ONCE)) {
        ssize_t size = recv(peer, bytes, sizeof(bytes), MSG_DONTWAIT);
        size_t left = size > 0 ? (size_t)size : 0;
        const unsigned char *at = bytes;
        const unsigned char *frame;
        size_t frame_size;

        while (framing_read(&reader, &at, &left, &frame, &frame_size) > 0) {
            struct router_frame read;

            assert_int_equal(router_frame_read(frame, frame_size, 1000, &read), 0);
            on_frame(NULL, &read);
            router_frame_release(&read);
        }
        if (pulses > WAIT_LIMIT_MS / PULSE_MS)
            fail_msg("never");
    }
    framing_reader_deinit(&reader);
}

/* One that is a little too large, within what frames may hold beside a message, and a very large
 * one, which is not held: neither ends the link, and what comes behind them arrives. */
static void a_message_that_is_too_large_is_refused_and_the_link_stays(void **state)
{
    struct router_link link;
    struct buffer sent = {0};
    int peer = accept_ready(&link);

    (void)state;
    append_publish(&sent, 1, 1001);
    append_publish(&sent, 2, 1000);
    write_all(peer, &sent);
    await_refusal(peer, 1);
    frame_count = 0;
    buffer_clear(&sent, 0);
    append_publish(&sent, 3, (size_t)4 << 20);
    append_publish(&sent, 4, 10);
    write_all(peer, &sent);
    await_refusal(peer, 3);
    run_until(&frame_count, 2); /* the answer, and the fourth */
    assert_int_equal(link.state, ROUTER_LINK_READY);
    assert_true(link.reader.tail.capacity < (size_t)1 << 20);
    assert_true(metric_read(&host.too_large) == 2);
    router_link_close(&link, "");
    run_until(&closed_count, 1);
    buffer_deinit(&sent);
    close(peer);
}

/* A copy has what its owner took. */
static void routers_take_what_others_may_have_taken(void **state)
{
    static const unsigned char data[4000];
    struct message *message = message_create(MESSAGE_BINARY, "room", 4, data, sizeof(data));
    struct router_link link;
    struct buffer sent = {0};
    int peer = accept_ready_as(&link, ROLE_ROUTER);

    (void)state;
    message->publisher = 2;
    append_frame(&sent, &(struct router_frame){.kind = FRAME_ENTRY, .deliver = {message}});
    write_all(peer, &sent);
    run_until(&frame_count, 1);
    assert_int_equal(link.state, ROUTER_LINK_READY);
    router_link_close(&link, "");
    run_until(&closed_count, 1);
    message_unref(message);
    buffer_deinit(&sent);
    close(peer);
}

static void a_frame_that_is_too_large_and_no_publish_ends_the_link(void **state)
{
    static const unsigned char header[] = {0x00, 0x80, 0x00, 0x00}; /* of 8 MiB */
    static const unsigned char nothing[1000];
    struct router_link link;
    struct buffer sent = {0};
    int peer = accept_ready(&link);

    (void)state;
    buffer_append(&sent, header, sizeof(header));
    buffer_append(&sent, nothing, sizeof(nothing));
    write_all(peer, &sent);
    run_until(&closed_count, 1);
    assert_string_equal(link.reason, "a frame that is too large, or none");
    buffer_deinit(&sent);
    close(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ends_know_what_both_can_do_and_the_other_takes, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_the_other_end_cannot_do_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_acceptor_refuses_who_is_of_another_cluster, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_dialer_leaves_who_welcomes_it_to_another_cluster, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_link_is_handed_over_with_all_that_was_read, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(who_does_not_read_is_closed_at_the_limit_of_its_queue,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            of_links_that_hold_too_much_the_one_that_holds_most_is_closed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(halves_of_frames_count_as_held, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_message_that_is_too_large_is_refused_and_the_link_stays,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(routers_take_what_others_may_have_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_frame_that_is_too_large_and_no_publish_ends_the_link,
                                        set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
