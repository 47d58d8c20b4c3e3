/* What clients of OpenSSL's own making see of our rules. */
#include "tls_fixture.h"

#include <openssl/err.h>
#include <time.h>

/* One that takes whatever certificate it is given, and remembers a session. */
struct outsider {
    SSL_CTX *context;
    SSL *tls;
    BIO *in;
    BIO *out;
    SSL_SESSION *session;
};

static void connect_outsider(struct outsider *outsider)
{
    outsider->tls = SSL_new(outsider->context);
    outsider->in = BIO_new(BIO_s_mem());
    outsider->out = BIO_new(BIO_s_mem());
    SSL_set_bio(outsider->tls, outsider->in, outsider->out);
    SSL_set_connect_state(outsider->tls);
    if (outsider->session)
        SSL_set_session(outsider->tls, outsider->session);
}

static struct outsider make_outsider(void)
{
    return (struct outsider){.context = SSL_CTX_new(TLS_client_method())};
}

/* With the newest session, and in peace: OpenSSL takes up none of a connection that broke. */
static void leave(struct outsider *outsider)
{
    SSL_SESSION_free(outsider->session);
    outsider->session = SSL_get1_session(outsider->tls);
    SSL_set_shutdown(outsider->tls, SSL_SENT_SHUTDOWN);
    SSL_free(outsider->tls);
}

static void free_outsider(struct outsider *outsider)
{
    SSL_SESSION_free(outsider->session);
    SSL_free(outsider->tls);
    SSL_CTX_free(outsider->context);
}

/* 0, or what the server made of it. The client has read what came behind the handshake. */
static int meet(struct outsider *outsider, struct tls_session *server)
{
    int result = UV_EAGAIN;
    unsigned char bytes[20000];
    char plain[16];

    for (unsigned i = 0; i < 10 && result == UV_EAGAIN; i++) {
        struct buffer output = {0};

        SSL_do_handshake(outsider->tls);

        int size = BIO_read(outsider->out, bytes, sizeof(bytes));

        tls_session_feed(server, bytes, size > 0 ? (size_t)size : 0);
        result = tls_session_handshake(server, &output);
        BIO_write(outsider->in, output.data, (int)output.size);
        buffer_deinit(&output);
    }
    SSL_do_handshake(outsider->tls);
    SSL_read(outsider->tls, plain, sizeof(plain));
    return result;
}

/* Who meets a fresh session of this server. True if they got on; `resumed` may be NULL. */
static bool visit(struct outsider *outsider, struct tls_context *server, bool *resumed)
{
    struct tls_session *session = tls_session_create(server, NULL);

    connect_outsider(outsider);

    bool is_well = meet(outsider, session) == 0;

    if (resumed)
        *resumed = tls_session_was_resumed(session);
    tls_session_destroy(session);
    return is_well;
}

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
        struct tls_session *session = tls_session_create(server, NULL);
        char name[64] = "";

        connect_outsider(&outsider);
        if (cases[i].asked)
            SSL_set_tlsext_host_name(outsider.tls, cases[i].asked);
        assert_int_equal(meet(&outsider, session), 0);
        X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(outsider.tls)),
                                  NID_commonName, name, sizeof(name));
        assert_string_equal(name, cases[i].expected);
        tls_session_destroy(session);
        free_outsider(&outsider);
    }
    tls_context_unref(server);
}

/* Ticket keys, and who takes up whose sessions. */

static struct tls_context *serve_with_keys(const char *keys)
{
    struct tls_tickets *tickets;
    size_t line;

    write_text(in_directory("tickets"), keys);
    assert_int_equal(tls_tickets_load(&tickets, in_directory("tickets"), &line), 0);

    struct tls_context *server = serve("localhost", (struct tls_options){.tickets = tickets});

    tls_tickets_unref(tickets);
    return server;
}

#define KEY_A "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n"
#define KEY_B "ffeeddccbbaa99887766554433221100FFEEDDCCBBAA99887766554433221100\n"

static void assert_resumes(int version)
{
    struct tls_context *first = serve_with_keys(KEY_A);
    struct tls_context *second = serve_with_keys("# rotated\n\n" KEY_B KEY_A);
    struct tls_context *third = serve_with_keys(KEY_B "  # the old one is gone\n");
    struct outsider outsider = make_outsider();
    bool was_resumed;

    SSL_CTX_set_max_proto_version(outsider.context, version);
    assert_true(visit(&outsider, first, &was_resumed));
    assert_false(was_resumed);
    leave(&outsider);
    assert_true(visit(&outsider, second, &was_resumed));
    assert_true(was_resumed);
    leave(&outsider);
    assert_true(visit(&outsider, third, &was_resumed)); /* the ticket was renewed with key B */
    assert_true(was_resumed);
    leave(&outsider);
    assert_true(visit(&outsider, first, &was_resumed)); /* which has no key B: a full handshake */
    assert_false(was_resumed);
    free_outsider(&outsider);
    tls_context_unref(first);
    tls_context_unref(second);
    tls_context_unref(third);
}

static void tickets_open_wherever_their_key_is(void **state)
{
    (void)state;
    assert_resumes(TLS1_3_VERSION);
    assert_resumes(TLS1_2_VERSION);
}

static void random_keys_are_nobody_elses(void **state)
{
    (void)state;
    struct tls_tickets *keys[2] = {tls_tickets_random(), tls_tickets_random()};
    struct tls_context *first = serve("localhost", (struct tls_options){.tickets = keys[0]});
    struct tls_context *second = serve("localhost", (struct tls_options){.tickets = keys[1]});
    struct outsider outsider = make_outsider();
    bool was_resumed;

    assert_true(visit(&outsider, first, &was_resumed));
    leave(&outsider);
    assert_true(visit(&outsider, first, &was_resumed));
    assert_true(was_resumed);
    leave(&outsider);
    assert_true(visit(&outsider, second, &was_resumed));
    assert_false(was_resumed);
    free_outsider(&outsider);
    tls_context_unref(first);
    tls_context_unref(second);
    tls_tickets_unref(keys[0]);
    tls_tickets_unref(keys[1]);
}

static void bad_ticket_keys_are_refused_by_line(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t line;
    } cases[] = {
        {"", 0}, {"# none\n", 0}, {"0011\n", 1}, {KEY_A "x" KEY_B, 2}, {KEY_A "\nsecret\n", 3},
    };
    struct tls_tickets *tickets;
    size_t line;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        write_text(in_directory("bad"), cases[i].text);
        assert_int_equal(tls_tickets_load(&tickets, in_directory("bad"), &line), UV_EINVAL);
        assert_int_equal(line, cases[i].line);
    }
    assert_int_equal(tls_tickets_load(&tickets, in_directory("missing"), &line), UV_ENOENT);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_and_ciphers_are_sound),
        cmocka_unit_test(only_http_1_1_is_offered),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(certificate_is_chosen_by_name),
        cmocka_unit_test(tickets_open_wherever_their_key_is),
        cmocka_unit_test(random_keys_are_nobody_elses),
        cmocka_unit_test(bad_ticket_keys_are_refused_by_line),
        cmocka_unit_test(bad_files_are_named),
    };

    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
