/* Pushes: as text in JSON, and as protobuf-c unpacks them in protobuf. */
#include "tests/unit/client_protocol_fixture.h"

static struct buffer out;

static int clear(void **state)
{
    (void)state;
    buffer_deinit(&out);
    return 0;
}

static void expect(const char *json)
{
    assert_text(((struct text){(char *)out.data, out.size}), json);
    buffer_clear(&out, SIZE_MAX);
}

/* The push that was written; its reply is to be freed. */
static const Carillon__Client__Push *unpack(Carillon__Client__Reply **reply)
{
    *reply = unpack_reply(&out);
    buffer_clear(&out, SIZE_MAX);
    assert_int_equal((*reply)->id, 0);
    assert_non_null((*reply)->push);
    return (*reply)->push;
}

static const struct client_info who = {.user = {"", 0}, .client = {"c1", 2}};

static void a_publication_reaches_its_channel(void **state)
{
    struct client_publication publication = {
        .kind = CLIENT_DATA_JSON, .data = text_of("[1]"), .offset = 9, .info = &who};
    Carillon__Client__Reply *reply;
    const Carillon__Client__Push *push;

    (void)state;
    client_push_publication(&out, CLIENT_JSON, text_of("caf\xc3\xa9\""), &publication);
    expect("{\"push\":{\"channel\":\"caf\xc3\xa9\\\"\",\"pub\":{\"data\":[1],"
           "\"info\":{\"user\":\"\",\"client\":\"c1\"},\"offset\":9}}}");
    client_push_publication(&out, CLIENT_PROTOBUF, text_of("x"), &publication);
    push = unpack(&reply);
    assert_string_equal(push->channel, "x");
    assert_bytes(push->pub->data, "[1]");
    assert_int_equal(push->pub->offset, 9);
    assert_string_equal(push->pub->info->client, "c1");
    free_reply(reply);
}

static void empty_data_is_an_empty_string_or_left_out(void **state)
{
    static const char *const expected[] = {
        "{\"push\":{\"channel\":\"x\",\"pub\":{}}}",
        "{\"push\":{\"channel\":\"x\",\"pub\":{\"data\":\"\"}}}",
        "{\"push\":{\"channel\":\"x\",\"pub\":{\"data\":\"\"}}}"};

    (void)state;
    for (int kind = CLIENT_DATA_JSON; kind <= CLIENT_DATA_BYTES; kind++) {
        struct client_publication publication = {.kind = (enum client_data)kind};

        client_push_publication(&out, CLIENT_JSON, text_of("x"), &publication);
        expect(expected[kind]);
    }
}

/* What a JSON client with deltas puts together must be what client_write_json_data wrote, as that
 * is what the next delta is made against. */
static void whole_publications_between_deltas_are_strings_with_json_in_them(void **state)
{
    struct client_publication publication = {
        .kind = CLIENT_DATA_JSON, .data = text_of("{\"a\":\n\"b\"}"), .as_string = true};

    (void)state;
    client_write_json_data(&out, publication.kind, publication.data);
    expect("{\"a\":\"b\"}");
    client_push_publication(&out, CLIENT_JSON, text_of("x"), &publication);
    expect("{\"push\":{\"channel\":\"x\",\"pub\":{\"data\":\"{\\\"a\\\":\\\"b\\\"}\"}}}");
    publication.kind = CLIENT_DATA_TEXT;
    publication.data = text_of("hi");
    client_write_json_data(&out, publication.kind, publication.data);
    expect("\"hi\"");
    client_push_publication(&out, CLIENT_JSON, text_of("x"), &publication);
    expect("{\"push\":{\"channel\":\"x\",\"pub\":{\"data\":\"\\\"hi\\\"\"}}}");
    publication.kind = CLIENT_DATA_BYTES;
    client_write_json_data(&out, publication.kind, publication.data);
    expect("\"aGk=\"");
    client_push_publication(&out, CLIENT_JSON, text_of("x"), &publication);
    expect("{\"push\":{\"channel\":\"x\",\"pub\":{\"data\":\"\\\"aGk=\\\"\"}}}");
}

static void a_delta_is_a_string_in_json_and_bytes_in_protobuf(void **state)
{
    struct client_publication publication = {.kind = CLIENT_DATA_JSON,
                                             .data = text_of("4\n2:\"x2@0,"),
                                             .offset = 2,
                                             .as_string = true,
                                             .is_delta = true};
    Carillon__Client__Reply *reply;
    const Carillon__Client__Push *push;

    (void)state;
    client_push_publication(&out, CLIENT_JSON, text_of("x"), &publication);
    expect("{\"push\":{\"channel\":\"x\",\"pub\":{\"data\":\"4\\n2:\\\"x2@0,\",\"offset\":2,"
           "\"delta\":true}}}");
    client_push_publication(&out, CLIENT_PROTOBUF, text_of("x"), &publication);
    push = unpack(&reply);
    assert_bytes(push->pub->data, "4\n2:\"x2@0,");
    assert_true(push->pub->delta);
    free_reply(reply);
}

