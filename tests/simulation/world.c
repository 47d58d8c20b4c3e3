#include "tests/simulation/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world world;
const char *const channels[CHANNELS] = {"alpha", "beta", "gamma", "delta"};
bool is_verbose;
char failure[512];

static uint64_t seed_state;

void world_begin(uint64_t seed)
{
    seed_state = seed;
    failure[0] = '\0';
    world = (struct world){.now = 1000};
}

uint64_t random_number(void)
{
    uint64_t z = seed_state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t below(uint64_t bound)
{
    return random_number() % bound;
}

uint64_t between(uint64_t low, uint64_t high)
{
    return low + below(high - low + 1);
}

void fail(const char *format, ...)
{
    va_list arguments;

    if (failure[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(failure, sizeof(failure), format, arguments);
    va_end(arguments);
}

void say(const char *format, ...)
{
    va_list arguments;

    if (!is_verbose)
        return;
    printf("%6llu ", (unsigned long long)world.now);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
}

int channel_index(const char *name)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (strcmp(channels[i], name) == 0)
            return i;
    }
    abort();
}

bool is_same(struct identity a, struct identity b)
{
    return (a.publisher == b.publisher && a.sequence == b.sequence) ||
           (a.key != 0 && a.key == b.key);
}

struct identity identity_of(const struct message *message)
{
    char key[24] = "";

    if (message->key.size < sizeof(key))
        memcpy(key, message->key.data, message->key.size);
    return (struct identity){message->publisher, message->sequence, strtoull(key, NULL, 10)};
}
