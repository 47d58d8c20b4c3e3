/*
 * bench-bare: the least that a broadcast WebSocket server can do, as the yardstick beside which the
 * gateway is measured. One thread, one epoll, no channels, no history, no deadlines, no checks:
 * a message is unmasked and sent to everybody.
 *
 *   --mode per-message   one send() for each message and client, at once
 *   --mode per-tick      what one epoll_wait brought is gathered, then one send() for each client
 *   --mode io-uring      the same, with the sends handed to the kernel in batches
 *
 * What a socket does not take waits for room, uncopied. With --fault it does wrong what the
 * load generator must notice: loses, doubles or swaps a message for one client, does nothing at all
 * for a second, or dies.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/block.h"
#include "common/buffer.h"
#include "common/memory.h"
#include "common/send_ring.h"

#define EVENT_COUNT  1024
#define READ_BYTES   ((size_t)256 * 1024)
#define BACKLOG      4096
#define PARTS        64  /* of one sendmsg */
#define FAULTY_AFTER 100 /* messages */

enum opcode { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum fault { NONE, LOSE, DOUBLE, REORDER, PAUSE, DIE };

struct peer {
    int fd;
    bool is_open;
    uint32_t index;        /* among the open ones */
    struct buffer input;   /* an incomplete request or frame */
    struct buffer waiting; /* for the socket to take more: a struct rest for each block */
};

/* Shared with all that wait for the same, so that a full socket costs no copy. */
struct rest {
    struct block *block;
    size_t offset;
};

static struct server {
    int epoll;
    int listener;
    bool is_per_tick;
    struct send_ring *ring; /* NULL: one send() each */
    enum fault fault;
    struct peer **open;
    uint32_t open_count;
    uint32_t open_capacity;
    uint64_t messages;
    struct block *tick; /* NULL: nothing has come yet */
    struct block *held; /* the message that --fault reorder keeps back */
    unsigned char read_buffer[READ_BYTES];
} server;

static void watch(int operation, int fd, void *subject, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = subject};

    if (epoll_ctl(server.epoll, operation, fd, &event) < 0) {
        perror("bench-bare: epoll_ctl");
        exit(1);
    }
}

/* Drops what has been sent of what waits. */
static void advance(struct peer *peer, size_t sent)
{
    struct rest rest;

    while (peer->waiting.size > 0) {
        memcpy(&rest, peer->waiting.data, sizeof(rest));
        if (sent < rest.block->size - rest.offset) {
            rest.offset += sent;
            memcpy(peer->waiting.data, &rest, sizeof(rest));
            return;
        }
        sent -= rest.block->size - rest.offset;
        block_unref(rest.block);
        buffer_consume(&peer->waiting, sizeof(rest));
    }
}

static void forget(struct peer *peer)
{
    if (peer->is_open) {
        struct peer *last = server.open[--server.open_count];

        server.open[peer->index] = last;
        last->index = peer->index;
    }
    close(peer->fd);
    buffer_deinit(&peer->input);
    advance(peer, SIZE_MAX);
    buffer_deinit(&peer->waiting);
    memory_free(peer);
}

/* What the socket did not take. */
static void keep(struct peer *peer, struct block *block, size_t offset)
{
    struct rest rest = {block, offset};

    if (offset == block->size)
        return;
    if (peer->waiting.size == 0)
        watch(EPOLL_CTL_MOD, peer->fd, peer, EPOLLIN | EPOLLOUT);
    block_ref(block);
    buffer_append(&peer->waiting, &rest, sizeof(rest));
}

/* A broken connection is noticed when it is read; here its bytes are just dropped. */
static void send_to(struct peer *peer, struct block *block)
{
    ssize_t sent = 0;

    if (peer->waiting.size == 0) {
        sent = send(peer->fd, block->data, block->size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN)
            return;
    }
    keep(peer, block, sent < 0 ? 0 : (size_t)sent);
}

static void send_waiting(struct peer *peer)
{
    struct iovec parts[PARTS];
    struct msghdr message = {.msg_iov = parts};
    struct rest rest;

    for (size_t at = 0; at < peer->waiting.size && message.msg_iovlen < PARTS; at += sizeof(rest)) {
        memcpy(&rest, peer->waiting.data + at, sizeof(rest));
        parts[message.msg_iovlen++] =
            (struct iovec){rest.block->data + rest.offset, rest.block->size - rest.offset};
    }

    ssize_t sent = sendmsg(peer->fd, &message, MSG_NOSIGNAL);

    if (sent > 0)
        advance(peer, (size_t)sent);
    if (peer->waiting.size > 0)
        return;
    buffer_deinit(&peer->waiting);
    watch(EPOLL_CTL_MOD, peer->fd, peer, EPOLLIN);
}

