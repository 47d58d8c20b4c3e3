/*
 * Plain text is encrypted straight from the block that all subscribers share into one buffer of the
 * loop's, and sent from there in one call. Only what the kernel does not take of it is copied, into
 * a block of its own that is in flight; the rest of a message waits in the queue as it is. For
 * records are numbered: what is encrypted has to be sent, and could not be dropped.
 *
 * Reading, too, may bring forth something to be sent (an alert). Its number follows that of what is
 * in flight, so it goes before whatever waits.
 *
 * Where the kernel encrypts (kernel_tls.h), a stream sends and queues as one without TLS, and this
 * has only to say goodbye: which is a record like any other there, and FIN may follow only once the
 * kernel is sure to have passed it on.
 */
#include "common/stream_tls.h"

#include <assert.h>
#include <string.h>

#include "common/kernel_tls.h"
#include "common/memory.h"
#include "common/stream_gathered.h"
#include "common/tls_session.h"

#define PORTION_BYTES ((size_t)64 * 1024) /* plain, in one write */
#define EXTRA_LIMIT   ((size_t)16 * 1024)
#define GATHER_LIMIT  ((size_t)16 * 1024) /* plain; what is longer does not mind the way */
#define ROOM_LOOK_MS  20

enum tls_state {
    TLS_SHAKING_HANDS,
    TLS_OPEN,
    TLS_ENDING, /* nothing more is written, and our goodbye waits for room in the kernel */
    TLS_ENDED,  /* we said goodbye; the peer may go on */
    TLS_BROKEN,
};

/* libuv waits for room only where it has something to send. */
struct room_wait {
    struct waiter waiter;
    struct stream *stream;
};

struct stream_tls {
    struct tls_session *session;
    struct room_wait *room_wait; /* while TLS_ENDING */
    struct block *flight;        /* encrypted, for libuv */
    size_t flight_plain;         /* bytes of plain text in it */
    struct buffer extra;         /* encrypted, to follow it */
    uint64_t sent_bytes;
    enum tls_state state;
    bool is_in_flight; /* libuv has been given it */
    bool is_offloaded; /* the kernel encrypts; the four before are of no use then */
};

static struct loop *loop_of(const struct stream *stream)
{
    return (struct loop *)stream->uv.handle.loop;
}

static struct buffer *encrypted_of(const struct stream *stream)
{
    return &loop_tls(loop_of(stream))->encrypted;
}

/* Sends what has been said before the kernel gets the keys. What it does not take, or an error, is
 * left to the ordinary way. */
static bool clear_way(void *owner)
{
    struct stream *stream = owner;
    struct buffer *encrypted = encrypted_of(stream);
    uv_os_fd_t fd;

    if (stream->queue || uv_fileno(&stream->uv.handle, &fd))
        return false;

    ssize_t taken = encrypted->size > 0 ? stream_send(stream, encrypted->data, encrypted->size) : 0;

    if (taken > 0) {
        stream->tls->sent_bytes += (size_t)taken;
        buffer_consume(encrypted, (size_t)taken);
    }
    return taken >= 0 && encrypted->size == 0 && kernel_tls_has_room(fd);
}

static void add_tls(struct stream *stream, struct tls_session *session)
{
    assert(!stream->tls);
    stream->tls = memory_zeroed(1, sizeof(*stream->tls));
    stream->is_secure = true;
    stream->tls->session = session;
}

void stream_secure(struct stream *stream, struct tls_context *context, const char *host)
{
    add_tls(stream, tls_session_create(context, host));

    uv_os_fd_t fd;

    if (tls_context_may_offload(context) && uv_fileno(&stream->uv.handle, &fd) == 0)
        tls_session_offer_kernel(stream->tls->session, fd, clear_way, stream);
}

bool stream_is_offloaded(const struct stream *stream)
{
    return stream->tls && stream->tls->is_offloaded;
}

void stream_tls_destroy(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;

    if (!tls)
        return;
    stream->tls = NULL;
    stream->is_secure = false;
    if (tls->room_wait)
        loop_cancel(loop_of(stream), &tls->room_wait->waiter);
    memory_free(tls->room_wait);
    tls_session_destroy(tls->session);
    block_unref(tls->flight);
    buffer_deinit(&tls->extra);
    memory_free(tls);
}

struct tls_session *stream_tls_session(const struct stream *stream)
{
    return stream->tls ? stream->tls->session : NULL;
}

struct tls_session *stream_release_tls(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    struct tls_session *session;

    if (!tls || tls->state != TLS_OPEN || stream->queue || tls->is_offloaded)
        return NULL;
    session = tls->session;
    tls->session = NULL;
    stream_tls_destroy(stream);
    return session;
}

void stream_adopt_tls(struct stream *stream, struct tls_session *session)
{
    add_tls(stream, session);
    stream->tls->state = TLS_OPEN;
}

