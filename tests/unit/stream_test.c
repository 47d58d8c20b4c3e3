#include "stream_fixture.h"

#define LARGE ((size_t)1024 * 1024)

/* A block of `size` bytes that tell where in the block they stand. */
static struct block *make_block(size_t size, unsigned char first)
{
    struct block *block = block_create(size);

    for (size_t i = 0; i < size; i++)
        block->data[i] = (unsigned char)(first + i * 31 + i / 256);
    block->size = size;
    return block;
}

static size_t references_of(const struct block *block)
{
    return atomic_load(&block->references);
}

static size_t queued(void)
{
    return stream_queued_bytes(&subject->stream);
}

static void send_block(struct block *block)
{
    assert_int_equal(stream_write(&subject->stream, block, 0), 0);
}

/* The peer reads all that is queued, then what the test compares. */
static void take_everything(struct buffer *into)
{
    RUN_UNTIL(!take(peer, into, SIZE_MAX) && queued() == 0);
    take(peer, into, SIZE_MAX);
}

static void assert_taken(struct buffer *taken, const struct block *expected)
{
    assert_int_equal(taken->size, expected->size);
    assert_memory_equal(taken->data, expected->data, expected->size);
    buffer_deinit(taken);
}

static void break_connection(int fd)
{
    struct linger linger = {.l_onoff = 1};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(fd);
}

/* Writing. */

static void bytes_go_both_ways(void **state)
{
    (void)state;
    struct buffer taken = {0};

    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "hello", 5), 0);
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), taken.size == 5));
    assert_memory_equal(taken.data, "hello", 5);
    assert_int_equal(send(peer, "there", 5, 0), 5);
    RUN_UNTIL(subject->received.size == 5);
    assert_memory_equal(subject->received.data, "there", 5);
    buffer_deinit(&taken);
}

static void write_that_the_kernel_takes_whole_leaves_nothing_behind(void **state)
{
    (void)state;
    struct block *block = make_block(100, 0);

    send_block(block);
    assert_int_equal(references_of(block), 1);
    assert_int_equal(queued(), 0);
    run_on();
    assert_int_equal(subject->counts[DRAINED], 0);
    block_unref(block);
}

static void slow_peer_keeps_a_reference_until_the_last_byte(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);
    struct buffer taken = {0};

    send_block(block);
    assert_int_equal(references_of(block), 2);
    assert_in_range(queued(), 1, LARGE - 1);
    run_on();
    assert_int_equal(references_of(block), 2);
    assert_int_equal(subject->counts[DRAINED], 0);
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), subject->counts[DRAINED] > 0));
    assert_int_equal(references_of(block), 1);
    assert_int_equal(queued(), 0);
    take_everything(&taken);
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), taken.size == LARGE));
    assert_taken(&taken, block);
    assert_int_equal(subject->counts[DRAINED], 1);
    block_unref(block);
}

static void queued_bytes_are_those_that_the_kernel_has_not_taken(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);
    struct buffer taken = {0};

    send_block(block);
    send_block(block);

    size_t before = queued();

    assert_in_range(before, LARGE, 2 * LARGE - 1);
    RUN_UNTIL((take(peer, &taken, 65536), taken.size >= LARGE / 2));
    /* What the peer has, the kernel had taken: no whole write need be over for that. */
    assert_true(queued() <= 2 * LARGE - taken.size);
    assert_int_equal(references_of(block), 3);
    buffer_deinit(&taken);
    block_unref(block);
}

static void writes_of_all_kinds_keep_their_order(void **state)
{
    (void)state;
    struct block *expected = block_create(64);
    struct buffer taken = {0};

    for (unsigned i = 0; i < 300; i++) {
        struct block *block = make_block(1 + (size_t)i * 37, (unsigned char)i);
        size_t offset = i % 3 == 0 ? i : 0;

        if (i % 2)
            assert_int_equal(stream_write(&subject->stream, block, offset), 0);
        else
            assert_int_equal(
                stream_write_bytes(&subject->stream, block->data + offset, block->size - offset),
                0);
        expected = block_reserve(expected, block->size - offset);
        block_append(expected, block->data + offset, block->size - offset);
        block_unref(block);
        if (i % 10 == 9)
            take(peer, &taken, 3000);
        if (i % 25 == 24)
            uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    assert_true(queued() > 0);
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), taken.size == expected->size));
    assert_taken(&taken, expected);
    RUN_UNTIL(queued() == 0);
    block_unref(expected);
}

