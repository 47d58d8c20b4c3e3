/* What links may hold, and what becomes of what is too large. */
#include "tests/unit/router_link_fixture.h"

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
                                                      .deliver = {.message = message}});
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
    append_frame(&sent,
                 &(struct router_frame){.kind = FRAME_ENTRY, .deliver = {.message = message}});
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
