#include "gather_fixture.h"

#include <sys/resource.h>

#include "common/send_trial.h"

#define SMALL ((size_t)100)
#define LARGE ((size_t)32 * 1024) /* no socket takes it at once */

static size_t references_of(const struct block *block)
{
    return atomic_load(&block->references);
}

static uint64_t gathered_sends(void)
{
    return metric_read(&stats.sends) + metric_read(&stats.plain_sends);
}

static void sends_wait_for_the_end_of_the_tick(void **state)
{
    (void)state;
    struct block *block = make_text(SMALL, 'a');

    open_crowd(10);
    stream_gather_begin(&loop);
    for (size_t i = 0; i < 10; i++)
        gather_at(i, block, 0);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(taken_at(i), 0);
    assert_true(references_of(block) > 1);
    stream_gather_end(&loop);
    assert_int_equal(references_of(block), 1);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(taken_at(i), SMALL);
    assert_crowd();
    assert_int_equal(gathered_sends(), 10);
    block_unref(block);
}

static void creator_may_drop_its_block_before_the_end(void **state)
{
    (void)state;
    open_crowd(6);
    stream_gather_begin(&loop);
    for (size_t i = 0; i < 6; i++) {
        struct block *block = make_text(SMALL + i, (char)('a' + i));

        gather_at(i, block, i % 2);
        block_unref(block);
    }
    stream_gather_end(&loop);
    assert_crowd();
}

static void outside_of_a_tick_each_goes_at_once(void **state)
{
    (void)state;
    struct block *block = make_text(SMALL, 'a');

    open_crowd(1);
    gather_at(0, block, 0);
    assert_int_equal(taken_at(0), SMALL);
    assert_int_equal(references_of(block), 1);
    stream_gather_begin(&loop);
    stream_gather_end(&loop);
    gather_at(0, block, 10);
    assert_int_equal(taken_at(0), 2 * SMALL - 10);
    assert_int_equal(gathered_sends(), 0);
    block_unref(block);
}

static void more_streams_than_a_ring_holds_are_all_served(void **state)
{
    (void)state;
    struct block *one = make_text(SMALL, 'a');
    struct block *two = make_text(SMALL + 1, 'n');

    open_crowd(CROWD_LIMIT);
    for (int tick = 0; tick < 4; tick++) {
        stream_gather_begin(&loop);
        for (size_t i = 0; i < CROWD_LIMIT; i++)
            gather_at(i, i % 3 ? one : two, 0);
        stream_gather_end(&loop);
        assert_int_equal(references_of(one) + references_of(two), 2);
    }
    assert_crowd();
    assert_int_equal(gathered_sends(), 4 * CROWD_LIMIT);
    if (mode == GATHER_ON)
        assert_true(metric_read(&stats.batches) >= 4 * CROWD_LIMIT / SEND_RING_LIMIT);
    block_unref(one);
    block_unref(two);
}

/* Channels of one tick whose subscribers are partly the same, and words between them. */
static void order_of_a_stream_holds(void **state)
{
    (void)state;
    struct block *blocks[5];

    open_crowd(40);
    for (size_t b = 0; b < 5; b++)
        blocks[b] = make_text(SMALL * (b + 1), (char)('a' + 3 * b));
    for (unsigned tick = 0; tick < 50; tick++) {
        stream_gather_begin(&loop);
        for (size_t b = 0; b < 5; b++) {
            for (size_t i = b; i < 40; i += 1 + (b + tick) % 3) {
                gather_at(i, blocks[b], tick);
                if ((i + tick) % 11 == 0)
                    say_at(i, "a word of its own");
            }
        }
        stream_gather_end(&loop);
        if (tick % 5 == 0)
            uv_run(&loop.uv, UV_RUN_NOWAIT);
    }
    assert_crowd();
    for (size_t b = 0; b < 5; b++) {
        assert_int_equal(references_of(blocks[b]), 1);
        block_unref(blocks[b]);
    }
}

static void what_a_full_socket_does_not_take_follows(void **state)
{
    (void)state;
    struct block *large = make_text(LARGE, 'a');
    struct block *small = make_text(SMALL, 'b');

    open_crowd(5);
    for (int tick = 0; tick < 3; tick++) {
        stream_gather_begin(&loop);
        for (size_t i = 0; i < 5; i++)
            gather_at(i, i == 2 ? large : small, 0);
        stream_gather_end(&loop);
    }
    /* One that reads nothing keeps nobody waiting, and its queue is what it would be. */
    for (size_t i = 0; i < 5; i++) {
        if (i != 2)
            assert_int_equal(taken_at(i), 3 * SMALL);
    }
    assert_in_range(stream_queued_bytes(stream_at(2)), 2 * LARGE, 3 * LARGE - 1);
    assert_int_equal(stream_sent_bytes(stream_at(2)),
                     3 * LARGE - stream_queued_bytes(stream_at(2)));
    assert_int_equal(references_of(large), 4);
    assert_crowd();
    RUN_UNTIL(crowd[2].subject->counts[DRAINED] == 1);
    assert_int_equal(references_of(large), 1);
    assert_int_equal(crowd[0].subject->counts[DRAINED], 0);
    block_unref(large);
    block_unref(small);
}

