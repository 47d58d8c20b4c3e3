/*
 * A command as Redis reads it (redis.io, "RESP protocol spec"): an array of strings. hiredis has a
 * function for that, which prints each length with sprintf into memory of its own; of a busy
 * gateway's instructions that was a third.
 */
#ifndef GATEWAY_REDIS_WORDS_H
#define GATEWAY_REDIS_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/block.h"

/* Appends a command of `count` words to the block, of which the caller is the only owner; returns
 * the block, which may have moved. */
struct block *redis_words_append(struct block *output, size_t count, const char *const *words,
                                 const size_t *sizes);

#endif
