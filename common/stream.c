#include "common/stream.h"

#include <assert.h>
#include <string.h>

#include "common/memory.h"

/*
 * The common case is that the kernel takes a write whole: `uv_try_write`, and nothing is kept. Only a
 * stream whose peer is slow grows a queue, a ring of (block, offset). Its head is handed to libuv as
 * one vectored write; one such write is in flight at a time, so that what stands behind it can still
 * be dropped when the peer turns out too slow. An empty queue is freed, because most streams that had
 * one will not need it again soon.
 */

#define IN_FLIGHT_LIMIT 16 /* blocks in one vectored write */

struct queued {
    struct block *block;
    size_t offset;
};

struct stream_queue {
    uv_write_t request;
    struct stream *stream;
    struct queued *ring;
    size_t capacity;  /* of the ring, a power of two */
    size_t first;     /* index of the oldest entry */
    size_t count;     /* entries */
    size_t in_flight; /* oldest entries that libuv holds */
    size_t bytes;     /* of all entries */
};

static struct loop *loop_of(const struct stream *stream)
{
    return (struct loop *)stream->uv.handle.loop;
}

static struct stream *stream_of(uv_handle_t *handle)
{
    return container_of(handle, struct stream, uv.handle);
}

static struct queued *entry_at(const struct stream_queue *queue, size_t index)
{
    return &queue->ring[(queue->first + index) & (queue->capacity - 1)];
}

static size_t entry_bytes(const struct queued *entry)
{
    return entry->block->size - entry->offset;
}

static void queue_destroy(struct stream_queue *queue)
{
    for (size_t i = 0; i < queue->count; i++)
        block_unref(entry_at(queue, i)->block);
    memory_free(queue->ring);
    memory_free(queue);
}

static void queue_append(struct stream_queue *queue, struct block *block, size_t offset)
{
    if (queue->count == queue->capacity) {
        size_t capacity = queue->capacity ? queue->capacity * 2 : 4;
        struct queued *ring = memory_allocate(capacity * sizeof(*ring));

        for (size_t i = 0; i < queue->count; i++)
            ring[i] = *entry_at(queue, i);
        memory_free(queue->ring);
        queue->ring = ring;
        queue->capacity = capacity;
        queue->first = 0;
    }
    *entry_at(queue, queue->count++) = (struct queued){block_ref(block), offset};
    queue->bytes += block->size - offset;
}

static void queue_remove_oldest(struct stream_queue *queue, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct queued *entry = entry_at(queue, i);

        queue->bytes -= entry_bytes(entry);
        block_unref(entry->block);
    }
    queue->first = (queue->first + count) & (queue->capacity - 1);
    queue->count -= count;
}

static int send_queued(struct stream *stream);

static void on_written(uv_write_t *request, int error)
{
    struct stream_queue *queue = container_of(request, struct stream_queue, request);
    struct stream *stream = queue->stream;

    queue_remove_oldest(queue, queue->in_flight);
    queue->in_flight = 0;
    if (stream_is_closing(stream))
        return; /* on_closed frees the rest */
    if (!error && queue->count > 0)
        error = send_queued(stream);
    if (error) {
        stream->events->ended(stream, error);
        return;
    }
    if (queue->count > 0)
        return;
    stream->queue = NULL;
    queue_destroy(queue);
    if (stream->events->drained)
        stream->events->drained(stream);
}

static int send_queued(struct stream *stream)
{
    struct stream_queue *queue = stream->queue;
    uv_buf_t buffers[IN_FLIGHT_LIMIT];
    unsigned count = 0;

    for (; count < IN_FLIGHT_LIMIT && count < queue->count; count++) {
        struct queued *entry = entry_at(queue, count);

        buffers[count] = uv_buf_init((char *)entry->block->data + entry->offset,
                                     (unsigned)entry_bytes(entry));
    }
    queue->in_flight = count;

    int error = uv_write(&queue->request, &stream->uv.stream, buffers, count, on_written);

    if (error)
        queue->in_flight = 0;
    return error;
}

static struct stream_queue *queue_of(struct stream *stream)
{
    if (!stream->queue) {
        stream->queue = memory_zeroed(1, sizeof(*stream->queue));
        stream->queue->stream = stream;
    }
    return stream->queue;
}

static int queue_block(struct stream *stream, struct block *block, size_t offset)
{
    struct stream_queue *queue = queue_of(stream);

    queue_append(queue, block, offset);
    return queue->in_flight == 0 ? send_queued(stream) : 0;
}

/* Bytes that the kernel takes now: 0 when it is full or something is queued before them. */
static ssize_t try_write(struct stream *stream, const void *data, size_t size)
{
    if (stream->queue)
        return 0;

    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)data, (unsigned)size);
    int taken = uv_try_write(&stream->uv.stream, &buffer, 1);

    return taken == UV_EAGAIN ? 0 : taken;
}

