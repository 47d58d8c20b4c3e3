#include "tests/unit/websocket_fixture.h"

static void messages_and_controls_are_told_in_order(void **state)
{
    (void)state;
    add_text(FIN_TEXT, "hello");
    add_text(FIN_BIN, "\xff\xfe");
    add_text(FIN_PING, "p");
    add_text(FIN_TEXT, "");
    add_text(FIN_PONG, "");
    add_text(FIN_BIN, "");
    add_text(FIN_TEXT, "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x94\x94");
    add_close(1000, "bye");
    expect("text:hello;binary:\xff\xfe;ping:p;text:;pong:;binary:;"
           "text:gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x94\x94;close 1000:\x03\xe8"
           "bye;");
}

static void message_of_every_length_form_arrives(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 125, 126, 127, 65535, 65536, 100000};
    static const size_t pieces[] = {SIZE_MAX / 2, 1, 1000, 65536};
    static unsigned char payload[100000];

    for (size_t i = 0; i < sizeof(payload); i++)
        payload[i] = (unsigned char)(i * 7 % 127 + 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        add_frame(FIN_TEXT, payload, sizes[i]);
        for (size_t k = 0; k < sizeof(pieces) / sizeof(pieces[0]); k++) {
            read_in_pieces(pieces[k], LIMIT);
            assert_int_equal(story.size, 5 + sizes[i] + 2);
            assert_memory_equal(story.data + 5, payload, sizes[i]);
        }
        buffer_deinit(&wire);
    }
}

static void whole_frame_is_not_copied_and_nothing_is_kept(void **state)
{
    (void)state;
    struct websocket_reader reader = {0};
    struct websocket_frame frame;

    add_text(FIN_TEXT, "hello");

    unsigned char *data = wire.data;
    size_t size = wire.size;

    assert_int_equal(websocket_read(&reader, &data, &size, LIMIT, NULL, &frame), WEBSOCKET_MESSAGE);
    assert_ptr_equal(frame.data, wire.data + 6);
    assert_int_equal(size, 0);
    assert_null(reader.partial);
}

static void reader_keeps_nothing_after_a_message_in_pieces(void **state)
{
    (void)state;
    struct websocket_reader reader = {0};

    add_text(WEBSOCKET_TEXT, "hel");
    add_text(FIN_CONT, "lo");
    feed(&reader, wire.data, wire.size - 1, LIMIT);
    assert_non_null(reader.partial);
    feed(&reader, wire.data + wire.size - 1, 1, LIMIT);
    assert_null(reader.partial);
}

/* RFC 6455 §5.1 */
static void unmasked_frame_is_an_error(void **state)
{
    (void)state;
    static const unsigned char opcodes[] = {FIN_TEXT, FIN_BIN, FIN_PING, FIN_CLOSE};

    for (size_t i = 0; i < sizeof(opcodes); i++) {
        add_byte(opcodes[i]);
        add_byte(0);
        expect("error 1002;");
    }
}

static void reserved_bit_is_an_error(void **state)
{
    (void)state;
    for (unsigned bit = 0x10; bit <= 0x40; bit <<= 1) {
        add_text(FIN_TEXT | bit, "a");
        expect("error 1002;");
        add_text(FIN_PING | bit, "a");
        expect("error 1002;");
        add_text(WEBSOCKET_TEXT, "a");
        add_text(FIN_CONT | bit, "b");
        expect("error 1002;");
    }
}

static void reserved_opcode_is_an_error(void **state)
{
    (void)state;
    for (unsigned opcode = 0; opcode < 16; opcode++) {
        if ((opcode >= 3 && opcode <= 7) || opcode >= 11) {
            add_text(FIN | opcode, "");
            expect("error 1002;");
            add_text(WEBSOCKET_TEXT, "a");
            add_text(FIN | opcode, "");
            expect("error 1002;");
        }
    }
}

static void broken_start_is_an_error_before_the_rest_arrives(void **state)
{
    (void)state;
    static const unsigned char starts[][2] = {
        {0xc1, 0x85}, {0x81, 0x05}, {0x83, 0xff}, {0x09, 0x80}, {0x89, 0xfe}, {0x80, 0x80},
    };

    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        buffer_append(&wire, starts[i], 2);
        expect("error 1002;");
    }
}

