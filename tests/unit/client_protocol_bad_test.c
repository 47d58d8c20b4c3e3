/* What is none of the protocol is refused, and nothing is read outside of the frame. */
#include "tests/unit/client_protocol_fixture.h"

#include "common/memory.h"
#include "gateway/json_check.h"

/* The last command of the frame is what `expected` says, and nothing follows. The frame stands at
 * the end of its memory, for the address sanitizer. */
static void check(enum client_format format, const void *frame, size_t size,
                  enum client_read expected)
{
    unsigned char *copy = memory_allocate(size + 1);
    struct client_reader reader;
    struct client_request request;
    enum client_read last = CLIENT_READ_END;
    enum client_read read;

    memcpy(copy + 1, frame, size);
    client_reader_init(&reader, format, copy + 1, size);
    while ((read = client_reader_next(&reader, &request)) != CLIENT_READ_END)
        last = read;
    assert_int_equal(last, expected);
    client_reader_deinit(&reader);
    memory_free(copy);
}

static void check_json(const char *json, enum client_read expected)
{
    check(CLIENT_JSON, json, strlen(json), expected);
}

static void json_that_is_none_of_the_protocol_is_refused(void **state)
{
    static const char *const frames[] = {
        "x",
        "[]",
        "1",
        "\"text\"",
        "null",
        "{",
        "{}}",
        "{} {}",
        "{}x",
        "{\"id\":1,\"ping\":{}",
        "{'id':1}",
        "{\"id\":01,\"ping\":{}}",
        "{\"id\":-1,\"ping\":{}}",
        "{\"id\":1.0,\"ping\":{}}",
        "{\"id\":1e0,\"ping\":{}}",
        "{\"id\":4294967296,\"ping\":{}}",
        "{\"id\":18446744073709551617,\"ping\":{}}",
        "{\"id\":\"1\",\"ping\":{}}",
        "{\"id\":true,\"ping\":{}}",
        "{\"id\":[1],\"ping\":{}}",
        "{\"ping\":{}}",
        "{\"id\":0,\"publish\":{\"channel\":\"x\",\"data\":1}}",
        "{\"id\":1,\"id\":1,\"ping\":{}}",
        "{\"id\":1,\"\\u0069d\":1,\"ping\":{}}",
        "{\"id\":1,\"ping\":{},\"ping\":{}}",
        "{\"id\":1,\"ping\":{},\"rpc\":{}}",
        "{\"id\":1,\"ping\":[]}",
        "{\"id\":1,\"ping\":1}",
        "{\"id\":1,\"presence\":\"x\"}",
        "{\"id\":1,\"presence\":{\"channel\":1}}",
        "{\"id\":1,\"presence\":{\"channel\":{}}}",
        "{\"id\":1,\"presence\":{\"channel\":\"\xff\"}}",
        "{\"id\":1,\"presence\":{\"channel\":\"tab\there\"}}",
        "{\"id\":1,\"publish\":{\"channel\":\"x\",\"channel\":\"x\"}}",
        "{\"id\":1,\"publish\":{\"channel\":\"x\",\"data\":[1,]}}",
        "{\"id\":1,\"publish\":{\"channel\":\"x\",\"data\":}}",
        "{\"id\":1,\"subscribe\":{\"channel\":\"x\",\"offset\":18446744073709551616}}",
        "{\"id\":1,\"subscribe\":{\"channel\":\"x\",\"offset\":-1}}",
        "{\"id\":1,\"subscribe\":{\"channel\":\"x\",\"offset\":1.5}}",
        "{\"id\":1,\"subscribe\":{\"channel\":\"x\",\"recover\":1}}",
        "{\"id\":1,\"subscribe\":{\"channel\":\"x\",\"recover\":\"true\"}}",
        "{\"id\":1,\"history\":{\"channel\":\"x\",\"limit\":2147483648}}",
        "{\"id\":1,\"history\":{\"channel\":\"x\",\"limit\":-2147483649}}",
        "{\"id\":1,\"history\":{\"channel\":\"x\",\"since\":5}}",
        "{\"id\":1,\"connect\":{\"subs\":[]}}",
        "{\"id\":1,\"connect\":{\"subs\":{\"x\":1}}}",
        "{\"id\":1,\"connect\":{\"subs\":{\"x\":{},\"\\u0078\":{}}}}",
        "{}\n{",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
        check_json(frames[i], CLIENT_READ_BAD);
}

static void what_is_odd_but_right_is_accepted(void **state)
{
    static const char *const frames[] = {
        "{\"\\u0069d\":1,\"\\u0070ing\":{}}",
        "{\"id\":1,\"presence\":{\"channel\":null}}",
        "{\"id\":1,\"history\":{\"channel\":\"x\",\"limit\":-0}}",
        "{\"id\":1,\"connect\":{\"data\":null,\"subs\":null}}",
        "{\"id\":1,\"rpc\":{\"data\":\"}\\\"]\\\\\"}}",
        "{\"id\":1,\"rpc\":{\"data\":\"\\ud83d\\ude00\"}}",
        "{\"id\":1,\"rpc\":{\"data\":-0.5e-3}}",
        "{\"id\":1,\"rpc\":{\"data\":1e999}}",
        "{\"id\":1,\"rpc\":{\"data\":{\"a\":1,\"a\":2}}}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
        check_json(frames[i], CLIENT_READ_REQUEST);
}

/* A command with `depth` arrays in its data, which are inside of two objects. */
static void check_depth(size_t depth, enum client_read expected)
{
    struct buffer frame = {0};

    buffer_append_text(&frame, "{\"id\":1,\"rpc\":{\"data\":");
    for (size_t i = 0; i < depth; i++)
        buffer_append_text(&frame, "[");
    for (size_t i = 0; i < depth; i++)
        buffer_append_text(&frame, "]");
    buffer_append_text(&frame, "}}");
    check(CLIENT_JSON, frame.data, frame.size, expected);
    buffer_deinit(&frame);
}

static void json_may_not_be_deep(void **state)
{
    (void)state;
    check_depth(JSON_DEPTH_LIMIT - 2, CLIENT_READ_REQUEST);
    check_depth(JSON_DEPTH_LIMIT - 1, CLIENT_READ_BAD);
    check_depth(10000, CLIENT_READ_BAD);
    check_json(
        "{\"id\":1,\"rpc\":{\"data\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
        "[[[[[[[[[[[[[[[[[\"}}",
        CLIENT_READ_REQUEST);
}

static void put_subs_json(struct buffer *frame, size_t count)
{
    buffer_append_text(frame, "{\"id\":1,\"connect\":{\"subs\":{");
    for (size_t i = 0; i < count; i++)
        buffer_printf(frame, "%s\"x%zu\":{}", i > 0 ? "," : "", i);
    buffer_append_text(frame, "}}}");
}

static void put_subs_protobuf(struct buffer *frame, size_t count)
{
    Carillon__Client__Command command = CARILLON__CLIENT__COMMAND__INIT;
    Carillon__Client__ConnectRequest connect = CARILLON__CLIENT__CONNECT_REQUEST__INIT;
    Carillon__Client__ConnectRequest__SubsEntry entries[CLIENT_SUBS_LIMIT + 1];
    Carillon__Client__ConnectRequest__SubsEntry *subs[CLIENT_SUBS_LIMIT + 1];
    char names[CLIENT_SUBS_LIMIT + 1][2];

    for (size_t i = 0; i < count; i++) {
        names[i][0] = (char)(i % 127 + 1);
        names[i][1] = i < 127 ? '\0' : 'x';
        entries[i] = (Carillon__Client__ConnectRequest__SubsEntry)
            CARILLON__CLIENT__CONNECT_REQUEST__SUBS_ENTRY__INIT;
        entries[i].key = i < 127 ? names[i] : i == 127 ? "" : "another";
        subs[i] = &entries[i];
    }
    connect.subs = subs;
    connect.n_subs = count;
    command.id = 1;
    command.connect = &connect;
    put_command(frame, &command);
}

static void only_so_many_subscriptions_may_be_recovered_at_once(void **state)
{
    (void)state;
    for (size_t more = 0; more <= 1; more++) {
        enum client_read expected = more ? CLIENT_READ_BAD : CLIENT_READ_REQUEST;
        struct buffer frame = {0};

        put_subs_json(&frame, CLIENT_SUBS_LIMIT + more);
        check(CLIENT_JSON, frame.data, frame.size, expected);
        buffer_clear(&frame, 0);
        put_subs_protobuf(&frame, CLIENT_SUBS_LIMIT + more);
        check(CLIENT_PROTOBUF, frame.data, frame.size, expected);
        buffer_deinit(&frame);
    }
}

struct bytes {
    size_t size;
    unsigned char data[24];
};

static void protobuf_that_is_none_of_the_protocol_is_refused(void **state)
{
    static const struct bytes frames[] = {
        {1, {5}},                                     /* lengths that lie */
        {1, {0x80}},                                  /* */
        {5, {0xff, 0xff, 0xff, 0xff, 0x0f}},          /* */
        {6, {0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},    /* */
        {4, {2, 8, 3, 5}},                            /* */
        {5, {4, 8, 3, 0x42, 5}},                      /* */
        {7, {6, 8, 3, 0x42, 2, 0x0a, 1}},             /* */
        {3, {2, 0x42, 0}},                            /* no id */
        {7, {6, 8, 3, 0x42, 0, 0x5a, 0}},             /* two methods */
        {7, {6, 8, 3, 0x5a, 0, 0x5a, 0}},             /* the same one twice */
        {4, {3, 8, 3, 0x0b}},                         /* a group */
        {3, {2, 0, 0}},                               /* field 0 */
        {5, {4, 8, 3, 0x40, 1}},                      /* presence as an integer */
        {4, {3, 0x0a, 1, 3}},                         /* id as a string */
        {7, {6, 8, 3, 0x42, 2, 8, 1}},                /* channel as an integer */
        {8, {7, 8, 3, 0x42, 3, 0x0a, 1, 0xff}},       /* a channel that is not UTF-8 */
        {8, {7, 8, 3, 0x2a, 3, 0x1a, 1, 1}},          /* recover as bytes */
        {7, {6, 0x08, 0x80, 0x80, 0x80, 0x80, 0x10}}, /* an id of 33 bits */
        {11, {10, 8, 3, 0x52, 6, 0x38, 0x80, 0x80, 0x80, 0x80, 0x08}}, /* a limit of 2^31 */
        {9, {8, 8, 3, 0x22, 4, 0x1a, 2, 0x08, 1}},            /* a map's key as an integer */
        {11, {10, 8, 3, 0x22, 6, 0x1a, 0, 0x1a, 2, 0x12, 0}}, /* a key twice */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
        check(CLIENT_PROTOBUF, frames[i].data, frames[i].size, CLIENT_READ_BAD);
}

/* One command with about everything in it. */
static const char whole_json[] =
    "{\"id\":77,\"connect\":{\"token\":\"\\u00e9\\\"\",\"data\":{\"x\":[1,\"\\\\\",null]},"
    "\"subs\":{\"news\":{\"recover\":true,\"epoch\":\"e\",\"offset\":18}}}}";

static void json_that_is_cut_anywhere_is_refused(void **state)
{
    (void)state;
    check_json(whole_json, CLIENT_READ_REQUEST);
    for (size_t size = 1; size < strlen(whole_json); size++)
        check(CLIENT_JSON, whole_json, size, CLIENT_READ_BAD);
}

static void protobuf_that_is_cut_anywhere_is_refused(void **state)
{
    struct buffer frame = {0};

    (void)state;
    put_subs_protobuf(&frame, 3);
    check(CLIENT_PROTOBUF, frame.data, frame.size, CLIENT_READ_REQUEST);
    for (size_t size = 1; size < frame.size; size++)
        check(CLIENT_PROTOBUF, frame.data, size, CLIENT_READ_BAD);
    /* With a length that is right the fields are cut, which some cuts do between two of them. */
    for (size_t size = 1; size < frame.size; size++) {
        struct client_reader reader;
        struct client_request request;

        frame.data[0] = (unsigned char)(size - 1);
        assert_int_not_equal(read_frame(&reader, CLIENT_PROTOBUF, frame.data, size, &request),
                             CLIENT_READ_END);
        client_reader_deinit(&reader);
    }
    buffer_deinit(&frame);
}

static void what_follows_something_bad_is_not_read(void **state)
{
    struct client_reader reader;
    struct client_request request;
    const char *frame = "{\"id\":1}\n{\"id\":\"x\"}\n{\"id\":2}";

    (void)state;
    client_reader_init(&reader, CLIENT_JSON, frame, strlen(frame));
    assert_int_equal(client_reader_next(&reader, &request), CLIENT_READ_REQUEST);
    assert_int_equal(client_reader_next(&reader, &request), CLIENT_READ_BAD);
    assert_int_equal(client_reader_next(&reader, &request), CLIENT_READ_END);
    client_reader_deinit(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_that_is_none_of_the_protocol_is_refused),
        cmocka_unit_test(what_is_odd_but_right_is_accepted),
        cmocka_unit_test(json_may_not_be_deep),
        cmocka_unit_test(only_so_many_subscriptions_may_be_recovered_at_once),
        cmocka_unit_test(protobuf_that_is_none_of_the_protocol_is_refused),
        cmocka_unit_test(json_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(protobuf_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(what_follows_something_bad_is_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
