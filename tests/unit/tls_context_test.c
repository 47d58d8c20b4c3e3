/* What clients of OpenSSL's own making see of our rules. */
#include "tls_outsider.h"

#include <openssl/err.h>
#include <time.h>

static bool speaks(struct tls_context *server, int version, const char *ciphers)
{
    struct outsider outsider = make_outsider();

    SSL_CTX_set_security_level(outsider.context, 0);
    SSL_CTX_set_min_proto_version(outsider.context, version);
    SSL_CTX_set_max_proto_version(outsider.context, version);
    if (ciphers)
        assert_int_equal(SSL_CTX_set_cipher_list(outsider.context, ciphers), 1);

    bool is_well = visit(&outsider, server, NULL);

    free_outsider(&outsider);
    return is_well;
}

static void versions_and_ciphers_are_sound(void **state)
{
    (void)state;
    struct tls_context *server = serve("localhost", (struct tls_options){0});
    struct tls_context *modern = serve("localhost", (struct tls_options){.minimum = 13});

    assert_true(speaks(server, TLS1_3_VERSION, NULL));
    assert_true(speaks(server, TLS1_2_VERSION, NULL));
    assert_false(speaks(server, TLS1_1_VERSION, NULL));
    assert_true(speaks(server, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"));
    assert_false(speaks(server, TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA256")); /* CBC */
    assert_true(speaks(modern, TLS1_3_VERSION, NULL));
    assert_false(speaks(modern, TLS1_2_VERSION, NULL));
    tls_context_unref(server);
    tls_context_unref(modern);
}

static void only_http_1_1_is_offered(void **state)
{
    (void)state;
    struct tls_context *server = serve("localhost", (struct tls_options){.is_http = true});
    struct outsider outsider = make_outsider();
    const unsigned char *chosen;
    unsigned size;

    SSL_CTX_set_alpn_protos(outsider.context, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    assert_true(visit(&outsider, server, NULL));
    SSL_get0_alpn_selected(outsider.tls, &chosen, &size);
    assert_int_equal(size, 8);
    assert_memory_equal(chosen, "http/1.1", 8);
    free_outsider(&outsider);

    outsider = make_outsider();
    SSL_CTX_set_alpn_protos(outsider.context, (const unsigned char *)"\x02h2", 3);
    assert_false(visit(&outsider, server, NULL));
    free_outsider(&outsider);

    outsider = make_outsider(); /* who asks for none gets none */
    assert_true(visit(&outsider, server, NULL));
    free_outsider(&outsider);
    tls_context_unref(server);
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    struct tls_context *server = serve("localhost", (struct tls_options){0});
    struct tls_session *session = tls_session_create(server, NULL);
    struct outsider outsider = make_outsider();
    struct buffer output = {0};
    unsigned char bytes[4000];
    char plain[16];

    SSL_CTX_set_max_proto_version(outsider.context, TLS1_2_VERSION);
    connect_outsider(&outsider);
    assert_int_equal(meet(&outsider, session), 0);
    assert_int_equal(SSL_renegotiate(outsider.tls), 1);
    SSL_do_handshake(outsider.tls);

    int size = BIO_read(outsider.out, bytes, sizeof(bytes));

    tls_session_feed(session, bytes, (size_t)size);
    assert_int_equal(tls_session_read(session, plain, sizeof(plain), &output), UV_EAGAIN);
    BIO_write(outsider.in, output.data, (int)output.size);
    assert_true(SSL_do_handshake(outsider.tls) < 1);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    ERR_clear_error();
    buffer_deinit(&output);
    tls_session_destroy(session);
    free_outsider(&outsider);
    tls_context_unref(server);
}

/* Whom the server shows to a client that asks for a name (which may be NULL). */
static void expect_shown(struct outsider *outsider, struct tls_context *server, const char *asked,
                         const char *expected)
{
    struct tls_session *session = tls_session_create(server, NULL);
    char name[64] = "";

    connect_outsider(outsider);
    if (asked)
        SSL_set_tlsext_host_name(outsider->tls, asked);
    assert_int_equal(meet(outsider, session), 0);
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(outsider->tls)),
                              NID_commonName, name, sizeof(name));
    assert_string_equal(name, expected);
    tls_session_destroy(session);
    free_outsider(outsider);
}

static void certificate_is_chosen_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *asked;
        const char *expected;
    } cases[] = {
        {"one.example", "one"}, {"two.example", "two"},   {"deep.two.example", "two"},
        {"TWO.example", "two"}, {"three.example", "one"}, {"very.deep.two.example", "one"},
        {NULL, "one"},
    };
    struct tls_context *server;

    issue(&authority, "one", "DNS:one.example", DAY);
    issue(&authority, "two", "DNS:two.example,DNS:*.two.example", 10);

    struct tls_pair pairs[] = {{in_directory("one.pem"), in_directory("one.key")},
                               {in_directory("two.pem"), in_directory("two.key")}};
    struct tls_options options = {.pairs = pairs, .pair_count = 2};

    assert_int_equal(tls_context_serve(&server, &options, tls_error), 0);
    assert_in_range(tls_context_expiry(server), time(NULL), time(NULL) + 10);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct outsider outsider = make_outsider();

        expect_shown(&outsider, server, cases[i].asked, cases[i].expected);
    }
    tls_context_unref(server);
}

