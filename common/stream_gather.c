/*
 * A subscriber's send is a short one, and many follow each other: the way into the kernel and back
 * is a good part of their cost, and that a ring saves. It does so only at the end of a tick. A
 * channel that is flushed before its time, because it has outgrown CHANNEL_TICK_BYTES or somebody
 * subscribes, sends at once: the first copies so much that the way in does not count, and the
 * second is rare.
 *
 * Only what the kernel takes is settled here. The rest goes to the stream's queue, and so to libuv:
 * a full socket is waited for there, and one that is broken fails again and is reported from there,
 * at a time when its owner may be told. (It is EPIPE then, whatever it was at first.)
 */
#include "common/stream_gather.h"

#include <assert.h>
#include <time.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/send_ring.h"
#include "common/send_trial.h"
#include "common/stream_gathered.h"
#include "common/stream_tls.h"

#define ROOM_BYTES ((size_t)256 * 1024) /* what was encrypted should be in the cache yet */

struct gathered {
    struct stream *stream;
    struct block *block; /* a row of the same holds one reference; NULL: TLS has encrypted it */
    size_t offset;       /* in the block, or in the room */
    size_t plain;        /* bytes, of what is encrypted */
};

struct stream_gather {
    struct loop *loop;
    struct send_ring *ring; /* NULL once it failed */
    struct gather_stats *stats;
    enum gather_mode mode;
    bool is_open;
    unsigned count;
    struct gathered writes[SEND_RING_LIMIT];
    struct ring_send sends[SEND_RING_LIMIT];
    struct send_trial trial;
    struct buffer room; /* of what is encrypted */
};

int stream_gather_create(struct loop *loop, enum gather_mode mode, struct gather_stats *stats)
{
    struct send_ring *ring;

    assert(!loop->gather);
    if (mode == GATHER_OFF)
        return 0;

    int error = send_ring_create(&ring);

    if (error)
        return error;
    loop->gather = memory_zeroed(1, sizeof(*loop->gather));
    loop->gather->loop = loop;
    loop->gather->ring = ring;
    loop->gather->mode = mode;
    loop->gather->stats = stats;
    metric_set(&stats->threads, 1);
    return 0;
}

static void give_up_ring(struct stream_gather *gather)
{
    send_ring_destroy(gather->ring);
    gather->ring = NULL;
    metric_set(&gather->stats->threads, 0);
}

void stream_gather_destroy(struct loop *loop)
{
    struct stream_gather *gather = loop->gather;

    if (!gather)
        return;
    stream_gather_end(loop);
    loop->gather = NULL;
    give_up_ring(gather);
    buffer_deinit(&gather->room);
    memory_free(gather);
}

void stream_gather_begin(struct loop *loop)
{
    if (loop->gather)
        loop->gather->is_open = loop->gather->ring != NULL;
}

void stream_gather_end(struct loop *loop)
{
    if (!loop->gather)
        return;
    stream_gather_send(loop->gather);
    loop->gather->is_open = false;
}

/* Whether another write can be gathered. */
static bool has_place(struct stream_gather *gather)
{
    if (!gather)
        return false;
    if (gather->count == SEND_RING_LIMIT)
        stream_gather_send(gather); /* which may find that the ring is broken */
    return gather->is_open;
}

struct buffer *stream_gather_room(struct stream_gather *gather)
{
    if (!has_place(gather))
        return NULL;
    if (gather->room.size >= ROOM_BYTES)
        stream_gather_send(gather);
    return gather->is_open ? &gather->room : NULL;
}

void stream_gather_add_encrypted(struct stream_gather *gather, struct stream *stream, size_t offset,
                                 size_t plain)
{
    gather->writes[gather->count] = (struct gathered){stream, NULL, offset, plain};
    /* Where the bytes are is known when no more join them. */
    gather->sends[gather->count] =
        (struct ring_send){.fd = stream->fd, .size = gather->room.size - offset};
    gather->count++;
}

