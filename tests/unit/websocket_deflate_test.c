/* Compressed messages among frames (RFC 7692 §6): what the reader makes of RSV1. */
#include "tests/unit/websocket_fixture.h"

#define RSV1            WEBSOCKET_COMPRESSED
#define COMPRESSED_TEXT (FIN_TEXT | RSV1)
#define COMPRESSED_BIN  (FIN_BIN | RSV1)
#define FRAGMENT_TEXT   (WEBSOCKET_TEXT | RSV1)
#define FRAGMENT_BIN    (WEBSOCKET_BINARY | RSV1)
#define FIN_CONT_BAD    (FIN_CONT | RSV1)

/* RFC 7692 §7.2.3.1: "Hello". */
static const char hello[7] = "\xf2\x48\xcd\xc9\xc9\x07";

static struct inflater own;

static int allow(void **state)
{
    (void)state;
    inflater = &own;
    return 0;
}

static int forbid(void **state)
{
    inflater = NULL;
    inflater_deinit(&own);
    return clear(state);
}

/* `size` bytes of `letter`, compressed, to be freed by the caller. */
static struct buffer compressed(unsigned char letter, size_t size)
{
    struct deflater deflater = {0};
    struct buffer payload = {0};
    unsigned char *message = memory_allocate(size);

    memset(message, letter, size);

    struct text made = deflater_compress(&deflater, DEFLATE_WIDE, message, size);

    assert_non_null(made.data);
    buffer_append(&payload, made.data, made.size);
    deflater_deinit(&deflater);
    memory_free(message);
    return payload;
}

static void add_compressed(unsigned first, unsigned char letter, size_t size)
{
    struct buffer payload = compressed(letter, size);

    add_frame(first, payload.data, payload.size);
    buffer_deinit(&payload);
}

static void compressed_and_plain_messages_are_told_alike(void **state)
{
    (void)state;
    add_frame(COMPRESSED_TEXT, hello, sizeof(hello));
    add_text(FIN_TEXT, "plain");
    add_frame(COMPRESSED_BIN, hello, sizeof(hello));
    add_text(FIN_BIN, "plain");
    add_frame(COMPRESSED_TEXT, "", 1);
    add_frame(COMPRESSED_TEXT, "", 0);
    add_text(FIN_TEXT, "");
    expect("text:Hello;text:plain;binary:Hello;binary:plain;text:;text:;text:;");
}

static void fragments_are_inflated_together(void **state)
{
    (void)state;
    for (size_t cut = 0; cut <= sizeof(hello); cut++) {
        add_frame(FRAGMENT_TEXT, hello, cut);
        add_frame(WEBSOCKET_CONTINUATION, "", 0);
        add_frame(FIN_CONT, hello + cut, sizeof(hello) - cut);
        expect("text:Hello;");
    }
    add_frame(FRAGMENT_BIN, hello, sizeof(hello));
    add_text(FIN_CONT, "");
    expect("binary:Hello;");
}

static void controls_come_between_compressed_fragments(void **state)
{
    (void)state;
    add_frame(FRAGMENT_TEXT, hello, 3);
    add_text(FIN_PING, "p");
    add_frame(FIN_CONT, hello + 3, sizeof(hello) - 3);
    add_text(FIN_PONG, "");
    expect("ping:p;text:Hello;pong:;");
}

static void plain_message_follows_a_compressed_one_in_fragments(void **state)
{
    (void)state;
    add_frame(FRAGMENT_TEXT, hello, 3);
    add_frame(FIN_CONT, hello + 3, sizeof(hello) - 3);
    add_text(WEBSOCKET_TEXT, "pl");
    add_text(FIN_CONT, "ain");
    expect("text:Hello;text:plain;");
}

static void rsv1_is_for_the_first_frame_of_a_message(void **state)
{
    (void)state;
    add_frame(FRAGMENT_TEXT, hello, 3);
    add_frame(FIN_CONT_BAD, hello + 3, sizeof(hello) - 3);
    expect("error 1002;");
    add_text(WEBSOCKET_TEXT, "pl");
    add_text(FIN_CONT_BAD, "ain");
    expect("error 1002;");
    add_text(FIN_PING | RSV1, "");
    expect("error 1002;");
    add_text(FIN_PONG | RSV1, "");
    expect("error 1002;");
    add_text(FIN_CLOSE | RSV1, "");
    expect("error 1002;");
}

static void other_reserved_bits_stay_reserved(void **state)
{
    (void)state;
    static const unsigned bits[] = {0x20, 0x10, 0x30, 0x60, 0x50, 0x70};

    for (size_t i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
        add_frame(FIN_TEXT | bits[i], hello, sizeof(hello));
        expect("error 1002;");
    }
}

