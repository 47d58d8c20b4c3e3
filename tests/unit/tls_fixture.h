/* Both ends of a TLS connection, with memory between them: an authority that a client trusts, and
 * "localhost", the server that it has issued a certificate for. */
#ifndef TESTS_TLS_FIXTURE_H
#define TESTS_TLS_FIXTURE_H

#include "certificate_fixture.h"

#include <openssl/ssl.h>
#include <uv.h>

#include "common/buffer.h"
#include "common/tls_context.h"
#include "common/tls_session.h"
#include "common/tls_tickets.h"

static struct authority authority;
static char tls_error[TLS_ERROR_LIMIT];

static inline int make_authorities(void **state)
{
    (void)state;
    make_certificate_directory();
    make_authority(&authority, "authority");
    issue(&authority, "localhost", "DNS:localhost,IP:127.0.0.1", DAY);
    return 0;
}

static inline int free_authorities(void **state)
{
    (void)state;
    free_authority(&authority);
    remove_certificate_directory();
    return 0;
}

/* The context of a server with the certificate NAME.pem. */
static inline struct tls_context *serve(const char *name, struct tls_options options)
{
    struct tls_context *context;
    char certificate[64];
    char key[64];

    snprintf(certificate, sizeof(certificate), "%s.pem", name);
    snprintf(key, sizeof(key), "%s.key", name);

    struct tls_pair pair = {in_directory(certificate), in_directory(key)};

    options.pairs = &pair;
    options.pair_count = 1;
    assert_int_equal(tls_context_serve(&context, &options, tls_error), 0);
    return context;
}

/* The context of a client that trusts the authority. */
static inline struct tls_context *trusting(struct tls_options options)
{
    struct tls_context *context;

    if (!options.ca)
        options.ca = authority.file;
    assert_int_equal(tls_context_dial(&context, &options, tls_error), 0);
    return context;
}

struct tls_ends {
    struct tls_session *client;
    struct tls_session *server;
    struct buffer to_client;
    struct buffer to_server;
};

static inline void feed(struct tls_session *session, struct buffer *bytes, struct buffer *used)
{
    *used = *bytes;
    *bytes = (struct buffer){0};
    tls_session_feed(session, used->data, used->size);
}

/* Lets both shake hands until both are done, 0, or one of them has failed. */
static inline int shake(struct tls_ends *ends)
{
    int client = UV_EAGAIN;
    int server = UV_EAGAIN;

    for (unsigned i = 0; i < 10 && (client || server); i++) {
        struct buffer used;

        feed(ends->client, &ends->to_client, &used);
        client = tls_session_handshake(ends->client, &ends->to_server);
        buffer_deinit(&used);
        feed(ends->server, &ends->to_server, &used);
        server = tls_session_handshake(ends->server, &ends->to_client);
        buffer_deinit(&used);
        if ((client && client != UV_EAGAIN) || (server && server != UV_EAGAIN))
            return UV_EPROTO;
    }
    return client ? client : server;
}

/* The client is given `host` to want, and must be destroyed with both contexts' references. */
static inline struct tls_ends make_ends(struct tls_context *client, const char *host,
                                        struct tls_context *server)
{
    return (struct tls_ends){
        .client = tls_session_create(client, host),
        .server = tls_session_create(server, NULL),
    };
}

static inline void free_ends(struct tls_ends *ends)
{
    tls_session_destroy(ends->client);
    tls_session_destroy(ends->server);
    buffer_deinit(&ends->to_client);
    buffer_deinit(&ends->to_server);
}

#endif
