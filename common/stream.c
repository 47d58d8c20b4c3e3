/*
 * The common case is that the kernel takes a write whole: one `send`, and nothing is kept. (libuv's
 * own uv_try_write goes through write(2) and the file layer; send(2) was measured to cost a tenth
 * less CPU per delivery of a small message, tests/bench.) Only a stream whose peer is slow grows a
 * queue, a ring of (block, offset). Its head is handed to libuv as one vectored write; one such
 * write is in flight at a time, so that what stands behind it can still be dropped when the peer
 * turns out too slow. An empty queue is freed, because most streams that had one will not need it
 * again soon. So a queue exists exactly while a write is in flight.
 *
 * Where there is TLS (stream_tls.c), what is sent passes through it last and what is read first.
 */
#include "common/stream.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/memory.h"
#include "common/stream_gathered.h"
#include "common/stream_tls.h"

#define READS_IN_TURN 4 /* of LOOP_READ_BUFFER_BYTES at most */

static struct loop *loop_of(const struct stream *stream)
{
    return (struct loop *)stream->uv.handle.loop;
}

static struct stream *stream_of(uv_handle_t *handle)
{
    return container_of(handle, struct stream, uv.handle);
}

/* What was gathered goes before whatever is asked of the stream now. */
void stream_settle(const struct stream *stream)
{
    if (stream->gather_turn != 0 && stream_is_gathered(stream, loop_of(stream)))
        stream_gather_send(loop_of(stream)->gather);
}

static void forget_queue(struct stream *stream)
{
    stream_queue_destroy(stream->queue);
    stream->queue = NULL;
}

static int send_queued(struct stream *stream);
static int send_end(struct stream *stream);

/* After a write: sends what has come meanwhile, or what follows the last byte. */
static int send_on(struct stream *stream)
{
    if (stream->queue->count > 0 || (stream_encrypts(stream) && stream_tls_is_behind(stream)))
        return send_queued(stream);

    bool is_last = stream->queue->is_last;

    forget_queue(stream);
    return is_last ? send_end(stream) : 0;
}

static void on_written(uv_write_t *request, int error)
{
    struct stream_queue *queue = container_of(request, struct stream_queue, request);
    struct stream *stream = queue->stream;

    if (stream_encrypts(stream))
        stream_tls_land(stream);
    else
        stream_queue_land(queue);
    if (stream_is_closing(stream))
        return; /* on_closed frees the rest */
    if (!error)
        error = send_on(stream);
    if (error) {
        forget_queue(stream); /* nothing of it can be sent any more */
        stream_break(stream, error);
    } else if (!stream->queue && stream->events->drained) {
        stream->events->drained(stream);
    }
}

static int send_queued(struct stream *stream)
{
    struct stream_queue *queue = stream->queue;
    uv_buf_t buffers[STREAM_QUEUE_FLIGHT_LIMIT];
    unsigned count = 1;

    if (stream_encrypts(stream)) {
        int error = stream_tls_launch(stream, buffers);

        if (error)
            return error;
    } else {
        count = stream_queue_launch(queue, buffers);
    }
    return uv_write(&queue->request, &stream->uv.stream, buffers, count, on_written);
}

static struct stream_queue *queue_of(struct stream *stream)
{
    if (!stream->queue)
        stream->queue = stream_queue_create(stream);
    return stream->queue;
}

/* After something was queued: sends it, unless a write is in flight. */
static int send_if_first(struct stream *stream)
{
    if (stream->queue->in_flight > 0 ||
        (stream_encrypts(stream) && stream_tls_is_in_flight(stream)))
        return 0;

    int error = send_queued(stream);

    if (error)
        forget_queue(stream);
    return error;
}

/* Not by send(), in which a thread may be cancelled: ours are not, and to say so costs send() more
 * instructions than the rest of a delivery here. */
