/* What stream.c and stream_tls.c, the two halves of a stream, want of each other. Nobody else
 * includes it. */
#ifndef COMMON_STREAM_TLS_H
#define COMMON_STREAM_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "common/stream.h"
#include "common/stream_queue.h"

/* stream.c */

/* Bytes that the kernel takes now: 0 when it is full. */
ssize_t stream_send(struct stream *stream, const void *data, size_t size);

/* Starts to write what waits, unless a write is in flight. */
int stream_fly(struct stream *stream);

/* Sends FIN, after all that libuv has. */
int stream_finish(struct stream *stream);

/* The peer ended its side, or the connection broke. */
void stream_break(struct stream *stream, int error);

/* stream_tls.c: all for streams with TLS, but for the last two. */

/* The stream is connected: the client speaks first. */
void stream_tls_start(struct stream *stream);

/* Bytes came. */
void stream_tls_receive(struct stream *stream, const unsigned char *data, size_t size);

void stream_tls_break(struct stream *stream, int error);

/* Encrypts and sends as long as the kernel takes it. Returns the plain bytes that are off the
 * caller's hands, or an error. There must be no queue. */
ssize_t stream_tls_write(struct stream *stream, const void *data, size_t size);

/* Gathers the write of a stream that has no queue, encrypted where we encrypt. False: nothing is
 * being gathered, or nothing so long. */
bool stream_tls_gather(struct stream *stream, struct block *block, size_t offset);

/* Of what was gathered encrypted the kernel has not taken all. */
void stream_tls_gathered_left(struct stream *stream, const unsigned char *data, size_t size,
                              size_t plain, size_t taken);

/* Encrypts the next of what waits, for a write of one buffer. 0 or UV_EPROTO. */
int stream_tls_launch(struct stream *stream, uv_buf_t *buffer);
void stream_tls_land(struct stream *stream);

bool stream_tls_is_in_flight(const struct stream *stream);

/* True where something encrypted waits, besides what is in flight. */
bool stream_tls_is_behind(const struct stream *stream);

/* How many plain bytes the kernel has not taken of the write in flight, of which it has not taken
 * `encrypted` bytes. */
size_t stream_tls_plain_in_flight(const struct stream *stream, size_t encrypted);

/* Bytes that were encrypted since the stream began. */
uint64_t stream_tls_sent_bytes(const struct stream *stream);

/* Says goodbye, if it can still be said. */
void stream_tls_end(struct stream *stream);

/* The same, before FIN. False: the kernel has no room for it yet, and stream_finish is called when
 * it has. */
bool stream_tls_finish(struct stream *stream);

void stream_tls_destroy(struct stream *stream);

/* There is TLS, and not the kernel's. */
static inline bool stream_encrypts(const struct stream *stream)
{
    return stream->is_secure && !stream_is_offloaded(stream);
}

#endif
