/* One stream after the other: its handshake, what it reads, what it writes, and its end. */
#include "stream_tls_fixture.h"

/* The handshake. */

static void nothing_is_written_before_the_handshake(void **state)
{
    (void)state;
    assert_int_equal(stream_write_bytes(&subject->stream, "early", 5), UV_ENOTCONN);
    run_on();
    assert_int_equal(subject->counts[CONNECTED], 0);
    shake_hands();
    assert_int_equal(stream_write_bytes(&subject->stream, "late", 4), 0);
    RUN_UNTIL((pump(SIZE_MAX), taken.size == 4));
    assert_memory_equal(taken.data, "late", 4);
}

static void handshake_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct buffer hello = {0};
    struct buffer output = {0};

    RUN_UNTIL((take(peer, &hello, SIZE_MAX), hello.size > 0));
    tls_session_feed(session, hello.data, hello.size);
    assert_int_equal(tls_session_handshake(session, &output), UV_EAGAIN);
    for (size_t i = 0; i < output.size; i++) {
        assert_int_equal(send(peer, output.data + i, 1, 0), 1);
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    buffer_deinit(&hello);
    buffer_deinit(&output);
    shake_hands();
    assert_int_equal(subject->counts[CONNECTED], 1);
}

static void server_reads_what_came_with_the_handshake(void **state)
{
    (void)state;
    struct buffer flight = {0};
    struct buffer output = {0};

    RUN_UNTIL((take(peer, &flight, SIZE_MAX), flight.size > 0));
    RUN_UNTIL((take(peer, &flight, SIZE_MAX), tls_session_feed(session, flight.data, flight.size),
               flight.size = 0, tls_session_handshake(session, &output) == 0));
    assert_int_equal(tls_session_write(session, "at once", 7, &output), 0);
    send_all(peer, &output);
    is_shaken = true;
    RUN_UNTIL(subject->received.size == 7);
    assert_memory_equal(subject->received.data, "at once", 7);
    assert_int_equal(subject->counts[CONNECTED], 1);
    assert_int_equal(subject->connect_error, 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "well", 4), 0);
    RUN_UNTIL((pump(SIZE_MAX), taken.size == 4));
    buffer_deinit(&flight);
}

static void server_was_given_the_start_of_the_handshake_before(void **state)
{
    (void)state;
    struct buffer hello = {0};

    assert_int_equal(tls_session_handshake(session, &hello), UV_EAGAIN);
    assert_int_equal(send(peer, hello.data + 100, hello.size - 100, 0), hello.size - 100);
    stream_secure(&subject->stream, server, NULL);
    stream_read_early(&subject->stream, hello.data, 100);
    assert_int_equal(stream_start(&subject->stream), 0);
    shake_hands();
    say("hello", 5);
    RUN_UNTIL(subject->received.size == 5);
    assert_memory_equal(subject->received.data, "hello", 5);
    buffer_deinit(&hello);
}

static void garbage_instead_of_a_handshake_fails_the_connect(void **state)
{
    (void)state;
    assert_int_equal(send(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28, 0), 28);
    RUN_UNTIL(subject->counts[CONNECTED] > 0);
    assert_int_equal(subject->connect_error, UV_EPROTO);
    assert_string_equal(stream_explain(&subject->stream, UV_EPROTO), "this is no TLS");
    run_on();
    assert_int_equal(subject->counts[CONNECTED], 1);
    assert_int_equal(subject->counts[ENDED], 0);
}

static void wrong_host_fails_the_connect_and_says_why(void **state)
{
    (void)state;
    tls_session_destroy(session);
    issue(&authority, "other", "DNS:other.example", DAY);

    struct tls_context *other = serve("other", (struct tls_options){0});

    session = tls_session_create(other, NULL);
    tls_context_unref(other);
    RUN_UNTIL((pump(SIZE_MAX), subject->counts[CONNECTED] > 0));
    assert_int_equal(subject->connect_error, UV_EPROTO);
    assert_string_equal(stream_explain(&subject->stream, UV_EPROTO), "hostname mismatch");
}

static void peer_that_leaves_during_the_handshake_fails_it(void **state)
{
    (void)state;
    close(peer);
    peer = -1;
    RUN_UNTIL(subject->counts[CONNECTED] > 0);
    assert_int_equal(subject->connect_error, UV_ECONNRESET);
    assert_int_equal(subject->counts[ENDED], 0);
}

/* Reading. */

