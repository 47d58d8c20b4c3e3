/* What a stream knows of a peer that is slow, and how its owner is slow itself. */
#include "stream_fixture.h"

#define LARGE ((size_t)1024 * 1024)

static struct stream_mark mark;

static void write_zeros(size_t size)
{
    struct block *block = block_create(size);

    memset(block->data, 0, size);
    block->size = size;
    assert_int_equal(stream_write(&subject->stream, block, 0), 0);
    block_unref(block);
}

/* The peer reads until the stream has got rid of `size` bytes more. */
static void read_at_peer(size_t size)
{
    struct buffer taken = {0};
    uint64_t goal = stream_sent_bytes(&subject->stream) + size;

    RUN_UNTIL((take(peer, &taken, 4096), stream_sent_bytes(&subject->stream) >= goal));
    buffer_deinit(&taken);
}

static void read_everything(void)
{
    struct buffer taken = {0};

    RUN_UNTIL((take(peer, &taken, SIZE_MAX), stream_queued_bytes(&subject->stream) == 0));
    /* Of what the kernel still had, the last acknowledgement may be on its way. */
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), stream_set_mark(&subject->stream, &mark),
               mark.next_byte == 0));
    buffer_deinit(&taken);
}

static void sent_bytes_are_those_that_are_not_queued(void **state)
{
    (void)state;
    assert_int_equal(stream_sent_bytes(&subject->stream), 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "hello", 5), 0);
    assert_int_equal(stream_sent_bytes(&subject->stream), 5);
    write_zeros(LARGE);
    write_zeros(LARGE);

    size_t queued = stream_queued_bytes(&subject->stream);

    assert_true(queued > LARGE);
    assert_int_equal(stream_sent_bytes(&subject->stream), 5 + 2 * LARGE - queued);
    stream_drop_queued(&subject->stream);
    assert_int_equal(stream_sent_bytes(&subject->stream), 5 + 2 * LARGE - queued);
    read_everything();
    assert_in_range(stream_sent_bytes(&subject->stream), LARGE + 5, 2 * LARGE + 5);
}

static void peer_that_reads_has_moved(void **state)
{
    (void)state;
    write_zeros(LARGE);
    stream_set_mark(&subject->stream, &mark);
    read_at_peer(LARGE / 4);
    assert_true(stream_has_moved(&subject->stream, &mark));
    read_at_peer(LARGE / 4);
    write_zeros(LARGE); /* what is written meanwhile makes no difference */
    assert_true(stream_has_moved(&subject->stream, &mark));
}

static void peer_that_reads_nothing_has_not_moved(void **state)
{
    (void)state;
    unsigned rounds = 0;

    write_zeros(LARGE);
    stream_set_mark(&subject->stream, &mark);
    /* Its host takes some of it, until its window is full. */
    do {
        write_zeros(100);
        run_on();
        assert_true(rounds++ < 1000);
    } while (stream_has_moved(&subject->stream, &mark));
    read_at_peer(LARGE / 4);
    assert_true(stream_has_moved(&subject->stream, &mark));
}

static void peer_that_had_everything_has_not_moved(void **state)
{
    (void)state;
    stream_set_mark(&subject->stream, &mark);
    assert_false(stream_has_moved(&subject->stream, &mark));
    write_zeros(LARGE);
    read_everything();
    write_zeros(LARGE); /* a mark was set before it */
    read_at_peer(LARGE / 4);
    assert_false(stream_has_moved(&subject->stream, &mark));
    assert_int_not_equal(mark.next_byte, 0);
    read_everything();
    assert_int_equal(stream_shutdown(&subject->stream), 0);
    run_on();
    assert_false(stream_has_moved(&subject->stream, &mark));
}

static void last_bytes_are_a_move_and_then_there_is_none(void **state)
{
    (void)state;
    write_zeros(LARGE);
    stream_set_mark(&subject->stream, &mark);

    struct stream_mark early = mark;

    read_everything();
    assert_true(stream_has_moved(&subject->stream, &early));
    assert_false(stream_has_moved(&subject->stream, &early));
}

/* A queue must not take much more memory than its bytes. */

