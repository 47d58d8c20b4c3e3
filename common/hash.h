/*
 * SipHash-1-3 (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012), the keyed hash behind
 * the maps.
 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

/* The hash of `size` bytes under a 128-bit key. */
uint64_t hash_siphash13(const uint64_t key[2], const void *data, size_t size);

/* The same under a key chosen at random when the process first asks. Any thread. */
uint64_t hash_keyed(const void *data, size_t size);

#endif
