#include "common/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "common/memory.h"
#include "common/tls_tickets.h"

#define SESSION_ID "carillon"

struct tls_context {
    atomic_uint references;
    bool is_server;
    int64_t expiry;
    struct tls_tickets *tickets; /* NULL: none */
    size_t count;
    SSL_CTX *contexts[]; /* one for each pair; one in any case */
};

/* What OpenSSL says went wrong: the first thing, what follows comes of it. */
static const char *first_words(void)
{
    unsigned long code = ERR_peek_error();
    const char *words =
        ERR_SYSTEM_ERROR(code) ? strerror(ERR_GET_REASON(code)) : ERR_reason_error_string(code);

    return words ? words : "unknown error";
}

static int refuse(char error[TLS_ERROR_LIMIT], const char *action, const char *file)
{
    snprintf(error, TLS_ERROR_LIMIT, "cannot %s %.300s: %s", action, file, first_words());
    ERR_clear_error();
    return UV_EINVAL;
}

/* RFC 7301; a client that speaks other protocols alone is refused, as §3.2 wants it. */
static int choose_protocol(SSL *tls, const unsigned char **chosen, unsigned char *chosen_size,
                           const unsigned char *offered, unsigned offered_size, void *context)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *found;

    (void)tls;
    (void)context;
    if (SSL_select_next_proto(&found, chosen_size, ours, sizeof(ours) - 1, offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

/* SNI: a name that no certificate has gets the first, and the client decides. */
static int choose_certificate(SSL *tls, int *alert, void *argument)
{
    const struct tls_context *context = argument;
    const char *name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);

    (void)alert;
    for (size_t i = 0; name && i < context->count; i++) {
        X509 *certificate = SSL_CTX_get0_certificate(context->contexts[i]);

        if (X509_check_host(certificate, name, 0, 0, NULL) == 1) {
            SSL_set_SSL_CTX(tls, context->contexts[i]);
            break;
        }
    }
    return SSL_TLSEXT_ERR_OK;
}

static int64_t end_of(const X509 *certificate)
{
    struct tm parts;

    if (!ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts))
        return 0;
    return (int64_t)timegm(&parts);
}

static int load_pair(SSL_CTX *ssl, const struct tls_pair *pair, char error[TLS_ERROR_LIMIT])
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ssl, pair->certificate) != 1)
        return refuse(error, "use the certificate", pair->certificate);
    /* A key that does not fit is refused here, too. */
    if (SSL_CTX_use_PrivateKey_file(ssl, pair->key, SSL_FILETYPE_PEM) != 1)
        return refuse(error, "use the key", pair->key);
    return 0;
}

/* OpenSSL digests the extensions of a certificate when it first looks at them. Here it does so
 * before threads share them, which the thread sanitizer can follow. */
static void digest_trusted(SSL_CTX *ssl)
{
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

        if (certificate)
            X509_check_purpose(certificate, -1, 0);
    }
}

static int trust(SSL_CTX *ssl, const struct tls_options *options, bool is_server,
                 char error[TLS_ERROR_LIMIT])
{
    bool has_ca = options->ca && options->ca[0] != '\0';

    if (has_ca && SSL_CTX_load_verify_file(ssl, options->ca) != 1)
        return refuse(error, "use the CA file", options->ca);
    digest_trusted(ssl);
    if (!has_ca && !is_server)
        SSL_CTX_set_default_verify_paths(ssl);
    if (has_ca || !is_server)
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    if (has_ca && is_server)
        SSL_CTX_set_client_CA_list(ssl, SSL_load_client_CA_file(options->ca));
    return 0;
}

static void set_rules(SSL_CTX *ssl, const struct tls_options *options)
{
    SSL_CTX_set_min_proto_version(ssl, options->minimum == 13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* Thousands of idle connections must not hold buffers of 17 KB each. */
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set1_groups_list(ssl, "X25519:P-256:P-384");
    /* Sessions live in tickets, so that any gateway with the same keys can go on with them. */
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(ssl, (const unsigned char *)SESSION_ID, sizeof(SESSION_ID) - 1);
}

static void set_server_rules(SSL_CTX *ssl, struct tls_context *context,
                             const struct tls_options *options)
{
    if (options->is_http)
        SSL_CTX_set_alpn_select_cb(ssl, choose_protocol, NULL);
    SSL_CTX_set_tlsext_servername_callback(ssl, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(ssl, context);
    if (context->tickets) {
        tls_tickets_serve(context->tickets, ssl);
        SSL_CTX_set_num_tickets(ssl, 1); /* each resumption brings the next */
    } else {
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ssl, 0);
    }
}

static int make(struct tls_context *context, size_t index, const struct tls_options *options,
                char error[TLS_ERROR_LIMIT])
{
    SSL_CTX *ssl = SSL_CTX_new(context->is_server ? TLS_server_method() : TLS_client_method());

    if (!ssl)
        return refuse(error, "set up", "TLS");
    context->contexts[index] = ssl;
    set_rules(ssl, options);
    if (context->is_server)
        set_server_rules(ssl, context, options);
    if (index < options->pair_count) {
        int result = load_pair(ssl, &options->pairs[index], error);

        if (result)
            return result;

        int64_t end = end_of(SSL_CTX_get0_certificate(ssl));

        if (context->expiry == 0 || end < context->expiry)
            context->expiry = end;
    }
    return trust(ssl, options, context->is_server, error);
}

static int create(struct tls_context **out, bool is_server, const struct tls_options *options,
                  char error[TLS_ERROR_LIMIT])
{
    size_t count = options->pair_count > 0 ? options->pair_count : 1;
    struct tls_context *context =
        memory_zeroed(1, sizeof(*context) + count * sizeof(context->contexts[0]));

    atomic_init(&context->references, 1);
    context->is_server = is_server;
    context->count = count;
    context->tickets = options->tickets ? tls_tickets_ref(options->tickets) : NULL;
    for (size_t i = 0; i < count; i++) {
        int result = make(context, i, options, error);

        if (result) {
            tls_context_unref(context);
            return result;
        }
    }
    *out = context;
    return 0;
}

int tls_context_serve(struct tls_context **context, const struct tls_options *options,
                      char error[TLS_ERROR_LIMIT])
{
    return create(context, true, options, error);
}

int tls_context_dial(struct tls_context **context, const struct tls_options *options,
                     char error[TLS_ERROR_LIMIT])
{
    return create(context, false, options, error);
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    atomic_fetch_add_explicit(&context->references, 1, memory_order_relaxed);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || atomic_fetch_sub_explicit(&context->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < context->count; i++)
        SSL_CTX_free(context->contexts[i]);
    tls_tickets_unref(context->tickets);
    memory_free(context);
}

bool tls_context_is_server(const struct tls_context *context)
{
    return context->is_server;
}

int64_t tls_context_expiry(const struct tls_context *context)
{
    return context->expiry;
}

SSL_CTX *tls_context_ssl(const struct tls_context *context)
{
    return context->contexts[0];
}
