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

/* A file of each, both PEM: the chain, own certificate first, and its key, which must not be
 * encrypted. */
struct tls_pair {
    const char *certificate;
    const char *key;
};

struct tls_options {
    /* Servers show the first that has the name asked for, else [0]; and, to clients that want
     * another kind of key (RSA, ECDSA), the first of that kind that has all of its names. One that
     * has another beside it like that goes before one that has none. */
    const struct tls_pair *pairs;
    size_t pair_count;
    const char *ca;   /* whom to trust; NULL or "": servers ask for no certificate, clients
                         trust whom this machine trusts */
    unsigned minimum; /* 12 or 13 */
    bool is_http;     /* ALPN is http/1.1 */
    bool may_offload; /* the kernel is to encrypt what is sent, where it can (kernel_tls.h) */
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

bool tls_context_may_offload(const struct tls_context *context);

/* When the first of our certificates ends, in seconds since 1970; 0: there is none. */
int64_t tls_context_expiry(const struct tls_context *context);

/* A file that the context was made from: of a pair our own certificate counts, of a CA's the one
 * that ends first. */
struct tls_file {
    char *path;
    int64_t expiry; /* in seconds since 1970 */
};

/* Each file once. */
const struct tls_file *tls_context_files(const struct tls_context *context, size_t *count);

/* What sessions are made from. */
SSL_CTX *tls_context_ssl(const struct tls_context *context);

#endif