static void empty_write_sends_nothing(void **state)
{
    (void)state;
    struct block *block = make_block(10, 0);

    assert_int_equal(stream_write(&subject->stream, block, 10), 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "", 0), 0);
    assert_int_equal(queued(), 0);
    assert_int_equal(references_of(block), 1);
    block_unref(block);
}

static void stream_may_fill_its_queue_again_after_it_drained(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);
    struct buffer taken = {0};

    for (unsigned round = 1; round <= 3; round++) {
        send_block(block);
        RUN_UNTIL((take(peer, &taken, SIZE_MAX), taken.size == LARGE));
        RUN_UNTIL(subject->counts[DRAINED] == round);
        assert_taken(&taken, block);
    }
    block_unref(block);
}

static void one_block_serves_fast_and_slow_streams(void **state)
{
    (void)state;
    enum { OTHERS = 6 };
    struct subject *others[OTHERS];
    int peers[OTHERS];
    struct buffer taken = {0};
    struct block *block = make_block(LARGE, 0);

    for (size_t i = 0; i < OTHERS; i++) {
        others[i] = make_subject(subject->is_unix);
        peers[i] = connect_subject(others[i]);
        assert_int_equal(stream_write(&others[i]->stream, block, 0), 0);
    }
    assert_int_equal(references_of(block), 1 + OTHERS);
    for (size_t i = 0; i < OTHERS; i += 2) {
        RUN_UNTIL((take(peers[i], &taken, SIZE_MAX), taken.size == LARGE));
        assert_taken(&taken, block);
    }
    RUN_UNTIL(references_of(block) == 1 + OTHERS / 2);
    for (size_t i = 0; i < OTHERS; i++)
        stream_close(&others[i]->stream);
    RUN_UNTIL(references_of(block) == 1);
    for (size_t i = 0; i < OTHERS; i++)
        close(peers[i]);
    block_unref(block);
}

/* Dropping. */

static void dropping_leaves_whole_blocks_and_room_for_a_last_word(void **state)
{
    (void)state;
    enum { BLOCKS = 40, SIZE = 200000 };
    struct block *blocks[BLOCKS];
    struct buffer taken = {0};
    size_t kept = 0;

    stream_drop_queued(&subject->stream); /* nothing queued: harmless */
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = make_block(SIZE, (unsigned char)i);
        send_block(blocks[i]);
    }
    uv_run(&loop.uv, UV_RUN_NOWAIT);

    size_t before = queued();

    stream_drop_queued(&subject->stream);
    assert_true(queued() < before);
    assert_int_equal(references_of(blocks[BLOCKS - 1]), 1);
    while (kept < BLOCKS && references_of(blocks[kept]) == 2)
        kept++;
    assert_in_range(kept, 1, BLOCKS - 1);
    assert_int_equal(stream_write_bytes(&subject->stream, "bye", 3), 0);
    take_everything(&taken);
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), taken.size % SIZE == 3));
    assert_int_equal(taken.size, kept * SIZE + 3);
    for (size_t i = 0; i < kept; i++)
        assert_memory_equal(taken.data + i * SIZE, blocks[i]->data, SIZE);
    assert_memory_equal(taken.data + taken.size - 3, "bye", 3);
    for (size_t i = 0; i < BLOCKS; i++) {
        assert_int_equal(references_of(blocks[i]), 1);
        block_unref(blocks[i]);
    }
    buffer_deinit(&taken);
}

/* Closing. */

static void close_releases_what_is_queued(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);

    for (int i = 0; i < 50; i++)
        send_block(block);
    assert_int_equal(references_of(block), 51);
    assert_int_equal(stream_start(&subject->stream), 0);
    assert_false(stream_is_closing(&subject->stream));
    stream_close(&subject->stream);
    stream_close(&subject->stream);
    assert_true(stream_is_closing(&subject->stream));
    assert_false(stream_is_closed(&subject->stream));
    RUN_UNTIL(!subject);
    assert_int_equal(references_of(block), 1);
    assert_int_equal(story.counts[CLOSED], 1);
    assert_int_equal(story.counts[ENDED], 0);
    assert_int_equal(story.counts[DRAINED], 0);
    block_unref(block);
}