/* RFC 6455 §5.2: the minimal number of bytes MUST be used, the most significant bit MUST be 0. */
static void length_must_be_encoded_minimally(void **state)
{
    (void)state;
    static const uint64_t long_for_16[] = {0, 1, 125};
    static const uint64_t long_for_64[] = {0, 125, 126, 65535};

    for (size_t i = 0; i < sizeof(long_for_16) / sizeof(long_for_16[0]); i++) {
        add_header(FIN_BIN, 126, 2, long_for_16[i]);
        expect("error 1002;");
    }
    for (size_t i = 0; i < sizeof(long_for_64) / sizeof(long_for_64[0]); i++) {
        add_header(FIN_BIN, 127, 8, long_for_64[i]);
        expect("error 1002;");
    }
}

static void length_with_the_top_bit_is_an_error(void **state)
{
    (void)state;
    add_header(FIN_BIN, 127, 8, 1ull << 63);
    expect("error 1002;");
    add_header(FIN_BIN, 127, 8, UINT64_MAX);
    expect("error 1002;");
}

/* RFC 6455 §5.5 */
static void control_frame_takes_125_bytes_at_most(void **state)
{
    (void)state;
    char payload[126];
    char expected[160];

    memset(payload, 'x', sizeof(payload));
    snprintf(expected, sizeof(expected), "ping:%.125s;", payload);
    add_frame(FIN_PING, payload, 125);
    expect(expected);
    snprintf(expected, sizeof(expected), "pong:%.125s;", payload);
    add_frame(FIN_PONG, payload, 125);
    expect(expected);
    add_frame(FIN_PING, payload, 126);
    expect("error 1002;");
    add_frame(FIN_CLOSE, payload, 126);
    expect("error 1002;");
    add_header(FIN_PONG, 127, 8, 65536);
    expect("error 1002;");
}

static void control_frame_must_not_be_fragmented(void **state)
{
    (void)state;
    for (unsigned opcode = WEBSOCKET_CLOSE; opcode <= WEBSOCKET_PONG; opcode++) {
        add_text(opcode, "");
        expect("error 1002;");
        add_text(WEBSOCKET_BINARY, "a");
        add_text(opcode, "");
        expect("error 1002;");
    }
}

/* RFC 6455 §5.4 */
static void fragments_make_one_message(void **state)
{
    (void)state;
    add_text(WEBSOCKET_TEXT, "a");
    add_text(WEBSOCKET_CONTINUATION, "");
    add_text(WEBSOCKET_CONTINUATION, "bc");
    add_text(FIN_CONT, "d");
    add_text(WEBSOCKET_BINARY, "");
    add_text(FIN_CONT, "");
    add_text(WEBSOCKET_BINARY, "\xff");
    add_text(FIN_CONT, "\xfe");
    add_text(FIN_TEXT, "e");
    expect("text:abcd;binary:;binary:\xff\xfe;text:e;");
}

static void controls_between_fragments_are_told_at_once(void **state)
{
    (void)state;
    add_text(WEBSOCKET_TEXT, "a");
    add_text(FIN_PING, "1");
    add_text(FIN_PONG, "");
    add_text(WEBSOCKET_CONTINUATION, "b");
    add_text(FIN_PING, "22");
    add_text(FIN_CONT, "c");
    add_text(FIN_PING, "3");
    add_text(WEBSOCKET_TEXT, "d");
    add_close(1001, "");
    expect("ping:1;pong:;ping:22;text:abc;ping:3;close 1001:\x03\xe9;");
}

static void continuation_must_continue_something(void **state)
{
    (void)state;
    add_text(FIN_CONT, "a");
    expect("error 1002;");
    add_text(WEBSOCKET_CONTINUATION, "a");
    expect("error 1002;");
    add_text(FIN_TEXT, "a");
    add_text(FIN_CONT, "b");
    expect("text:a;error 1002;");
    add_text(WEBSOCKET_TEXT, "a");
    add_text(FIN_CONT, "b");
    add_text(FIN_PING, "");
    add_text(WEBSOCKET_CONTINUATION, "c");
    expect("text:ab;ping:;error 1002;");
}

static void message_must_not_begin_inside_another(void **state)
{
    (void)state;
    static const unsigned char starts[] = {FIN_TEXT, FIN_BIN, WEBSOCKET_TEXT, WEBSOCKET_BINARY};

    for (size_t i = 0; i < sizeof(starts); i++) {
        add_text(WEBSOCKET_TEXT, "a");
        add_text(FIN_PING, "");
        add_text(starts[i], "b");
        expect("ping:;error 1002;");
    }
}

