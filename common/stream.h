/*
 * A stream is one connected byte pipe (TCP or a Unix socket; TLS takes its place between the handle
 * and the events) with a write queue that copies nothing: what the kernel does not take at once waits
 * as a reference to its block and an offset.
 *
 * A stream is embedded in the object that talks over it and lives on one loop (struct loop); every
 * call is made on that loop. Its life: `stream_init` or `stream_accept`, `stream_connect_*` where it
 * is ours to connect, `stream_start`, any number of writes, `stream_close`, and then exactly one
 * `closed` event, after which the memory may be freed. No event comes after `stream_close` but that.
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

#include "common/block.h"
#include "common/loop.h"

struct stream;

struct stream_events {
    /* Bytes arrived. They lie in the loop's read buffer, may be changed in place, and are gone after
     * the call. */
    void (*read)(struct stream *stream, unsigned char *data, size_t size);
    /* The peer ended its side (UV_EOF) or the connection broke (another libuv error). */
    void (*ended)(struct stream *stream, int error);
    /* A connect finished: 0 or a libuv error. NULL for streams that are accepted. */
    void (*connected)(struct stream *stream, int error);
    /* The write queue, having held something, is empty. May be NULL. */
    void (*drained)(struct stream *stream);
    /* The stream is closed and its memory the owner's again. */
    void (*closed)(struct stream *stream);
};

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    const struct stream_events *events;
    struct stream_queue *queue; /* NULL while the kernel takes everything */
};

/* Prepares a stream that will connect over TCP or, with `is_unix`, a Unix socket. 0 or an error. */
int stream_init(struct stream *stream, struct loop *loop, bool is_unix,
                const struct stream_events *events);

/* Takes the next connection of `listener` (a TCP handle on `loop`). 0 or an error; after an error
 * the stream must still be closed. */
int stream_accept(struct stream *stream, struct loop *loop, uv_stream_t *listener,
                  const struct stream_events *events);

/* Starts to connect; the `connected` event tells the result unless an error comes back at once. */
int stream_connect_tcp(struct stream *stream, const struct sockaddr *address);
int stream_connect_unix(struct stream *stream, const char *path);

/* Starts or goes on reading; stops it (the peer then feels back-pressure). */
int stream_start(struct stream *stream);
void stream_stop(struct stream *stream);

/*
 * Sends the block's bytes from `offset` on, after all that was written before. Takes what the kernel
 * accepts and queues a reference for the rest. Returns 0, or a libuv error when the connection is
 * broken (nothing is queued then; the caller closes).
 */
int stream_write(struct stream *stream, struct block *block, size_t offset);

/* The same for few bytes that are in no block; what the kernel does not take is copied. */
int stream_write_bytes(struct stream *stream, const void *data, size_t size);

/* Bytes that wait for the kernel. */
size_t stream_queued_bytes(const struct stream *stream);

/* Drops what is queued and not yet handed to the kernel; only whole blocks go. */
void stream_drop_queued(struct stream *stream);

/* Sends FIN once the queue is empty; reading goes on. */
int stream_shutdown(struct stream *stream);

bool stream_is_closing(const struct stream *stream);

/* True from the `closed` event on. */
bool stream_is_closed(const struct stream *stream);

void stream_close(struct stream *stream);

#endif
