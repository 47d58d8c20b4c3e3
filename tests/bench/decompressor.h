/*
 * Inflates messages that a server has compressed each by itself (RFC 7692 §7.2.2, without context
 * takeover), for all clients. What a server compressed once for many arrives as the same bytes at
 * each of them: the newest are remembered with what came out, because to inflate them again for
 * every client would make the generator the slower side. A memory of the bytes themselves, all of
 * which are compared, so that what a client is told is what it was sent.
 */
#ifndef BENCH_DECOMPRESSOR_H
#define BENCH_DECOMPRESSOR_H

#include <stddef.h>

struct decompressor;

/* For messages that have up to `limit` bytes when inflated. NULL if zlib cannot begin. */
struct decompressor *decompressor_create(size_t limit);

/* NULL is allowed. */
void decompressor_destroy(struct decompressor *decompressor);

/* Inflates a message; `*inflated` is valid until the next call. 0, -EPROTO if this is no compressed
 * message, or -EMSGSIZE. */
int decompressor_inflate(struct decompressor *decompressor, const unsigned char *data, size_t size,
                         const unsigned char **inflated, size_t *inflated_size);

#endif
