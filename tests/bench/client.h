/*
 * One WebSocket client of the load generator (RFC 6455, client side), as cheap as it gets, because
 * the generator must not be what is measured: all clients read into one large buffer, frames are
 * parsed where they lie, and only the rest of an incomplete frame is kept.
 *
 * The clients of a run share a `struct crowd`: the epoll instance, the buffer, the events.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "tests/bench/decompressor.h"
#include "tests/bench/destination.h"
#include "tests/bench/transport.h"

struct client;

struct client_events {
    /* The handshake is done, and the channel joined. */
    void (*opened)(struct client *client);
    /* The payload of a message on the channel; gone after the call. */
    void (*message)(struct client *client, const unsigned char *data, size_t size);
    void (*pong)(struct client *client);
    /* The connection was not made or has ended; `reason` says why in a few words. The client is
     * closed. */
    void (*ended)(struct client *client, const char *reason);
};

struct crowd {
    int epoll;
    const struct client_events *events;
    void *context;
    SSL_CTX *tls;                      /* NULL: plain */
    struct decompressor *decompressor; /* NULL: nothing is compressed */
    struct buffer words;               /* a message under construction */
    size_t message_limit;
    unsigned char *read_buffer;
    size_t read_capacity;
    uint64_t now_ns; /* when the bytes at hand were received */
    uint32_t mask;   /* state of the generator of masks */
};

enum client_state {
    CLIENT_CLOSED,
    CLIENT_CONNECTING,
    CLIENT_SECURING, /* the handshake of TLS */
    CLIENT_HANDSHAKE,
    CLIENT_JOINING, /* the channel */
    CLIENT_OPEN,
};

struct client {
    struct crowd *crowd;
    struct destination *destination;
    struct transport transport;
    uint32_t index;
    enum client_state state;
    bool waits_for_pong;
    bool has_compressed_parts;
    struct buffer rest;   /* of an incomplete frame or handshake */
    struct buffer parts;  /* of a fragmented message */
    struct buffer unread; /* of an incomplete element of a stream */
    struct buffer output;
};

/* Prepares a zeroed crowd for messages of up to `message_limit` bytes. 0 or a negative errno. */
int crowd_init(struct crowd *crowd, const struct client_events *events, void *context,
               size_t message_limit);

/* Has the crowd speak TLS, with a server of any certificate if `is_insecure`. 0 or -EPROTO. */
int crowd_secure(struct crowd *crowd, bool is_insecure);

/* Lets the crowd take compressed messages. 0 or -EPROTO. */
int crowd_inflate(struct crowd *crowd);

void crowd_deinit(struct crowd *crowd);

/* Starts to connect; `opened` or `ended` follows. 0 or a negative errno. Until one has connected to
 * a destination there must be no other, as it looks for the address that answers. */
int client_dial(struct client *client, struct crowd *crowd, struct destination *destination,
                uint32_t index);

/* Gives up an address that does not answer. False if the host has no further one. */
bool client_try_next_address(struct client *client);

/* Something happened to the client's socket (an epoll event). */
void client_handle(struct client *client, uint32_t epoll_events);

/* Puts a message to the channel in line for client_flush. */
void client_write_message(struct client *client, const void *data, size_t size);

void client_write_ping(struct client *client);

/* Sends what is in line, or has it sent as soon as there is room. */
void client_flush(struct client *client);

/* Sends a close frame if it can, and closes the socket. No event follows. */
void client_close(struct client *client);

#endif