void stream_unsecure(struct stream *stream)
{
    assert(stream->tls->state == TLS_BROKEN && !stream->queue);
    stream_tls_destroy(stream);
}

const char *stream_explain(const struct stream *stream, int error)
{
    bool has_reason = error == UV_EPROTO && stream->tls;

    return has_reason ? tls_session_reason(stream->tls->session) : uv_strerror(error);
}

/* Sending. */

static void set_flight(struct stream_tls *tls, const void *data, size_t size, size_t plain)
{
    tls->flight = block_create(size);
    block_append(tls->flight, data, size);
    tls->flight_plain = plain < size ? plain : size;
}

/* Sends what lies in the loop's buffer, in which there are so many bytes of plain text. */
static int send_encrypted(struct stream *stream, size_t plain)
{
    struct stream_tls *tls = stream->tls;
    struct buffer *encrypted = encrypted_of(stream);
    size_t size = encrypted->size;
    ssize_t taken = 0;

    encrypted->size = 0;
    if (size == 0)
        return 0;
    stream_settle(stream); /* what was encrypted before */
    tls->sent_bytes += size;
    if (stream->queue) {
        if (tls->extra.size + size > EXTRA_LIMIT)
            return UV_ENOBUFS; /* it provokes us and does not read what we say */
        buffer_append(&tls->extra, encrypted->data, size);
        return 0;
    }
    taken = stream_send(stream, encrypted->data, size);
    if (taken < 0)
        return (int)taken;
    if ((size_t)taken == size)
        return 0;
    set_flight(tls, encrypted->data + taken, size - (size_t)taken, plain);
    return stream_fly(stream);
}

ssize_t stream_tls_write(struct stream *stream, const void *data, size_t size)
{
    struct stream_tls *tls = stream->tls;
    size_t written = 0;

    if (tls->state != TLS_OPEN)
        return tls->state == TLS_SHAKING_HANDS ? UV_ENOTCONN : UV_EPIPE;
    if (tls->is_offloaded)
        return stream_send(stream, data, size);
    while (written < size && !stream->queue) {
        size_t portion = size - written < PORTION_BYTES ? size - written : PORTION_BYTES;
        int error = tls_session_write(tls->session, (const unsigned char *)data + written, portion,
                                      encrypted_of(stream));

        if (error)
            encrypted_of(stream)->size = 0; /* or it would go out on the next stream */
        else
            error = send_encrypted(stream, portion);
        if (error)
            return error;
        written += portion;
    }
    return (ssize_t)written;
}

bool stream_tls_gather(struct stream *stream, struct block *block, size_t offset)
{
    struct stream_tls *tls = stream->tls;
    struct stream_gather *gather = loop_of(stream)->gather;
    size_t size = block->size - offset;
    struct buffer *room;

    if (tls->state != TLS_OPEN)
        return false;
    if (tls->is_offloaded)
        return stream_gather_add(gather, stream, block, offset);
    if (size > GATHER_LIMIT || (room = stream_gather_room(gather)) == NULL)
        return false;

    size_t before = room->size;

    if (tls_session_write(tls->session, block->data + offset, size, room)) {
        room->size = before; /* and it fails again, where that can be told */
        return false;
    }
    tls->sent_bytes += room->size - before;
    stream_gather_add_encrypted(gather, stream, before, size);
    return true;
}

void stream_tls_gathered_left(struct stream *stream, const unsigned char *data, size_t size,
                              size_t plain, size_t taken)
{
    set_flight(stream->tls, data + taken, size - taken, plain);

    int error = stream_fly(stream);

    assert(error == 0); /* uv_write wants an open socket without FIN, as when it was gathered */
    (void)error;
}

int stream_tls_launch(struct stream *stream, uv_buf_t *buffer)
{
    struct stream_tls *tls = stream->tls;
    struct buffer *encrypted = encrypted_of(stream);
    const unsigned char *data;
    size_t plain = 0;
    size_t size;

    while (!tls->flight && plain < PORTION_BYTES &&
           (data = stream_queue_peek(stream->queue, PORTION_BYTES - plain, &size)) != NULL) {
        int error = tls_session_write(tls->session, data, size, encrypted);

        if (error) {
            encrypted->size = 0;
            return error;
        }
        stream_queue_consume(stream->queue, size);
        plain += size;
    }
    if (!tls->flight) {
        tls->sent_bytes += encrypted->size;
        buffer_append(&tls->extra, encrypted->data, encrypted->size);
        set_flight(tls, tls->extra.data, tls->extra.size, plain);
        buffer_deinit(&tls->extra);
        encrypted->size = 0;
    }
    tls->is_in_flight = true;
    *buffer = uv_buf_init((char *)tls->flight->data, (unsigned)tls->flight->size);
    return 0;
}

void stream_tls_land(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;

    block_unref(tls->flight);
    tls->flight = NULL;
    tls->flight_plain = 0;
    tls->is_in_flight = false;
}

