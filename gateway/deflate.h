/*
 * Messages of permessage-deflate (RFC 7692 §7.2), out of bytes and into bytes, by zlib: no I/O, no
 * loop, no frames. Each message is compressed and inflated for itself, since both sides are told
 * not to keep anything from one to the next: so a worker has one deflater and one inflater for all
 * its connections, a message is compressed once for everybody, and a connection keeps nothing.
 *
 * Both are used on one thread. Zero-initialised they are ready; their memory (some 300 KB together)
 * is taken when it is first needed.
 */
#ifndef GATEWAY_DEFLATE_H
#define GATEWAY_DEFLATE_H

#include <stddef.h>

#include "common/buffer.h"
#include "common/text.h"

/* How far back a message to a client may refer, as its handshake settled it. */
enum deflate_window {
    DEFLATE_OFF,    /* nothing is compressed, in neither direction */
    DEFLATE_WIDE,   /* 32 KiB, the format's own limit */
    DEFLATE_NARROW, /* 512 bytes, for all who want less than that limit */
    DEFLATE_WINDOWS,
};

struct z_stream_s;

struct deflater {
    struct z_stream_s *streams[DEFLATE_WINDOWS]; /* NULL until one is needed */
    struct buffer output;
};

struct inflater {
    struct z_stream_s *stream;
    struct buffer output;
};

void deflater_deinit(struct deflater *deflater);

/* Compresses a message as the payload of a frame. `data` is NULL where that would not be smaller
 * than the message is; else it is valid until the next call. */
struct text deflater_compress(struct deflater *deflater, enum deflate_window window,
                              const void *data, size_t size);

void inflater_deinit(struct inflater *inflater);

/*
 * Inflates the payload of a compressed message. 0: `*message` is valid until the next
 * call. UV_E2BIG: it has more than `limit` bytes, of which no more than that were made;
 * UV_EINVAL: it is no such payload, or not a whole one.
 */
int inflater_inflate(struct inflater *inflater, const void *data, size_t size, size_t limit,
                     unsigned char **message, size_t *message_size);

#endif