static void expect_shown_to(struct tls_context *server, int version, const char *signatures,
                            const char *asked, const char *expected)
{
    struct outsider outsider = make_outsider();

    SSL_CTX_set_max_proto_version(outsider.context, version);
    assert_int_equal(SSL_CTX_set1_sigalgs_list(outsider.context, signatures), 1);
    expect_shown(&outsider, server, asked, expected);
}

static void client_gets_the_kind_of_key_that_it_wants(void **state)
{
    (void)state;
    static const char rsa[] = "RSA-PSS+SHA256:RSA+SHA256";
    static const char ecdsa[] = "ECDSA+SHA256";
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_context *server;

    issue(&authority, "other", "DNS:other.example", DAY);
    issue_for(&authority, "wide-rsa", "DNS:a.example,DNS:*.b.example,IP:127.0.0.1", DAY,
              EVP_RSA_gen(2048));
    issue(&authority, "ecdsa", "DNS:*.b.example,DNS:a.example", DAY);

    struct tls_pair pairs[] = {{in_directory("other.pem"), in_directory("other.key")},
                               {in_directory("ecdsa.pem"), in_directory("ecdsa.key")},
                               {in_directory("wide-rsa.pem"), in_directory("wide-rsa.key")}};
    struct tls_options options = {.pairs = pairs, .pair_count = 3};

    assert_int_equal(tls_context_serve(&server, &options, tls_error), 0);
    for (size_t i = 0; i < 2; i++) {
        expect_shown_to(server, versions[i], rsa, "a.example", "wide-rsa");
        expect_shown_to(server, versions[i], ecdsa, "a.example", "ecdsa");
        expect_shown_to(server, versions[i], "ECDSA+SHA256:RSA-PSS+SHA256", "c.b.example", "ecdsa");
        expect_shown_to(server, versions[i], rsa, "c.b.example", "wide-rsa");
        expect_shown_to(server, versions[i], ecdsa, NULL, "other");
    }
    tls_context_unref(server);

    /* In whatever order: the ECDSA one has no address, so nothing stands in for the RSA one. */
    const struct tls_pair rsa_first[] = {pairs[2], pairs[1]};

    options = (struct tls_options){.pairs = rsa_first, .pair_count = 2};
    assert_int_equal(tls_context_serve(&server, &options, tls_error), 0);
    expect_shown_to(server, TLS1_3_VERSION, ecdsa, "a.example", "ecdsa");
    expect_shown_to(server, TLS1_3_VERSION, rsa, "a.example", "wide-rsa");
    expect_shown_to(server, TLS1_3_VERSION, rsa, NULL, "wide-rsa");

    struct outsider outsider = make_outsider();

    SSL_CTX_set1_sigalgs_list(outsider.context, ecdsa);
    assert_false(visit(&outsider, server, NULL));
    free_outsider(&outsider);
    tls_context_unref(server);
}

