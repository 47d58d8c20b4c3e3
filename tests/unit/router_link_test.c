/* How links greet, and go from one loop to another. */
#include "tests/unit/router_link_fixture.h"

#define MIXED_UP "a router of the cluster \"carillon\" was asked for the cluster \"bells\""

static struct router_arrival arrival; /* of a link that was handed over */

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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
