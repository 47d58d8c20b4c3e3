/*
 * A message that goes to many links is encoded once: the host remembers the last one. A small frame
 * is copied from there into the link's output, a large one is queued as a reference.
 */
#include "common/router_link.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/cluster_name.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/router_link_memory.h"
#include "common/router_link_parts.h"
#include "common/tls_session.h"

#define HANDSHAKE_LIMIT_MS 3000
#define GREETING_LIMIT     4096 /* bytes of a frame of the handshake */
#define OUTPUT_BYTES       16384
#define KEPT_BYTES         ((size_t)64 * 1024)   /* of a buffer for one frame */
#define OUTPUT_LIMIT       ((size_t)1024 * 1024) /* leaves before the iteration's end */
#define SHARED_BYTES       4096 /* from this size on a frame is queued by reference */

static struct router_link *of_stream(struct stream *stream)
{
    return container_of(stream, struct router_link, stream);
}

/* The host. */

static void forget_encoded(struct router_link_host *host)
{
    block_unref(host->encoded_block);
    message_unref(host->encoded_message);
    host->encoded_block = NULL;
    host->encoded_message = NULL;
}

static void write_block(struct router_link *link, struct block *block)
{
    int error = stream_write(&link->stream, block, 0);

    if (error)
        router_link_close(link, uv_strerror(error));
    else if (stream_queued_bytes(&link->stream) > link->host->identity->queue_limit)
        router_link_close(link, "it reads too slowly");
    else
        router_link_memory_charge(link->host, block->size);
}

static void send_output(struct router_link *link)
{
    struct block *output = link->output;

    list_remove(&link->dirty_link);
    link->output = NULL;
    if (!output)
        return;
    if (stream_queued_bytes(&link->stream) > 0)
        output = block_fit(output); /* it will wait, perhaps with many that are as empty */
    write_block(link, output);
    block_unref(output);
}

static void on_flush(uv_prepare_t *prepare)
{
    struct router_link_host *host = container_of(prepare, struct router_link_host, flush);

    if (host->before_flush)
        host->before_flush(host);
    while (!list_is_empty(&host->dirty))
        send_output(container_of(host->dirty.next, struct router_link, dirty_link));
    forget_encoded(host);
}

int router_link_host_init(struct router_link_host *host, struct loop *loop,
                          const struct router_identity *identity)
{
    *host = (struct router_link_host){.loop = loop, .identity = identity};
    list_init(&host->links);
    list_init(&host->dirty);

    int error = uv_prepare_init(&loop->uv, &host->flush);

    if (!error)
        error = uv_prepare_start(&host->flush, on_flush);
    if (!error)
        uv_unref((uv_handle_t *)&host->flush);
    return error;
}

void router_link_host_close(struct router_link_host *host)
{
    forget_encoded(host);
    buffer_deinit(&host->encoded);
    buffer_deinit(&host->scratch);
    uv_close((uv_handle_t *)&host->flush, NULL);
}

/* Sending. */

static void append_frame(struct buffer *bytes, const struct router_frame *frame)
{
    size_t start = bytes->size;

    buffer_reserve(bytes, FRAMING_HEADER_BYTES);
    bytes->size += FRAMING_HEADER_BYTES;
    router_frame_append(bytes, frame);
    framing_write_header(bytes->data + start, bytes->size - start - FRAMING_HEADER_BYTES);
}

static void mark_dirty(struct router_link *link)
{
    if (list_is_empty(&link->dirty_link))
        list_append(&link->host->dirty, &link->dirty_link);
}

static void append_output(struct router_link *link, const void *data, size_t size)
{
    if (!link->output)
        link->output = block_create(size > OUTPUT_BYTES ? size : OUTPUT_BYTES);
    link->output = block_reserve(link->output, size);
    block_append(link->output, data, size);
    if (link->output->size < OUTPUT_LIMIT)
        mark_dirty(link);
    else
        send_output(link);
}

/* The frame of a message, encoded once for all who are sent it one after another. */
static void encode(struct router_link_host *host, const struct router_frame *frame)
{
    struct message *message = frame->deliver.message;

    if (host->encoded_message == message && host->encoded_kind == frame->kind)
        return;
    forget_encoded(host);
    buffer_clear(&host->encoded, KEPT_BYTES);
    append_frame(&host->encoded, frame);
    host->encoded_message = message_ref(message);
    host->encoded_kind = frame->kind;
}

static void send_block(struct router_link *link, const struct buffer *bytes)
{
    struct router_link_host *host = link->host;

    if (!host->encoded_block) {
        host->encoded_block = block_create(bytes->size);
        block_append(host->encoded_block, bytes->data, bytes->size);
    }
    send_output(link); /* what comes before it */
    if (link->state != ROUTER_LINK_CLOSING)
        write_block(link, host->encoded_block);
}

