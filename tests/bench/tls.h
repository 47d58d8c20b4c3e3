/*
 * TLS between a client and its socket, for wss:// (OpenSSL). Calls do not block; -EAGAIN means that
 * the socket has to be readable first, or writable where tls_wants_room says so. OpenSSL writes
 * with plain write(2), so the process has to ignore SIGPIPE.
 */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define TLS_REASON_LIMIT 192

/* What the connections of a run share. Certificates are checked against those that OpenSSL trusts
 * on this machine (SSL_CERT_FILE and SSL_CERT_DIR name others), unless `is_insecure`. NULL if
 * OpenSSL cannot. */
SSL_CTX *tls_context_create(bool is_insecure);
void tls_context_destroy(SSL_CTX *context);

/* Prepares TLS over a connected socket to `host`, a name or an address that the certificate must
 * bear. NULL if OpenSSL cannot. */
SSL *tls_create(SSL_CTX *context, int fd, const char *host);

/* Says goodbye if there is room for it. The socket stays open. NULL is allowed. */
void tls_destroy(SSL *tls);

/* 0 once both sides are ready, -EAGAIN, or another negative errno. */
int tls_handshake(SSL *tls);

/* Bytes, 0 at the end of the connection, or a negative errno. */
ssize_t tls_receive(SSL *tls, void *data, size_t capacity);

/* Bytes, or a negative errno; after -EAGAIN the same bytes must come again, more may follow. */
ssize_t tls_send(SSL *tls, const void *data, size_t size);

bool tls_wants_room(const SSL *tls);

/* Says in a few words why the last call failed with `error`. */
void tls_explain(const SSL *tls, int error, char reason[TLS_REASON_LIMIT]);

#endif
