/*
 * Numbers of eight bytes, least significant first, wherever they lie. Written in one expression
 * each, which compilers make one instruction of; of a loop they do not.
 */
#ifndef COMMON_LITTLE_ENDIAN_H
#define COMMON_LITTLE_ENDIAN_H

#include <stdint.h>

static inline uint64_t little_endian_load32(const unsigned char *from)
{
    return (uint64_t)from[0] | (uint64_t)from[1] << 8 | (uint64_t)from[2] << 16 |
           (uint64_t)from[3] << 24;
}

static inline uint64_t little_endian_load64(const unsigned char *from)
{
    return little_endian_load32(from) | little_endian_load32(from + 4) << 32;
}

static inline unsigned char *little_endian_store64(unsigned char *to, uint64_t value)
{
    to[0] = (unsigned char)value;
    to[1] = (unsigned char)(value >> 8);
    to[2] = (unsigned char)(value >> 16);
    to[3] = (unsigned char)(value >> 24);
    to[4] = (unsigned char)(value >> 32);
    to[5] = (unsigned char)(value >> 40);
    to[6] = (unsigned char)(value >> 48);
    to[7] = (unsigned char)(value >> 56);
    return to + 8;
}

#endif