static void records_in_pieces_are_one_text(void **state)
{
    (void)state;
    static unsigned char text[100000];
    struct buffer output = {0};

    fill(text, sizeof(text), 3);
    assert_int_equal(tls_session_write(session, text, sizeof(text), &output), 0);
    for (size_t sent = 0; sent < output.size;) {
        size_t rest = output.size - sent;
        ssize_t size = send(peer, output.data + sent, rest < 1777 ? rest : 1777, 0);

        sent += size > 0 ? (size_t)size : 0;
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    RUN_UNTIL(subject->received.size == sizeof(text));
    assert_memory_equal(subject->received.data, text, sizeof(text));
    buffer_deinit(&output);
}

static void stopped_stream_leaves_bytes_with_the_peer(void **state)
{
    (void)state;
    subject->stops_in_read = true;
    say("one", 3);
    RUN_UNTIL(subject->received.size == 3);
    say("two", 3);
    run_on();
    assert_int_equal(subject->received.size, 3);
    stream_read_once(&subject->stream, 16384);
    assert_int_equal(subject->received.size, 6);
    say("three", 5);
    assert_int_equal(stream_start(&subject->stream), 0);
    RUN_UNTIL(subject->received.size == 11);
}

static void garbage_breaks_the_connection(void **state)
{
    (void)state;
    say("good", 4);
    assert_int_equal(send(peer, "garbage, garbage", 16, 0), 16);
    RUN_UNTIL(subject->counts[ENDED] > 0);
    assert_int_equal(subject->end_error, UV_EPROTO);
    assert_int_equal(subject->received.size, 4);
    assert_int_not_equal(*stream_explain(&subject->stream, UV_EPROTO), '\0');
    run_on();
    assert_int_equal(subject->counts[ENDED], 1);
    RUN_UNTIL((pump(SIZE_MAX), peer_end != UV_EAGAIN));
    assert_int_equal(peer_end, UV_EPROTO); /* an alert, and no goodbye */
}

static void goodbye_is_the_end(void **state)
{
    (void)state;
    struct buffer output = {0};

    tls_session_end(session, &output);
    send_all(peer, &output);
    RUN_UNTIL(subject->counts[ENDED] > 0);
    assert_int_equal(subject->end_error, UV_EOF);
    assert_int_equal(stream_write_bytes(&subject->stream, "bye", 3), 0);
    RUN_UNTIL((pump(SIZE_MAX), taken.size == 3));
}

static void end_without_goodbye_is_a_break(void **state)
{
    (void)state;
    say("cut o", 5);
    close(peer);
    peer = -1;
    RUN_UNTIL(subject->counts[ENDED] > 0);
    assert_int_equal(subject->received.size, 5);
    assert_int_equal(subject->end_error, UV_ECONNRESET);
}

/* Writing. */

static void slow_peer_keeps_a_reference_and_not_a_copy(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);

    assert_int_equal(stream_write(&subject->stream, block, 0), 0);
    assert_int_equal(stream_write(&subject->stream, block, 100), 0);
    assert_int_equal(atomic_load(&block->references), 3);
    assert_in_range(queued(), LARGE, 2 * LARGE - 100);
    run_on();
    assert_int_equal(subject->counts[DRAINED], 0);
    RUN_UNTIL((pump(SIZE_MAX), subject->counts[DRAINED] > 0));
    assert_int_equal(atomic_load(&block->references), 1);
    assert_int_equal(queued(), 0);
    assert_int_equal(stream_sent_bytes(&subject->stream), 2 * LARGE - 100);
    RUN_UNTIL((pump(SIZE_MAX), taken.size == 2 * LARGE - 100));
    assert_memory_equal(taken.data, block->data, LARGE);
    assert_memory_equal(taken.data + LARGE, block->data + 100, LARGE - 100);
    run_on();
    assert_int_equal(subject->counts[DRAINED], 1);
    block_unref(block);
}

static void write_that_the_kernel_takes_whole_leaves_nothing_behind(void **state)
{
    (void)state;
    struct block *block = make_block(1000, 0);

    assert_int_equal(stream_write(&subject->stream, block, 0), 0);
    assert_int_equal(atomic_load(&block->references), 1);
    assert_int_equal(queued(), 0);
    assert_null(subject->stream.queue);
    block_unref(block);
}

static void writes_of_all_kinds_keep_their_order(void **state)
{
    (void)state;
    struct buffer expected = {0};

    for (unsigned i = 0; i < 300; i++) {
        struct block *block = make_block(1 + (size_t)i * 37, i);
        size_t offset = i % 3 == 0 ? i : 0;

        buffer_append(&expected, block->data + offset, block->size - offset);
        if (i % 2)
            assert_int_equal(stream_write(&subject->stream, block, offset), 0);
        else
            assert_int_equal(
                stream_write_bytes(&subject->stream, block->data + offset, block->size - offset),
                0);
        block_unref(block);
        assert_in_range(stream_sent_bytes(&subject->stream), 0, expected.size);
    }
    RUN_UNTIL((pump(3000), taken.size == expected.size));
    assert_memory_equal(taken.data, expected.data, expected.size);
    buffer_deinit(&expected);
}

/* What is dropped was never numbered, so what is said after it is understood. */
static void after_a_dropped_queue_the_peer_still_understands(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 9);

    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(stream_write(&subject->stream, block, 0), 0);

    size_t before = queued();

    stream_drop_queued(&subject->stream);
    assert_true(queued() < before - 2 * LARGE);

    size_t kept = subject->stream.written_bytes;

    assert_int_equal(kept % LARGE, 0); /* what has begun goes on */
    assert_int_equal(stream_write_bytes(&subject->stream, "last words", 10), 0);
    RUN_UNTIL((pump(SIZE_MAX), taken.size == kept + 10));
    assert_memory_equal(taken.data + kept, "last words", 10);
    assert_int_equal(peer_end, UV_EAGAIN);
    block_unref(block);
}

