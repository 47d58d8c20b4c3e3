/*
 * What waits to be written to one stream: a ring of (block, offset), of which the oldest may be in
 * flight, that is in the hands of libuv. No I/O.
 *
 * It copies nothing but crumbs, many into one block of its own: a reference would keep a whole
 * block alive for them, and the queue would take many times the memory that its bytes let one
 * think.
 */
#ifndef COMMON_STREAM_QUEUE_H
#define COMMON_STREAM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "common/block.h"

#define STREAM_QUEUE_FLIGHT_LIMIT 16 /* blocks in one vectored write */

struct stream;

struct stream_queue {
    uv_write_t request; /* the owner's */
    struct stream *stream;
    struct queued *ring;
    size_t capacity;      /* of the ring, a power of two */
    size_t first;         /* index of the oldest entry */
    size_t count;         /* entries */
    size_t in_flight;     /* oldest entries that libuv holds */
    size_t waiting_bytes; /* of the entries behind those */
    struct block *copies; /* of the newest entry, where more may be copied to it; else NULL */
    bool has_begun;       /* part of the oldest entry has gone: the rest has to follow */
    bool is_last;         /* FIN follows, and nothing may join any more */
};

struct stream_queue *stream_queue_create(struct stream *stream);

/* Drops what is in it. NULL is allowed. */
void stream_queue_destroy(struct stream_queue *queue);

/* Appends the block's bytes from `offset` on: by reference, or as a copy where they are few. */
void stream_queue_append(struct stream_queue *queue, struct block *block, size_t offset);

/* Appends a copy. */
void stream_queue_copy(struct stream_queue *queue, const void *data, size_t size);

/* The oldest bytes, so many at most, which stay where they are. NULL: there are none. */
const unsigned char *stream_queue_peek(const struct stream_queue *queue, size_t limit,
                                       size_t *size);

/* Removes so many of the oldest bytes, no more than peek gave. None may be in flight. */
void stream_queue_consume(struct stream_queue *queue, size_t size);

/* Puts the oldest entries in flight and returns how many; the bytes are to be written as they are.
 */
unsigned stream_queue_launch(struct stream_queue *queue,
                             uv_buf_t buffers[STREAM_QUEUE_FLIGHT_LIMIT]);

/* What was in flight has been written. */
void stream_queue_land(struct stream_queue *queue);

/* Drops what is neither in flight nor has begun, and returns its size. */
size_t stream_queue_drop_waiting(struct stream_queue *queue);

#endif