static void rsv1_without_negotiation_is_an_error(void **state)
{
    (void)state;
    inflater = NULL;
    add_frame(COMPRESSED_TEXT, hello, sizeof(hello));
    expect("error 1002;");
    add_frame(FRAGMENT_BIN, hello, sizeof(hello));
    expect("error 1002;");
}

static void text_is_checked_once_it_is_inflated(void **state)
{
    (void)state;
    /* Stored blocks, so that the text can be read here. */
    add_frame(COMPRESSED_TEXT, "\x00\x02\x00\xfd\xff\xc3\xbc\x00", 8);
    expect("text:\xc3\xbc;");
    add_frame(COMPRESSED_TEXT, "\x00\x02\x00\xfd\xff\xc3\xc3\x00", 8);
    expect("error 1007;");
    add_frame(COMPRESSED_TEXT, "\x00\x01\x00\xfe\xff\xc3\x00", 7);
    expect("error 1007;");
    add_frame(COMPRESSED_BIN, "\x00\x01\x00\xfe\xff\xc3\x00", 7);
    expect("binary:\xc3;");
    add_frame(FRAGMENT_TEXT, "\x00\x02\x00\xfd\xff\xc3", 6);
    add_frame(FIN_CONT, "\xc3\x00", 2);
    expect("error 1007;");
}

static void what_does_not_inflate_is_bad_data(void **state)
{
    (void)state;
    add_text(COMPRESSED_TEXT, "no deflate at all");
    expect("error 1007;");
    add_frame(COMPRESSED_BIN, hello, 4);
    expect("error 1007;");
    add_text(FIN_PING, "first");
    add_frame(FRAGMENT_BIN, hello, 4);
    add_text(FIN_CONT, "");
    expect("ping:first;error 1007;");
}

static void limit_is_that_of_the_inflated_message(void **state)
{
    (void)state;
    add_compressed(COMPRESSED_TEXT, 'a', 50);
    expect_limited(50, "text:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa;");
    add_compressed(COMPRESSED_TEXT, 'a', 51);
    expect_limited(50, "error 1009;");
    add_compressed(COMPRESSED_BIN, 'a', 10 * LIMIT);
    expect("error 1009;");
}

/* What deflate makes longer is not refused for that. */
static void message_of_the_limit_may_be_stored(void **state)
{
    (void)state;
    add_frame(COMPRESSED_TEXT, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11);
    expect_limited(5, "text:Hello;");
    add_frame(COMPRESSED_TEXT, "\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11);
    expect_limited(4, "error 1009;");
}

static void too_large_a_payload_is_refused_at_its_header(void **state)
{
    (void)state;
    add_header(COMPRESSED_TEXT, 126, 2, 100 + 100 / 8 + 17);
    expect_limited(100, "error 1009;");
    add_frame(FRAGMENT_TEXT, hello, sizeof(hello));
    add_header(FIN_CONT, 126, 2, 126);
    expect_limited(100, "error 1009;");
    /* And a plain one may not be larger than it is. */
    add_header(FIN_TEXT, 101, 0, 0);
    expect_limited(100, "error 1009;");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(compressed_and_plain_messages_are_told_alike, allow,
                                        forbid),
        cmocka_unit_test_setup_teardown(fragments_are_inflated_together, allow, forbid),
        cmocka_unit_test_setup_teardown(controls_come_between_compressed_fragments, allow, forbid),
        cmocka_unit_test_setup_teardown(plain_message_follows_a_compressed_one_in_fragments, allow,
                                        forbid),
        cmocka_unit_test_setup_teardown(rsv1_is_for_the_first_frame_of_a_message, allow, forbid),
        cmocka_unit_test_setup_teardown(other_reserved_bits_stay_reserved, allow, forbid),
        cmocka_unit_test_setup_teardown(rsv1_without_negotiation_is_an_error, allow, forbid),
        cmocka_unit_test_setup_teardown(text_is_checked_once_it_is_inflated, allow, forbid),
        cmocka_unit_test_setup_teardown(what_does_not_inflate_is_bad_data, allow, forbid),
        cmocka_unit_test_setup_teardown(limit_is_that_of_the_inflated_message, allow, forbid),
        cmocka_unit_test_setup_teardown(message_of_the_limit_may_be_stored, allow, forbid),
        cmocka_unit_test_setup_teardown(too_large_a_payload_is_refused_at_its_header, allow,
                                        forbid),
    };

    return cmocka_run_group_tests_name("websocket_deflate", tests, NULL, NULL);
}
