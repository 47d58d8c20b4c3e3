/* Randomness: from the kernel for what must not be guessed, and a small generator for jitter. */
#ifndef COMMON_RANDOM_H
#define COMMON_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills `size` bytes from the kernel's generator; ends the process if there is none. Any thread. */
void random_bytes(void *target, size_t size);

/* 64 bits from the kernel's generator, never 0. Any thread. */
uint64_t random_id(void);

/* A number below `bound` (at least 1), good enough for jitter, without a system call. Any thread.
 */
uint64_t random_below(uint64_t bound);

#endif
