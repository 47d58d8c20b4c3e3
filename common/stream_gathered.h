/* What stream.c and stream_gather.c want of each other. Nobody else includes it. */
#ifndef COMMON_STREAM_GATHERED_H
#define COMMON_STREAM_GATHERED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/block.h"
#include "common/buffer.h"
#include "common/stream.h"

/* stream.c */

/* Sends what is gathered, if something of this stream's is. */
void stream_settle(const struct stream *stream);

/* Bytes that the kernel takes of a socket's now: 0 when it is full. */
ssize_t stream_send_now(int fd, const void *data, size_t size);

/* Of the gathered write of a stream the kernel has not taken all. Tells nobody anything. */
void stream_gathered_left(struct stream *stream, struct block *block, size_t offset, size_t taken);

/* stream_gather.c */

/* Remembers the write of a stream that has none gathered, and whose kernel buffer is not known to
 * be full. False: nothing is being gathered. */
bool stream_gather_add(struct stream_gather *gather, struct stream *stream, struct block *block,
                       size_t offset);

/* Where such a write of TLS may put what it encrypts; NULL: nothing is being gathered. */
struct buffer *stream_gather_room(struct stream_gather *gather);

/* Remembers the write whose `plain` bytes lie encrypted at the end of that room, from `offset` on.
 */
void stream_gather_add_encrypted(struct stream_gather *gather, struct stream *stream, size_t offset,
                                 size_t plain);

/* Sends what is gathered. */
void stream_gather_send(struct stream_gather *gather);

#endif