/* Sends whatever the state. */
void router_link_send_now(struct router_link *link, const struct router_frame *frame)
{
    struct router_link_host *host = link->host;

    if (link->state == ROUTER_LINK_CLOSING)
        return;
    if (frame->kind == FRAME_DELIVER || frame->kind == FRAME_ENTRY) {
        encode(host, frame);
        if (host->encoded.size < SHARED_BYTES)
            append_output(link, host->encoded.data, host->encoded.size);
        else
            send_block(link, &host->encoded);
        return;
    }
    buffer_clear(&host->scratch, KEPT_BYTES);
    append_frame(&host->scratch, frame);
    append_output(link, host->scratch.data, host->scratch.size);
}

void router_link_send(struct router_link *link, const struct router_frame *frame)
{
    if (link->state == ROUTER_LINK_READY)
        router_link_send_now(link, frame);
}

/* The end. */

static void on_closed(struct stream *stream)
{
    struct router_link *link = of_stream(stream);

    framing_reader_deinit(&link->reader);
    list_remove(&link->host_link);
    link->events->closed(link, link->error);
}

void router_link_close(struct router_link *link, const char *reason)
{
    if (link->state == ROUTER_LINK_CLOSING)
        return;
    link->was_ready = link->state == ROUTER_LINK_READY;
    link->state = ROUTER_LINK_CLOSING;
    snprintf(link->reason, sizeof(link->reason), "%s", reason);
    loop_cancel(link->host->loop, &link->waiter);
    list_remove(&link->dirty_link);
    block_unref(link->output);
    link->output = NULL;
    stream_close(&link->stream);
}

void router_link_refuse(struct router_link *link, enum router_error code, const char *text)
{
    if (link->state == ROUTER_LINK_CLOSING)
        return;
    router_link_send_now(link, &(struct router_frame){.kind = FRAME_ERROR, .error = {code, text}});
    send_output(link);
    router_link_close(link, text);
}

static void on_deadline(struct waiter *waiter)
{
    struct router_link *link = container_of(waiter, struct router_link, waiter);

    link->error = link->state == ROUTER_LINK_CONNECTING ? UV_ETIMEDOUT : 0;
    router_link_close(link, "no handshake within 3 s");
}

/* Reading. */

/* A message above the limit. Who sent it is told; all others, and what else it sends, go on. */
static bool refuse_large(struct router_link *link, const unsigned char *bytes, size_t size)
{
    struct router_link_host *host = link->host;
    struct envelope_large large;
    uint64_t left_out;

    if (link->state != ROUTER_LINK_READY || link->peer.role != ROLE_GATEWAY ||
        !router_frame_read_large(bytes, size, link->message_limit, &large))
        return false;
    metric_add(&host->too_large, 1);
    if (log_limit_pass(&host->large_limit, loop_now_ms(host->loop), &left_out))
        log_event(LOG_WARNING, log_name("message refused: it is above --max-message-size"),
                  log_number("limit", (int64_t)link->message_limit),
                  log_number("left_out", (int64_t)left_out));
    router_link_send_now(link, &(struct router_frame){.kind = FRAME_REFUSED,
                                                      .channel = large.channel,
                                                      .channel_size = large.channel_size,
                                                      .refused = {.sequence = large.sequence,
                                                                  .reason = REASON_INVALID}});
    return true;
}

static void receive(struct router_link *link, const unsigned char *bytes, size_t size)
{
    struct router_frame frame;
    int error = router_frame_read(bytes, size, link->message_limit, &frame);

    if (error == UV_ENOSYS)
        return; /* of a later version, and not meant for us */
    if (error && refuse_large(link, bytes, size))
        return;
    if (error) {
        router_link_refuse(link, ROUTER_ERROR_PROTOCOL, "a frame that cannot be read");
        return;
    }
    if (frame.kind == FRAME_ERROR)
        router_link_close(link, frame.error.text);
    else if (link->state == ROUTER_LINK_READY)
        link->events->frame(link, &frame);
    else if (!router_link_receive_handshake(link, &frame))
        router_link_refuse(link, ROUTER_ERROR_PROTOCOL, "a frame out of turn");
    router_frame_release(&frame);
}

static void read_frames(struct router_link *link, const unsigned char *data, size_t size)
{
    struct router_link_read *read = &link->read;
    int result = 0;

    read->rest = data;
    read->rest_size = size;
    while (link->state != ROUTER_LINK_CLOSING &&
           (result = framing_read(&link->reader, &read->rest, &read->rest_size, &read->frame,
                                  &read->frame_size)) > 0) {
        if (result == FRAMING_WHOLE)
            receive(link, read->frame, read->frame_size);
        else if (!refuse_large(link, read->frame, read->frame_size))
            break;
    }
    if (result < 0 || (result == FRAMING_CUT && link->state != ROUTER_LINK_CLOSING))
        router_link_refuse(link, ROUTER_ERROR_PROTOCOL, "a frame that is too large, or none");
}