static void nothing_comes_after_a_close_in_the_read_event(void **state)
{
    (void)state;
    static char bytes[4 * LOOP_READ_BUFFER_BYTES];

    subject->closes_in = READ;
    assert_int_equal(stream_start(&subject->stream), 0);
    assert_true(send(peer, bytes, sizeof(bytes), 0) > 0);
    shutdown(peer, SHUT_WR);
    RUN_UNTIL(!subject);
    assert_int_equal(story.counts[READ], 1);
    assert_int_equal(story.counts[ENDED], 0);
    assert_false(story.was_closed_early);
}

static void nothing_comes_after_a_close_in_the_ended_event(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);

    subject->closes_in = ENDED;
    send_block(block);
    assert_int_equal(stream_start(&subject->stream), 0);
    close(peer);
    peer = -1;
    RUN_UNTIL(!subject);
    assert_int_equal(story.counts[ENDED], 1);
    assert_int_equal(story.counts[DRAINED], 0);
    assert_int_equal(references_of(block), 1);
    block_unref(block);
}

static void nothing_comes_after_a_close_in_the_drained_event(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);
    struct buffer taken = {0};

    subject->closes_in = DRAINED;
    assert_int_equal(stream_start(&subject->stream), 0);
    send_block(block);
    assert_int_equal(send(peer, "x", 1, 0), 1);
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), !subject));
    assert_int_equal(story.counts[DRAINED], 1);
    RUN_UNTIL(take(peer, &taken, SIZE_MAX) || taken.size == LARGE);
    assert_taken(&taken, block);
    block_unref(block);
}

/* The peer's end. */

static void end_of_the_peer_leaves_the_way_to_it_open(void **state)
{
    (void)state;
    struct buffer taken = {0};

    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(send(peer, "last", 4, 0), 4);
    shutdown(peer, SHUT_WR);
    RUN_UNTIL(subject->counts[ENDED] > 0);
    assert_int_equal(subject->end_error, UV_EOF);
    assert_memory_equal(subject->received.data, "last", 4);
    assert_int_equal(stream_write_bytes(&subject->stream, "answer", 6), 0);
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), taken.size == 6));
    run_on();
    assert_int_equal(subject->counts[ENDED], 1);
    buffer_deinit(&taken);
}

static void reset_is_told_as_such(void **state)
{
    (void)state;
    assert_int_equal(stream_start(&subject->stream), 0);
    break_connection(peer);
    peer = -1;
    RUN_UNTIL(subject->counts[ENDED] > 0);
    assert_int_equal(subject->end_error, UV_ECONNRESET);
    run_on();
    assert_int_equal(subject->counts[ENDED], 1);
}

/* Nobody reads here, so it is the waiting write that finds out. */
static void broken_connection_drops_the_queue_and_takes_no_more(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);

    for (int i = 0; i < 30; i++)
        send_block(block);
    break_connection(peer);
    peer = -1;
    RUN_UNTIL(subject->counts[ENDED] > 0);
    assert_true(subject->end_error == UV_ECONNRESET || subject->end_error == UV_EPIPE);
    assert_int_equal(references_of(block), 1);
    assert_int_equal(queued(), 0);
    assert_true(stream_write(&subject->stream, block, 0) < 0);
    assert_true(stream_write_bytes(&subject->stream, "x", 1) < 0);
    assert_int_equal(references_of(block), 1);
    assert_int_equal(queued(), 0);
    run_on();
    assert_int_equal(subject->counts[ENDED], 1);
    assert_int_equal(subject->counts[DRAINED], 0);
    block_unref(block);
}

/* Shutting down. */

static void fin_follows_what_was_written(void **state)
{
    (void)state;
    struct buffer taken = {0};

    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "bye", 3), 0);
    assert_int_equal(stream_shutdown(&subject->stream), 0);
    RUN_UNTIL(take(peer, &taken, SIZE_MAX));
    assert_int_equal(taken.size, 3);
    assert_int_equal(send(peer, "still here", 10, 0), 10);
    RUN_UNTIL(subject->received.size == 10);
    assert_int_equal(stream_write_bytes(&subject->stream, "x", 1), UV_EPIPE);
    assert_int_equal(stream_shutdown(&subject->stream), UV_ENOTCONN);
    buffer_deinit(&taken);
}

