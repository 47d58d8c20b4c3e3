#include "common/hash.h"

#include <string.h>
#include <uv.h>

#include "common/little_endian.h"
#include "common/random.h"

static uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[0] = rotate(v[0], 32);
    v[2] += v[3];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[2] = rotate(v[2], 32);
}

/* Fewer than eight bytes as a little-endian number. The two halves of four and more overlap. */
static uint64_t load_rest(const unsigned char *data, size_t size)
{
    if (size >= 4)
        return little_endian_load32(data) | little_endian_load32(data + size - 4)
                                                << (8 * (size - 4));
    if (size == 0)
        return 0;
    return (uint64_t)data[0] | (uint64_t)data[size / 2] << (8 * (size / 2)) |
           (uint64_t)data[size - 1] << (8 * (size - 1));
}

uint64_t hash_siphash13(const uint64_t key[2], const void *data, size_t size)
{
    const unsigned char *bytes = data;
    uint64_t v[4] = {key[0] ^ 0x736f6d6570736575u, key[1] ^ 0x646f72616e646f6du,
                     key[0] ^ 0x6c7967656e657261u, key[1] ^ 0x7465646279746573u};
    size_t done = 0;
    uint64_t word;

    for (; size - done >= 8; done += 8) {
        word = little_endian_load64(bytes + done);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = load_rest(bytes + done, size - done) | (uint64_t)size << 56;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static uint64_t process_key[2];
static uv_once_t process_key_once = UV_ONCE_INIT;

static void choose_key(void)
{
    random_bytes(process_key, sizeof(process_key));
}

uint64_t hash_keyed(const void *data, size_t size)
{
    uv_once(&process_key_once, choose_key);
    return hash_siphash13(process_key, data, size);
}
