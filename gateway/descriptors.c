#include "gateway/descriptors.h"

#include <sys/resource.h>
#include <uv.h>

/* Of a loop: epoll, its wake-up, a listener, what libuv holds in reserve, the connection that
 * was just accepted and not yet counted; and one to spare. */
#define LOOP_NEEDS 6

/* Of a thread beside its loop: the ring of its sends. */
#define THREAD_NEEDS 1

/* The standard streams, libuv's signal pipes, two links to the bus and a name look-up for each, and
 * files that a reload reads. */
#define PROCESS_NEEDS 24

/* Of a request to the application's backend: a name look-up with its thread's pair of sockets, or
 * two attempts to connect, of which one is kept for the next request. */
#define BACKEND_NEEDS 3

#define REFUSALS_WANTED 64
#define ADMIN_WANTED    16
#define CLIENTS_LEAST   4

uint64_t descriptors_raise(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit))
        return 0;
    limit.rlim_cur = limit.rlim_max;
    /* Asked again whatever it returns: a hard limit above fs.nr_open cannot be reached. */
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    return getrlimit(RLIMIT_NOFILE, &limit) ? 0 : limit.rlim_cur;
}

static uint64_t lesser(uint64_t left, uint64_t right)
{
    return left < right ? left : right;
}

int descriptors_divide(struct descriptors *descriptors, uint64_t limit, unsigned threads,
                       unsigned listeners, uint64_t backend_requests)
{
    uint64_t needs = PROCESS_NEEDS + LOOP_NEEDS * ((uint64_t)threads + 1) +
                     (uint64_t)threads * (THREAD_NEEDS + listeners - 1) +
                     BACKEND_NEEDS * backend_requests;
    uint64_t rest = limit > needs ? limit - needs : 0;

    /* Where there are few, refusals and operators do not take them all. */
    descriptors->limit = limit;
    descriptors->refusals = lesser(REFUSALS_WANTED, rest / 4);
    descriptors->admin = lesser(ADMIN_WANTED, rest / 4);
    descriptors->clients = rest - descriptors->refusals - descriptors->admin;
    return descriptors->clients < CLIENTS_LEAST ? UV_EMFILE : 0;
}