static void expect_file(const struct tls_file *file, const char *path, long lifetime)
{
    assert_string_equal(file->path, path);
    assert_in_range(file->expiry, time(NULL) + lifetime - 60, time(NULL) + lifetime);
}

static void every_file_has_an_end(void **state)
{
    (void)state;
    struct tls_context *server;
    char ca[PATH_LIMIT];
    size_t count;

    issue(&authority, "long", "DNS:a.example", 1000 * DAY);
    issue(&authority, "short", "DNS:b.example", 100 * DAY);
    snprintf(ca, sizeof(ca), "%s", authority.file);

    struct tls_pair pairs[] = {{in_directory("long.pem"), in_directory("long.key")},
                               {in_directory("short.pem"), in_directory("short.key")},
                               {in_directory("long.pem"), in_directory("long.key")}};
    struct tls_options options = {.pairs = pairs, .pair_count = 3, .ca = ca};

    assert_int_equal(tls_context_serve(&server, &options, tls_error), 0);

    const struct tls_file *files = tls_context_files(server, &count);

    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) { /* the CA's comes with the first pair */
        bool is_own = strcmp(files[i].path, ca) != 0;

        expect_file(&files[i], is_own ? pairs[i > 1].certificate : ca,
                    !is_own ? DAY
                    : i > 1 ? 100 * DAY
                            : 1000 * DAY);
    }
    tls_context_unref(server);
}

/* Files. */

static void assert_file_refused(const char *certificate, const char *key, const char *words)
{
    struct tls_pair pair = {certificate, key};
    struct tls_options options = {.pairs = &pair, .pair_count = 1};
    struct tls_context *context;

    assert_int_equal(tls_context_serve(&context, &options, tls_error), UV_EINVAL);
    assert_non_null(strstr(tls_error, words));
}

static void bad_files_are_named(void **state)
{
    (void)state;
    const char *certificate = in_directory("localhost.pem");
    const char *key = in_directory("localhost.key");
    const char *other = in_directory("other.key");
    const char *text = in_directory("text");
    struct tls_options options = {.ca = text};
    struct tls_context *context;

    issue(&authority, "other", "DNS:other", DAY);
    write_text(text, "no PEM\n");
    assert_file_refused("/nowhere.pem", key, "/nowhere.pem: No such file or directory");
    assert_file_refused(certificate, "/nowhere.key", "/nowhere.key: No such file or directory");
    assert_file_refused(text, key, "cannot use the certificate");
    assert_file_refused(certificate, text, "cannot use the key");
    assert_file_refused(certificate, other, "key values mismatch");
    assert_int_equal(tls_context_dial(&context, &options, tls_error), UV_EINVAL);
    assert_non_null(strstr(tls_error, "cannot use the CA file"));
}

static void key_of_another_kind_is_refused(void **state)
{
    (void)state;
    issue_for(&authority, "rsa", "DNS:a.example", DAY, EVP_RSA_gen(2048));
    assert_file_refused(in_directory("rsa.pem"), in_directory("localhost.key"),
                        "localhost.key: no certificate assigned");
}

/* And not asked for on the terminal. */
static void encrypted_key_is_refused(void **state)
{
    (void)state;
    const char *path = in_directory("encrypted.key");
    FILE *file = fopen(path, "we");
    EVP_PKEY *key = EVP_EC_gen("P-256");

    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, EVP_aes_128_cbc(),
                                          (const unsigned char *)"secret", 6, NULL, NULL),
                     1);
    fclose(file);
    EVP_PKEY_free(key);
    assert_file_refused(in_directory("localhost.pem"), path,
                        "encrypted.key: it is encrypted, and nobody is asked for a passphrase");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_and_ciphers_are_sound),
        cmocka_unit_test(only_http_1_1_is_offered),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(certificate_is_chosen_by_name),
        cmocka_unit_test(client_gets_the_kind_of_key_that_it_wants),
        cmocka_unit_test(every_file_has_an_end),
        cmocka_unit_test(bad_files_are_named),
        cmocka_unit_test(key_of_another_kind_is_refused),
        cmocka_unit_test(encrypted_key_is_refused),
    };

    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
