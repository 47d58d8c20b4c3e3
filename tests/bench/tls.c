#include "tests/bench/tls.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

SSL_CTX *tls_context_create(bool is_insecure)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());

    if (!context)
        return NULL;
    SSL_CTX_set_verify(context, is_insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_default_verify_paths(context);
    /* An end without TLS's own goodbye is the business of WebSocket, which has a close frame. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* Thousands of idle clients must not hold a buffer each. */
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    return context;
}

void tls_context_destroy(SSL_CTX *context)
{
    SSL_CTX_free(context);
}

/* The certificate must be for the address, or for the name, which the server is told (SNI). */
static bool expect_host(SSL *tls, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host))
        return true;
    return SSL_set1_host(tls, host) && SSL_set_tlsext_host_name(tls, host);
}

SSL *tls_create(SSL_CTX *context, int fd, const char *host)
{
    SSL *tls = SSL_new(context);

    if (!tls)
        return NULL;
    SSL_set_connect_state(tls);
    if (!SSL_set_fd(tls, fd) || !expect_host(tls, host)) {
        SSL_free(tls);
        return NULL;
    }
    return tls;
}

void tls_destroy(SSL *tls)
{
    if (tls && SSL_is_init_finished(tls))
        SSL_shutdown(tls);
    SSL_free(tls);
}

static int error_of(SSL *tls, int result)
{
    int error = errno; /* OpenSSL leaves that of the system call */

    switch (SSL_get_error(tls, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_SYSCALL:
        return error ? -error : -ECONNRESET;
    default:
        return -EPROTO;
    }
}

/* What an earlier call left behind would be taken for this one's. */
static void forget_errors(void)
{
    ERR_clear_error();
    errno = 0;
}

int tls_handshake(SSL *tls)
{
    forget_errors();

    int result = SSL_do_handshake(tls);

    return result == 1 ? 0 : error_of(tls, result);
}

ssize_t tls_receive(SSL *tls, void *data, size_t capacity)
{
    forget_errors();

    int result = SSL_read(tls, data, capacity > INT_MAX ? INT_MAX : (int)capacity);

    if (result > 0)
        return result;
    return SSL_get_error(tls, result) == SSL_ERROR_ZERO_RETURN ? 0 : error_of(tls, result);
}

ssize_t tls_send(SSL *tls, const void *data, size_t size)
{
    forget_errors();

    int result = SSL_write(tls, data, size > INT_MAX ? INT_MAX : (int)size);

    return result > 0 ? result : error_of(tls, result);
}

bool tls_wants_room(const SSL *tls)
{
    return SSL_want_write(tls);
}

void tls_explain(const SSL *tls, int error, char reason[TLS_REASON_LIMIT])
{
    long verdict = SSL_get_verify_result(tls);
    const char *words = ERR_reason_error_string(ERR_peek_error());

    if (error != -EPROTO)
        snprintf(reason, TLS_REASON_LIMIT, "TLS: %s", strerror(-error));
    else if (verdict != X509_V_OK && SSL_get_verify_mode(tls) != SSL_VERIFY_NONE)
        snprintf(reason, TLS_REASON_LIMIT, "certificate not accepted: %s (--insecure skips this)",
                 X509_verify_cert_error_string(verdict));
    else
        snprintf(reason, TLS_REASON_LIMIT, "TLS: %s", words ? words : "protocol error");
}
