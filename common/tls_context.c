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

/* What is shown to who asks for a name of a pair. */
struct shown {
    SSL_CTX *ssl;       /* its current certificate is the pair's */
    unsigned key_kinds; /* how many it has one of */
};

struct tls_context {
    atomic_uint references;
    bool is_server;
    bool may_offload;
    int64_t expiry;
    struct tls_tickets *tickets; /* NULL: none */
    struct tls_file *files;      /* room for one of each pair and the CA's */
    size_t file_count;
    size_t count;
    struct shown shown[]; /* one for each pair; one in any case */
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

/* SNI: a name that no certificate has gets the first, and the client decides. Of several that have
 * it the one that most clients can use is best. */
static int choose_certificate(SSL *tls, int *alert, void *argument)
{
    const struct tls_context *context = argument;
    const char *name = SSL_get_servername(tls, TLSEXT_NAMETYPE_host_name);

    const struct shown *best = NULL;

    (void)alert;
    for (size_t i = 0; name && i < context->count; i++) {
        const struct shown *shown = &context->shown[i];

        if ((!best || shown->key_kinds > best->key_kinds) &&
            X509_check_host(SSL_CTX_get0_certificate(shown->ssl), name, 0, 0, NULL) == 1)
            best = shown;
    }
    if (best)
        SSL_set_SSL_CTX(tls, best->ssl);
    return SSL_TLSEXT_ERR_OK;
}

static int64_t end_of(const X509 *certificate)
{
    struct tm parts;

    if (!ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &parts))
        return 0;
    return (int64_t)timegm(&parts);
}

static void note_file(struct tls_context *context, const char *path, int64_t expiry)
{
    struct tls_file *file = context->files;

    while (file < context->files + context->file_count && strcmp(file->path, path) != 0)
        file++;
    if (file == context->files + context->file_count) {
        *file = (struct tls_file){memory_copy_text(path, strlen(path)), expiry};
        context->file_count++;
    } else if (expiry < file->expiry) {
        file->expiry = expiry;
    }
}

/* OpenSSL would ask for it on the terminal. */
static int refuse_passphrase(char *passphrase, int capacity, int is_writing, void *was_asked)
{
    (void)passphrase;
    (void)capacity;
    (void)is_writing;
    *(bool *)was_asked = true;
    return -1;
}

static int load_key(SSL_CTX *ssl, const char *file, char error[TLS_ERROR_LIMIT])
{
    bool was_asked = false;

    SSL_CTX_set_default_passwd_cb(ssl, refuse_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, &was_asked);

    /* A key that does not fit is refused here, too, unless it is of another kind. */
    bool is_loaded = SSL_CTX_use_PrivateKey_file(ssl, file, SSL_FILETYPE_PEM) == 1 &&
                     SSL_CTX_check_private_key(ssl) == 1;

    SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
    SSL_CTX_set_default_passwd_cb(ssl, NULL);
    if (is_loaded)
        return 0;
    if (!was_asked)
        return refuse(error, "use the key", file);
    snprintf(error, TLS_ERROR_LIMIT,
             "cannot use the key %.300s: it is encrypted, and nobody is asked for a passphrase",
             file);
    ERR_clear_error();
    return UV_EINVAL;
}

static int load_pair(SSL_CTX *ssl, const struct tls_pair *pair, char error[TLS_ERROR_LIMIT])
{
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ssl, pair->certificate) != 1)
        return refuse(error, "use the certificate", pair->certificate);
    return load_key(ssl, pair->key, error);
}

static int load_own(struct tls_context *context, SSL_CTX *ssl, const struct tls_pair *pair,
                    char error[TLS_ERROR_LIMIT])
{
    int result = load_pair(ssl, pair, error);

    if (result)
        return result;

    int64_t end = end_of(SSL_CTX_get0_certificate(ssl));

    if (context->expiry == 0 || end < context->expiry)
        context->expiry = end;
    note_file(context, pair->certificate, end);
    return 0;
}

/* Another certificate beside a server's own, for clients that want another kind of key. */

/* As a bit; 0 for what a context has no place of its own for. */
static unsigned kind_of(const X509 *certificate)
{
    switch (EVP_PKEY_get_base_id(X509_get0_pubkey(certificate))) {
    case EVP_PKEY_RSA:
        return 1;
    case EVP_PKEY_EC:
        return 2;
    case EVP_PKEY_ED25519:
        return 4;
    default:
        return 0;
    }
}