ssize_t stream_send_now(int fd, const void *data, size_t size)
{
    ssize_t taken;

    do {
        taken = syscall(SYS_sendto, fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
    } while (taken < 0 && errno == EINTR);
    if (taken >= 0)
        return taken;
    return errno == EAGAIN ? 0 : uv_translate_sys_error(errno);
}

/* What is written while it connects waits; a send would eat connect's error. */
ssize_t stream_send(struct stream *stream, const void *data, size_t size)
{
    if (stream->is_ready)
        return stream_send_now(stream->fd, data, size);
    return stream->uv.stream.connect_req ? 0 : UV_EBADF;
}

int stream_fly(struct stream *stream)
{
    queue_of(stream);
    return send_if_first(stream);
}

/* Bytes that are off our hands now: 0 when the kernel is full or something is queued before them.
 */
static ssize_t try_write(struct stream *stream, const void *data, size_t size)
{
    stream_settle(stream);
    if (stream->is_ended)
        return UV_EPIPE;
    if (stream->queue)
        return stream->queue->is_last ? UV_EPIPE : 0;
    return stream->is_secure ? stream_tls_write(stream, data, size)
                             : stream_send(stream, data, size);
}

/* After an attempt that `taken` tells of: what the kernel has not taken is queued. */
static int keep_rest(struct stream *stream, struct block *block, size_t offset, ssize_t taken)
{
    size_t size = block->size - offset;

    if (taken < 0)
        return (int)taken;
    stream->written_bytes += size;
    if ((size_t)taken == size)
        return 0;
    stream_queue_append(queue_of(stream), block, offset + (size_t)taken);
    stream->queue->has_begun |= taken > 0;
    return send_if_first(stream);
}

int stream_write(struct stream *stream, struct block *block, size_t offset)
{
    assert(!stream_is_closing(stream));
    return keep_rest(stream, block, offset,
                     try_write(stream, block->data + offset, block->size - offset));
}

static bool gather(struct stream *stream, struct loop *loop, struct block *block, size_t offset)
{
    if (stream->is_secure)
        return stream_tls_gather(stream, block, offset);
    return loop->gather && stream_gather_add(loop->gather, stream, block, offset);
}

int stream_write_gathered(struct stream *stream, struct loop *loop, struct block *block,
                          size_t offset)
{
    assert(!stream_is_closing(stream) && loop == loop_of(stream));
    if (stream_is_gathered(stream, loop))
        stream_gather_send(loop->gather);

    bool is_free = stream->is_ready && !stream->is_ended && !stream->queue && offset < block->size;

    if (is_free && gather(stream, loop, block, offset)) {
        stream->gather_turn = loop->gather_turn;
        stream->written_bytes += block->size - offset;
        return 0;
    }
    if (!is_free || stream->is_secure)
        return stream_write(stream, block, offset);
    /* stream_write would come to the same, and ask once more for all that is known by now. */
    return keep_rest(stream, block, offset,
                     stream_send_now(stream->fd, block->data + offset, block->size - offset));
}

void stream_gathered_left(struct stream *stream, struct block *block, size_t offset, size_t taken)
{
    offset += taken;
    stream_queue_append(queue_of(stream), block, offset);
    stream->queue->has_begun |= taken > 0;

    int error = send_if_first(stream);

    assert(error == 0); /* uv_write wants an open socket without FIN, as when it was gathered */
    (void)error;
}

int stream_write_bytes(struct stream *stream, const void *data, size_t size)
{
    assert(!stream_is_closing(stream));

    ssize_t taken = try_write(stream, data, size);

    if (taken < 0)
        return (int)taken;
    stream->written_bytes += size;
    if ((size_t)taken == size)
        return 0;

    stream_queue_copy(queue_of(stream), (const unsigned char *)data + taken, size - (size_t)taken);
    stream->queue->has_begun |= taken > 0;
    return send_if_first(stream);
}

/* Takes one of the reads that a stream has in an iteration of the loop: libuv alone would read 2 MB
 * before anybody else is served, and before any answer leaves. */
static bool takes_turn(struct loop *loop, const struct stream *stream)
{
    if (loop->reading != stream) {
        loop->reading = stream;
        loop->reads_left = READS_IN_TURN;
    }
    if (loop->reads_left == 0) {
        loop->reading = NULL;
        return false;
    }
    loop->reads_left--;
    return true;
}

/* Without a buffer libuv reads nothing and says UV_ENOBUFS; in the next iteration it asks again. */
static void on_allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct stream *stream = stream_of(handle);
    struct loop *loop = loop_of(stream);

    (void)suggested;
    if (!takes_turn(loop, stream)) {
        *buffer = uv_buf_init(NULL, 0);
        return;
    }

    bool may_read = !stream->events->may_read || stream->events->may_read(stream);

    *buffer = uv_buf_init((char *)loop->read_buffer, may_read ? sizeof(loop->read_buffer) : 0);
}

static void receive(struct stream *stream, unsigned char *data, size_t size)
{
    if (stream->tls)
        stream_tls_receive(stream, data, size);
    else
        stream->events->read(stream, data, size);
}

void stream_break(struct stream *stream, int error)
{
    if (stream->tls)
        stream_tls_break(stream, error);
    else
        stream->events->ended(stream, error);
}

static bool is_end_of_turn(ssize_t size, const uv_buf_t *buffer)
{
    return size == UV_ENOBUFS && !buffer->base;
}

