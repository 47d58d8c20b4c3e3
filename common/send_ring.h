/*
 * A send ring hands many sends to the kernel in one call, through io_uring, and waits for their
 * results in the same call. So nothing is under way between two calls: no buffer has to live
 * longer, and there is nothing to cancel when a socket closes.
 *
 * It belongs to the thread that created it. Containers often forbid io_uring, old kernels lack it,
 * and a build may be without (CARILLON_IO_URING); then there is no ring, and its owner sends one by
 * one.
 */
#ifndef COMMON_SEND_RING_H
#define COMMON_SEND_RING_H

#include <stddef.h>

#define SEND_RING_LIMIT 256 /* sends in one call */

struct send_ring;

struct ring_send {
    int fd;
    const void *data;
    size_t size;
    /* Filled in: bytes that the kernel took. What it did not take is to be sent in the ordinary
     * way, which will say why: the socket is full, or broken. */
    size_t taken;
};

/* 0 or an error: UV_ENOSYS (the kernel has none, or this build), UV_EPERM (forbidden), or what else
 * the kernel says. */
int send_ring_create(struct send_ring **ring);

/* NULL is allowed. */
void send_ring_destroy(struct send_ring *ring);

/* Whether a ring could be made: 0, or the error of send_ring_create. */
int send_ring_probe(void);

/* Sends them in their order, SEND_RING_LIMIT at most, without waiting for room in any socket. After
 * an error the ring is of no more use; `taken` is right even then. */
int send_ring_send(struct send_ring *ring, struct ring_send *sends, unsigned count);

/* Why there is none, in a few words that last for ever. */
const char *send_ring_explain(int error);

#endif