/* The block may move. */
static struct block *append_frame(struct block *block, enum opcode opcode,
                                  const unsigned char *data, size_t size)
{
    unsigned char head[10];
    size_t length_bytes = size < 126 ? 0 : size < 65536 ? 2 : 8;

    head[0] = (unsigned char)(0x80 | opcode);
    head[1] = (unsigned char)(length_bytes == 0 ? size : length_bytes == 2 ? 126 : 127);
    for (size_t i = 0; i < length_bytes; i++)
        head[2 + i] = (unsigned char)((uint64_t)size >> (8 * (length_bytes - 1 - i)));
    block = block_reserve(block, sizeof(head) + size);
    block_append(block, head, 2 + length_bytes);
    block_append(block, data, size);
    return block;
}

/* The first client gets it wrong once; `frame` is the message that the others get. */
static void send_faulty(struct peer *peer, struct block *frame)
{
    bool is_first = server.messages == FAULTY_AFTER;

    if (server.fault == REORDER && is_first) {
        server.held = block_ref(frame);
        return;
    }
    if (!(server.fault == LOSE && is_first))
        send_to(peer, frame);
    if (server.fault == DOUBLE && is_first)
        send_to(peer, frame);
    if (server.held) {
        send_to(peer, server.held);
        block_unref(server.held);
        server.held = NULL;
    }
}

static void send_batch(struct peer *const *peers, unsigned count, struct block *frames)
{
    struct ring_send sends[SEND_RING_LIMIT];

    for (unsigned i = 0; i < count; i++)
        sends[i] =
            (struct ring_send){.fd = peers[i]->fd, .data = frames->data, .size = frames->size};
    if (send_ring_send(server.ring, sends, count)) {
        fputs("bench-bare: io_uring failed\n", stderr);
        exit(1);
    }
    for (unsigned i = 0; i < count; i++)
        keep(peers[i], frames, sends[i].taken);
}

static void send_to_all_by_ring(struct block *frames)
{
    struct peer *batch[SEND_RING_LIMIT];
    unsigned count = 0;

    for (uint32_t i = 0; i < server.open_count; i++) {
        if (server.open[i]->waiting.size > 0)
            keep(server.open[i], frames, 0);
        else
            batch[count++] = server.open[i];
        if (count == SEND_RING_LIMIT) {
            send_batch(batch, count, frames);
            count = 0;
        }
    }
    send_batch(batch, count, frames);
}

static void send_to_all(struct block *frames)
{
    if (server.ring) {
        send_to_all_by_ring(frames);
        return;
    }
    for (uint32_t i = 0; i < server.open_count; i++) {
        if (i == 0 && server.fault != NONE)
            send_faulty(server.open[i], frames);
        else
            send_to(server.open[i], frames);
    }
}

static void end_tick(void)
{
    struct block *tick = server.tick;

    if (!tick)
        return;
    server.tick = NULL;
    send_to_all(tick);
    block_unref(tick);
}

static void broadcast(enum opcode opcode, const unsigned char *data, size_t size)
{
    if (++server.messages == FAULTY_AFTER && server.fault == DIE)
        _exit(1);
    if (server.messages == FAULTY_AFTER && server.fault == PAUSE)
        sleep(1);
    if (!server.tick)
        server.tick = block_create(2 * size);
    server.tick = append_frame(server.tick, opcode, data, size);
    if (!server.is_per_tick || server.fault != NONE)
        end_tick();
}

/* Frames of a generator that can be trusted. Returns the bytes used, or -1 at a close frame. */
static ssize_t read_frames(struct peer *peer, unsigned char *data, size_t size)
{
    size_t used = 0;

    while (size - used >= 6) {
        unsigned char *at = data + used;
        size_t payload = at[1] & 0x7f;
        size_t length_bytes = payload < 126 ? 0 : payload == 126 ? 2 : 8;

        if (size - used < 6 + length_bytes)
            break;
        if (length_bytes > 0)
            payload = 0;
        for (size_t i = 0; i < length_bytes; i++)
            payload = payload << 8 | at[2 + i];
        if (size - used - 6 - length_bytes < payload)
            break;

        const unsigned char *key = at + 2 + length_bytes;
        unsigned char *body = at + 6 + length_bytes;
        unsigned opcode = at[0] & 0x0f;

        for (size_t i = 0; i < payload; i++)
            body[i] ^= key[i & 3];
        used += 6 + length_bytes + payload;
        if (opcode == CLOSE)
            return -1;
        if (opcode == TEXT || opcode == BINARY) {
            broadcast((enum opcode)opcode, body, payload);
        } else if (opcode == PING) {
            struct block *pong = append_frame(block_create(16), PONG, body, payload);

            end_tick(); /* the pong says that everything before it has been sent */
            send_to(peer, pong);
            block_unref(pong);
        }
    }
    return (ssize_t)used;
}

static void append_accept(struct buffer *response, const unsigned char *key, size_t key_size)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455 §1.3 */
    struct buffer text = {0};
    unsigned char digest[SHA_DIGEST_LENGTH];
    unsigned char accept[32];

    buffer_append(&text, key, key_size);
    buffer_append_text(&text, guid);
    SHA1(text.data, text.size, digest);
    EVP_EncodeBlock(accept, digest, sizeof(digest));
    buffer_printf(response, "Sec-WebSocket-Accept: %s\r\n\r\n", (const char *)accept);
    buffer_deinit(&text);
}

