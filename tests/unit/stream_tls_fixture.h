/*
 * A stream with TLS, and a peer that is a session and a plain socket, so that a test decides when
 * which bytes travel. Where the kernel is offered to encrypt (a kind's `is_offered`), it does so on
 * a machine that can, and on others the same has to hold without.
 */
#ifndef TESTS_STREAM_TLS_FIXTURE_H
#define TESTS_STREAM_TLS_FIXTURE_H

#include "stream_fixture.h"
#include "tls_fixture.h"

#include "common/kernel_tls.h"

#define LARGE ((size_t)1024 * 1024)

/* What a client speaks with a stream that was accepted. */
struct kind {
    int version;
    const char *cipher; /* of TLS 1.3, or a list of older ones */
};

static struct tls_context *server;
static struct tls_context *offering; /* a server that lets the kernel encrypt */
static bool has_kernel_tls;
static struct tls_context *client;
static struct tls_session *session; /* the peer's */
static bool is_shaken;
static struct buffer taken; /* what the peer was sent, plain */
static ssize_t peer_end;    /* UV_EAGAIN, until it has heard the end */
static bool has_fin;

static inline int make_contexts(void **state)
{
    make_authorities(state);
    server = serve("localhost", (struct tls_options){0});
    offering = serve("localhost", (struct tls_options){.may_offload = true});
    has_kernel_tls = kernel_tls_probe() == 0;
    client = trusting((struct tls_options){0});
    return 0;
}

static inline int free_contexts(void **state)
{
    tls_context_unref(server);
    tls_context_unref(offering);
    tls_context_unref(client);
    return free_authorities(state);
}

static inline void send_all(int fd, struct buffer *output)
{
    for (size_t sent = 0; sent < output->size;) {
        ssize_t size = send(fd, output->data + sent, output->size - sent, 0);

        assert_true(size > 0);
        sent += (size_t)size;
    }
    buffer_deinit(output);
}

/* The peer reads so many bytes at most from its socket, and answers what TLS wants answered. */
static inline void pump(size_t limit)
{
    struct buffer bytes = {0};
    struct buffer output = {0};

    has_fin |= take(peer, &bytes, limit);
    tls_session_feed(session, bytes.data, bytes.size);
    if (!is_shaken && bytes.size > 0)
        is_shaken = tls_session_handshake(session, &output) == 0;
    while (is_shaken && peer_end == UV_EAGAIN) {
        ssize_t size = tls_session_read(session, buffer_reserve(&taken, 20000), 20000, &output);

        if (size > 0) {
            taken.size += (size_t)size;
            continue;
        }
        peer_end = size;
        if (size == UV_EAGAIN)
            break;
    }
    send_all(peer, &output);
    buffer_deinit(&bytes);
}

static inline void say(const void *text, size_t size)
{
    struct buffer output = {0};

    assert_int_equal(tls_session_write(session, text, size, &output), 0);
    send_all(peer, &output);
}

static inline void forget_peer(void)
{
    tls_session_destroy(session);
    session = NULL;
    buffer_deinit(&taken);
    is_shaken = false;
    has_fin = false;
    peer_end = UV_EAGAIN;
}

/* What the peer says waits for no acknowledgement. */
static inline void send_at_once(int fd)
{
    int on = 1;

    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
}

/* Connects over TCP; the handshake has not begun at the peer. */
static inline int make_client(void **state)
{
    struct sockaddr_in address;

    make_tcp(state);
    forget_peer();
    stream_secure(&subject->stream, client, "localhost");
    session = tls_session_create(server, NULL);

    int listener = listen_tcp(&address);

    assert_int_equal(stream_connect_tcp(&subject->stream, (struct sockaddr *)&address), 0);
    peer = accept_peer(listener);
    close(listener);
    send_at_once(peer);
    return 0;
}

static inline void shake_hands(void)
{
    RUN_UNTIL((pump(SIZE_MAX), subject->counts[CONNECTED] > 0));
    assert_int_equal(subject->connect_error, 0);
    RUN_UNTIL((pump(SIZE_MAX), is_shaken));
    make_tight(&subject->stream);
}

static inline int make_pair(void **state)
{
    make_client(state);
    shake_hands();
    return 0;
}

/* A stream that was accepted, with a client as its peer. */
static inline void accept_subject(void)
{
    struct sockaddr_in address;
    int listener;

    make_loop();
    forget_peer();
    listener = listen_tcp(&address);
    peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(peer, (struct sockaddr *)&address, sizeof(address)), 0);
    set_nonblocking(peer);
    send_at_once(peer);
    subject = memory_zeroed(1, sizeof(*subject));
    assert_int_equal(stream_accept(&subject->stream, &loop, accept_peer(listener), &subject_events),
                     0);
    close(listener);
    session = tls_session_create(client, "localhost");
}

static inline int make_server(void **state)
{
    struct buffer output = {0};

    (void)state;
    accept_subject();
    stream_secure(&subject->stream, server, NULL);
    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(tls_session_handshake(session, &output), UV_EAGAIN);
    send_all(peer, &output);
    return 0;
}

static inline int make_plain_server(void **state)
{
    (void)state;
    accept_subject();
    return 0;
}

/* The state is a kind. */
static inline int make_offered(void **state)
{
    const struct kind *kind = *state;
    SSL_CTX *ssl = tls_context_ssl(client);
    struct buffer output = {0};

    SSL_CTX_set_min_proto_version(ssl, kind->version);
    SSL_CTX_set_max_proto_version(ssl, kind->version);
    if (kind->version == TLS1_3_VERSION)
        assert_int_equal(SSL_CTX_set_ciphersuites(ssl, kind->cipher), 1);
    else
        assert_int_equal(SSL_CTX_set_cipher_list(ssl, kind->cipher), 1);
    accept_subject();
    stream_secure(&subject->stream, offering, NULL);
    assert_int_equal(stream_start(&subject->stream), 0);
    assert_int_equal(tls_session_handshake(session, &output), UV_EAGAIN);
    send_all(peer, &output);
    shake_hands();
    assert_int_equal(stream_is_offloaded(&subject->stream), has_kernel_tls);
    return 0;
}

static struct kind kinds[] = {
    {TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
    {TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
    {TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"},
    {TLS1_2_VERSION, "ECDHE+AESGCM"},
    {TLS1_2_VERSION, "ECDHE+CHACHA20"},
};

#define OFFERED_AS(test, kind, words)                                                              \
    {                                                                                              \
#test " (" words ")", test, make_offered, drop, &kinds[kind]                               \
    }
#define OFFERED(test)                                                                              \
    OFFERED_AS(test, 0, "1.3, AES-128"), OFFERED_AS(test, 1, "1.3, AES-256"),                      \
        OFFERED_AS(test, 2, "1.3, ChaCha20"), OFFERED_AS(test, 3, "1.2, AES"),                     \
        OFFERED_AS(test, 4, "1.2, ChaCha20")

static inline int drop(void **state)
{
    tear_down(state);
    forget_peer();
    return 0;
}

static inline void fill(unsigned char *bytes, size_t size, unsigned first)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(first + i * 31 + i / 256);
}

static inline struct block *make_block(size_t size, unsigned first)
{
    struct block *block = block_create(size);

    fill(block->data, size, first);
    block->size = size;
    return block;
}

static inline size_t queued(void)
{
    return stream_queued_bytes(&subject->stream);
}

#endif
