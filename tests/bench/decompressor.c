#include "tests/bench/decompressor.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "common/buffer.h"
#include "common/memory.h"

#define MEMORY_COUNT 256u /* messages: more than are in flight, and a power of two */

struct memo {
    struct buffer compressed;
    struct buffer inflated;
};

/* What is remembered is looked for from the newest on, where nearly all of it is found. */
struct decompressor {
    z_stream stream;
    size_t limit;
    unsigned newest;
    uint64_t hashes[MEMORY_COUNT];
    struct memo memory[MEMORY_COUNT];
};

struct decompressor *decompressor_create(size_t limit)
{
    struct decompressor *decompressor = memory_zeroed(1, sizeof(*decompressor));

    decompressor->limit = limit;
    if (inflateInit2(&decompressor->stream, -MAX_WBITS) == Z_OK)
        return decompressor;
    memory_free(decompressor);
    return NULL;
}

void decompressor_destroy(struct decompressor *decompressor)
{
    if (!decompressor)
        return;
    inflateEnd(&decompressor->stream);
    for (size_t i = 0; i < MEMORY_COUNT; i++) {
        buffer_deinit(&decompressor->memory[i].compressed);
        buffer_deinit(&decompressor->memory[i].inflated);
    }
    memory_free(decompressor);
}

/* Nobody here chooses messages so that theirs are the same, and then they are compared. */
static uint64_t hash_of(const unsigned char *data, size_t size)
{
    uint64_t hash = size, word = 0;
    size_t at = 0;

    for (; at + sizeof(word) <= size; at += sizeof(word)) {
        memcpy(&word, data + at, sizeof(word));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    }
    for (; at < size; at++)
        hash = (hash ^ data[at]) * 0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

/* NULL if it is not remembered. */
static struct memo *find(struct decompressor *decompressor, uint64_t hash,
                         const unsigned char *data, size_t size)
{
    for (unsigned age = 0; age < MEMORY_COUNT; age++) {
        unsigned at = (decompressor->newest - age) % MEMORY_COUNT;
        struct memo *memo = &decompressor->memory[at];

        if (decompressor->hashes[at] == hash && memo->compressed.size == size && size > 0 &&
            memcmp(memo->compressed.data, data, size) == 0)
            return memo;
    }
    return NULL;
}

/* `*status` is zlib's, of the last step. */
static int inflate_part(struct decompressor *decompressor, const unsigned char *data, size_t size,
                        struct buffer *output, int *status)
{
    z_stream *stream = &decompressor->stream;

    stream->next_in = (z_const Bytef *)data;
    stream->avail_in = (uInt)size;
    do {
        size_t room = decompressor->limit + 1 - output->size;

        room = room < 4096 ? room : 4096;
        stream->next_out = buffer_reserve(output, room);
        stream->avail_out = (uInt)room;
        *status = inflate(stream, Z_SYNC_FLUSH);
        if (*status != Z_OK && *status != Z_STREAM_END && *status != Z_BUF_ERROR)
            return -EPROTO;
        output->size += room - stream->avail_out;
        if (output->size > decompressor->limit)
            return -EMSGSIZE;
    } while (stream->avail_out == 0 && *status == Z_OK);
    return stream->avail_in > 0 && *status != Z_STREAM_END ? -EPROTO : 0;
}

/* A sender takes the last four bytes off (§7.2.1). */
static int inflate_all(struct decompressor *decompressor, const unsigned char *data, size_t size,
                       struct buffer *output)
{
    static const unsigned char tail[4] = {0x00, 0x00, 0xff, 0xff};
    int status = Z_OK;

    if (inflateReset(&decompressor->stream) != Z_OK || size > UINT32_MAX)
        return -EPROTO;

    int error = inflate_part(decompressor, data, size, output, &status);

    if (!error && status != Z_STREAM_END)
        error = inflate_part(decompressor, tail, sizeof(tail), output, &status);
    return error;
}

int decompressor_inflate(struct decompressor *decompressor, const unsigned char *data, size_t size,
                         const unsigned char **inflated, size_t *inflated_size)
{
    uint64_t hash = hash_of(data, size);
    struct memo *memo = find(decompressor, hash, data, size);
    int error = 0;

    if (!memo) {
        decompressor->newest = (decompressor->newest + 1) % MEMORY_COUNT;
        decompressor->hashes[decompressor->newest] = hash;
        memo = &decompressor->memory[decompressor->newest];
        memo->compressed.size = 0;
        memo->inflated.size = 0;
        error = inflate_all(decompressor, data, size, &memo->inflated);
        if (!error)
            buffer_append(&memo->compressed, data, size);
    }
    *inflated = memo->inflated.data;
    *inflated_size = memo->inflated.size;
    return error;
}
