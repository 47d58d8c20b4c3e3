/* JSON text: strings, values, and where the parts of values lie. */
#include "tests/unit/client_protocol_fixture.h"

#include "gateway/json_walk.h"

static void check_written(struct text text, const char *expected)
{
    struct buffer out = {0};

    client_write_json_string(&out, text);
    assert_text(((struct text){(char *)out.data, out.size}), expected);
    buffer_deinit(&out);
}

static void a_string_is_escaped_where_json_wants_it(void **state)
{
    (void)state;
    check_written((struct text){0}, "\"\"");
    check_written(text_of("plain / caf\xc3\xa9 \xf0\x9f\x98\x80 \x7f"),
                  "\"plain / caf\xc3\xa9 \xf0\x9f\x98\x80 \x7f\"");
    check_written(text_of("a\"b\\c"), "\"a\\\"b\\\\c\"");
    check_written(text_of("\b\t\n\f\r\x01\x1f"), "\"\\b\\t\\n\\f\\r\\u0001\\u001f\"");
    check_written((struct text){"\0", 1}, "\"\\u0000\"");
}

static void bytes_that_are_not_utf8_are_replaced(void **state)
{
    (void)state;
    check_written(text_of("a\xff\"b"), "\"a\xef\xbf\xbd\\\"b\"");
    check_written(text_of("\xc3"), "\"\xef\xbf\xbd\"");
    check_written(text_of("\xc3\xa9\xe2\x82\n"), "\"\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\\n\"");
    check_written(text_of("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void check_read(const char *json, const char *expected, size_t size)
{
    struct buffer out = {0};

    assert_true(client_read_json_string(text_of(json), &out));
    assert_int_equal(out.size, size);
    if (size > 0)
        assert_memory_equal(out.data, expected, size);
    buffer_deinit(&out);
}

static void a_string_is_read_with_all_its_escapes(void **state)
{
    (void)state;
    check_read("\"\"", "", 0);
    check_read(" \t\r\n\"a\" ", "a", 1);
    check_read("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
    check_read("\"\\u0041\\u00e9\\u20AC\\uffff\"", "A\xc3\xa9\xe2\x82\xac\xef\xbf\xbf", 9);
    check_read("\"\\ud83d\\ude00\\uDBFF\\udfff!\"", "\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf!", 9);
    check_read("\"a\\u0000b\"", "a\0b", 3);
}

static void half_of_a_surrogate_pair_is_read_as_the_replacement_character(void **state)
{
    (void)state;
    check_read("\"\\ud83d\"", "\xef\xbf\xbd", 3);
    check_read("\"\\udc00a\"",
               "\xef\xbf\xbd"
               "a",
               4);
    check_read("\"\\ud83d\\n\"", "\xef\xbf\xbd\n", 4);
    check_read("\"\\ud83d\\u0041\"",
               "\xef\xbf\xbd"
               "A",
               4);
    check_read("\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80", 7);
    check_read("\"\\ude00\\ud83d\"", "\xef\xbf\xbd\xef\xbf\xbd", 6);
}

static void what_is_no_string_is_not_read(void **state)
{
    static const char *const values[] = {"",           " ",        "1",         "{\"a\":\"b\"}",
                                         "\"",         "\"a",      "\"a\"b\"",  "\"\\x\"",
                                         "\"\\ud83\"", "\"\xff\"", "\"\\u12\"", "\"a\" 1"};
    struct buffer out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_false(client_read_json_string(text_of(values[i]), &out));
        assert_int_equal(out.size, 0);
    }
    buffer_deinit(&out);
}

static void json_is_one_value(void **state)
{
    static const char *const good[] = {
        "1",
        "-0",
        "0.10",
        "1e5",
        "1E+05",
        "-1.5e-300",
        "1e999",
        "\"x\"",
        "null",
        "true",
        "false",
        "[]",
        " [\t] ",
        "{\n}\r",
        "[1,2]",
        "[[],{}]",
        "{\"a\":1,\"a\":[]}",
        "{ \"\" : 0 , \"b\" : { } }",
        "12345678901234567890123",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\ude00\\udbff\\uDFFF\\ud7ff\\ue000\"",
        "\"\x7f caf\xc3\xa9\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\ud800\"",
        "\"\\ud800x\"",
    };
    static const char *const bad[] = {
        "",
        " ",
        "1 2",
        "nul",
        "truE",
        "truefalse",
        "01",
        "-",
        "1.",
        ".5",
        "+1",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "-a",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1}",
        "{",
        "}",
        "{a:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{\"a\":1]",
        "{1:1}",
        "{\"a\" 1}",
        "[]]",
        "{}}",
        "\"",
        "\"a",
        "\"\n\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\qtrue",
        "\"\x01true",
        "\"\xff\"",
        "\"\xed\xa0\x80\"",
        "\xef\xbb\xbf[]",
        "'a'",
        "/**/1",
        "[1]//",
        "\"a\":1",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(client_is_json(text_of(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(client_is_json(text_of(bad[i])));
    assert_false(client_is_json((struct text){"1\0", 2}));
    assert_false(client_is_json((struct text){"[1\0]", 4}));
    assert_false(client_is_json((struct text){"\0", 1}));
    assert_false(client_is_json((struct text){"\"\0\"", 3}));
}

static void check_member(struct json_members *members, const char *name, const char *value)
{
    struct text found_name;
    struct text found_value;

    assert_true(json_members_next(members, &found_name, &found_value));
    assert_text(found_name, name);
    assert_text(found_value, value);
}

static void the_parts_of_an_object_are_found_as_they_were_written(void **state)
{
    struct json_members members;
    struct text name;
    struct text value;

    (void)state;
    assert_false(json_members_init(&members, text_of("[1]")));
    assert_true(json_members_init(
        &members,
        text_of("{ \"a\" : [1, {\"}\" : \"]\"}] ,\"b\\\"\":-1e3,\n\"\":{},\"c\": null }")));
    check_member(&members, "\"a\"", "[1, {\"}\" : \"]\"}]");
    check_member(&members, "\"b\\\"\"", "-1e3");
    check_member(&members, "\"\"", "{}");
    check_member(&members, "\"c\"", "null");
    assert_false(json_members_next(&members, &name, &value));
}

static bool is_plain(unsigned byte)
{
    return byte >= 0x20 && byte != '"' && byte != '\\';
}

/* At every place, since words are looked at as a whole. */
static void what_stands_for_itself_in_a_string_ends_with_the_first_byte_that_does_not(void **state)
{
    char text[24];

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t place = 0; place < sizeof(text); place++) {
            memset(text, 'a', sizeof(text));
            text[place] = (char)byte;
            assert_int_equal(json_plain_size(text, sizeof(text)),
                             is_plain(byte) ? sizeof(text) : place);
            assert_int_equal(json_plain_size(text, place), place);
        }
        memset(text, (int)byte, sizeof(text));
        assert_int_equal(json_plain_size(text, sizeof(text)), is_plain(byte) ? sizeof(text) : 0);
    }
}

/* A special byte is found behind neighbours of its own, which differ from it by little. */
static void a_special_byte_hides_behind_no_other(void **state)
{
    static const char specials[] = {'\0', '\x1f', '"', '\\'};

    (void)state;
    for (size_t i = 0; i < sizeof(specials); i++) {
        for (size_t place = 0; place < 8; place++) {
            for (unsigned byte = 0; byte < 256; byte++) {
                char text[8];

                memset(text, (int)byte, sizeof(text));
                text[place] = specials[i];
                assert_int_equal(json_plain_size(text, sizeof(text)), is_plain(byte) ? place : 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_string_is_escaped_where_json_wants_it),
        cmocka_unit_test(bytes_that_are_not_utf8_are_replaced),
        cmocka_unit_test(a_string_is_read_with_all_its_escapes),
        cmocka_unit_test(half_of_a_surrogate_pair_is_read_as_the_replacement_character),
        cmocka_unit_test(what_is_no_string_is_not_read),
        cmocka_unit_test(json_is_one_value),
        cmocka_unit_test(what_stands_for_itself_in_a_string_ends_with_the_first_byte_that_does_not),
        cmocka_unit_test(a_special_byte_hides_behind_no_other),
        cmocka_unit_test(the_parts_of_an_object_are_found_as_they_were_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