bool stream_tls_is_in_flight(const struct stream *stream)
{
    return stream->tls->is_in_flight;
}

bool stream_tls_is_behind(const struct stream *stream)
{
    return stream->tls->extra.size > 0;
}

size_t stream_tls_plain_in_flight(const struct stream *stream, size_t encrypted)
{
    size_t plain = stream->tls->flight_plain;

    return plain < encrypted ? plain : encrypted;
}

uint64_t stream_tls_sent_bytes(const struct stream *stream)
{
    return stream->tls->sent_bytes;
}

/* Where it fails, the socket says so next. */
void stream_tls_end(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;

    if (tls->state != TLS_OPEN && tls->state != TLS_ENDING)
        return;
    tls->state = TLS_ENDED;
    tls_session_end(tls->session, encrypted_of(stream));
    (void)send_encrypted(stream, 0);
}

static bool has_room(const struct stream *stream)
{
    uv_os_fd_t fd;

    return uv_fileno(&stream->uv.handle, &fd) || kernel_tls_has_room(fd);
}

static void look_for_room(struct waiter *waiter)
{
    struct room_wait *wait = container_of(waiter, struct room_wait, waiter);
    struct stream *stream = wait->stream;

    if (stream_is_closing(stream))
        return;
    if (!has_room(stream)) {
        loop_wait(loop_of(stream), waiter, ROOM_LOOK_MS);
        return;
    }
    stream_tls_end(stream);
    stream_finish(stream);
}

bool stream_tls_finish(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;

    if (tls->state == TLS_ENDING)
        return false;
    if (tls->state != TLS_OPEN || !tls->is_offloaded || has_room(stream)) {
        stream_tls_end(stream);
        return true;
    }
    tls->state = TLS_ENDING;
    tls->room_wait = memory_zeroed(1, sizeof(*tls->room_wait));
    tls->room_wait->stream = stream;
    waiter_init(&tls->room_wait->waiter, look_for_room);
    loop_wait(loop_of(stream), &tls->room_wait->waiter, ROOM_LOOK_MS);
    return false;
}

/* Receiving. */

void stream_tls_break(struct stream *stream, int error)
{
    struct stream_tls *tls = stream->tls;
    enum tls_state state = tls->state;

    if (error == UV_EOF)
        error = UV_ECONNRESET; /* it did not say goodbye: somebody else may have cut it off */
    if (state == TLS_SHAKING_HANDS) {
        tls->state = TLS_BROKEN;
        stream->events->connected(stream, error);
        return;
    }
    if (state == TLS_OPEN || state == TLS_ENDING)
        tls->state = TLS_BROKEN;
    stream->events->ended(stream, error);
}

static void fail(struct stream *stream, int error)
{
    stream_stop(stream);
    stream_tls_break(stream, error);
}

/* True where it is done, and the stream still there. */
static bool shake_hands(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    int result = tls_session_handshake(tls->session, encrypted_of(stream));
    int error = send_encrypted(stream, 0);

    if (result == UV_EAGAIN && !error)
        return false;
    if (result || error) {
        fail(stream, result && result != UV_EAGAIN ? UV_EPROTO : error);
        return false;
    }
    tls->state = TLS_OPEN;
    tls->is_offloaded = tls_session_is_offloaded(tls->session);
    stream->events->connected(stream, 0);
    return !stream_is_closing(stream);
}

void stream_tls_start(struct stream *stream)
{
    int error = stream_start(stream);

    if (error)
        fail(stream, error);
    else
        shake_hands(stream);
}

static void read_on(struct stream *stream)
{
    struct stream_tls *tls = stream->tls;
    struct loop_tls *room = loop_tls(loop_of(stream));
    size_t size = 0;
    ssize_t result;

    while ((result = tls_session_read(tls->session, room->plain + size, sizeof(room->plain) - size,
                                      &room->encrypted)) > 0)
        size += (size_t)result;
    assert(size < sizeof(room->plain)); /* records are longer than what they hold */

    int error = send_encrypted(stream, 0);

    if (size > 0)
        stream->events->read(stream, room->plain, size);
    if (stream_is_closing(stream) || stream->tls != tls || (result == UV_EAGAIN && !error))
        return;
    stream_stop(stream);
    if (result == UV_EOF)
        stream->events->ended(stream, UV_EOF);
    else
        stream_tls_break(stream, result == UV_EAGAIN ? error : UV_EPROTO);
}

void stream_tls_receive(struct stream *stream, const unsigned char *data, size_t size)
{
    struct stream_tls *tls = stream->tls;

    if (tls->state == TLS_BROKEN)
        return;
    tls_session_feed(tls->session, data, size);
    if (tls->state != TLS_SHAKING_HANDS || shake_hands(stream))
        read_on(stream);
}

void stream_read_early(struct stream *stream, const unsigned char *data, size_t size)
{
    stream_tls_receive(stream, data, size);
}
