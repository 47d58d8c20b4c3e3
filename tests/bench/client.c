#include "tests/bench/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/memory.h"
#include "tests/bench/client_inside.h"
#include "tests/bench/clock.h"
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

int crowd_inflate(struct crowd *crowd)
{
    crowd->decompressor = decompressor_create(crowd->message_limit);
    return crowd->decompressor ? 0 : -EPROTO;
}

void crowd_deinit(struct crowd *crowd)
{
    tls_context_destroy(crowd->tls);
    decompressor_destroy(crowd->decompressor);
    buffer_deinit(&crowd->words);
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
    buffer_deinit(&client->unread);
    buffer_deinit(&client->output);
}

void client_end(struct client *client, const char *reason)
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
    client_end(client, reason);
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

void client_write_frame(struct client *client, enum frame_opcode opcode, const void *data,
                        size_t size)
{
    frame_append(&client->output, opcode, next_mask(client->crowd), data, size);
}

void client_write_words(struct client *client, const void *data, size_t size)
{
    bool is_binary = client->destination->protocol->is_binary;

    client_write_frame(client, is_binary ? FRAME_BINARY : FRAME_TEXT, data, size);
}

void client_write_message(struct client *client, const void *data, size_t size)
{
    struct buffer *words = &client->crowd->words;

    if (client->state != CLIENT_OPEN)
        return;
    words->size = 0;
    client->destination->protocol->publish(words, client->destination->channel, data, size);
    client_write_words(client, words->data, words->size);
}

void client_write_ping(struct client *client)
{
    if (client->state != CLIENT_OPEN)
        return;
    client->waits_for_pong = true;
    client_write_frame(client, FRAME_PING, "end", 3);
}

void client_close(struct client *client)
{
    static const unsigned char normal[2] = {1000 >> 8, 1000 & 0xff};

    if (client->state == CLIENT_OPEN && client->output.size == 0) {
        client_write_frame(client, FRAME_CLOSE, normal, sizeof(normal));
        (void)transport_send(&client->transport, client->output.data, client->output.size);
    }
    release(client);
}

/* Of a socket that has spoken lately the kernel acknowledges what comes later, in the hope of a
 * word that goes with it, and on loopback it is the server that pays for it: 0.5 us a delivery and
 * more. So protocols in which clients speak before they listen would look dearer than they are. */
static void acknowledge_as_listener(int fd)
{
    int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
}

void client_open(struct client *client)
{
    acknowledge_as_listener(client->transport.fd);
    client->state = CLIENT_OPEN;
    client->crowd->events->opened(client);
}

static void join(struct client *client)
{
    const struct protocol *protocol = client->destination->protocol;
    struct buffer *words = &client->crowd->words;

    if (!protocol->greet) {
        client_open(client);
        return;
    }
    client->state = CLIENT_JOINING;
    words->size = 0;
    protocol->greet(words, client->destination->channel);
    client_write_words(client, words->data, words->size);
    client_flush(client);
}

/* Returns how many bytes belonged to the answer, 0 while it is incomplete. */
static size_t read_answer(struct client *client, const unsigned char *data, size_t size)
{
    char reason[UPGRADE_REASON_LIMIT];
    ssize_t used = upgrade_read_answer(data, size, &client->destination->wish, reason);

    if (used < 0) {
        client_end(client, reason);
        return 0;
    }
    if (used > 0)
        join(client);
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
    if (client_is_upgraded(client))
        used += client_read_frames(client, data + used, size - used);
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
        client_end(client, "closed by the server without a close frame");
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
        client_end(client, "OpenSSL cannot begin");
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
