/* What stream.c and stream_gather.c want of each other. Nobody else includes it. */
#ifndef COMMON_STREAM_GATHERED_H
#define COMMON_STREAM_GATHERED_H

#include <stdbool.h>
#include <stddef.h>

#include "common/block.h"
#include "common/stream.h"

/* stream.c */

/* The gathered write of a stream has been sent, as far as the kernel took it. Tells nobody
 * anything. */
void stream_gathered_sent(struct stream *stream, struct block *block, size_t offset, size_t taken);

/* stream_gather.c */

/* Remembers the write of a stream that has none gathered, and whose kernel buffer is not known to
 * be full. False: nothing is being gathered. */
bool stream_gather_add(struct stream_gather *gather, struct stream *stream, struct block *block,
                       size_t offset);

/* Sends what is gathered. */
void stream_gather_send(struct stream_gather *gather);

#endif
