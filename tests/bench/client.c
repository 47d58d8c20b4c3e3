#include "tests/bench/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/memory.h"
#include "tests/bench/clock.h"
#include "tests/bench/frame.h"
#include "tests/bench/upgrade.h"

#define READ_BYTES ((size_t)256 * 1024)

int crowd_init(struct crowd *crowd, const struct client_events *events, void *context,
               size_t message_limit)
{
    crowd->events = events;
    crowd->context = context;
    crowd->message_limit = message_limit;
    crowd->mask = 0x9e3779b9;
    crowd->read_capacity = READ_BYTES + message_limit;
    crowd->read_buffer = memory_allocate(crowd->read_capacity);
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    return crowd->epoll < 0 ? -errno : 0;
}

int crowd_secure(struct crowd *crowd, bool is_insecure)
{
    crowd->tls = tls_context_create(is_insecure);
    return crowd->tls ? 0 : -EPROTO;
}

void crowd_deinit(struct crowd *crowd)
{
    tls_context_destroy(crowd->tls);
    memory_free(crowd->read_buffer);
    if (crowd->epoll >= 0)
        close(crowd->epoll);
}

static void release(struct client *client)
{
    if (client->state == CLIENT_CLOSED)
        return;
    client->state = CLIENT_CLOSED;
    transport_close(&client->transport);
    buffer_deinit(&client->rest);
    buffer_deinit(&client->parts);
    buffer_deinit(&client->output);
}

static void end(struct client *client, const char *reason)
{
    if (client->state == CLIENT_CLOSED)
        return;
    release(client);
    client->crowd->events->ended(client, reason);
}

static void end_by_error(struct client *client, int error)
{
    char reason[TRANSPORT_REASON_LIMIT];

    transport_explain(&client->transport, error, reason);
    end(client, reason);
}

int client_dial(struct client *client, struct crowd *crowd, struct destination *destination,
                uint32_t index)
{
    int fd;

    *client = (struct client){.crowd = crowd, .destination = destination, .index = index};
    do {
        fd = endpoint_connect(&destination->endpoint, index);
    } while (fd < 0 && endpoint_advance(&destination->endpoint));
    if (fd < 0)
        return fd;

    int error = transport_open(&client->transport, crowd->epoll, fd, client);

    if (!error)
        client->state = CLIENT_CONNECTING;
    return error;
}

bool client_try_next_address(struct client *client)
{
    struct destination *destination = client->destination;

    if (client->state != CLIENT_CONNECTING || !endpoint_advance(&destination->endpoint))
        return false;
    release(client);
    return client_dial(client, client->crowd, destination, client->index) == 0;
}

void client_flush(struct client *client)
{
    struct buffer *output = &client->output;

    if (client->state == CLIENT_CLOSED || output->size == 0)
        return;

    ssize_t sent = transport_send(&client->transport, output->data, output->size);

    if (sent < 0 && sent != -EAGAIN) {
        end_by_error(client, (int)sent);
        return;
    }
    if (sent > 0)
        buffer_consume(output, (size_t)sent);
    transport_wait_for_room(&client->transport, output->size > 0);
}

/* xorshift: servers must unmask, nobody here attacks a proxy by guessing masks (§10.3). */
static uint32_t next_mask(struct crowd *crowd)
{
    uint32_t mask = crowd->mask;

    mask ^= mask << 13;
    mask ^= mask >> 17;
    mask ^= mask << 5;
    crowd->mask = mask;
    return mask;
}

static void write_frame(struct client *client, enum frame_opcode opcode, const void *data,
                        size_t size)
{
    frame_append(&client->output, opcode, next_mask(client->crowd), data, size);
}

void client_write_message(struct client *client, const void *data, size_t size)
{
    if (client->state == CLIENT_OPEN)
        write_frame(client, FRAME_TEXT, data, size);
}

void client_write_ping(struct client *client)
{
    if (client->state != CLIENT_OPEN)
        return;
    client->waits_for_pong = true;
    write_frame(client, FRAME_PING, "end", 3);
}

void client_close(struct client *client)
{
    static const unsigned char normal[2] = {1000 >> 8, 1000 & 0xff};

    if (client->state == CLIENT_OPEN && client->output.size == 0) {
        write_frame(client, FRAME_CLOSE, normal, sizeof(normal));
        (void)transport_send(&client->transport, client->output.data, client->output.size);
    }
    release(client);
}

static void end_by_close_frame(struct client *client, const unsigned char *data, uint64_t size)
{
    char reason[64 + FRAME_CONTROL_LIMIT];
    unsigned code = size >= 2 ? (unsigned)data[0] << 8 | data[1] : 1005;

    snprintf(reason, sizeof(reason), "closed by the server, code %u %.*s", code,
             size > 2 ? (int)size - 2 : 0, size > 2 ? (const char *)data + 2 : "");
    end(client, reason);
}

static void handle_message(struct client *client, const struct frame *frame,
                           const unsigned char *data)
{
    const struct client_events *events = client->crowd->events;

    if (frame->is_final && frame->opcode != FRAME_CONTINUATION) {
        events->message(client, data, frame->size);
        return;
    }
    if (client->parts.size + frame->size > client->crowd->message_limit) {
        end(client, "sent a message larger than any of ours");
        return;
    }
    buffer_append(&client->parts, data, frame->size);
    if (frame->is_final) {
        events->message(client, client->parts.data, client->parts.size);
        buffer_deinit(&client->parts);
    }
}