/* A read that is not full was the last of this iteration. */
static void on_read(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer)
{
    struct stream *stream = stream_of((uv_handle_t *)handle);

    if (size < (ssize_t)buffer->len)
        loop_of(stream)->reading = NULL;
    if (size > 0) {
        receive(stream, (unsigned char *)buffer->base, (size_t)size);
    } else if (size < 0 && !is_end_of_turn(size, buffer)) {
        stream_stop(stream);
        if (size != UV_ENOBUFS)
            stream_break(stream, (int)size);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *stream = stream_of(handle);
    const struct stream_events *events = stream->events;

    forget_queue(stream);
    stream_tls_destroy(stream);
    stream->events = NULL;
    events->closed(stream);
}

int stream_init(struct stream *stream, struct loop *loop, bool is_unix,
                const struct stream_events *events)
{
    stream->events = events;
    stream->queue = NULL;
    stream->tls = NULL;
    stream->written_bytes = 0;
    stream->fd = -1;
    stream->gather_turn = 0;
    stream->is_ready = stream->is_ended = stream->is_secure = false;
    return is_unix ? uv_pipe_init(&loop->uv, &stream->uv.pipe, 0)
                   : uv_tcp_init(&loop->uv, &stream->uv.tcp);
}

int stream_accept(struct stream *stream, struct loop *loop, int socket,
                  const struct stream_events *events)
{
    int error = stream_init(stream, loop, false, events);

    assert(error == 0); /* uv_tcp_init without a socket cannot fail */
    error = uv_tcp_open(&stream->uv.tcp, socket);
    if (error) {
        close(socket);
        return error;
    }
    stream->fd = socket;
    stream->is_ready = true;
    return 0;
}

static void on_connected(uv_connect_t *request, int error)
{
    struct stream *stream = stream_of((uv_handle_t *)request->handle);

    memory_free(request);
    if (stream_is_closing(stream))
        return;
    stream->is_ready = !error && uv_fileno(&stream->uv.handle, &stream->fd) == 0;
    if (stream->tls && !error)
        stream_tls_start(stream);
    else
        stream->events->connected(stream, error);
}

int stream_connect_tcp(struct stream *stream, const struct sockaddr *address)
{
    uv_connect_t *request = memory_allocate(sizeof(*request));
    int error = uv_tcp_connect(request, &stream->uv.tcp, address, on_connected);

    if (error) {
        memory_free(request);
        return error;
    }
    /* The connect is under way and its event will come, so this must not fail it a second time. */
    (void)uv_tcp_nodelay(&stream->uv.tcp, 1);
    return 0;
}

int stream_connect_unix(struct stream *stream, const char *path)
{
    /* libuv would cut the path and might find another socket there. */
    if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return UV_ENAMETOOLONG;

    uv_connect_t *request = memory_allocate(sizeof(*request));

    uv_pipe_connect(request, &stream->uv.pipe, path, on_connected);
    return 0;
}

int stream_start(struct stream *stream)
{
    int error = uv_read_start(&stream->uv.stream, on_allocate, on_read);

    return error == UV_EALREADY ? 0 : error;
}

void stream_stop(struct stream *stream)
{
    uv_read_stop(&stream->uv.stream);
}

void stream_read_once(struct stream *stream, size_t limit_bytes)
{
    struct loop *loop = loop_of(stream);
    size_t room = sizeof(loop->read_buffer);
    ssize_t size;

    if (!stream->is_ready)
        return;
    do {
        size = recv(stream->fd, loop->read_buffer, limit_bytes < room ? limit_bytes : room,
                    MSG_DONTWAIT);
    } while (size < 0 && errno == EINTR);
    if (size > 0)
        receive(stream, loop->read_buffer, (size_t)size);
    else if (size == 0)
        stream_break(stream, UV_EOF);
    else if (errno != EAGAIN && errno != EWOULDBLOCK)
        stream_break(stream, uv_translate_sys_error(errno));
}

static void on_shutdown(uv_shutdown_t *request, int error)
{
    (void)error; /* a peer that is gone shows itself in the read */
    memory_free(request);
}

/* Behind what libuv has still to write. */
static int finish_later(struct stream *stream)
{
    uv_shutdown_t *request = memory_allocate(sizeof(*request));
    int error = uv_shutdown(request, &stream->uv.stream, on_shutdown);

    if (error)
        memory_free(request);
    return error;
}

/* Where nothing is queued, uv_shutdown would only wait for another iteration to do the same. */
int stream_finish(struct stream *stream)
{
    if (!stream->is_ready || stream->is_ended || !uv_is_writable(&stream->uv.stream))
        return UV_ENOTCONN;
    if (stream->queue ? finish_later(stream) : shutdown(stream->fd, SHUT_WR))
        return UV_ENOTCONN;
    stream->is_ended = true;
    return 0;
}

static int send_end(struct stream *stream)
{
    return stream->tls && !stream_tls_finish(stream) ? 0 : stream_finish(stream);
}

int stream_shutdown(struct stream *stream)
{
    stream_settle(stream);
    if (!stream->queue)
        return send_end(stream);
    /* libuv waits for the write that it holds, and would refuse what is queued behind that. */
    stream->queue->is_last = true;
    return 0;
}

bool stream_is_closing(const struct stream *stream)
{
    return uv_is_closing(&stream->uv.handle);
}

void stream_close(struct stream *stream)
{
    if (stream_is_closing(stream))
        return;
    stream_settle(stream);
    if (stream->tls && !stream->queue)
        stream_tls_end(stream); /* which needs a moment's luck with the kernel's buffer */
    stream->is_ready = false;   /* its descriptor will be somebody else's */
    uv_close(&stream->uv.handle, on_closed);
}

bool stream_is_closed(const struct stream *stream)
{
    return stream->events == NULL;
}
