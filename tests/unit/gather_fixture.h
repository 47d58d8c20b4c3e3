/*
 * What the tests of gathered sends share: a crowd of streams on one loop that has a gather, each
 * with the other end of its socket pair, and what was written to it as a test expects to read it.
 */
#ifndef TESTS_GATHER_FIXTURE_H
#define TESTS_GATHER_FIXTURE_H

#include "stream_fixture.h"

#include "common/send_ring.h"
#include "common/stream_gather.h"

#define CROWD_LIMIT 800 /* more than three times what a ring holds */

struct member {
    struct subject *subject; /* NULL: closed by the test */
    int peer;                /* -1: closed by the test */
    struct buffer expected;
    struct buffer taken;
};

static struct member crowd[CROWD_LIMIT];
static size_t crowd_size;
static struct gather_stats stats;
static enum gather_mode mode;

static inline void open_crowd(size_t size)
{
    crowd_size = size;
    for (size_t i = 0; i < size; i++) {
        int pair[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        crowd[i] = (struct member){.subject = make_subject(true), .peer = pair[1]};
        assert_int_equal(uv_pipe_open(&crowd[i].subject->stream.uv.pipe, pair[0]), 0);
        crowd[i].subject->stream.fd = pair[0]; /* as a connect would */
        crowd[i].subject->stream.is_ready = true;
        set_nonblocking(pair[1]);
        make_tight(&crowd[i].subject->stream);
    }
}

static inline struct stream *stream_at(size_t at)
{
    return &crowd[at].subject->stream;
}

static inline void leave(size_t at)
{
    stream_close(stream_at(at));
    crowd[at].subject = NULL;
}

static inline void close_peer(size_t at)
{
    close(crowd[at].peer);
    crowd[at].peer = -1;
}

static inline struct block *make_text(size_t size, char letter)
{
    struct block *block = block_create(size);

    for (size_t i = 0; i < size; i++)
        block->data[i] = (unsigned char)((size_t)letter + i % 7);
    block->size = size;
    return block;
}

static inline void gather_at(size_t at, struct block *block, size_t offset)
{
    assert_int_equal(stream_write_gathered(stream_at(at), &loop, block, offset), 0);
    buffer_append(&crowd[at].expected, block->data + offset, block->size - offset);
}

static inline void say_at(size_t at, const char *text)
{
    assert_int_equal(stream_write_bytes(stream_at(at), text, strlen(text)), 0);
    buffer_append(&crowd[at].expected, text, strlen(text));
}

/* What has reached the other end by now. */
static inline size_t taken_at(size_t at)
{
    take(crowd[at].peer, &crowd[at].taken, SIZE_MAX);
    return crowd[at].taken.size;
}

static inline void assert_at(size_t at)
{
    RUN_UNTIL(taken_at(at) >= crowd[at].expected.size);
    assert_int_equal(crowd[at].taken.size, crowd[at].expected.size);
    assert_memory_equal(crowd[at].taken.data, crowd[at].expected.data, crowd[at].expected.size);
}

/* Everybody who is still there has been sent all, in its order. */
static inline void assert_crowd(void)
{
    for (size_t i = 0; i < crowd_size; i++) {
        if (crowd[i].subject && crowd[i].peer >= 0)
            assert_at(i);
    }
}

static inline int make_gather(enum gather_mode with)
{
    make_loop();
    memset(&stats, 0, sizeof(stats));
    mode = with;
    return stream_gather_create(&loop, with, &stats) ? -1 : 0;
}

static inline int drop_gather(void **state)
{
    (void)state;
    for (size_t i = 0; i < crowd_size; i++) {
        if (crowd[i].subject)
            leave(i);
        if (crowd[i].peer >= 0)
            close_peer(i);
        buffer_deinit(&crowd[i].expected);
        buffer_deinit(&crowd[i].taken);
    }
    crowd_size = 0;
    stream_gather_destroy(&loop);
    return tear_down(state);
}

#endif