int stream_write(struct stream *stream, struct block *block, size_t offset)
{
    assert(!stream_is_closing(stream));

    ssize_t taken = try_write(stream, block->data + offset, block->size - offset);

    if (taken < 0)
        return (int)taken;
    offset += (size_t)taken;
    return offset == block->size ? 0 : queue_block(stream, block, offset);
}

int stream_write_bytes(struct stream *stream, const void *data, size_t size)
{
    assert(!stream_is_closing(stream));

    ssize_t taken = try_write(stream, data, size);

    if (taken < 0)
        return (int)taken;
    if ((size_t)taken == size)
        return 0;

    size_t left = size - (size_t)taken;
    struct block *block = block_create(left);

    block_append(block, (const unsigned char *)data + taken, left);

    int error = queue_block(stream, block, 0);

    block_unref(block);
    return error;
}

size_t stream_queued_bytes(const struct stream *stream)
{
    return stream->queue ? stream->queue->bytes : 0;
}

void stream_drop_queued(struct stream *stream)
{
    struct stream_queue *queue = stream->queue;

    if (!queue)
        return;
    while (queue->count > queue->in_flight) {
        struct queued *entry = entry_at(queue, queue->count - 1);

        queue->bytes -= entry_bytes(entry);
        block_unref(entry->block);
        queue->count--;
    }
}

static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct loop *loop = loop_of(stream_of(handle));

    (void)suggested;
    *buffer = uv_buf_init((char *)loop->read_buffer, sizeof(loop->read_buffer));
}

static void on_read(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer)
{
    struct stream *stream = stream_of((uv_handle_t *)handle);

    if (size > 0) {
        stream->events->read(stream, (unsigned char *)buffer->base, (size_t)size);
    } else if (size < 0) {
        stream_stop(stream);
        stream->events->ended(stream, (int)size);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = stream_of(handle);

    if (stream->queue) {
        queue_destroy(stream->queue);
        stream->queue = NULL;
    }

    const struct stream_events *events = stream->events;

    stream->events = NULL;
    events->closed(stream);
}

int stream_init(struct stream *stream, struct loop *loop, bool is_unix,
                const struct stream_events *events)
{
    stream->events = events;
    stream->queue = NULL;
    return is_unix ? uv_pipe_init(&loop->uv, &stream->uv.pipe, 0)
                   : uv_tcp_init(&loop->uv, &stream->uv.tcp);
}

int stream_accept(struct stream *stream, struct loop *loop, uv_stream_t *listener,
                  const struct stream_events *events)
{
    int error = stream_init(stream, loop, false, events);

    assert(error == 0); /* uv_tcp_init without a socket cannot fail */
    error = uv_accept(listener, &stream->uv.stream);
    if (error)
        return error;
    return uv_tcp_nodelay(&stream->uv.tcp, 1);
}

static void on_connected(uv_connect_t *request, int error)
{
    struct stream *stream = stream_of((uv_handle_t *)request->handle);

    memory_free(request);
    if (!stream_is_closing(stream))
        stream->events->connected(stream, error);
}

int stream_connect_tcp(struct stream *stream, const struct sockaddr *address)
{
    uv_connect_t *request = memory_allocate(sizeof(*request));
    int error = uv_tcp_connect(request, &stream->uv.tcp, address, on_connected);

    if (error) {
        memory_free(request);
        return error;
    }
    return uv_tcp_nodelay(&stream->uv.tcp, 1);
}

int stream_connect_unix(struct stream *stream, const char *path)
{
    uv_connect_t *request = memory_allocate(sizeof(*request));

    /* libuv 1.44 reports every failure, a path that is too long included, through the callback. */
    uv_pipe_connect(request, &stream->uv.pipe, path, on_connected);
    return 0;
}

int stream_start(struct stream *stream)
{
    int error = uv_read_start(&stream->uv.stream, on_allocate, on_read);

    return error == UV_EALREADY ? 0 : error;
}

void stream_stop(struct stream *stream)
{
    uv_read_stop(&stream->uv.stream);
}

static void on_shutdown(uv_shutdown_t *request, int error)
{
    (void)error; /* a peer that is gone shows itself in the read */
    memory_free(request);
}

int stream_shutdown(struct stream *stream)
{
    uv_shutdown_t *request = memory_allocate(sizeof(*request));
    int error = uv_shutdown(request, &stream->uv.stream, on_shutdown);

    if (error)
        memory_free(request);
    return error;
}

bool stream_is_closing(const struct stream *stream)
{
    return uv_is_closing(&stream->uv.handle);
}

void stream_close(struct stream *stream)
{
    if (!stream_is_closing(stream))
        uv_close(&stream->uv.handle, on_closed);
}

bool stream_is_closed(const struct stream *stream)
{
    return stream->events == NULL;
}