bool stream_gather_add(struct stream_gather *gather, struct stream *stream, struct block *block,
                       size_t offset)
{
    if (!has_place(gather))
        return false;
    if (gather->count == 0 || gather->writes[gather->count - 1].block != block)
        block_ref(block);
    gather->writes[gather->count] = (struct gathered){stream, block, offset, 0};
    gather->sends[gather->count] = (struct ring_send){
        .fd = stream->fd, .data = block->data + offset, .size = block->size - offset};
    gather->count++;
    return true;
}

static void send_each(struct stream_gather *gather, struct ring_send *sends, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        ssize_t taken = stream_send_now(sends[i].fd, sends[i].data, sends[i].size);

        sends[i].taken = taken > 0 ? (size_t)taken : 0;
    }
    metric_add(&gather->stats->plain_sends, count);
}

static void send_by_ring(struct stream_gather *gather, struct ring_send *sends, unsigned count)
{
    int error = send_ring_send(gather->ring, sends, count);

    metric_add(&gather->stats->batches, 1);
    metric_add(&gather->stats->sends, count);
    if (!error)
        return;
    log_event(LOG_WARNING, log_name("io_uring failed, sends go one by one from now on"),
              log_text("error", uv_strerror(error)));
    give_up_ring(gather);
    gather->is_open = false;
}

static void send_by(struct stream_gather *gather, enum send_way way, struct ring_send *sends,
                    unsigned count)
{
    if (way == SEND_RING && gather->ring)
        send_by_ring(gather, sends, count);
    else
        send_each(gather, sends, count);
}

/* Of this thread, in nanoseconds. The kernel's work on loopback is in it, the time that somebody
 * else had the core is not. */
static uint64_t processor_time(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void send_as_it_pays(struct stream_gather *gather)
{
    unsigned batch = gather->count;
    struct send_part part;

    for (unsigned sent = 0; sent < batch; sent += part.count) {
        part = send_trial_next(&gather->trial, batch, batch - sent);

        uint64_t begun = part.is_timed ? processor_time() : 0;

        send_by(gather, part.way, gather->sends + sent, part.count);
        if (part.is_timed && send_trial_note(&gather->trial, batch, part, processor_time() - begun))
            log_event(LOG_DEBUG, log_name("sends of a tick were timed"), log_number("sends", batch),
                      log_text("cheaper", send_trial_choice(&gather->trial, batch) == SEND_RING
                                              ? "io_uring"
                                              : "one by one"));
    }
}

static void find_encrypted(struct stream_gather *gather)
{
    for (unsigned i = 0; i < gather->count; i++) {
        if (!gather->writes[i].block)
            gather->sends[i].data = gather->room.data + gather->writes[i].offset;
    }
}

/* From now on no stream has a write here: none has to be touched for that. */
static void begin_turn(struct loop *loop)
{
    loop->gather_turn++;
    if (loop->gather_turn == 0) /* no turn, to a stream */
        loop->gather_turn = 1;
}

static void leave(const struct gathered *write, const struct ring_send *send)
{
    if (write->block)
        stream_gathered_left(write->stream, write->block, write->offset, send->taken);
    else
        stream_tls_gathered_left(write->stream, send->data, send->size, write->plain, send->taken);
}

void stream_gather_send(struct stream_gather *gather)
{
    unsigned count = gather->count;

    if (count == 0)
        return;
    find_encrypted(gather);
    if (gather->mode == GATHER_ON)
        send_by_ring(gather, gather->sends, count);
    else
        send_as_it_pays(gather);
    gather->count = 0;
    begin_turn(gather->loop);
    for (unsigned i = 0; i < count; i++) {
        const struct gathered *write = &gather->writes[i];

        if (gather->sends[i].taken < gather->sends[i].size)
            leave(write, &gather->sends[i]);
        if (i + 1 == count || gather->writes[i + 1].block != write->block)
            block_unref(write->block);
    }
    buffer_clear(&gather->room, ROOM_BYTES);
}