/* More blocks than one write of libuv holds. */
static void fin_follows_a_long_queue(void **state)
{
    (void)state;
    enum { BLOCKS = 100, SIZE = 10000 };
    struct block *block = make_block(SIZE, 0);
    struct buffer taken = {0};

    assert_int_equal(stream_start(&subject->stream), 0);
    for (int i = 0; i < BLOCKS; i++)
        send_block(block);
    assert_int_equal(stream_shutdown(&subject->stream), 0);
    assert_int_equal(stream_write(&subject->stream, block, 0), UV_EPIPE);
    assert_int_equal(stream_write_bytes(&subject->stream, "x", 1), UV_EPIPE);
    RUN_UNTIL(take(peer, &taken, SIZE_MAX));
    assert_int_equal(taken.size, BLOCKS * SIZE);
    for (size_t i = 0; i < BLOCKS; i++)
        assert_memory_equal(taken.data + i * SIZE, block->data, SIZE);
    RUN_UNTIL(subject->counts[DRAINED] == 1);
    assert_int_equal(references_of(block), 1);
    assert_int_equal(subject->counts[ENDED], 0);
    buffer_deinit(&taken);
    block_unref(block);
}

static void fin_follows_what_a_drop_has_left(void **state)
{
    (void)state;
    enum { SIZE = 100000 };
    struct block *block = make_block(SIZE, 0);
    struct buffer taken = {0};

    for (int i = 0; i < 30; i++)
        send_block(block);
    stream_drop_queued(&subject->stream);
    assert_int_equal(stream_shutdown(&subject->stream), 0);
    RUN_UNTIL(take(peer, &taken, SIZE_MAX));
    assert_int_equal(taken.size % SIZE, 0);
    assert_in_range(taken.size, SIZE, 29 * SIZE);
    buffer_deinit(&taken);
    block_unref(block);
}

static void close_forgets_a_shutdown_that_waits(void **state)
{
    (void)state;
    struct block *block = make_block(LARGE, 0);

    assert_int_equal(stream_shutdown(&subject->stream), 0); /* in libuv's hands */
    close_subject();
    close(peer);
    subject = make_subject(story.is_unix);
    peer = connect_subject(subject);
    send_block(block);
    assert_int_equal(stream_shutdown(&subject->stream), 0); /* in ours */
    close_subject();
    assert_int_equal(story.counts[ENDED], 0);
    assert_int_equal(references_of(block), 1);
    block_unref(block);
}

/* Reading. */

static void stopped_stream_reads_nothing_and_the_peer_feels_it(void **state)
{
    (void)state;
    static char bytes[65536];
    size_t sent = 0;
    ssize_t size;

    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(stream_start(&subject->stream), 0); /* harmless */
    stream_stop(&subject->stream);
    stream_stop(&subject->stream);
    while ((size = send(peer, bytes, sizeof(bytes), 0)) > 0)
        sent += (size_t)size;
    assert_int_equal(errno, EAGAIN);
    run_on();
    assert_int_equal(subject->counts[READ], 0);
    assert_int_equal(stream_start(&subject->stream), 0);
    RUN_UNTIL(subject->received.size == sent);
    assert_true(send(peer, bytes, 1, 0) == 1);
    RUN_UNTIL(subject->received.size == sent + 1);
}

static void stop_in_the_read_event_takes_effect_at_once(void **state)
{
    (void)state;
    static char bytes[2 * LOOP_READ_BUFFER_BYTES];
    ssize_t sent;

    set_size(peer, SO_SNDBUF, (int)sizeof(bytes));
    subject->stops_in_read = true;
    assert_int_equal(stream_start(&subject->stream), 0);
    sent = send(peer, bytes, sizeof(bytes), 0);
    assert_true(sent > (ssize_t)LOOP_READ_BUFFER_BYTES);
    RUN_UNTIL(subject->counts[READ] > 0);
    run_on();
    assert_int_equal(subject->counts[READ], 1);
    assert_in_range(subject->received.size, 1, LOOP_READ_BUFFER_BYTES);
    subject->stops_in_read = false;
    assert_int_equal(stream_start(&subject->stream), 0);
    RUN_UNTIL(subject->received.size == (size_t)sent);
}

