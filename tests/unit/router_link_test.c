#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

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
    (void)frame;
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

static void both_ends_know_what_both_can_do(void **state)
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

static void append_hello(struct buffer *bytes, unsigned capabilities)
{
    static const unsigned char nonce[ROUTER_NONCE_BYTES];

    append_frame(bytes, &(struct router_frame){.kind = FRAME_HELLO,
                                               .hello = {.version = ROUTER_VERSION,
                                                         .capabilities = capabilities,
                                                         .node = 2,
                                                         .role = ROLE_GATEWAY,
                                                         .name = "g",
                                                         .nonce = nonce}});
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
static int accept_ready(struct router_link *link)
{
    struct sockaddr_in address;
    struct buffer greeting = {0};
    int listener = listen_anywhere(&address);
    int peer = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    append_hello(&greeting, 0);
    append_frame(&greeting, &(struct router_frame){.kind = FRAME_PROOF, .proof = {NULL, 0}});
    router_link_accept(
        link, &host, NULL,
        &(struct router_arrival){.socket = accept(listener, NULL, NULL), .read = greeting},
        &events);
    assert_int_equal(link->state, ROUTER_LINK_READY);
    close(listener);
    return peer;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_ends_know_what_both_can_do, set_up, tear_down),
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