static void slow_peer_moves_on(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);
    struct stream_mark mark;

    stream_set_mark(&subject->stream, &mark);
    assert_int_equal(stream_write(&subject->stream, block, 0), 0);
    stream_set_mark(&subject->stream, &mark);
    do {
        run_on();
    } while (stream_has_moved(&subject->stream, &mark)); /* until the kernels are full */
    RUN_UNTIL((pump(65536), taken.size >= LARGE / 4));
    assert_true(stream_has_moved(&subject->stream, &mark));
    block_unref(block);
}

/* The end. */

static void shutdown_says_goodbye_behind_the_queue(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);

    assert_int_equal(stream_write(&subject->stream, block, 0), 0);
    assert_int_equal(stream_shutdown(&subject->stream), 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "more", 4), UV_EPIPE);
    RUN_UNTIL((pump(SIZE_MAX), has_fin));
    assert_int_equal(taken.size, LARGE);
    assert_int_equal(peer_end, UV_EOF);
    assert_int_equal(stream_write_bytes(&subject->stream, "more", 4), UV_EPIPE);
    assert_int_equal(stream_shutdown(&subject->stream), UV_ENOTCONN);
    say("still", 5); /* this direction is open */
    RUN_UNTIL(subject->received.size == 5);
    block_unref(block);
}

static void close_says_goodbye(void **state)
{
    (void)state;
    assert_int_equal(stream_write_bytes(&subject->stream, "text", 4), 0);
    close_subject();
    RUN_UNTIL((pump(SIZE_MAX), has_fin));
    assert_int_equal(taken.size, 4);
    assert_int_equal(peer_end, UV_EOF);
}

static void close_in_any_event_is_the_last_one(void **state)
{
    (void)state;
    subject->closes_in = CONNECTED;
    RUN_UNTIL((pump(SIZE_MAX), !subject));
    assert_int_equal(story.counts[CONNECTED], 1);
    assert_int_equal(story.counts[CLOSED], 1);
    assert_int_equal(story.last, CONNECTED);
}

static void close_with_a_queue_frees_it(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);

    assert_int_equal(stream_write(&subject->stream, block, 0), 0);
    close_subject();
    assert_int_equal(atomic_load(&block->references), 1);
    block_unref(block);
}

#define AS_CLIENT(test) cmocka_unit_test_setup_teardown(test, make_client, drop)
#define AS_SERVER(test) cmocka_unit_test_setup_teardown(test, make_server, drop)
#define SHAKEN(test)    cmocka_unit_test_setup_teardown(test, make_pair, drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AS_CLIENT(nothing_is_written_before_the_handshake),
        AS_CLIENT(handshake_may_come_byte_by_byte),
        AS_SERVER(server_reads_what_came_with_the_handshake),
        cmocka_unit_test_setup_teardown(server_was_given_the_start_of_the_handshake_before,
                                        make_plain_server, drop),
        AS_CLIENT(garbage_instead_of_a_handshake_fails_the_connect),
        AS_CLIENT(wrong_host_fails_the_connect_and_says_why),
        AS_CLIENT(peer_that_leaves_during_the_handshake_fails_it),
        SHAKEN(records_in_pieces_are_one_text),
        OFFERED(records_in_pieces_are_one_text),
        SHAKEN(stopped_stream_leaves_bytes_with_the_peer),
        OFFERED(stopped_stream_leaves_bytes_with_the_peer),
        SHAKEN(garbage_breaks_the_connection),
        OFFERED(garbage_breaks_the_connection),
        SHAKEN(goodbye_is_the_end),
        OFFERED(goodbye_is_the_end),
        SHAKEN(end_without_goodbye_is_a_break),
        OFFERED(end_without_goodbye_is_a_break),
        SHAKEN(slow_peer_keeps_a_reference_and_not_a_copy),
        OFFERED(slow_peer_keeps_a_reference_and_not_a_copy),
        SHAKEN(write_that_the_kernel_takes_whole_leaves_nothing_behind),
        OFFERED(write_that_the_kernel_takes_whole_leaves_nothing_behind),
        SHAKEN(writes_of_all_kinds_keep_their_order),
        OFFERED(writes_of_all_kinds_keep_their_order),
        SHAKEN(after_a_dropped_queue_the_peer_still_understands),
        OFFERED(after_a_dropped_queue_the_peer_still_understands),
        SHAKEN(slow_peer_moves_on),
        OFFERED(slow_peer_moves_on),
        SHAKEN(shutdown_says_goodbye_behind_the_queue),
        OFFERED(shutdown_says_goodbye_behind_the_queue),
        SHAKEN(close_says_goodbye),
        OFFERED(close_says_goodbye),
        AS_CLIENT(close_in_any_event_is_the_last_one),
        SHAKEN(close_with_a_queue_frees_it),
        OFFERED(close_with_a_queue_frees_it),
    };

    return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
