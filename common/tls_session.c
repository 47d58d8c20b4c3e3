/*
 * OpenSSL reads and writes through a BIO of our own, whose two sides are the caller's memory of the
 * moment. So no ciphertext is ever kept here, and an idle session has no buffers at all: OpenSSL
 * frees its own when they are empty (SSL_MODE_RELEASE_BUFFERS).
 */
#include "common/tls_session.h"

#include <assert.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"

struct tls_session {
    SSL *tls;
    struct tls_context *context;
    const unsigned char *input; /* what was fed and not used yet */
    size_t input_size;
    struct buffer *output; /* the caller's, during a call */
    const char *reason;
    bool met_http;
};

static int bio_read(BIO *bio, char *data, size_t size, size_t *taken)
{
    struct tls_session *session = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (session->input_size == 0) {
        BIO_set_retry_read(bio);
        *taken = 0;
        return 0;
    }
    *taken = size < session->input_size ? size : session->input_size;
    memcpy(data, session->input, *taken);
    session->input += *taken;
    session->input_size -= *taken;
    return 1;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *written)
{
    struct tls_session *session = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    buffer_append(session->output, data, size);
    *written = size;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* which has nothing to do */
}

static BIO_METHOD *method;

static void make_method(void)
{
    method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "bytes");
    if (!method)
        abort(); /* memory, which never fails here */
    BIO_meth_set_read_ex(method, bio_read);
    BIO_meth_set_write_ex(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
}

static BIO *bio_of(struct tls_session *session)
{
    static uv_once_t once = UV_ONCE_INIT;
    BIO *bio;

    uv_once(&once, make_method);
    bio = BIO_new(method);
    if (!bio)
        abort();
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    return bio;
}

/* The certificate must be for the address, or for the name, which the server is told (SNI). */
static void expect_host(SSL *tls, const char *host)
{
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls), host))
        return;
    SSL_set_hostflags(tls, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (!SSL_set1_host(tls, host) || !SSL_set_tlsext_host_name(tls, host))
        abort();
}

struct tls_session *tls_session_create(struct tls_context *context, const char *host)
{
    struct tls_session *session = memory_zeroed(1, sizeof(*session));
    BIO *bio = bio_of(session);

    session->context = tls_context_ref(context);
    session->tls = SSL_new(tls_context_ssl(context));
    if (!session->tls)
        abort();
    SSL_set_bio(session->tls, bio, bio);
    if (tls_context_is_server(context)) {
        SSL_set_accept_state(session->tls);
    } else {
        SSL_set_connect_state(session->tls);
        expect_host(session->tls, host);
    }
    return session;
}

void tls_session_destroy(struct tls_session *session)
{
    if (!session)
        return;
    SSL_free(session->tls);
    tls_context_unref(session->context);
    memory_free(session);
}

void tls_session_feed(struct tls_session *session, const void *data, size_t size)
{
    session->input = data;
    session->input_size = size;
}

static void note_failure(struct tls_session *session)
{
    long verdict = SSL_get_verify_result(session->tls);
    unsigned long code = ERR_peek_error();
    const char *words = ERR_reason_error_string(code);
    int reason = ERR_GET_REASON(code);

    session->met_http = ERR_GET_LIB(code) == ERR_LIB_SSL && reason == SSL_R_HTTP_REQUEST;
    if (verdict != X509_V_OK && reason == SSL_R_CERTIFICATE_VERIFY_FAILED)
        words = X509_verify_cert_error_string(verdict);
    else if (reason == SSL_R_WRONG_VERSION_NUMBER)
        words = "this is no TLS";
    session->reason = words ? words : "protocol error";
}

/* What a call of OpenSSL that returned `result`, which is no success, came to. */
static int outcome(struct tls_session *session, int result)
{
    switch (SSL_get_error(session->tls, result)) {
    case SSL_ERROR_WANT_READ:
        return UV_EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return UV_EOF;
    default:
        note_failure(session);
        return UV_EPROTO;
    }
}

/* What an earlier call, maybe another session's, left behind would be taken for this one's. */
static void begin(struct tls_session *session, struct buffer *output)
{
    ERR_clear_error();
    session->output = output;
}

int tls_session_handshake(struct tls_session *session, struct buffer *output)
{
    begin(session, output);

    int result = SSL_do_handshake(session->tls);

    return result == 1 ? 0 : outcome(session, result);
}

ssize_t tls_session_read(struct tls_session *session, void *plain, size_t capacity,
                         struct buffer *output)
{
    size_t size;

    begin(session, output);

    int result = SSL_read_ex(session->tls, plain, capacity, &size);

    return result == 1 ? (ssize_t)size : outcome(session, result);
}

int tls_session_write(struct tls_session *session, const void *plain, size_t size,
                      struct buffer *output)
{
    size_t written;

    begin(session, output);

    int result = SSL_write_ex(session->tls, plain, size, &written);

    if (result == 1)
        return 0;
    (void)outcome(session, result);
    return UV_EPROTO;
}

void tls_session_end(struct tls_session *session, struct buffer *output)
{
    begin(session, output);
    SSL_shutdown(session->tls);
}

const char *tls_session_reason(const struct tls_session *session)
{
    return session->reason ? session->reason : "";
}

bool tls_session_met_http(const struct tls_session *session)
{
    return session->met_http;
}

bool tls_session_was_resumed(const struct tls_session *session)
{
    return SSL_session_reused(session->tls);
}
