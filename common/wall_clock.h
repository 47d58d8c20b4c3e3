/* The time of day, for what people and other machines are shown; it may be set. Any thread. */
#ifndef COMMON_WALL_CLOCK_H
#define COMMON_WALL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since 1970. */
static inline int64_t wall_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

#endif