/* RFC 6455 §8.1; each text is wrong at its last byte. */
static const char *const bad_texts[] = {
    "\x80",         "\xbf",     "a\xc0",        "\xc1",         "\xf5",
    "\xff",         "\xc3(",    "12345678\xfe", "\xe0\x9f",     "\xed\xa0",
    "\xe2\x82 ",    "\xf0\x8f", "\xf4\x90",     "\xf0\x9f\xc0", "\xf0\x9f\x94\x7f",
    "\xc3\xbc\xc3", /* ends inside a character: wrong at the space that follows it below */
};

static void text_fails_at_its_first_bad_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_texts) / sizeof(bad_texts[0]); i++) {
        struct websocket_reader reader = {0};
        char text[32];
        size_t bad = (size_t)snprintf(text, sizeof(text), "%s%s", bad_texts[i],
                                      i + 1 < sizeof(bad_texts) / sizeof(bad_texts[0]) ? "" : " ");

        add_header(FIN_TEXT, 100, 0, 0);
        add_masked(text, bad);
        buffer_deinit(&story);
        for (size_t at = 0; at + 1 < wire.size; at++)
            assert_int_equal(feed(&reader, wire.data + at, 1, LIMIT), WEBSOCKET_MORE);
        assert_int_equal(feed(&reader, wire.data + wire.size - 1, 1, LIMIT), WEBSOCKET_ERROR);
        websocket_reader_deinit(&reader);
        expect("error 1007;");
    }
}

static void text_is_checked_across_fragments(void **state)
{
    (void)state;
    static const char bell[] = "a\xf0\x9f\x94\x94z";
    static const char surrogate[] = "a\xed\xa0\x80z";

    for (size_t cut = 0; cut < sizeof(bell); cut++) {
        add_frame(WEBSOCKET_TEXT, bell, cut);
        add_text(FIN_PING, "\xff");
        add_text(FIN_CONT, bell + cut);
        expect("ping:\xff;text:a\xf0\x9f\x94\x94z;");
    }
    for (size_t cut = 0; cut < 3; cut++) {
        add_frame(WEBSOCKET_TEXT, surrogate, cut);
        add_text(WEBSOCKET_CONTINUATION, surrogate + cut);
        expect("error 1007;");
    }
}

static void text_must_not_end_inside_a_character(void **state)
{
    (void)state;
    add_text(FIN_TEXT, "a\xf0\x9f\x94");
    expect("error 1007;");
    add_text(WEBSOCKET_TEXT, "a\xf0\x9f");
    add_text(FIN_CONT, "\x94");
    expect("error 1007;");
    add_text(WEBSOCKET_TEXT, "\xc3");
    add_text(FIN_CONT, "");
    expect("error 1007;");
}

static void utf8_starts_anew_with_each_message(void **state)
{
    (void)state;
    add_text(WEBSOCKET_BINARY, "\xc3");
    add_text(FIN_CONT, "\xe2");
    add_text(WEBSOCKET_TEXT, "\xc3");
    add_text(FIN_CONT, "\xbc");
    expect("binary:\xc3\xe2;text:\xc3\xbc;");
}

/* RFC 6455 §7.4 */
static void close_code_must_be_one_that_may_be_sent(void **state)
{
    (void)state;
    static const unsigned allowed[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                       1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
    static const unsigned refused[] = {0,    1,    999,  1004, 1005, 1006, 1015,
                                       1016, 1100, 2000, 2999, 5000, 9999, 65535};

    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        struct websocket_reader reader = {0};
        struct websocket_frame frame;

        add_close(allowed[i], "why");

        unsigned char *data = wire.data;
        size_t size = wire.size;

        assert_int_equal(websocket_read(&reader, &data, &size, LIMIT, NULL, &frame),
                         WEBSOCKET_CONTROL);
        assert_int_equal(frame.close_code, allowed[i]);
        assert_int_equal(frame.size, 5);
        assert_memory_equal(frame.data + 2, "why", 3);
        buffer_deinit(&wire);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        add_close(refused[i], "");
        expect("error 1002;");
    }
}

static void close_without_a_code_is_1005(void **state)
{
    (void)state;
    add_text(FIN_CLOSE, "");
    expect("close 1005:;");
}

static void close_of_one_byte_is_an_error(void **state)
{
    (void)state;
    add_text(FIN_CLOSE, "\x03");
    expect("error 1002;");
}

static void close_reason_must_be_utf8(void **state)
{
    (void)state;
    add_close(1000, "gr\xc3\xbc\xc3\x9f");
    expect("close 1000:\x03\xe8gr\xc3\xbc\xc3\x9f;");
    add_close(1000, "\xff");
    expect("error 1007;");
    add_close(1000, "a\xc3");
    expect("error 1007;");
}

