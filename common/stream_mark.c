/*
 * How far what was written has come: what waits here, and what the peer's host has not
 * acknowledged. The kernel says how many bytes it holds of these; where it has made more of them
 * than it was given, since it encrypts, it is asked for those that are acknowledged.
 */
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "common/kernel_tls.h"
#include "common/stream.h"
#include "common/stream_gathered.h"
#include "common/stream_tls.h"

size_t stream_queued_bytes(const struct stream *stream)
{
    stream_settle(stream);
    if (!stream->queue)
        return 0;

    /* libuv knows how much of its write the kernel has taken so far. */
    size_t in_flight = uv_stream_get_write_queue_size(&stream->uv.stream);

    if (stream_encrypts(stream))
        in_flight = stream_tls_plain_in_flight(stream, in_flight);
    return stream->queue->waiting_bytes + in_flight;
}

void stream_drop_queued(struct stream *stream)
{
    stream_settle(stream);
    if (stream->queue)
        stream->written_bytes -= stream_queue_drop_waiting(stream->queue);
}

uint64_t stream_sent_bytes(const struct stream *stream)
{
    return stream->written_bytes - stream_queued_bytes(stream);
}

/* Bytes that the peer's host has not acknowledged, here and with the kernel; as they travel, but
 * for those that TLS has still to encrypt. */
static uint64_t unacknowledged_bytes(const struct stream *stream)
{
    uint64_t waiting = stream->queue ? stream->queue->waiting_bytes : 0;
    int held; /* by the kernel; a FIN counts as a byte */

    if (!stream->is_ready || ioctl(stream->fd, SIOCOUTQ, &held) || held < 0)
        held = 0;
    return waiting + uv_stream_get_write_queue_size(&stream->uv.stream) + (uint64_t)held;
}

/* All that was ever written, counted likewise. */
static uint64_t travelling_bytes(const struct stream *stream)
{
    if (!stream->tls)
        return stream->written_bytes;
    return stream_tls_sent_bytes(stream) + (stream->queue ? stream->queue->waiting_bytes : 0);
}

/* Of a stream whose bytes grow in the kernel. */
static uint64_t acknowledged_bytes(const struct stream *stream)
{
    return stream->is_ready ? kernel_tls_acknowledged(stream->fd) : 0;
}

void stream_set_mark(const struct stream *stream, struct stream_mark *mark)
{
    stream_settle(stream);

    uint64_t lacking = unacknowledged_bytes(stream);

    if (lacking == 0)
        mark->next_byte = 0;
    else if (stream_is_offloaded(stream))
        mark->next_byte = acknowledged_bytes(stream) + 1;
    else
        mark->next_byte = travelling_bytes(stream) - lacking + 1;
}

bool stream_has_moved(const struct stream *stream, struct stream_mark *mark)
{
    uint64_t before = mark->next_byte;

    stream_set_mark(stream, mark);
    return before > 0 && (mark->next_byte == 0 || mark->next_byte > before);
}
