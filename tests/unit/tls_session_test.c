#include "tls_fixture.h"

static struct tls_context *server;
static struct tls_context *client;

static int make_contexts(void **state)
{
    (void)state;
    server = serve("localhost", (struct tls_options){0});
    client = trusting((struct tls_options){0});
    return 0;
}

static int free_contexts(void **state)
{
    (void)state;
    tls_context_unref(server);
    tls_context_unref(client);
    return 0;
}

static struct tls_ends shaken(void)
{
    struct tls_ends ends = make_ends(client, "localhost", server);

    assert_int_equal(shake(&ends), 0);
    return ends;
}

static void text_goes_both_ways(void **state)
{
    (void)state;
    struct tls_ends ends = shaken();
    char plain[64];
    struct buffer used;

    assert_int_equal(tls_session_write(ends.client, "question", 8, &ends.to_server), 0);
    feed(ends.server, &ends.to_server, &used);
    assert_int_equal(tls_session_read(ends.server, plain, sizeof(plain), &ends.to_client), 8);
    assert_memory_equal(plain, "question", 8);
    assert_int_equal(tls_session_read(ends.server, plain, sizeof(plain), &ends.to_client),
                     UV_EAGAIN);
    buffer_deinit(&used);
    assert_int_equal(tls_session_write(ends.server, "answer", 6, &ends.to_client), 0);
    feed(ends.client, &ends.to_client, &used);
    assert_int_equal(tls_session_read(ends.client, plain, sizeof(plain), &ends.to_server), 6);
    assert_memory_equal(plain, "answer", 6);
    buffer_deinit(&used);
    free_ends(&ends);
}

static void record_may_come_byte_by_byte(void **state)
{
    (void)state;
    struct tls_ends ends = shaken();
    unsigned char text[3000];
    unsigned char plain[4000];
    ssize_t size = 0;

    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (unsigned char)(i * 7);
    assert_int_equal(tls_session_write(ends.client, text, sizeof(text), &ends.to_server), 0);
    for (size_t i = 0; i < ends.to_server.size; i++) {
        unsigned char byte = ends.to_server.data[i]; /* which is gone when the next one comes */

        tls_session_feed(ends.server, &byte, 1);
        size = tls_session_read(ends.server, plain, sizeof(plain), &ends.to_client);
        if (i + 1 < ends.to_server.size)
            assert_int_equal(size, UV_EAGAIN);
    }
    assert_int_equal(size, sizeof(text));
    assert_memory_equal(plain, text, sizeof(text));
    free_ends(&ends);
}

static void goodbye_is_told_from_silence(void **state)
{
    (void)state;
    struct tls_ends ends = shaken();
    char plain[16];
    struct buffer used;

    tls_session_end(ends.client, &ends.to_server);
    feed(ends.server, &ends.to_server, &used);
    assert_int_equal(tls_session_read(ends.server, plain, sizeof(plain), &ends.to_client), UV_EOF);
    buffer_deinit(&used);
    /* The other direction is still there. */
    assert_int_equal(tls_session_write(ends.server, "bye", 3, &ends.to_client), 0);
    feed(ends.client, &ends.to_client, &used);
    assert_int_equal(tls_session_read(ends.client, plain, sizeof(plain), &ends.to_server), 3);
    buffer_deinit(&used);
    free_ends(&ends);
}

static void record_that_was_tampered_with_is_refused(void **state)
{
    (void)state;
    struct tls_ends ends = shaken();
    char plain[64];
    struct buffer used;

    assert_int_equal(tls_session_write(ends.client, "question", 8, &ends.to_server), 0);
    ends.to_server.data[ends.to_server.size - 1] ^= 1;
    feed(ends.server, &ends.to_server, &used);
    assert_int_equal(tls_session_read(ends.server, plain, sizeof(plain), &ends.to_client),
                     UV_EPROTO);
    assert_string_equal(tls_session_reason(ends.server), "decryption failed or bad record mac");
    assert_true(ends.to_client.size > 0); /* an alert */
    buffer_deinit(&used);
    free_ends(&ends);
}