static void on_read(struct stream *stream, unsigned char *data, size_t size)
{
    struct router_link *link = of_stream(stream);

    router_link_memory_charge(link->host, size);
    read_frames(link, data, size);
}

static void on_ended(struct stream *stream, int error)
{
    router_link_close(of_stream(stream),
                      error == UV_EOF ? "it hung up" : stream_explain(stream, error));
}

static void on_connected(struct stream *stream, int error)
{
    struct router_link *link = of_stream(stream);

    if (!error)
        error = stream_start(stream);
    if (error) {
        link->error = error;
        router_link_close(link, stream_explain(stream, error));
        return;
    }
    if (!link->is_dialer)
        return; /* TLS is ready: now the other side says Hello */
    link->state = ROUTER_LINK_GREETING;
    router_link_say_hello(link);
}

static const struct stream_events stream_events = {
    .read = on_read,
    .ended = on_ended,
    .connected = on_connected,
    .closed = on_closed,
};

static void prepare(struct router_link *link, struct router_link_host *host, void *owner,
                    const struct router_link_events *events)
{
    *link = (struct router_link){.host = host, .owner = owner, .events = events};
    link->challenge.cluster = cluster_name_sent(host->identity->cluster);
    list_init(&link->dirty_link);
    list_init(&link->host_link);
    list_append(&host->links, &link->host_link);
    waiter_init(&link->waiter, on_deadline);
    link->message_limit = host->identity->message_limit;
    framing_reader_init(&link->reader, GREETING_LIMIT); /* from strangers, not more */
    loop_wait(host->loop, &link->waiter, HANDSHAKE_LIMIT_MS);
}

void router_link_dial(struct router_link *link, struct router_link_host *host, void *owner,
                      const struct sockaddr *address, const char *name, uint32_t shard,
                      const struct router_link_events *events)
{
    prepare(link, host, owner, events);
    link->is_dialer = true;
    link->shard = shard;
    link->peer.role = ROLE_ROUTER;

    int error = stream_init(&link->stream, host->loop, false, &stream_events);

    assert(error == 0); /* uv_tcp_init without a socket cannot fail */
    if (host->dial_tls)
        stream_secure(&link->stream, host->dial_tls,
                      host->tls_server_name ? host->tls_server_name : name);
    error = stream_connect_tcp(&link->stream, address);
    if (error) {
        link->error = error;
        router_link_close(link, uv_strerror(error));
    }
}

void router_link_accept(struct router_link *link, struct router_link_host *host, void *owner,
                        struct router_arrival *arrival, const struct router_link_events *events)
{
    prepare(link, host, owner, events);
    link->state = ROUTER_LINK_GREETING;

    int error = stream_accept(&link->stream, host->loop, arrival->socket, &stream_events);

    arrival->socket = -1;
    if (!error && arrival->tls)
        stream_adopt_tls(&link->stream, arrival->tls);
    else if (!error && host->accept_tls)
        stream_secure(&link->stream, host->accept_tls, NULL);
    if (!error) {
        arrival->tls = NULL;
        error = stream_start(&link->stream);
    }
    if (error)
        router_link_close(link, uv_strerror(error));
    else if (arrival->read.size > 0)
        read_frames(link, arrival->read.data, arrival->read.size);
    router_arrival_deinit(arrival);
}

bool router_link_depart(struct router_link *link, struct router_arrival *arrival)
{
    bool is_tls = stream_tls_session(&link->stream) != NULL;
    unsigned char header[FRAMING_HEADER_BYTES];

    *arrival = (struct router_arrival){.socket = -1};
    if (link->stream.is_ready)
        arrival->socket = fcntl(link->stream.fd, F_DUPFD_CLOEXEC, 0);
    if (arrival->socket < 0)
        return false;
    arrival->tls = stream_release_tls(&link->stream);
    if (is_tls && !arrival->tls) {
        router_arrival_deinit(arrival);
        return false;
    }
    framing_write_header(header, link->read.frame_size);
    buffer_append(&arrival->read, header, sizeof(header));
    buffer_append(&arrival->read, link->read.frame, link->read.frame_size);
    buffer_append(&arrival->read, link->read.rest, link->read.rest_size);
    return true;
}

void router_arrival_deinit(struct router_arrival *arrival)
{
    if (arrival->socket >= 0)
        close(arrival->socket);
    arrival->socket = -1;
    tls_session_destroy(arrival->tls);
    arrival->tls = NULL;
    buffer_deinit(&arrival->read);
}
