#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/emulation_request.h"

static char space[4096];
static struct emulation_request request;

static bool read_json(const char *body)
{
    return emulation_request_read(text_of(body), CLIENT_JSON, space, &request);
}

static bool read_protobuf(const char *body, size_t size)
{
    return emulation_request_read((struct text){body, size}, CLIENT_PROTOBUF, space, &request);
}

static void expect(const char *session, uint64_t node, const char *data)
{
    assert_true(text_is(request.session, session));
    assert_true(request.node == node);
    assert_true(text_is(request.data, data));
}

static void json_is_read_whatever_the_order(void **state)
{
    (void)state;
    assert_true(
        read_json("{\"session\":\"1-ab\",\"node\":\"00000000000000ff\",\"data\":\"{\\\"id\\\":1}"
                  "\\n{}\"}"));
    expect("1-ab", 255, "{\"id\":1}\n{}");
    assert_true(
        read_json(" { \"data\" : {\"id\": 2} , \"more\": [1], \"node\":\"fedcba9876543210\","
                  "\"session\":\"2-\\u0061\" } "));
    expect("2-a", UINT64_C(0xfedcba9876543210), "{\"id\": 2}");
}

static void protobuf_is_read(void **state)
{
    static const char body[] = "\x0a\x10"
                               "00000000000000ff"
                               "\x12\x04"
                               "1-ab"
                               "\x1a\x03\x00\x01\x02"
                               "\x20\x05";

    (void)state;
    assert_true(read_protobuf(body, sizeof(body) - 1));
    assert_true(text_is(request.session, "1-ab"));
    assert_true(request.node == 255);
    assert_int_equal(request.data.size, 3);
    assert_memory_equal(request.data.data, "\0\1\2", 3);
}

static void what_is_no_node_of_ours_is_none(void **state)
{
    static const char *const nodes[] = {
        "", "1", "00000000000000FF", "00000000000000f", "0x000000000000ff", "00000000000000ff0"};
    char body[100];

    (void)state;
    for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        snprintf(body, sizeof(body), "{\"session\":\"1-a\",\"node\":\"%s\",\"data\":\"x\"}",
                 nodes[i]);
        assert_true(read_json(body));
        assert_true(request.node == 0);
    }
}

static void bad_json_is_refused(void **state)
{
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{}",
        "{\"session\":\"1-a\",\"node\":\"x\"}",
        "{\"session\":\"1-a\",\"data\":\"\"}",
        "{\"data\":\"x\"}",
        "{\"session\":\"\",\"data\":\"x\"}",
        "{\"session\":1,\"data\":\"x\"}",
        "{\"session\":\"a\",\"session\":\"b\",\"data\":\"x\"}",
        "{\"session\":\"a\",\"node\":7,\"data\":\"x\"}",
        "{\"session\":\"a\\u0000b\",\"data\":\"x\"}",
        "{\"session\":\"a\",\"data\":\"x\"",
        "{\"session\":\"a\",\"data\":\"x\"} x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
        assert_false(read_json(bodies[i]));
}

static void long_session_is_refused(void **state)
{
    char body[200];

    (void)state;
    for (int size = 1; size < 80; size++) {
        snprintf(body, sizeof(body), "{\"session\":\"%0*d\",\"data\":1}", size, 0);
        assert_int_equal(read_json(body), size < EMULATION_SESSION_LIMIT);
    }
}

static void bad_protobuf_is_refused(void **state)
{
    static const char body[] = "\x12\x04"
                               "1-ab"
                               "\x1a\x03xyz";

    (void)state;
    assert_true(read_protobuf(body, sizeof(body) - 1));
    for (size_t size = 0; size < sizeof(body) - 1; size++)
        assert_false(read_protobuf(body, size));
    assert_false(read_protobuf("\x10\x01\x1a\x01x", 5)); /* a session that is a number */
    assert_false(read_protobuf("\x12\x01\xff\x1a\x01x", 6));
}

static void names_are_read_as_they_are_written(void **state)
{
    char session[EMULATION_SESSION_LIMIT];
    char other[EMULATION_SESSION_LIMIT];
    char node[EMULATION_NODE_SIZE + 1];
    char body[200];

    (void)state;
    emulation_write_session(session, 63);
    emulation_write_session(other, 63);
    emulation_write_node(node, UINT64_MAX - 5);
    assert_string_not_equal(session, other);
    assert_int_equal(emulation_worker_of(text_of(session)), 63);
    assert_int_equal(emulation_worker_of(text_of("63")), UINT_MAX);
    assert_int_equal(emulation_worker_of(text_of("-1")), UINT_MAX);
    assert_int_equal(emulation_worker_of((struct text){NULL, 0}), UINT_MAX);
    snprintf(body, sizeof(body), "{\"session\":\"%s\",\"node\":\"%s\",\"data\":1}", session, node);
    assert_true(read_json(body));
    expect(session, UINT64_MAX - 5, "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_read_whatever_the_order),
        cmocka_unit_test(protobuf_is_read),
        cmocka_unit_test(what_is_no_node_of_ours_is_none),
        cmocka_unit_test(bad_json_is_refused),
        cmocka_unit_test(long_session_is_refused),
        cmocka_unit_test(bad_protobuf_is_refused),
        cmocka_unit_test(names_are_read_as_they_are_written),
    };

    return cmocka_run_group_tests_name("emulation_request", tests, NULL, NULL);
}