static void message_limit_counts_all_fragments(void **state)
{
    (void)state;
    add_text(FIN_TEXT, "12345678");
    expect_limited(8, "text:12345678;");
    add_text(FIN_TEXT, "123456789");
    expect_limited(8, "error 1009;");
    add_text(WEBSOCKET_TEXT, "1234");
    add_text(WEBSOCKET_CONTINUATION, "567");
    add_text(FIN_CONT, "8");
    add_text(FIN_TEXT, "12345678");
    expect_limited(8, "text:12345678;text:12345678;");
    add_text(WEBSOCKET_TEXT, "1234");
    add_text(FIN_PING, "a longer ping than a message");
    add_text(FIN_CONT, "56789");
    expect_limited(8, "ping:a longer ping than a message;error 1009;");
}

static void too_big_a_message_is_refused_at_its_header(void **state)
{
    (void)state;
    add_header(FIN_BIN, 9, 0, 0);
    expect_limited(8, "error 1009;");
    add_header(FIN_BIN, 126, 2, 65535);
    expect_limited(8, "error 1009;");
    add_header(FIN_BIN, 127, 8, (1ull << 63) - 1);
    expect_limited(SIZE_MAX >> 2, "error 1009;");
    add_text(WEBSOCKET_TEXT, "1");
    add_header(FIN_CONT, 127, 8, (1ull << 63) - 1);
    expect_limited((1ull << 63) - 1, "error 1009;");
}

static void lowered_limit_holds_for_a_message_under_way(void **state)
{
    (void)state;
    struct websocket_reader reader = {0};

    add_text(WEBSOCKET_BINARY, "12345678");
    assert_int_equal(feed(&reader, wire.data, wire.size, 100), WEBSOCKET_MORE);
    buffer_deinit(&wire);
    add_text(FIN_CONT, "");
    assert_int_equal(feed(&reader, wire.data, wire.size, 4), WEBSOCKET_ERROR);
    websocket_reader_deinit(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(messages_and_controls_are_told_in_order, clear),
        cmocka_unit_test_teardown(message_of_every_length_form_arrives, clear),
        cmocka_unit_test_teardown(whole_frame_is_not_copied_and_nothing_is_kept, clear),
        cmocka_unit_test_teardown(reader_keeps_nothing_after_a_message_in_pieces, clear),
        cmocka_unit_test_teardown(unmasked_frame_is_an_error, clear),
        cmocka_unit_test_teardown(reserved_bit_is_an_error, clear),
        cmocka_unit_test_teardown(reserved_opcode_is_an_error, clear),
        cmocka_unit_test_teardown(broken_start_is_an_error_before_the_rest_arrives, clear),
        cmocka_unit_test_teardown(length_must_be_encoded_minimally, clear),
        cmocka_unit_test_teardown(length_with_the_top_bit_is_an_error, clear),
        cmocka_unit_test_teardown(control_frame_takes_125_bytes_at_most, clear),
        cmocka_unit_test_teardown(control_frame_must_not_be_fragmented, clear),
        cmocka_unit_test_teardown(fragments_make_one_message, clear),
        cmocka_unit_test_teardown(controls_between_fragments_are_told_at_once, clear),
        cmocka_unit_test_teardown(continuation_must_continue_something, clear),
        cmocka_unit_test_teardown(message_must_not_begin_inside_another, clear),
        cmocka_unit_test_teardown(text_fails_at_its_first_bad_byte, clear),
        cmocka_unit_test_teardown(text_is_checked_across_fragments, clear),
        cmocka_unit_test_teardown(text_must_not_end_inside_a_character, clear),
        cmocka_unit_test_teardown(utf8_starts_anew_with_each_message, clear),
        cmocka_unit_test_teardown(close_code_must_be_one_that_may_be_sent, clear),
        cmocka_unit_test_teardown(close_without_a_code_is_1005, clear),
        cmocka_unit_test_teardown(close_of_one_byte_is_an_error, clear),
        cmocka_unit_test_teardown(close_reason_must_be_utf8, clear),
        cmocka_unit_test_teardown(message_limit_counts_all_fragments, clear),
        cmocka_unit_test_teardown(too_big_a_message_is_refused_at_its_header, clear),
        cmocka_unit_test_teardown(lowered_limit_holds_for_a_message_under_way, clear),
    };

    return cmocka_run_group_tests_name("websocket", tests, NULL, NULL);
}
