#include "common/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

void random_bytes(void *target, size_t size)
{
    unsigned char *bytes = target;

    while (size > 0) {
        ssize_t got = getrandom(bytes, size, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            fputs("level=error event=\"the kernel gives no random bytes\"\n", stderr);
            abort();
        }
        bytes += got;
        size -= (size_t)got;
    }
}

uint64_t random_id(void)
{
    uint64_t id;

    do {
        random_bytes(&id, sizeof(id));
    } while (id == 0);
    return id;
}

/* splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014). */
uint64_t random_below(uint64_t bound)
{
    static _Thread_local uint64_t state;

    if (state == 0)
        state = random_id();
    state += 0x9e3779b97f4a7c15u;

    uint64_t value = state;

    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    value ^= value >> 31;
    return value % bound;
}
