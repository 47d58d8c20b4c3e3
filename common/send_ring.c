/*
 * What is saved is the way into the kernel and back for each socket; what the kernel does in
 * between, it does as ever. A send that must not wait (MSG_DONTWAIT) is carried out while it is
 * submitted: io_uring arms no poll for it and hands it to no thread of its own. So when the call
 * returns all results are there, and submitting and waiting are one system call.
 */
#include "common/send_ring.h"

#include <uv.h>

#ifdef CARILLON_IO_URING

#include <errno.h>
#include <liburing.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"

struct send_ring {
    struct io_uring uring;
};

/* Each needs a newer kernel than the next one: work that is left over is done when we enter the
 * kernel anyway, and nobody else submits. */
static int set_up(struct io_uring *uring)
{
    static const unsigned flags[] = {
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN,
        0,
    };
    int error = -EINVAL;

    for (size_t i = 0; error == -EINVAL && i < sizeof(flags) / sizeof(flags[0]); i++)
        error = io_uring_queue_init(SEND_RING_LIMIT, uring, flags[i]);
    return error;
}

/* Takes in the results that are there. */
static unsigned reap(struct send_ring *ring, struct ring_send *sends)
{
    struct io_uring_cqe *result;
    unsigned count = 0;
    unsigned head;

    io_uring_for_each_cqe(&ring->uring, head, result)
    {
        sends[result->user_data].taken = result->res > 0 ? (size_t)result->res : 0;
        count++;
    }
    io_uring_cq_advance(&ring->uring, count);
    return count;
}

/* Nothing more can be submitted; what was has its result. */
static void wait_for_rest(struct send_ring *ring, struct ring_send *sends, unsigned count)
{
    struct io_uring_cqe *result;

    while (count > 0) {
        int error = io_uring_wait_cqe(&ring->uring, &result);

        if (error && error != -EINTR)
            return;
        count -= reap(ring, sends);
    }
}

int send_ring_send(struct send_ring *ring, struct ring_send *sends, unsigned count)
{
    unsigned submitted = 0;
    unsigned finished = 0;

    for (unsigned i = 0; i < count; i++) {
        struct io_uring_sqe *entry = io_uring_get_sqe(&ring->uring);

        io_uring_prep_send(entry, sends[i].fd, sends[i].data, sends[i].size,
                           MSG_NOSIGNAL | MSG_DONTWAIT);
        entry->user_data = i;
        sends[i].taken = 0;
    }
    while (finished < count) {
        int result = io_uring_submit_and_wait(&ring->uring, count - finished);

        finished += reap(ring, sends);
        if (result > 0) {
            submitted += (unsigned)result;
        } else if (result < 0 && result != -EINTR) {
            wait_for_rest(ring, sends, submitted - finished);
            return result;
        }
    }
    return 0;
}

/* That a ring can be set up does not say that it sends: filters know single operations, too. */
static int try_out(struct send_ring *ring)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
        return -errno;

    struct ring_send send = {.fd = pair[0], .data = "?", .size = 1};
    int error = send_ring_send(ring, &send, 1);

    close(pair[0]);
    close(pair[1]);
    return error ? error : send.taken == 1 ? 0 : UV_ENOSYS;
}

int send_ring_create(struct send_ring **out)
{
    struct send_ring *ring = memory_zeroed(1, sizeof(*ring));
    int error = set_up(&ring->uring);

    if (error) {
        memory_free(ring);
        return error;
    }
    io_uring_register_ring_fd(&ring->uring); /* saves a look-up, where the kernel can */
    error = try_out(ring);
    if (error) {
        send_ring_destroy(ring);
        return error;
    }
    *out = ring;
    return 0;
}

void send_ring_destroy(struct send_ring *ring)
{
    if (!ring)
        return;
    io_uring_queue_exit(&ring->uring);
    memory_free(ring);
}

#else

int send_ring_send(struct send_ring *ring, struct ring_send *sends, unsigned count)
{
    (void)ring;
    (void)sends;
    (void)count;
    return UV_ENOSYS;
}

int send_ring_create(struct send_ring **ring)
{
    (void)ring;
    return UV_ENOSYS;
}

void send_ring_destroy(struct send_ring *ring)
{
    (void)ring;
}

#endif

int send_ring_probe(void)
{
    struct send_ring *ring;
    int error = send_ring_create(&ring);

    if (!error)
        send_ring_destroy(ring);
    return error;
}

const char *send_ring_explain(int error)
{
#ifndef CARILLON_IO_URING
    (void)error;
    return "this program was built without it (liburing)";
#else
    switch (error) {
    case UV_ENOSYS:
        return "the kernel does not have it";
    case UV_EPERM:
    case UV_EACCES:
        return "it is forbidden here, as in many containers";
    case UV_ENOMEM:
        return "not enough memory may be locked (ulimit -l)";
    default:
        return uv_strerror(error);
    }
#endif
}
