#include "tls_outsider.h"

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
    struct tls_tickets *keys[2] = {tls_tickets_random(0), tls_tickets_random(0)};
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

/* With a ticket that it keeps. */
static bool resumes(struct tls_context *server, SSL_SESSION *session)
{
    struct outsider outsider = make_outsider();
    bool was_resumed;

    SSL_SESSION_up_ref(session);
    outsider.session = session;
    SSL_CTX_set_max_proto_version(outsider.context, TLS1_2_VERSION);
    assert_true(visit(&outsider, server, &was_resumed));
    SSL_set_shutdown(outsider.tls, SSL_SENT_SHUTDOWN);
    free_outsider(&outsider);
    return was_resumed;
}

static void random_key_seals_for_its_time_and_opens_as_long_as_tickets_are_good(void **state)
{
    (void)state;
    const uint64_t start_ms = 5000;
    const uint64_t rotated_ms = start_ms + TLS_TICKET_KEY_MS;
    struct tls_tickets *keys = tls_tickets_random(start_ms);
    struct tls_context *server = serve("localhost", (struct tls_options){.tickets = keys});
    struct outsider outsider = make_outsider();

    SSL_CTX_set_max_proto_version(outsider.context, TLS1_2_VERSION); /* tickets are used again */
    assert_true(visit(&outsider, server, NULL));
    leave(&outsider);
    tls_tickets_rotate(keys, rotated_ms - 1);
    assert_true(resumes(server, outsider.session));
    tls_tickets_rotate(keys, rotated_ms);
    assert_true(resumes(server, outsider.session));

    struct outsider later = make_outsider();

    SSL_CTX_set_max_proto_version(later.context, TLS1_2_VERSION);
    assert_true(visit(&later, server, NULL));
    leave(&later);
    tls_tickets_rotate(keys, rotated_ms + TLS_TICKET_LIFETIME_MS - 1);
    assert_true(resumes(server, outsider.session));
    tls_tickets_rotate(keys, rotated_ms + TLS_TICKET_LIFETIME_MS);
    assert_false(resumes(server, outsider.session));
    assert_true(resumes(server, later.session));

    tls_tickets_rotate(keys, rotated_ms + 5 * TLS_TICKET_KEY_MS); /* nobody came for long */
    assert_true(resumes(server, later.session));
    tls_tickets_rotate(keys, rotated_ms + 6 * TLS_TICKET_KEY_MS);
    assert_false(resumes(server, later.session));
    for (size_t i = 0; i < 2; i++) {
        SSL_SESSION_free(i ? later.session : outsider.session);
        SSL_CTX_free(i ? later.context : outsider.context);
    }
    tls_context_unref(server);
    tls_tickets_unref(keys);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tickets_open_wherever_their_key_is),
        cmocka_unit_test(random_keys_are_nobody_elses),
        cmocka_unit_test(random_key_seals_for_its_time_and_opens_as_long_as_tickets_are_good),
        cmocka_unit_test(bad_ticket_keys_are_refused_by_line),
    };

    return cmocka_run_group_tests(tests, make_authorities, free_authorities);
}