static void send_text(struct peer *peer, const struct buffer *text)
{
    struct block *block = block_create(text->size);

    block_append(block, text->data, text->size);
    send_to(peer, block);
    block_unref(block);
}

static void open_peer(struct peer *peer)
{
    if (server.open_count == server.open_capacity) {
        server.open_capacity = server.open_capacity ? server.open_capacity * 2 : 64;
        server.open = memory_resize(server.open, server.open_capacity * sizeof(struct peer *));
    }
    peer->is_open = true;
    peer->index = server.open_count;
    server.open[server.open_count++] = peer;
}

static ssize_t read_handshake(struct peer *peer, const unsigned char *data, size_t size)
{
    static const char name[] = "Sec-WebSocket-Key: ";
    const unsigned char *end = memmem(data, size, "\r\n\r\n", 4);
    const unsigned char *key = memmem(data, size, name, sizeof(name) - 1);
    struct buffer response = {0};

    if (!end)
        return 0;
    if (!key || key > end)
        return -1;
    key += sizeof(name) - 1;
    buffer_append_text(&response, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\n");
    append_accept(&response, key, 24);
    send_text(peer, &response);
    buffer_deinit(&response);
    open_peer(peer);
    return end + 4 - data;
}

static void receive(struct peer *peer)
{
    unsigned char *data = server.read_buffer;
    size_t kept = peer->input.size;

    if (kept == READ_BYTES) { /* a message that this server has no room for */
        forget(peer);
        return;
    }
    if (kept > 0)
        memcpy(data, peer->input.data, kept);

    ssize_t received = recv(peer->fd, data + kept, READ_BYTES - kept, 0);

    if (received <= 0) {
        if (received == 0 || (errno != EAGAIN && errno != EINTR))
            forget(peer);
        return;
    }

    size_t size = kept + (size_t)received;
    ssize_t used = peer->is_open ? 0 : read_handshake(peer, data, size);

    if (used >= 0 && peer->is_open) {
        ssize_t frames = read_frames(peer, data + used, size - (size_t)used);

        used = frames < 0 ? -1 : used + frames;
    }
    if (used < 0) {
        forget(peer);
        return;
    }
    buffer_deinit(&peer->input);
    buffer_append(&peer->input, data + used, size - (size_t)used);
}

static void accept_all(void)
{
    int fd, on = 1;

    while ((fd = accept4(server.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct peer *peer = memory_zeroed(1, sizeof(*peer));

        peer->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        watch(EPOLL_CTL_ADD, fd, peer, EPOLLIN);
    }
}

static void serve(void)
{
    struct epoll_event events[EVENT_COUNT];

    for (;;) {
        int count = epoll_wait(server.epoll, events, EVENT_COUNT, -1);

        for (int i = 0; i < count; i++) {
            struct peer *peer = events[i].data.ptr;

            if (!peer)
                accept_all();
            else if (events[i].events & EPOLLOUT && peer->waiting.size > 0)
                send_waiting(peer); /* level-triggered: what there is to read shows again */
            else
                receive(peer);
        }
        end_tick();
    }
}

/* Listens on a free port and says which. 0, or -1 with errno set. */
static int listen_anywhere(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    server.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (server.listener < 0 || server.epoll < 0 ||
        bind(server.listener, (const struct sockaddr *)&address, size) < 0 ||
        listen(server.listener, BACKLOG) < 0 ||
        getsockname(server.listener, (struct sockaddr *)&address, &size) < 0)
        return -1;
    watch(EPOLL_CTL_ADD, server.listener, NULL, EPOLLIN);
    printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
    return fflush(stdout);
}

static bool read_option(const char *name, const char *value)
{
    static const char *const faults[] = {"none", "lose", "double", "reorder", "pause", "die"};

    if (strcmp(name, "--mode") == 0 && strcmp(value, "io-uring") == 0) {
        server.is_per_tick = true;
        return send_ring_create(&server.ring) == 0;
    }
    if (strcmp(name, "--mode") == 0) {
        server.is_per_tick = strcmp(value, "per-tick") == 0;
        return server.is_per_tick || strcmp(value, "per-message") == 0;
    }
    for (int fault = NONE; fault <= DIE && strcmp(name, "--fault") == 0; fault++) {
        server.fault = (enum fault)fault;
        if (strcmp(value, faults[fault]) == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct rlimit limit;

    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc || !read_option(argv[i], argv[i + 1])) {
            fputs("Usage: bench-bare [--mode per-message|per-tick|io-uring]"
                  " [--fault none|lose|double|reorder|pause|die]\n",
                  stderr);
            return 2;
        }
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (listen_anywhere()) {
        perror("bench-bare");
        return 1;
    }
    serve();
}
