/*
 * OpenSSL reads and writes through a BIO of our own, whose two sides are the caller's memory of the
 * moment. So no ciphertext is ever kept here, and an idle session has no buffers at all: OpenSSL
 * frees its own when they are empty (SSL_MODE_RELEASE_BUFFERS).
 *
 * Where the kernel may encrypt, our writing BIO stands before a socket BIO of OpenSSL's own, which
 * knows how it is told (its controls for that have no public names, and here they need none): all
 * that we do not know ourselves is left to it. OpenSSL flushes the BIO right before it hands over
 * the keys; what was written by then the kernel must have, since it would encrypt it once more.
 * From then on OpenSSL writes alerts, tickets and what ends a TLS 1.2 handshake, record by record,
 * and the socket BIO says of which kind each is.
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
    BIO *socket;           /* NULL: the kernel does not encrypt, and will not */
    bool (*flush)(void *owner);
    void *owner;
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

/* A record of ours in the kernel's stream. */
static int send_record(struct tls_session *session, BIO *bio, const char *data, size_t size)
{
    if (BIO_write(session->socket, data, (int)size) > 0)
        return 1;
    if (BIO_should_retry(session->socket))
        BIO_set_retry_write(bio);
    return 0;
}

static int bio_write(BIO *bio, const char *data, size_t size, size_t *written)
{
    struct tls_session *session = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (tls_session_is_offloaded(session)) {
        *written = size;
        return send_record(session, bio, data, size);
    }
    buffer_append(session->output, data, size);
    *written = size;
    return 1;
}

static void withdraw_offer(struct tls_session *session)
{
    BIO_free(session->socket);
    session->socket = NULL;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    struct tls_session *session = BIO_get_data(bio);

    if (command != BIO_CTRL_FLUSH)
        return session->socket ? BIO_ctrl(session->socket, command, number, pointer) : 0;
    if (session->socket && !tls_session_is_offloaded(session) && !session->flush(session->owner))
        withdraw_offer(session);
    return 1;
}

static long bio_read_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* which has nothing to do */
}

static BIO_METHOD *reading;
static BIO_METHOD *writing;

static BIO_METHOD *make_method(const char *name)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, name);

    if (!method)
        abort(); /* memory, which never fails here */
    return method;
}

static void make_methods(void)
{
    reading = make_method("bytes");
    BIO_meth_set_read_ex(reading, bio_read);
    BIO_meth_set_write_ex(reading, bio_write);
    BIO_meth_set_ctrl(reading, bio_read_control);
    writing = make_method("bytes for the kernel");
    BIO_meth_set_write_ex(writing, bio_write);
    BIO_meth_set_ctrl(writing, bio_control);
}

static BIO *bio_of(struct tls_session *session, BIO_METHOD *const *method)
{
    static uv_once_t once = UV_ONCE_INIT;
    BIO *bio;

    uv_once(&once, make_methods);
    bio = BIO_new(*method);
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
    BIO *bio = bio_of(session, &reading);

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
    BIO_free(session->socket);
    tls_context_unref(session->context);
    memory_free(session);
}

/* Reading stays with the other BIO, or OpenSSL would give the kernel the keys of that, too. */
void tls_session_offer_kernel(struct tls_session *session, int socket, bool (*flush)(void *owner),
                              void *owner)
{
    session->socket = BIO_new_socket(socket, BIO_NOCLOSE);
    if (!session->socket)
        abort();
    session->flush = flush;
    session->owner = owner;
    SSL_set_options(session->tls, SSL_OP_ENABLE_KTLS);
    SSL_set0_wbio(session->tls, bio_of(session, &writing));
}

bool tls_session_is_offloaded(const struct tls_session *session)
{
    return session->socket && BIO_get_ktls_send(session->socket);
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

/* What an earlier call, maybe another session's, left behind would be taken for this one's. There
 * is hardly ever something, and to look costs a tenth of what it costs to clear. */
static void begin(struct tls_session *session, struct buffer *output)
{
    if (ERR_peek_error())
        ERR_clear_error();
    session->output = output;
}

int tls_session_handshake(struct tls_session *session, struct buffer *output)
{
    begin(session, output);

    int result = SSL_do_handshake(session->tls);

    if (result != 1)
        return outcome(session, result);
    if (session->socket && !tls_session_is_offloaded(session))
        withdraw_offer(session);
    return 0;
}

/*
 * The peer wants us to change our keys before we say more (RFC 8446 §4.6.3). Kernels before 6.14
 * cannot, nor can OpenSSL tell them; it waits with its answer for a write of its own, which does
 * not come. Who asks has seen too much under one key, so this is the end.
 */
static bool owes_other_keys(struct tls_session *session)
{
    if (!tls_session_is_offloaded(session) ||
        SSL_get_key_update_type(session->tls) == SSL_KEY_UPDATE_NONE)
        return false;
    session->reason = "it wants other keys, and the kernel has these";
    return true;
}

ssize_t tls_session_read(struct tls_session *session, void *plain, size_t capacity,
                         struct buffer *output)
{
    size_t size;

    begin(session, output);

    int result = SSL_read_ex(session->tls, plain, capacity, &size);

    if (result == 1)
        return (ssize_t)size;
    return owes_other_keys(session) ? UV_EPROTO : outcome(session, result);
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
