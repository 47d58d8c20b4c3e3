#include "common/stream_queue.h"

#include "common/memory.h"

#define COPY_LIMIT   512
#define COPIES_BYTES 4096 /* size of a block of copies */

struct queued {
    struct block *block;
    size_t offset;
};

static struct queued *entry_at(const struct stream_queue *queue, size_t index)
{
    return &queue->ring[(queue->first + index) & (queue->capacity - 1)];
}

static size_t entry_bytes(const struct queued *entry)
{
    return entry->block->size - entry->offset;
}

struct stream_queue *stream_queue_create(struct stream *stream)
{
    struct stream_queue *queue = memory_zeroed(1, sizeof(*queue));

    queue->stream = stream;
    return queue;
}

void stream_queue_destroy(struct stream_queue *queue)
{
    if (!queue)
        return;
    for (size_t i = 0; i < queue->count; i++)
        block_unref(entry_at(queue, i)->block);
    memory_free(queue->ring);
    memory_free(queue);
}

/* Takes over one reference. */
static void append(struct stream_queue *queue, struct block *block, size_t offset)
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
    *entry_at(queue, queue->count++) = (struct queued){block, offset};
    queue->copies = NULL;
    queue->waiting_bytes += block->size - offset;
}

void stream_queue_copy(struct stream_queue *queue, const void *data, size_t size)
{
    bool is_first = queue->count == 0; /* goes out at once, and alone */
    struct block *block = queue->copies;

    if (block && block->capacity - block->size >= size) {
        block_append(block, data, size);
        queue->waiting_bytes += size;
        return;
    }
    block = block_create(is_first || size > COPIES_BYTES ? size : COPIES_BYTES);
    block_append(block, data, size);
    append(queue, block, 0);
    queue->copies = block;
}

void stream_queue_append(struct stream_queue *queue, struct block *block, size_t offset)
{
    size_t size = block->size - offset;

    if (size <= COPY_LIMIT)
        stream_queue_copy(queue, block->data + offset, size);
    else
        append(queue, block_ref(block), offset);
}

static void remove_oldest(struct stream_queue *queue, size_t count)
{
    for (size_t i = 0; i < count; i++)
        block_unref(entry_at(queue, i)->block);
    queue->first = (queue->first + count) & (queue->capacity - 1);
    queue->count -= count;
    if (queue->count == 0)
        queue->copies = NULL;
}

const unsigned char *stream_queue_peek(const struct stream_queue *queue, size_t limit, size_t *size)
{
    if (queue->count == 0)
        return NULL;

    const struct queued *entry = entry_at(queue, 0);
    size_t bytes = entry_bytes(entry);

    *size = bytes < limit ? bytes : limit;
    return entry->block->data + entry->offset;
}

void stream_queue_consume(struct stream_queue *queue, size_t size)
{
    struct queued *entry = entry_at(queue, 0);

    queue->waiting_bytes -= size;
    entry->offset += size;
    queue->has_begun = entry_bytes(entry) > 0;
    if (!queue->has_begun)
        remove_oldest(queue, 1);
}

unsigned stream_queue_launch(struct stream_queue *queue,
                             uv_buf_t buffers[STREAM_QUEUE_FLIGHT_LIMIT])
{
    unsigned count = 0;

    for (; count < STREAM_QUEUE_FLIGHT_LIMIT && count < queue->count; count++) {
        const struct queued *entry = entry_at(queue, count);

        buffers[count] =
            uv_buf_init((char *)entry->block->data + entry->offset, (unsigned)entry_bytes(entry));
        queue->waiting_bytes -= entry_bytes(entry);
    }
    queue->in_flight = count;
    queue->has_begun = false;
    if (count == queue->count)
        queue->copies = NULL; /* libuv knows the size that it had */
    return count;
}

void stream_queue_land(struct stream_queue *queue)
{
    remove_oldest(queue, queue->in_flight);
    queue->in_flight = 0;
}

size_t stream_queue_drop_waiting(struct stream_queue *queue)
{
    size_t kept = queue->in_flight + (queue->has_begun ? 1 : 0);
    size_t waiting_bytes = queue->waiting_bytes;

    while (queue->count > kept) {
        struct queued *newest = entry_at(queue, --queue->count);

        queue->waiting_bytes -= entry_bytes(newest);
        block_unref(newest->block);
    }
    queue->copies = NULL;
    return waiting_bytes - queue->waiting_bytes;
}