/* libuv knows from the poll that nothing follows, and tells so without another read. */
static void end_that_comes_with_the_last_bytes_is_told(void **state)
{
    (void)state;
    struct buffer taken = {0};

    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(stream_shutdown(&subject->stream), 0);
    RUN_UNTIL(take(peer, &taken, SIZE_MAX));
    assert_int_equal(send(peer, "bye", 3, 0), 3);
    close(peer);
    peer = -1;
    RUN_UNTIL(subject->counts[ENDED] > 0);
    assert_int_equal(subject->counts[ENDED], 1);
    assert_int_equal(subject->end_error, UV_EOF);
    assert_int_equal(subject->received.size, 3);
    buffer_deinit(&taken);
}

/* The kernel's read buffer of a stream large enough for more than one turn. */
static void make_wide(struct stream *stream)
{
    uv_os_fd_t fd;

    assert_int_equal(uv_fileno(&stream->uv.handle, &fd), 0);
    set_size(fd, SO_RCVBUF, 1 << 20);
}

/* Two streams, each with more to read than one iteration takes. */
static void stream_with_much_to_read_lets_others_read_between(void **state)
{
    (void)state;
    static char bytes[65536];
    size_t turn = 4 * sizeof(loop.read_buffer);
    struct subject *other = make_subject(false);
    int other_peer = connect_subject(other);
    size_t sent = 0;
    size_t other_sent = 0;
    size_t most = 0;
    ssize_t size;

    make_wide(&subject->stream);
    make_wide(&other->stream);
    while ((size = send(peer, bytes, sizeof(bytes), 0)) > 0)
        sent += (size_t)size;
    while ((size = send(other_peer, bytes, sizeof(bytes), 0)) > 0)
        other_sent += (size_t)size;
    assert_true(sent > turn);
    assert_true(other_sent > turn);
    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(stream_start(&other->stream), 0);
    for (pulses = 0; subject->received.size < sent || other->received.size < other_sent;) {
        size_t before = subject->received.size;

        uv_run(&loop.uv, UV_RUN_ONCE);
        assert_true(pulses < WAIT_LIMIT_MS / PULSE_MS);
        if (subject->received.size - before > most)
            most = subject->received.size - before;
    }
    assert_in_range(most, 1, turn);
    stream_close(&other->stream);
    close(other_peer);
    run_on();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_BOTH(bytes_go_both_ways),
        OVER_BOTH(write_that_the_kernel_takes_whole_leaves_nothing_behind),
        OVER_BOTH(slow_peer_keeps_a_reference_until_the_last_byte),
        OVER_BOTH(queued_bytes_are_those_that_the_kernel_has_not_taken),
        OVER_BOTH(writes_of_all_kinds_keep_their_order),
        OVER_BOTH(empty_write_sends_nothing),
        OVER_BOTH(stream_may_fill_its_queue_again_after_it_drained),
        OVER_BOTH(one_block_serves_fast_and_slow_streams),
        OVER_BOTH(dropping_leaves_whole_blocks_and_room_for_a_last_word),
        OVER_BOTH(close_releases_what_is_queued),
        OVER_BOTH(nothing_comes_after_a_close_in_the_read_event),
        OVER_BOTH(nothing_comes_after_a_close_in_the_ended_event),
        OVER_BOTH(nothing_comes_after_a_close_in_the_drained_event),
        OVER_BOTH(end_of_the_peer_leaves_the_way_to_it_open),
        OVER_TCP(reset_is_told_as_such),
        OVER_BOTH(broken_connection_drops_the_queue_and_takes_no_more),
        OVER_BOTH(fin_follows_what_was_written),
        OVER_BOTH(fin_follows_a_long_queue),
        OVER_BOTH(fin_follows_what_a_drop_has_left),
        OVER_BOTH(close_forgets_a_shutdown_that_waits),
        OVER_BOTH(stopped_stream_reads_nothing_and_the_peer_feels_it),
        OVER_BOTH(stop_in_the_read_event_takes_effect_at_once),
        OVER_BOTH(end_that_comes_with_the_last_bytes_is_told),
        OVER_TCP(stream_with_much_to_read_lets_others_read_between),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
