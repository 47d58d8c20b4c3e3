/*
 * Links on a loop of their own, and sockets at their other ends. The host is a router that takes
 * messages of 1000 bytes. Included by one test program at a time.
 */
#ifndef TESTS_UNIT_ROUTER_LINK_FIXTURE_H
#define TESTS_UNIT_ROUTER_LINK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/memory.h"
#include "common/router_link.h"

#define WAIT_LIMIT_MS 60000
#define PULSE_MS      5
#define LARGE         ((size_t)65536)
#define MANY          1000 /* more than the kernel takes of them */

static struct loop loop;
static struct router_link_host host;
static struct router_identity identity;
static uv_timer_t pulse; /* lets a loop iteration end where nothing else happens */
static unsigned pulses;
static unsigned ready_count;
static unsigned closed_count;
static unsigned frame_count;
static uint64_t refused; /* the publish that was refused last */

static inline void on_pulse(uv_timer_t *timer)
{
    (void)timer;
    pulses++;
}

/* Runs the loop until `count` is `expected`. */
static inline void run_until(const unsigned *count, unsigned expected)
{
    for (pulses = 0; *count != expected; uv_run(&loop.uv, UV_RUN_ONCE)) {
        if (pulses > WAIT_LIMIT_MS / PULSE_MS)
            fail_msg("never");
    }
}

static inline bool on_greeted(struct router_link *link)
{
    (void)link;
    return true;
}

static inline void on_ready(struct router_link *link)
{
    (void)link;
    ready_count++;
}

static inline void on_frame(struct router_link *link, const struct router_frame *frame)
{
    (void)link;
    frame_count++;
    if (frame->kind == FRAME_REFUSED) {
        assert_int_equal(frame->refused.reason, REASON_INVALID);
        assert_int_equal(frame->channel_size, 4);
        assert_memory_equal(frame->channel, "room", 4);
        refused = frame->refused.sequence;
    }
}

static inline void on_closed(struct router_link *link, int error)
{
    (void)link;
    (void)error;
    closed_count++;
}

static const struct router_link_events events = {
    .hello = on_greeted,
    .welcome = on_greeted,
    .ready = on_ready,
    .frame = on_frame,
    .closed = on_closed,
};

static inline int set_up(void **state)
{
    (void)state;
    ready_count = 0;
    closed_count = 0;
    frame_count = 0;
    refused = 0;
    identity = (struct router_identity){.node = 1,
                                        .role = ROLE_ROUTER,
                                        .name = "r1",
                                        .address = "",
                                        .cluster = CLUSTER_NAME_DEFAULT,
                                        .shards = 1,
                                        .message_limit = 1000,
                                        .queue_limit = 1000000};
    if (loop_init(&loop) || router_link_host_init(&host, &loop, &identity) ||
        uv_timer_init(&loop.uv, &pulse))
        return -1;
    return uv_timer_start(&pulse, on_pulse, PULSE_MS, PULSE_MS);
}

static inline int tear_down(void **state)
{
    (void)state;
    router_link_host_close(&host);
    uv_close((uv_handle_t *)&pulse, NULL);
    loop_deinit(&loop);
    return 0;
}

static inline int listen_anywhere(struct sockaddr_in *address)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    socklen_t size = sizeof(*address);

    *address = (struct sockaddr_in){.sin_family = AF_INET};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(listener, (struct sockaddr *)address, size), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)address, &size), 0);
    assert_int_equal(listen(listener, 1), 0);
    return listener;
}

static inline void append_frame(struct buffer *bytes, const struct router_frame *frame)
{
    size_t start = bytes->size;

    buffer_reserve(bytes, FRAMING_HEADER_BYTES);
    bytes->size += FRAMING_HEADER_BYTES;
    router_frame_append(bytes, frame);
    framing_write_header(bytes->data + start, bytes->size - start - FRAMING_HEADER_BYTES);
}

/* Writes, and lets the loop run until the other side has read it all. */
static inline void write_all(int peer, const struct buffer *bytes)
{
    size_t at = 0;

    while (at < bytes->size) {
        ssize_t size = send(peer, bytes->data + at, bytes->size - at, MSG_DONTWAIT);

        at += size > 0 ? (size_t)size : 0;
        uv_run(&loop.uv, UV_RUN_ONCE);
    }
}

static inline void append_publish(struct buffer *bytes, uint64_t number, size_t size)
{
    unsigned char *data = memory_zeroed(size, 1);
    struct message *message = message_create(MESSAGE_BINARY, "room", 4, data, size);

    message->publisher = 2;
    message->sequence = number;
    append_frame(bytes, &(struct router_frame){
                            .kind = FRAME_PUBLISH,
                            .channel = "room",
                            .channel_size = 4,
                            .publish = {.message = message, .after = number - 1, .insist = true}});
    message_unref(message);
    memory_free(data);
}

static inline void append_hello_as(struct buffer *bytes, enum router_role role,
                                   unsigned capabilities)
{
    static const unsigned char nonce[ROUTER_NONCE_BYTES];

    append_frame(bytes, &(struct router_frame){.kind = FRAME_HELLO,
                                               .hello = {.version = ROUTER_VERSION,
                                                         .capabilities = capabilities,
                                                         .node = 2,
                                                         .role = role,
                                                         .name = "g",
                                                         .nonce = nonce}});
}

static inline void append_hello(struct buffer *bytes, unsigned capabilities)
{
    append_hello_as(bytes, ROLE_GATEWAY, capabilities);
}

/* A link that is ready, and the other end of its connection, which has read nothing. */
static inline int accept_ready_as(struct router_link *link, enum router_role role)
{
    struct sockaddr_in address;
    struct buffer greeting = {0};
    int listener = listen_anywhere(&address);
    int peer = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    append_hello_as(&greeting, role, 0);
    append_frame(&greeting, &(struct router_frame){.kind = FRAME_PROOF, .proof = {NULL, 0}});
    router_link_accept(
        link, &host, NULL,
        &(struct router_arrival){.socket = accept(listener, NULL, NULL), .read = greeting},
        &events);
    assert_int_equal(link->state, ROUTER_LINK_READY);
    close(listener);
    return peer;
}

static inline int accept_ready(struct router_link *link)
{
    return accept_ready_as(link, ROLE_GATEWAY);
}

#endif