static void plain_http_is_recognized(void **state)
{
    (void)state;
    static const char request[] = "GET / HTTP/1.1\r\n\r\n";
    struct tls_session *session = tls_session_create(server, NULL);
    struct buffer output = {0};

    tls_session_feed(session, request, sizeof(request) - 1);
    assert_int_equal(tls_session_handshake(session, &output), UV_EPROTO);
    assert_true(tls_session_met_http(session));
    assert_string_equal(tls_session_reason(session), "http request");
    buffer_deinit(&output);
    tls_session_destroy(session);
}

static void garbage_is_no_tls(void **state)
{
    (void)state;
    struct tls_session *session = tls_session_create(server, NULL);
    struct buffer output = {0};

    tls_session_feed(session, "\xff\x00\x13garbage garbage", 18);
    assert_int_equal(tls_session_handshake(session, &output), UV_EPROTO);
    assert_false(tls_session_met_http(session));
    assert_string_equal(tls_session_reason(session), "this is no TLS");
    buffer_deinit(&output);
    tls_session_destroy(session);
}

/* Who wants a server that the certificate does not name. */
static void assert_refused(struct tls_context *to, const char *host, const char *reason)
{
    struct tls_ends ends = make_ends(client, host, to);

    assert_int_equal(shake(&ends), UV_EPROTO);
    assert_string_equal(tls_session_reason(ends.client), reason);
    free_ends(&ends);
}

static void certificate_must_bear_the_host(void **state)
{
    (void)state;
    struct tls_ends ends = make_ends(client, "127.0.0.1", server);

    assert_int_equal(shake(&ends), 0);
    free_ends(&ends);
    assert_refused(server, "other.example", "hostname mismatch");
    assert_refused(server, "127.0.0.2", "IP address mismatch");
}

static void certificate_must_be_valid_and_of_the_authority(void **state)
{
    (void)state;
    struct authority stranger;

    issue(&authority, "expired", "DNS:localhost", -10);

    struct tls_context *expired = serve("expired", (struct tls_options){0});

    assert_refused(expired, "localhost", "certificate has expired");
    tls_context_unref(expired);
    make_authority(&stranger, "stranger");
    issue(&stranger, "foreign", "DNS:localhost", DAY);

    struct tls_context *foreign = serve("foreign", (struct tls_options){0});

    assert_refused(foreign, "localhost", "unable to get local issuer certificate");
    tls_context_unref(foreign);
    free_authority(&stranger);
}

static void server_with_a_ca_wants_a_certificate(void **state)
{
    (void)state;
    struct tls_context *strict = serve("localhost", (struct tls_options){.ca = authority.file});
    struct tls_ends ends = make_ends(client, "localhost", strict);
    struct tls_pair pair = {in_directory("localhost.pem"), in_directory("localhost.key")};
    struct tls_context *known = trusting((struct tls_options){.pairs = &pair, .pair_count = 1});

    /* With TLS 1.3 the client is done before the server has looked. */
    assert_int_equal(shake(&ends), UV_EPROTO);
    assert_string_equal(tls_session_reason(ends.server), "peer did not return a certificate");
    free_ends(&ends);
    ends = make_ends(known, "localhost", strict);
    assert_int_equal(shake(&ends), 0);
    free_ends(&ends);
    tls_context_unref(known);
    tls_context_unref(strict);
}

#define WITH_CONTEXTS(test) cmocka_unit_test_setup_teardown(test, make_contexts, free_contexts)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_CONTEXTS(text_goes_both_ways),
        WITH_CONTEXTS(record_may_come_byte_by_byte),
        WITH_CONTEXTS(goodbye_is_told_from_silence),
        WITH_CONTEXTS(record_that_was_tampered_with_is_refused),
        WITH_CONTEXTS(plain_http_is_recognized),
        WITH_CONTEXTS(garbage_is_no_tls),
        WITH_CONTEXTS(certificate_must_bear_the_host),
        WITH_CONTEXTS(certificate_must_be_valid_and_of_the_authority),
        WITH_CONTEXTS(server_with_a_ca_wants_a_certificate),
    };

    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
