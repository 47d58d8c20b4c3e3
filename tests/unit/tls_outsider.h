/* A client of OpenSSL's own making, which meets a server of ours. */
#ifndef TESTS_TLS_OUTSIDER_H
#define TESTS_TLS_OUTSIDER_H

#include "tls_fixture.h"

/* One that takes whatever certificate it is given, and remembers a session. */
struct outsider {
    SSL_CTX *context;
    SSL *tls;
    BIO *in;
    BIO *out;
    SSL_SESSION *session;
};

static inline void connect_outsider(struct outsider *outsider)
{
    outsider->tls = SSL_new(outsider->context);
    outsider->in = BIO_new(BIO_s_mem());
    outsider->out = BIO_new(BIO_s_mem());
    SSL_set_bio(outsider->tls, outsider->in, outsider->out);
    SSL_set_connect_state(outsider->tls);
    if (outsider->session)
        SSL_set_session(outsider->tls, outsider->session);
}

static inline struct outsider make_outsider(void)
{
    return (struct outsider){.context = SSL_CTX_new(TLS_client_method())};
}

/* With the newest session, and in peace: OpenSSL takes up none of a connection that broke. */
static inline void leave(struct outsider *outsider)
{
    SSL_SESSION_free(outsider->session);
    outsider->session = SSL_get1_session(outsider->tls);
    SSL_set_shutdown(outsider->tls, SSL_SENT_SHUTDOWN);
    SSL_free(outsider->tls);
}

static inline void free_outsider(struct outsider *outsider)
{
    SSL_SESSION_free(outsider->session);
    SSL_free(outsider->tls);
    SSL_CTX_free(outsider->context);
}

/* 0, or what the server made of it. The client has read what came behind the handshake. */
static inline int meet(struct outsider *outsider, struct tls_session *server)
{
    int result = UV_EAGAIN;
    unsigned char bytes[20000];
    char plain[16];

    for (unsigned i = 0; i < 10 && result == UV_EAGAIN; i++) {
        struct buffer output = {0};

        SSL_do_handshake(outsider->tls);

        int size = BIO_read(outsider->out, bytes, sizeof(bytes));

        tls_session_feed(server, bytes, size > 0 ? (size_t)size : 0);
        result = tls_session_handshake(server, &output);
        BIO_write(outsider->in, output.data, (int)output.size);
        buffer_deinit(&output);
    }
    SSL_do_handshake(outsider->tls);
    SSL_read(outsider->tls, plain, sizeof(plain));
    return result;
}

/* Who meets a fresh session of this server. True if they got on; `resumed` may be NULL. */
static inline bool visit(struct outsider *outsider, struct tls_context *server, bool *resumed)
{
    struct tls_session *session = tls_session_create(server, NULL);

    connect_outsider(outsider);

    bool is_well = meet(outsider, session) == 0;

    if (resumed)
        *resumed = tls_session_was_resumed(session);
    tls_session_destroy(session);
    return is_well;
}

#endif