static void small_writes_of_a_slow_stream_keep_no_block_alive(void **state)
{
    (void)state;
    struct block *large = block_create(LARGE);
    struct block *small = block_create(2048);
    struct buffer taken = {0};

    memset(large->data, 0, LARGE);
    large->size = LARGE;
    block_append(small, "tick ", 5);
    assert_int_equal(stream_write(&subject->stream, large, 0), 0);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(stream_write(&subject->stream, small, 0), 0);
    assert_true(atomic_load(&small->references) == 1);
    assert_in_range(stream_queued_bytes(&subject->stream), 50000, LARGE + 50000);
    /* What is in libuv's hands, or not small, stands between them. */
    for (int i = 0; i < 100; i++) {
        assert_int_equal(stream_write_bytes(&subject->stream, "and ", 4), 0);
        assert_int_equal(stream_write(&subject->stream, large, LARGE - 600), 0);
        take(peer, &taken, LARGE / 50);
        uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), taken.size == LARGE + 50000 + 60400));
    assert_int_equal(stream_queued_bytes(&subject->stream), 0);
    for (size_t i = 0; i < 10000; i++)
        assert_memory_equal(taken.data + LARGE + 5 * i, "tick ", 5);
    for (size_t i = 0; i < 100; i++) {
        assert_memory_equal(taken.data + LARGE + 50000 + 604 * i, "and ", 4);
        assert_memory_equal(taken.data + LARGE + 50004 + 604 * i, large->data, 600);
    }
    block_unref(small);
    block_unref(large);
    buffer_deinit(&taken);
}

static void copies_are_dropped_with_the_rest(void **state)
{
    (void)state;
    struct buffer taken = {0};

    write_zeros(LARGE);
    for (int i = 0; i < 3000; i++)
        assert_int_equal(stream_write_bytes(&subject->stream, "tick ", 5), 0);
    stream_drop_queued(&subject->stream);
    assert_in_range(stream_queued_bytes(&subject->stream), 1, LARGE - 1);
    assert_int_equal(stream_write_bytes(&subject->stream, "bye", 3), 0);
    assert_int_equal(stream_write_bytes(&subject->stream, "bye", 3), 0);
    RUN_UNTIL((take(peer, &taken, SIZE_MAX), taken.size == LARGE + 6));
    assert_memory_equal(taken.data + LARGE, "byebye", 6);
    buffer_deinit(&taken);
}

/* Whether the owner wants bytes; each time that it does not counts. */
static bool wants;
static unsigned refusals;

static bool may_read(struct stream *stream)
{
    (void)stream;
    if (!wants)
        refusals++;
    return wants;
}

static void owner_that_wants_nothing_leaves_the_bytes_with_the_kernel(void **state)
{
    (void)state;
    struct stream_events picky = subject_events;

    picky.may_read = may_read;
    subject->stream.events = &picky;
    wants = false;
    refusals = 0;
    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(send(peer, "hello", 5, 0), 5);
    RUN_UNTIL(refusals == 1);
    run_on();
    assert_int_equal(refusals, 1); /* it is not asked again and again */
    assert_int_equal(subject->counts[READ], 0);
    assert_int_equal(subject->counts[ENDED], 0);

    wants = true;
    assert_int_equal(stream_start(&subject->stream), 0);
    RUN_UNTIL(subject->received.size == 5);
    assert_memory_equal(subject->received.data, "hello", 5);
    close_subject(); /* while `picky` is there */
}

static void stopped_stream_reads_once_when_its_turn_comes(void **state)
{
    (void)state;
    assert_int_equal(send(peer, "hello there", 11, 0), 11);
    for (int i = 0; i < 100 && subject->received.size == 0; i++) {
        run_on();
        stream_read_once(&subject->stream, 5);
    }
    assert_int_equal(subject->received.size, 5);
    assert_memory_equal(subject->received.data, "hello", 5);
    run_on();
    assert_int_equal(subject->received.size, 5);
    stream_read_once(&subject->stream, SIZE_MAX);
    assert_int_equal(subject->received.size, 11);
    stream_read_once(&subject->stream, SIZE_MAX); /* nothing there */
    assert_int_equal(subject->counts[READ], 2);

    shutdown(peer, SHUT_WR);
    for (int i = 0; i < 100 && subject->counts[ENDED] == 0; i++) {
        run_on();
        stream_read_once(&subject->stream, SIZE_MAX);
    }
    assert_int_equal(subject->counts[ENDED], 1);
    assert_int_equal(subject->end_error, UV_EOF);
}

static void owner_may_close_when_its_turn_comes(void **state)
{
    (void)state;
    subject->closes_in = READ;
    assert_int_equal(send(peer, "hello", 5, 0), 5);
    run_on();
    stream_read_once(&subject->stream, SIZE_MAX);
    RUN_UNTIL(!subject);
    assert_int_equal(story.counts[READ], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        OVER_TCP(sent_bytes_are_those_that_are_not_queued),
        OVER_TCP(peer_that_reads_has_moved),
        OVER_TCP(peer_that_reads_nothing_has_not_moved),
        OVER_TCP(peer_that_had_everything_has_not_moved),
        OVER_TCP(last_bytes_are_a_move_and_then_there_is_none),
        OVER_BOTH(small_writes_of_a_slow_stream_keep_no_block_alive),
        OVER_BOTH(copies_are_dropped_with_the_rest),
        OVER_BOTH(stopped_stream_reads_once_when_its_turn_comes),
        OVER_BOTH(owner_may_close_when_its_turn_comes),
        OVER_BOTH(owner_that_wants_nothing_leaves_the_bytes_with_the_kernel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