static bool has_names_of(X509 *certificate, const X509 *own)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(own, NID_subject_alt_name, NULL, NULL);
    bool has_all = names != NULL;

    for (int i = 0; has_all && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        const ASN1_STRING *text = name->d.ia5;

        if (name->type == GEN_DNS)
            has_all = X509_check_host(certificate, (const char *)ASN1_STRING_get0_data(text),
                                      (size_t)ASN1_STRING_length(text), 0, NULL) == 1;
        else if (name->type == GEN_IPADD)
            has_all = X509_check_ip(certificate, ASN1_STRING_get0_data(text),
                                    (size_t)ASN1_STRING_length(text), 0) == 1;
    }
    GENERAL_NAMES_free(names);
    return has_all;
}

/* The pair's own certificate stays the one that is current, by which choose_certificate goes. */
static int add_kinds(struct tls_context *context, size_t index, const struct tls_options *options,
                     char error[TLS_ERROR_LIMIT])
{
    SSL_CTX *ssl = context->shown[index].ssl;
    X509 *own = SSL_CTX_get0_certificate(ssl);
    unsigned kinds = kind_of(own);
    int result = 0;

    for (size_t i = 0; kinds && !result && i < options->pair_count; i++) {
        X509 *other = SSL_CTX_get0_certificate(context->shown[i].ssl);
        unsigned kind = kind_of(other);

        if ((kind & ~kinds) == 0 || !has_names_of(other, own))
            continue;
        kinds |= kind;
        context->shown[index].key_kinds++;
        result = load_pair(ssl, &options->pairs[i], error);
    }
    SSL_CTX_select_current_cert(ssl, own);
    return result;
}

/* OpenSSL digests the extensions of a certificate when it first looks at them. Here it does so
 * before threads share them, which the thread sanitizer can follow. */
static void digest_trusted(struct tls_context *context, SSL_CTX *ssl, const char *file)
{
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ssl));

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

        if (!certificate)
            continue;
        X509_check_purpose(certificate, -1, 0);
        note_file(context, file, end_of(certificate));
    }
}

static int trust(struct tls_context *context, SSL_CTX *ssl, const struct tls_options *options,
                 char error[TLS_ERROR_LIMIT])
{
    bool is_server = context->is_server;
    bool has_ca = options->ca && options->ca[0] != '\0';

    if (has_ca && SSL_CTX_load_verify_file(ssl, options->ca) != 1)
        return refuse(error, "use the CA file", options->ca);
    if (has_ca)
        digest_trusted(context, ssl, options->ca);
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

    /* The shorter key is as good for what a browser sends, and encrypts a record of 1 KiB in a
     * tenth less time. ChaCha20 goes first with clients that put it first, having no AES in
     * hardware. */
    SSL_CTX_set_ciphersuites(
        ssl, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
    SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM+AES128:ECDHE+AESGCM:ECDHE+CHACHA20");
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
    context->shown[index] = (struct shown){.ssl = ssl, .key_kinds = 1};
    set_rules(ssl, options);
    if (context->is_server)
        set_server_rules(ssl, context, options);
    if (index < options->pair_count) {
        int result = load_own(context, ssl, &options->pairs[index], error);

        if (result)
            return result;
    }
    return trust(context, ssl, options, error);
}

static int create(struct tls_context **out, bool is_server, const struct tls_options *options,
                  char error[TLS_ERROR_LIMIT])
{
    size_t count = options->pair_count > 0 ? options->pair_count : 1;
    struct tls_context *context =
        memory_zeroed(1, sizeof(*context) + count * sizeof(context->shown[0]));

    atomic_init(&context->references, 1);
    context->is_server = is_server;
    context->may_offload = options->may_offload;
    context->count = count;
    context->tickets = options->tickets ? tls_tickets_ref(options->tickets) : NULL;
    context->files = memory_zeroed(count + 1, sizeof(*context->files));

    int result = 0;

    for (size_t i = 0; !result && i < count; i++)
        result = make(context, i, options, error);
    for (size_t i = 0; !result && is_server && i < options->pair_count; i++)
        result = add_kinds(context, i, options, error);
    if (result)
        tls_context_unref(context);
    else
        *out = context;
    return result;
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
        SSL_CTX_free(context->shown[i].ssl);
    for (size_t i = 0; i < context->file_count; i++)
        memory_free(context->files[i].path);
    memory_free(context->files);
    tls_tickets_unref(context->tickets);
    memory_free(context);
}

bool tls_context_is_server(const struct tls_context *context)
{
    return context->is_server;
}

bool tls_context_may_offload(const struct tls_context *context)
{
    return context->may_offload;
}

int64_t tls_context_expiry(const struct tls_context *context)
{
    return context->expiry;
}

const struct tls_file *tls_context_files(const struct tls_context *context, size_t *count)
{
    *count = context->file_count;
    return context->files;
}

SSL_CTX *tls_context_ssl(const struct tls_context *context)
{
    return context->shown[0].ssl;
}
