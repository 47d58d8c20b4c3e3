#include "stream_fixture.h"

static size_t references_of(const struct block *block)
{
    return atomic_load(&block->references);
}

static struct block *make_block(const char *text)
{
    struct block *block = block_create(strlen(text));

    block_append(block, text, strlen(text));
    return block;
}

static void refused_connect_is_told(void **state)
{
    (void)state;
    struct sockaddr_in address;

    close(listen_tcp(&address));
    subject->closes_in = CONNECTED;
    assert_int_equal(stream_connect_tcp(&subject->stream, (struct sockaddr *)&address), 0);
    RUN_UNTIL(!subject);
    assert_int_equal(story.counts[CONNECTED], 1);
    assert_int_equal(story.connect_error, UV_ECONNREFUSED);
    assert_int_equal(story.counts[ENDED], 0);
}

static void path_without_a_listener_is_told(void **state)
{
    (void)state;
    struct sockaddr_un path;

    close(listen_unix(&path));
    subject->closes_in = CONNECTED;
    assert_int_equal(stream_connect_unix(&subject->stream, path.sun_path), 0);
    RUN_UNTIL(!subject);
    assert_int_equal(story.connect_error, UV_ECONNREFUSED);

    remove_unix(&path);
    subject = make_subject(true);
    subject->closes_in = CONNECTED;
    assert_int_equal(stream_connect_unix(&subject->stream, path.sun_path), 0);
    RUN_UNTIL(!subject);
    assert_int_equal(story.counts[CONNECTED], 1);
    assert_int_equal(story.connect_error, UV_ENOENT);
}

static void path_that_is_too_long_is_not_cut(void **state)
{
    (void)state;
    struct sockaddr_un path;
    char text[sizeof(path.sun_path) + 1]; /* one byte too many for the zero to fit */

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(stream_connect_unix(&subject->stream, text), UV_ENAMETOOLONG);
    close_subject();
    assert_int_equal(story.counts[CONNECTED], 0);
}

static void close_while_connecting_tells_only_that(void **state)
{
    (void)state;
    struct sockaddr_in address;
    int listener = listen_tcp(&address);

    assert_int_equal(stream_connect_tcp(&subject->stream, (struct sockaddr *)&address), 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "x", 1), 0);
    close_subject();
    assert_int_equal(story.counts[CONNECTED], 0);
    assert_int_equal(story.counts[ENDED], 0);
    assert_int_equal(story.counts[CLOSED], 1);
    close(listener);
}

static void stream_that_never_connected_closes(void **state)
{
    (void)state;
    close_subject();
    assert_int_equal(story.counts[CLOSED], 1);
}

static void write_before_the_connection_waits_for_it(void **state)
{
    (void)state;
    struct sockaddr_in address;
    struct buffer taken = {0};
    int listener = listen_tcp(&address);

    assert_int_equal(stream_connect_tcp(&subject->stream, (struct sockaddr *)&address), 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "early", 5), 0);
    assert_int_equal(stream_queued_bytes(&subject->stream), 5);
    peer = accept_peer(listener);
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), taken.size == 5));
    assert_memory_equal(taken.data, "early", 5);
    RUN_UNTIL(subject->counts[DRAINED] == 1);
    assert_int_equal(subject->counts[CONNECTED], 1);
    buffer_deinit(&taken);
    close(listener);
}

static void write_before_a_connect_that_fails_is_released(void **state)
{
    (void)state;
    struct sockaddr_in address;
    char early[1000] = {0}; /* too many bytes to be copied */

    memset(early, 'x', sizeof(early) - 1);

    struct block *block = make_block(early);

    close(listen_tcp(&address));
    assert_int_equal(stream_connect_tcp(&subject->stream, (struct sockaddr *)&address), 0);
    assert_int_equal(stream_write(&subject->stream, block, 0), 0);
    assert_int_equal(references_of(block), 2);
    RUN_UNTIL(subject->counts[CONNECTED] == 1 && references_of(block) == 1);
    assert_int_equal(subject->connect_error, UV_ECONNREFUSED);
    assert_int_equal(stream_queued_bytes(&subject->stream), 0);
    block_unref(block);
}

/* libuv has no socket to write to then. */
static void write_that_libuv_refuses_leaves_nothing_queued(void **state)
{
    (void)state;
    struct block *block = make_block("early");

    assert_int_equal(stream_connect_unix(&subject->stream, "/nonexistent/socket"), 0);
    assert_true(stream_write(&subject->stream, block, 0) < 0);
    assert_int_equal(references_of(block), 1);
    assert_int_equal(stream_queued_bytes(&subject->stream), 0);
    block_unref(block);
}

/* Accepting. */

static bool is_without_delay(const struct stream *stream)
{
    uv_os_fd_t fd;
    int value = 0;
    socklen_t size = sizeof(value);

    assert_int_equal(uv_fileno(&stream->uv.handle, &fd), 0);
    assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size), 0);
    return value != 0;
}

static void accepted_stream_talks_to_the_one_that_connected(void **state)
{
    (void)state;
    struct subject *accepted = memory_zeroed(1, sizeof(*accepted));
    struct sockaddr_in address;
    int listener = listen_tcp(&address);

    assert_int_equal(stream_connect_tcp(&subject->stream, (struct sockaddr *)&address), 0);
    RUN_UNTIL(subject->counts[CONNECTED] > 0);
    assert_int_equal(
        stream_accept(&accepted->stream, &loop, accept(listener, NULL, NULL), &subject_events), 0);
    close(listener);
    assert_true(is_without_delay(&subject->stream));
    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(stream_start(&accepted->stream), 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "ding", 4), 0);
    RUN_UNTIL(accepted->received.size == 4);
    assert_int_equal(stream_write_bytes(&accepted->stream, "dong", 4), 0);
    RUN_UNTIL(subject->received.size == 4);
    stream_close(&accepted->stream);
    RUN_UNTIL(subject->counts[ENDED] > 0);
    assert_int_equal(subject->end_error, UV_EOF);
}

static void accept_of_what_is_no_open_socket_fails_and_is_closed(void **state)
{
    (void)state;
    int pipe_ends[2];

    close_subject();
    assert_int_equal(pipe(pipe_ends), 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    subject = memory_zeroed(1, sizeof(*subject));
    assert_true(stream_accept(&subject->stream, &loop, pipe_ends[0], &subject_events) < 0);
    close_subject();
    assert_int_equal(fcntl(pipe_ends[0], F_GETFD), -1);
    assert_int_equal(story.counts[CLOSED], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH_TCP(refused_connect_is_told),
        FRESH_UNIX(path_without_a_listener_is_told),
        FRESH_UNIX(path_that_is_too_long_is_not_cut),
        FRESH_TCP(close_while_connecting_tells_only_that),
        FRESH_TCP(stream_that_never_connected_closes),
        FRESH_UNIX(stream_that_never_connected_closes),
        FRESH_TCP(write_before_the_connection_waits_for_it),
        FRESH_TCP(write_before_a_connect_that_fails_is_released),
        FRESH_UNIX(write_that_libuv_refuses_leaves_nothing_queued),
        FRESH_TCP(accepted_stream_talks_to_the_one_that_connected),
        FRESH_TCP(accept_of_what_is_no_open_socket_fails_and_is_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