static void full_socket_takes_nothing_and_loses_nothing(void **state)
{
    (void)state;
    struct block *large = make_text(LARGE, 'a');
    struct block *small = make_text(SMALL, 'b');
    char byte = 'x';
    uv_os_fd_t fd;

    open_crowd(3);
    assert_int_equal(uv_fileno(&stream_at(1)->uv.handle, &fd), 0);
    while (send(fd, &byte, 1, MSG_DONTWAIT) == 1)
        buffer_append(&crowd[1].expected, &byte, 1);
    assert_int_equal(errno, EAGAIN);
    stream_gather_begin(&loop);
    for (size_t i = 0; i < 3; i++)
        gather_at(i, small, 0);
    stream_gather_end(&loop);
    assert_int_equal(stream_queued_bytes(stream_at(1)), SMALL);
    assert_crowd();
    block_unref(large);
    block_unref(small);
}

static void peer_that_is_gone_is_told_of_later_and_harms_nobody(void **state)
{
    (void)state;
    struct block *block = make_text(SMALL, 'a');

    open_crowd(20);
    for (size_t i = 0; i < 20; i += 3)
        close_peer(i);
    stream_gather_begin(&loop);
    for (size_t i = 0; i < 20; i++)
        gather_at(i, block, 0);
    stream_gather_end(&loop);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(crowd[i].subject->counts[ENDED], 0);
    for (size_t i = 0; i < 20; i += 3) {
        RUN_UNTIL(crowd[i].subject->counts[ENDED] > 0);
        assert_int_equal(crowd[i].subject->end_error, UV_EPIPE);
    }
    assert_crowd();
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(crowd[i].subject->counts[ENDED], i % 3 == 0);
    assert_int_equal(references_of(block), 1);
    block_unref(block);
}

static void whatever_is_asked_of_a_stream_comes_after_what_was_gathered(void **state)
{
    (void)state;
    struct block *block = make_text(SMALL, 'a');
    struct stream_mark mark;

    open_crowd(7);
    for (int question = 0; question < 6; question++) {
        stream_gather_begin(&loop);
        gather_at(0, block, 0);
        gather_at(1, block, 0);
        switch (question) {
        case 0:
            assert_int_equal(stream_queued_bytes(stream_at(0)), 0);
            break;
        case 1:
            assert_int_equal(stream_sent_bytes(stream_at(0)), stream_at(0)->written_bytes);
            break;
        case 2:
            stream_set_mark(stream_at(0), &mark);
            break;
        case 3:
            stream_has_moved(stream_at(0), &mark);
            break;
        case 4:
            stream_drop_queued(stream_at(0));
            break;
        default:
            assert_int_equal(stream_shutdown(stream_at(0)), 0);
        }
        assert_int_equal(taken_at(0), crowd[0].expected.size);
        stream_gather_end(&loop);
    }
    assert_crowd();
    RUN_UNTIL(take(crowd[0].peer, &crowd[0].taken, 1)); /* FIN came last */
    block_unref(block);
}

/* After FIN there is nothing to gather. */
static void stream_that_has_ended_refuses_as_ever(void **state)
{
    (void)state;
    struct block *block = make_text(SMALL, 'a');

    open_crowd(1);
    assert_int_equal(stream_shutdown(stream_at(0)), 0);
    RUN_UNTIL(take(crowd[0].peer, &crowd[0].taken, 1));
    stream_gather_begin(&loop);
    assert_int_equal(stream_write_gathered(stream_at(0), &loop, block, 0), UV_EPIPE);
    stream_gather_end(&loop);
    assert_int_equal(references_of(block), 1);
    block_unref(block);
}

/* The end of a stream, ours or the peer's, at every point of a tick. */

#define KILLED ((size_t)9)
#define KINDS  3

static void kill_at(size_t at, int kind)
{
    if (!crowd[at].subject || crowd[at].peer < 0)
        return;
    if (kind != 1)
        close_peer(at);
    if (kind != 0)
        leave(at);
}

/* One tick of two channels; before step `when` of it, `victim` goes. */
static void tick_with_a_death(struct block *blocks[2], size_t victim, int kind, size_t when)
{
    size_t step = 0;

    stream_gather_begin(&loop);
    for (size_t b = 0; b < 2; b++) {
        for (size_t i = KILLED; i-- > 0; step++) {
            if (step == when)
                kill_at(victim, kind);
            if (crowd[i].subject)
                gather_at(i, blocks[b], 0);
        }
    }
    if (step == when)
        kill_at(victim, kind);
    stream_gather_end(&loop);
}

