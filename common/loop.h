/*
 * A loop is a libuv loop with what each of our threads has once: the buffer that every socket of
 * the loop is read into, and the wheel of deadlines. A `uv_loop_t *` that our code meets in a
 * handle is always the first member of a `struct loop`.
 */
#ifndef COMMON_LOOP_H
#define COMMON_LOOP_H

#include <uv.h>

#include "common/buffer.h"
#include "common/wheel.h"

#define LOOP_READ_BUFFER_BYTES  (64 * 1024)
#define LOOP_PLAIN_BUFFER_BYTES (LOOP_READ_BUFFER_BYTES + 17 * 1024)

/* Where TLS decrypts and encrypts for the moment of a call. What is decrypted in one go is what was
 * read, and the part of a record that was there before. */
struct loop_tls {
    struct buffer encrypted;
    unsigned char plain[LOOP_PLAIN_BUFFER_BYTES];
};

struct stream_gather;
struct stream;

struct loop {
    uv_loop_t uv; /* must stay first */
    struct wheel wheel;
    struct loop_tls *tls;         /* NULL until a stream has TLS */
    struct stream_gather *gather; /* NULL: each write goes at once */
    uint16_t gather_turn;         /* each time that one is sent is another turn; never 0 */
    const struct stream *reading; /* the stream whose turn to read is not over; only compared */
    unsigned reads_left;          /* in that turn */
    unsigned char read_buffer[LOOP_READ_BUFFER_BYTES];
};

/*
 * A waiter is a deadline with the function to call when it is reached; every deadline set on a
 * loop's wheel is one.
 */
struct waiter {
    struct deadline deadline;
    void (*expired)(struct waiter *waiter);
};

/* Prepares a loop; returns 0 or a libuv error. */
int loop_init(struct loop *loop);

/* Closes the wheel, runs the loop until nothing keeps it alive, and closes it. Asserts that no
 * handle is left then; one that is still active makes this wait for ever. */
void loop_deinit(struct loop *loop);

/* The loop's room for TLS. */
struct loop_tls *loop_tls(struct loop *loop);

/* Milliseconds of the loop's cached monotonic clock. */
uint64_t loop_now_ms(const struct loop *loop);

void waiter_init(struct waiter *waiter, void (*expired)(struct waiter *waiter));

/* Calls the waiter's function `delay_ms` from now (coarse, see wheel.h), instead of any time set
 * before. */
void loop_wait(struct loop *loop, struct waiter *waiter, uint64_t delay_ms);

/* Forgets the waiter; harmless if it is not set. */
void loop_cancel(struct loop *loop, struct waiter *waiter);

#endif