static void handle_frame(struct client *client, const struct frame *frame,
                         const unsigned char *data)
{
    switch (frame->opcode) {
    case FRAME_CONTINUATION:
    case FRAME_TEXT:
    case FRAME_BINARY:
        handle_message(client, frame, data);
        return;
    case FRAME_PING:
        write_frame(client, FRAME_PONG, data, frame->size);
        client_flush(client);
        return;
    case FRAME_PONG:
        if (client->waits_for_pong)
            client->crowd->events->pong(client);
        client->waits_for_pong = false;
        return;
    case FRAME_CLOSE:
        end_by_close_frame(client, data, frame->size);
        return;
    default:
        end(client, "sent an opcode that RFC 6455 does not know");
    }
}

/* Returns how many bytes were whole frames. */
static size_t read_frames(struct client *client, const unsigned char *data, size_t size)
{
    size_t used = 0;
    struct frame frame;

    while (client->state == CLIENT_OPEN && frame_read_header(data + used, size - used, &frame)) {
        if (frame.is_masked) {
            end(client, "sent a masked frame");
            break;
        }
        if (frame.size > client->crowd->message_limit ||
            (frame.opcode >= FRAME_CLOSE && frame.size > FRAME_CONTROL_LIMIT)) {
            end(client, "sent a message larger than any of ours");
            break;
        }
        if (size - used - frame.header_size < frame.size)
            break;
        handle_frame(client, &frame, data + used + frame.header_size);
        used += frame.header_size + frame.size;
    }
    return used;
}

/* Returns how many bytes belonged to the answer, 0 while it is incomplete. */
static size_t read_answer(struct client *client, const unsigned char *data, size_t size)
{
    char reason[UPGRADE_REASON_LIMIT];
    ssize_t used = upgrade_read_answer(data, size, reason);

    if (used < 0) {
        end(client, reason);
        return 0;
    }
    if (used > 0) {
        client->state = CLIENT_OPEN;
        client->crowd->events->opened(client);
    }
    return (size_t)used;
}

static void keep_rest(struct client *client, const unsigned char *data, size_t size)
{
    if (client->state == CLIENT_CLOSED || size == 0) {
        if (client->rest.capacity > 0)
            buffer_deinit(&client->rest);
        return;
    }
    client->rest.size = 0;
    buffer_append(&client->rest, data, size);
}

static void handle_bytes(struct client *client, const unsigned char *data, size_t size)
{
    size_t used = 0;

    if (client->state == CLIENT_HANDSHAKE)
        used = read_answer(client, data, size);
    if (client->state == CLIENT_OPEN)
        used += read_frames(client, data + used, size - used);
    keep_rest(client, data + used, size - used);
}

static void receive(struct client *client)
{
    struct crowd *crowd = client->crowd;
    size_t kept = client->rest.size;

    if (kept > 0)
        memcpy(crowd->read_buffer, client->rest.data, kept);

    ssize_t size = transport_receive(&client->transport, crowd->read_buffer + kept,
                                     crowd->read_capacity - kept);

    crowd->now_ns = clock_now_ns();
    if (size > 0)
        handle_bytes(client, crowd->read_buffer, kept + (size_t)size);
    else if (size == 0)
        end(client, "closed by the server without a close frame");
    else if (size != -EAGAIN)
        end_by_error(client, (int)size);
}

static void ask_for_upgrade(struct client *client)
{
    const struct buffer *request = &client->destination->request;

    client->state = CLIENT_HANDSHAKE;
    buffer_append(&client->output, request->data, request->size);
    client_flush(client);
}

static void secure(struct client *client)
{
    int error = transport_handshake(&client->transport);

    if (error == 0)
        ask_for_upgrade(client);
    else if (error != -EAGAIN)
        end_by_error(client, error);
}

static void start_to_secure(struct client *client)
{
    client->state = CLIENT_SECURING;
    if (transport_secure(&client->transport, client->crowd->tls, client->destination->url.host))
        end(client, "OpenSSL cannot begin");
    else
        secure(client);
}

static void finish_connect(struct client *client)
{
    struct crowd *crowd = client->crowd;
    int error = transport_finish_connect(&client->transport);

    if (!error) {
        client->destination->endpoint.is_reached = true;
        if (crowd->tls)
            start_to_secure(client);
        else
            ask_for_upgrade(client);
    } else if (!client_try_next_address(client)) {
        release(client);
        crowd->events->ended(client, strerror(-error));
    }
}

void client_handle(struct client *client, uint32_t epoll_events)
{
    if (client->state == CLIENT_CLOSED) /* earlier in the same batch of events */
        return;
    if (client->state == CLIENT_CONNECTING) {
        finish_connect(client);
        return;
    }
    if (client->state == CLIENT_SECURING) {
        secure(client);
        return;
    }
    if (epoll_events & EPOLLOUT)
        client_flush(client);
    if ((epoll_events & ~(uint32_t)EPOLLOUT) && client->state != CLIENT_CLOSED)
        receive(client);
}