static void stream_may_end_at_every_point_of_a_tick(void **state)
{
    struct block *small = make_text(SMALL, 'a');
    struct block *large = make_text(LARGE, 'b');
    struct block *blocks[2] = {small, large};

    for (int kind = 0; kind < KINDS; kind++) {
        for (size_t when = 0; when <= 2 * KILLED; when++) {
            size_t victim = (when * 4) % KILLED;

            open_crowd(KILLED);
            blocks[0] = when % 2 ? large : small;
            tick_with_a_death(blocks, victim, kind, when);
            if (when % 3 == 0)
                uv_run(&loop.uv, UV_RUN_NOWAIT);
            tick_with_a_death(blocks, (victim + 1) % KILLED, (kind + 1) % KINDS, when);
            assert_crowd();
            drop_gather(state);
            assert_int_equal(references_of(small) + references_of(large), 2);
            assert_int_equal(make_gather(mode), 0);
        }
    }
    block_unref(small);
    block_unref(large);
}

static void end_of_the_gather_sends_what_it_holds(void **state)
{
    (void)state;
    struct block *block = make_text(SMALL, 'a');

    open_crowd(3);
    stream_gather_begin(&loop);
    for (size_t i = 0; i < 3; i++)
        gather_at(i, block, 0);
    stream_gather_destroy(&loop);
    assert_int_equal(metric_read(&stats.threads), 0);
    for (size_t i = 0; i < 3; i++)
        gather_at(i, block, 1);
    assert_crowd();
    block_unref(block);
}

/* As where the process has no descriptor left for a ring. */
static void without_a_ring_each_goes_at_once(void **state)
{
    (void)state;
    struct rlimit limit;
    struct rlimit none;
    struct block *block = make_text(SMALL, 'a');

    open_crowd(3);
    stream_gather_destroy(&loop);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);

    int error = stream_gather_create(&loop, mode, &stats);

    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(error, UV_EMFILE);
    assert_string_equal(send_ring_explain(error), uv_strerror(UV_EMFILE));
    assert_null(loop.gather);
    stream_gather_begin(&loop);
    for (size_t i = 0; i < 3; i++) {
        gather_at(i, block, 0);
        assert_int_equal(taken_at(i), SMALL);
    }
    stream_gather_end(&loop);
    block_unref(block);
}

static void auto_settles_for_one_way(void **state)
{
    (void)state;
    struct block *block = make_text(SMALL, 'a');

    open_crowd(64);

    const uint64_t trial = (uint64_t)SEND_TRIAL_ROUNDS * 64; /* sends each way */

    for (int tick = 0; tick < 40; tick++) {
        stream_gather_begin(&loop);
        for (size_t i = 0; i < 64; i++)
            gather_at(i, block, 0);
        stream_gather_end(&loop);
        assert_crowd();
    }
    assert_true(metric_read(&stats.sends) >= trial);
    assert_true(metric_read(&stats.plain_sends) >= trial);
    /* All after the trial went the same way. */
    assert_true(metric_read(&stats.sends) == trial || metric_read(&stats.plain_sends) == trial);
    block_unref(block);
}

static int begin_on(void **state)
{
    (void)state;
    return make_gather(GATHER_ON);
}

static int begin_auto(void **state)
{
    (void)state;
    return make_gather(GATHER_AUTO);
}

static void off_needs_no_ring(void **state)
{
    struct block *block = make_text(SMALL, 'a');

    assert_int_equal(make_gather(GATHER_OFF), 0);
    assert_null(loop.gather);
    open_crowd(1);
    stream_gather_begin(&loop);
    gather_at(0, block, 0);
    assert_int_equal(taken_at(0), SMALL);
    stream_gather_end(&loop);
    drop_gather(state);
    block_unref(block);
}

#define BOTH(test)                                                                                 \
    {#test " (on)", test, begin_on, drop_gather, NULL},                                            \
    {                                                                                              \
#test " (auto)", test, begin_auto, drop_gather, NULL                                       \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(sends_wait_for_the_end_of_the_tick),
        BOTH(creator_may_drop_its_block_before_the_end),
        BOTH(outside_of_a_tick_each_goes_at_once),
        BOTH(more_streams_than_a_ring_holds_are_all_served),
        BOTH(order_of_a_stream_holds),
        BOTH(what_a_full_socket_does_not_take_follows),
        BOTH(full_socket_takes_nothing_and_loses_nothing),
        BOTH(peer_that_is_gone_is_told_of_later_and_harms_nobody),
        BOTH(whatever_is_asked_of_a_stream_comes_after_what_was_gathered),
        BOTH(stream_that_has_ended_refuses_as_ever),
        BOTH(stream_may_end_at_every_point_of_a_tick),
        BOTH(end_of_the_gather_sends_what_it_holds),
        BOTH(without_a_ring_each_goes_at_once),
        cmocka_unit_test_setup_teardown(auto_settles_for_one_way, begin_auto, drop_gather),
    };
    const struct CMUnitTest without_ring[] = {cmocka_unit_test(off_needs_no_ring)};
    int failed = cmocka_run_group_tests(without_ring, NULL, NULL);
    int error = send_ring_probe();

    if (!error)
        return failed + cmocka_run_group_tests(tests, NULL, NULL);
    print_message("no io_uring here: %s\n", send_ring_explain(error));
    return failed;
}
