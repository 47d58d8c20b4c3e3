/*
 * A stream is one connected byte pipe (TCP or a Unix socket, with TLS over it or without) with a
 * write queue that copies nothing but crumbs: what the kernel does not take at once waits as a
 * reference to its block and an offset. With TLS what waits is plain, too, and is encrypted when
 * the kernel has room, 64 KiB at a time; so a queue costs as little, and can be dropped.
 *
 * A stream is embedded in the object that talks over it and lives on one loop (struct loop); every
 * call is made on that loop. Its life: `stream_init` or `stream_accept`, `stream_connect_*` where
 * it is ours to connect, `stream_start`, any number of writes, `stream_close`, and then exactly one
 * `closed` event, after which the memory may be freed. No event comes after `stream_close` but
 * that. Every event may close the stream.
 *
 * libuv writes with plain write(2), so the process has to ignore SIGPIPE.
 */
#ifndef COMMON_STREAM_H
#define COMMON_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <uv.h>

#include "common/block.h"
#include "common/loop.h"

struct stream;
struct stream_queue;
struct stream_tls;
struct tls_context;
struct tls_session;

struct stream_events {
    /* Asked before each read: false leaves the bytes with the kernel and stops reading until the
     * next stream_start. NULL: always true. */
    bool (*may_read)(struct stream *stream);
    /* Bytes arrived. They lie in a buffer of the loop's, may be changed in place, and are gone
     * after the call. */
    void (*read)(struct stream *stream, unsigned char *data, size_t size);
    /* The peer ended its side (UV_EOF) or the connection broke (another libuv error); what was
     * queued is gone after a failed write. Comes once for each direction, unless the owner closes.
     * A TLS peer that leaves without a goodbye is UV_ECONNRESET, one that breaks the protocol
     * UV_EPROTO. */
    void (*ended)(struct stream *stream, int error);
    /* A connect finished, and the TLS handshake where there is one: 0 or a libuv error, which
     * stream_explain puts into words. NULL for streams that are accepted without TLS. */
    void (*connected)(struct stream *stream, int error);
    /* The write queue, having held something, is empty. May be NULL. */
    void (*drained)(struct stream *stream);
    /* The stream is closed and its memory the owner's again. */
    void (*closed)(struct stream *stream);
};

/* What a write touches stands first, STREAM_HOT_BYTES together: in a broadcast the kernel has
 * driven it out of the cache each time, and a second line of the cache would be a second wait. */
struct stream {
    struct stream_queue *queue; /* NULL while the kernel takes everything */
    uint64_t written_bytes;     /* ever, queued ones included and dropped ones not; plain ones */
    int fd;                     /* while it is ready */
    uint16_t gather_turn;       /* in which a write of it was gathered last; 0: in none */
    bool is_ready : 1;          /* connected */
    bool is_ended : 1;          /* FIN was sent */
    bool is_secure : 1;         /* tls is there */
    struct stream_tls *tls;     /* NULL: plain */
    const struct stream_events *events;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
};

#define STREAM_HOT_BYTES offsetof(struct stream, tls)

/* How far the peer was at some moment with what was written to it. */
struct stream_mark {
    uint64_t next_byte; /* the first that it lacked, counted from 1; 0: it had everything */
};

/* Prepares a stream that will connect over TCP or, with `is_unix`, a Unix socket. 0 or an error. */
int stream_init(struct stream *stream, struct loop *loop, bool is_unix,
                const struct stream_events *events);

/* Takes over the socket of a TCP connection that a listener accepted, which has seen to its
 * options. 0 or an error; after an error the stream must still be closed, and the socket is gone by
 * then. */
int stream_accept(struct stream *stream, struct loop *loop, int socket,
                  const struct stream_events *events);

/* Starts to connect; the `connected` event tells the result unless an error comes back at once
 * (UV_ENAMETOOLONG for a path that no socket can have). The stream must be closed in any case. */
int stream_connect_tcp(struct stream *stream, const struct sockaddr *address);
int stream_connect_unix(struct stream *stream, const char *path);

