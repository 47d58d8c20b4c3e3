/*
 * A TLS context is what many connections share: certificates and keys, whom to trust, and our
 * rules: TLS 1.2 and 1.3, forward secrecy and authenticated encryption alone, no renegotiation, no
 * compression. Immutable and reference-counted, so that a reload puts a new one in its place while
 * the connections of the old one go on. Any thread.
 */
#ifndef COMMON_TLS_CONTEXT_H
#define COMMON_TLS_CONTEXT_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TLS_ERROR_LIMIT 512

struct tls_context;
struct tls_tickets;

/* A file of each, both PEM: the chain, own certificate first, and its key. */
struct tls_pair {
    const char *certificate;
    const char *key;
};

struct tls_options {
    const struct tls_pair *pairs; /* servers: the first that has the name asked for, else [0] */
    size_t pair_count;
    const char *ca;   /* whom to trust; NULL or "": servers ask for no certificate, clients
                         trust whom this machine trusts */
    unsigned minimum; /* 12 or 13 */
    bool is_http;     /* ALPN is http/1.1 */
    struct tls_tickets *tickets; /* servers: NULL hands out none */
};

/* Makes the context of a server or a client, with one reference. 0, or UV_EINVAL with one line in
 * `error` that names the file. */
int tls_context_serve(struct tls_context **context, const struct tls_options *options,
                      char error[TLS_ERROR_LIMIT]);
int tls_context_dial(struct tls_context **context, const struct tls_options *options,
                     char error[TLS_ERROR_LIMIT]);

struct tls_context *tls_context_ref(struct tls_context *context);

/* NULL is allowed. */
void tls_context_unref(struct tls_context *context);

bool tls_context_is_server(const struct tls_context *context);

/* When the first of our certificates ends, in seconds since 1970; 0: there is none. */
int64_t tls_context_expiry(const struct tls_context *context);

/* What sessions are made from. */
SSL_CTX *tls_context_ssl(const struct tls_context *context);

#endif
