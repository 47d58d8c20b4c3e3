/*
 * What the streams of a loop are sent at the end of a tick, gathered to go to the kernel at once:
 * between stream_gather_begin and stream_gather_end, stream_write_gathered remembers the bytes
 * and the reference to their block, and the end sends them, through a send ring (io_uring) or one
 * by one. Until then a stream has one such write at most: whatever else is asked of it, be it a
 * write, how much waits for it, or its close, first sends what was gathered. So the order holds,
 * and nothing is under way when a stream goes.
 *
 * Part of the loop and its thread. Without a gather (struct loop, NULL) each write goes at once.
 */
#ifndef COMMON_STREAM_GATHER_H
#define COMMON_STREAM_GATHER_H

#include "common/loop.h"
#include "common/metrics.h"

enum gather_mode {
    GATHER_AUTO, /* through the ring where that is found to be cheaper; no ring is no error */
    GATHER_ON,   /* always through the ring */
    GATHER_OFF,
};

struct gather_stats {
    struct metric threads;     /* 1 while there is a ring */
    struct metric batches;     /* that went through it */
    struct metric sends;       /* in them */
    struct metric plain_sends; /* that were gathered and went one by one, that being cheaper */
};

/* Gives the loop a gather. Called on the loop's thread; `stats` must outlive it. 0 or the error of
 * send_ring_create; then each write goes at once, and so with GATHER_OFF. */
int stream_gather_create(struct loop *loop, enum gather_mode mode, struct gather_stats *stats);

/* Sends what is gathered and takes the gather away; on the loop's thread. Harmless without one. */
void stream_gather_destroy(struct loop *loop);

void stream_gather_begin(struct loop *loop);
void stream_gather_end(struct loop *loop);

#endif