/*
 * Puts TLS over a stream that was accepted and is not read, or initialized and not connected; the
 * context says which side it is. A client wants the certificate to bear `host`. Nothing can be
 * written before `connected` (UV_ENOTCONN).
 */
void stream_secure(struct stream *stream, struct tls_context *context, const char *host);

/* Bytes that the owner of an accepted stream had before there was TLS: they count as coming now. */
void stream_read_early(struct stream *stream, const unsigned char *data, size_t size);

/* Takes the session from a stream with TLS, which is to be closed, for another stream over the same
 * socket, on whatever loop; NULL where there is no TLS, or something is still to be sent. That
 * other stream adopts it after stream_accept and before stream_start. */
struct tls_session *stream_release_tls(struct stream *stream);
void stream_adopt_tls(struct stream *stream, struct tls_session *session);

/* Takes TLS away again after a handshake that failed, and of which nothing is queued: the peer may
 * understand what is plain. */
void stream_unsecure(struct stream *stream);

/* What an error of this stream's means, in a few words that last for ever. */
const char *stream_explain(const struct stream *stream, int error);

/* The kernel encrypts what this stream with TLS sends; known once it is connected. */
bool stream_is_offloaded(const struct stream *stream);

/* The session of a stream with TLS, for questions about it; NULL where there is none. */
struct tls_session *stream_tls_session(const struct stream *stream);

/* Starts or goes on reading; stops it (the peer then feels back-pressure). */
int stream_start(struct stream *stream);
void stream_stop(struct stream *stream);

/* Reads what has come, so many bytes at most, in a `read` event before it returns, or tells the end
 * (`ended`); for streams that are stopped and take turns. */
void stream_read_once(struct stream *stream, size_t limit_bytes);

/*
 * Sends the block's bytes from `offset` on, after all that was written before. Takes what the
 * kernel accepts and queues a reference for the rest (a copy of a small one). Returns 0, or a libuv
 * error when the connection is broken (nothing is queued then; the caller closes).
 */
int stream_write(struct stream *stream, struct block *block, size_t offset);

/* The same, but what goes out may wait for the end of a gather (stream_gather.h), if there is one;
 * then an error comes as the `ended` event, like that of any write that was queued. `loop` is the
 * stream's. */
int stream_write_gathered(struct stream *stream, struct loop *loop, struct block *block,
                          size_t offset);

/* The same for few bytes that are in no block; what the kernel does not take is copied. */
int stream_write_bytes(struct stream *stream, const void *data, size_t size);

/* Bytes that wait for the kernel. */
size_t stream_queued_bytes(const struct stream *stream);

/* A write of it waits for the end of the gather. */
static inline bool stream_is_gathered(const struct stream *stream, const struct loop *loop)
{
    return stream->gather_turn == loop->gather_turn;
}

/* Nothing waits for the kernel, nor for the end of the gather of `loop`, which is the stream's. */
static inline bool stream_is_idle(const struct stream *stream, const struct loop *loop)
{
    return !stream->queue && !stream_is_gathered(stream, loop);
}

/* Bytes that the kernel has taken since the stream began. */
uint64_t stream_sent_bytes(const struct stream *stream);

/* Remembers how far the peer is (TCP): what its host has not acknowledged, it lacks. */
void stream_set_mark(const struct stream *stream, struct stream_mark *mark);

/*
 * True if the peer has moved on: at the mark it had not taken everything, and it has taken some
 * since. That is a sign of life from one that reads slowly, since its host acknowledges no more
 * than it has room for. Sets the mark anew.
 */
bool stream_has_moved(const struct stream *stream, struct stream_mark *mark);

/* Drops what is queued and not yet handed to the kernel; only whole blocks go. */
void stream_drop_queued(struct stream *stream);

/* Sends FIN once the queue is empty; reading goes on, writing fails with UV_EPIPE from now on. 0,
 * or UV_ENOTCONN where FIN has been sent or the connection is broken. */
int stream_shutdown(struct stream *stream);

bool stream_is_closing(const struct stream *stream);

/* True from the `closed` event on. */
bool stream_is_closed(const struct stream *stream);

void stream_close(struct stream *stream);

#endif