static void others_come_and_go(void **state)
{
    Carillon__Client__Reply *reply;
    const Carillon__Client__Push *push;

    (void)state;
    client_push_join(&out, CLIENT_JSON, text_of("x"), &who);
    expect("{\"push\":{\"channel\":\"x\",\"join\":{\"info\":{\"user\":\"\",\"client\":\"c1\"}}}}");
    client_push_leave(&out, CLIENT_JSON, text_of("x"), &who);
    expect("{\"push\":{\"channel\":\"x\",\"leave\":{\"info\":{\"user\":\"\",\"client\":\"c1\"}}}}");
    client_push_join(&out, CLIENT_PROTOBUF, text_of("x"), &who);
    push = unpack(&reply);
    assert_string_equal(push->join->info->client, "c1");
    free_reply(reply);
    client_push_leave(&out, CLIENT_PROTOBUF, text_of("x"), &who);
    push = unpack(&reply);
    assert_string_equal(push->channel, "x");
    assert_string_equal(push->leave->info->client, "c1");
    free_reply(reply);
}

static void the_server_subscribes_and_unsubscribes(void **state)
{
    static const struct client_subscribe_result result = {
        .recoverable = true, .positioned = true, .epoch = {"e", 1}, .offset = 3, .data = {"{}", 2}};
    Carillon__Client__Reply *reply;
    const Carillon__Client__Push *push;

    (void)state;
    client_push_subscribe(&out, CLIENT_JSON, text_of("x"), &result);
    expect("{\"push\":{\"channel\":\"x\",\"subscribe\":{\"recoverable\":true,\"epoch\":\"e\","
           "\"offset\":3,\"positioned\":true,\"data\":{}}}}");
    client_push_unsubscribe(&out, CLIENT_JSON, text_of("x"), CLIENT_UNSUBSCRIBE_INSUFFICIENT,
                            text_of("insufficient state"));
    expect("{\"push\":{\"channel\":\"x\",\"unsubscribe\":{\"code\":2500,"
           "\"reason\":\"insufficient state\"}}}");
    client_push_subscribe(&out, CLIENT_PROTOBUF, text_of("x"), &result);
    push = unpack(&reply);
    assert_true(push->subscribe->recoverable && push->subscribe->positioned);
    assert_string_equal(push->subscribe->epoch, "e");
    assert_int_equal(push->subscribe->offset, 3);
    assert_bytes(push->subscribe->data, "{}");
    free_reply(reply);
    client_push_unsubscribe(&out, CLIENT_PROTOBUF, text_of("x"), 2000, text_of("r"));
    push = unpack(&reply);
    assert_int_equal(push->unsubscribe->code, 2000);
    assert_string_equal(push->unsubscribe->reason, "r");
    free_reply(reply);
}

static void what_concerns_the_connection_names_no_channel(void **state)
{
    Carillon__Client__Reply *reply;
    const Carillon__Client__Push *push;

    (void)state;
    client_push_message(&out, CLIENT_JSON, text_of("1"));
    expect("{\"push\":{\"message\":{\"data\":1}}}");
    client_push_refresh(&out, CLIENT_JSON, true, 7);
    expect("{\"push\":{\"refresh\":{\"expires\":true,\"ttl\":7}}}");
    client_push_disconnect(&out, CLIENT_JSON, 3001, text_of("shutdown"), true);
    expect(
        "{\"push\":{\"disconnect\":{\"code\":3001,\"reason\":\"shutdown\",\"reconnect\":true}}}");
    client_push_message(&out, CLIENT_PROTOBUF, text_of("1"));
    push = unpack(&reply);
    assert_bytes(push->message->data, "1");
    free_reply(reply);
    client_push_refresh(&out, CLIENT_PROTOBUF, true, 7);
    push = unpack(&reply);
    assert_true(push->refresh->expires);
    assert_int_equal(push->refresh->ttl, 7);
    free_reply(reply);
    client_push_disconnect(&out, CLIENT_PROTOBUF, 3001, text_of("shutdown"), true);
    push = unpack(&reply);
    assert_int_equal(push->disconnect->code, 3001);
    assert_string_equal(push->disconnect->reason, "shutdown");
    assert_true(push->disconnect->reconnect);
    free_reply(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_publication_reaches_its_channel, clear),
        cmocka_unit_test_teardown(empty_data_is_an_empty_string_or_left_out, clear),
        cmocka_unit_test_teardown(whole_publications_between_deltas_are_strings_with_json_in_them,
                                  clear),
        cmocka_unit_test_teardown(a_delta_is_a_string_in_json_and_bytes_in_protobuf, clear),
        cmocka_unit_test_teardown(others_come_and_go, clear),
        cmocka_unit_test_teardown(the_server_subscribes_and_unsubscribes, clear),
        cmocka_unit_test_teardown(what_concerns_the_connection_names_no_channel, clear),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
