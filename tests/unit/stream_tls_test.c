/* A stream with TLS, and a peer that is a session and a plain socket, so that a test decides when
 * which bytes travel. */
#include "stream_fixture.h"
#include "tls_fixture.h"

#define LARGE ((size_t)1024 * 1024)

static struct tls_context *server;
static struct tls_context *client;
static struct tls_session *session; /* the peer's */
static bool is_shaken;
static struct buffer taken; /* what the peer was sent, plain */
static ssize_t peer_end;    /* UV_EAGAIN, until it has heard the end */
static bool has_fin;

static int make_contexts(void **state)
{
    make_authorities(state);
    server = serve("localhost", (struct tls_options){0});
    client = trusting((struct tls_options){0});
    return 0;
}

static int free_contexts(void **state)
{
    tls_context_unref(server);
    tls_context_unref(client);
    return free_authorities(state);
}

static void send_all(int fd, struct buffer *output)
{
    for (size_t sent = 0; sent < output->size;) {
        ssize_t size = send(fd, output->data + sent, output->size - sent, 0);

        assert_true(size > 0);
        sent += (size_t)size;
    }
    buffer_deinit(output);
}

/* The peer reads so many bytes at most from its socket, and answers what TLS wants answered. */
static void pump(size_t limit)
{
    struct buffer bytes = {0};
    struct buffer output = {0};

    has_fin |= take(peer, &bytes, limit);
    tls_session_feed(session, bytes.data, bytes.size);
    if (!is_shaken && bytes.size > 0)
        is_shaken = tls_session_handshake(session, &output) == 0;
    while (is_shaken && peer_end == UV_EAGAIN) {
        ssize_t size = tls_session_read(session, buffer_reserve(&taken, 20000), 20000, &output);

        if (size > 0) {
            taken.size += (size_t)size;
            continue;
        }
        peer_end = size;
        if (size == UV_EAGAIN)
            break;
    }
    send_all(peer, &output);
    buffer_deinit(&bytes);
}

static void say(const void *text, size_t size)
{
    struct buffer output = {0};

    assert_int_equal(tls_session_write(session, text, size, &output), 0);
    send_all(peer, &output);
}

static void forget_peer(void)
{
    tls_session_destroy(session);
    session = NULL;
    buffer_deinit(&taken);
    is_shaken = false;
    has_fin = false;
    peer_end = UV_EAGAIN;
}

/* Connects over TCP; the handshake has not begun at the peer. */
static int make_client(void **state)
{
    struct sockaddr_in address;

    make_tcp(state);
    forget_peer();
    stream_secure(&subject->stream, client, "localhost");
    session = tls_session_create(server, NULL);

    int listener = listen_tcp(&address);

    assert_int_equal(stream_connect_tcp(&subject->stream, (struct sockaddr *)&address), 0);
    peer = accept_peer(listener);
    close(listener);

    int on = 1;

    assert_int_equal(setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    return 0;
}

static void shake_hands(void)
{
    RUN_UNTIL((pump(SIZE_MAX), subject->counts[CONNECTED] > 0));
    assert_int_equal(subject->connect_error, 0);
    RUN_UNTIL((pump(SIZE_MAX), is_shaken));
    make_tight(&subject->stream);
}

static int make_pair(void **state)
{
    make_client(state);
    shake_hands();
    return 0;
}

/* A stream that was accepted, with a client as its peer. */
static void accept_subject(void)
{
    struct sockaddr_in address;
    int listener;

    make_loop();
    forget_peer();
    listener = listen_tcp(&address);
    peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    set_nonblocking(peer);
    subject = memory_zeroed(1, sizeof(*subject));
    assert_int_equal(stream_accept(&subject->stream, &loop, accept_peer(listener), &subject_events),
                     0);
    close(listener);
    session = tls_session_create(client, "localhost");
}

static int make_server(void **state)
{
    struct buffer output = {0};

    (void)state;
    accept_subject();
    stream_secure(&subject->stream, server, NULL);
    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(tls_session_handshake(session, &output), UV_EAGAIN);
    send_all(peer, &output);
    return 0;
}

static int make_plain_server(void **state)
{
    (void)state;
    accept_subject();
    return 0;
}

static int drop(void **state)
{
    tear_down(state);
    forget_peer();
    return 0;
}

static void fill(unsigned char *bytes, size_t size, unsigned first)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(first + i * 31 + i / 256);
}

static struct block *make_block(size_t size, unsigned first)
{
    struct block *block = block_create(size);

    fill(block->data, size, first);
    block->size = size;
    return block;
}

static size_t queued(void)
{
    return stream_queued_bytes(&subject->stream);
}

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
        SHAKEN(stopped_stream_leaves_bytes_with_the_peer),
        SHAKEN(garbage_breaks_the_connection),
        SHAKEN(goodbye_is_the_end),
        SHAKEN(end_without_goodbye_is_a_break),
        SHAKEN(slow_peer_keeps_a_reference_and_not_a_copy),
        SHAKEN(write_that_the_kernel_takes_whole_leaves_nothing_behind),
        SHAKEN(writes_of_all_kinds_keep_their_order),
        SHAKEN(after_a_dropped_queue_the_peer_still_understands),
        SHAKEN(slow_peer_moves_on),
        SHAKEN(shutdown_says_goodbye_behind_the_queue),
        SHAKEN(close_says_goodbye),
        AS_CLIENT(close_in_any_event_is_the_last_one),
        SHAKEN(close_with_a_queue_frees_it),
    };

    return cmocka_run_group_tests(tests, make_contexts, free_contexts);
}
