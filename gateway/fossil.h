/*
 * Deltas in the format of Fossil SCM, which SDKs of the channel protocol apply: how to make a text
 * out of the one before it. A delta is the new text's size and a newline; then pieces, `N@M,` for N
 * bytes from offset M of the old text and `N:` for N bytes that follow; and the new text's checksum
 * and `;`. Numbers are in base 64. Pure.
 */
#ifndef GATEWAY_FOSSIL_H
#define GATEWAY_FOSSIL_H

#include "common/buffer.h"
#include "common/text.h"

/* Appends a delta that makes `target` out of `source`. It may be larger than `target` itself. Takes
 * time and memory in proportion to both. */
void fossil_write_delta(struct buffer *out, struct text source, struct text target);

#endif
