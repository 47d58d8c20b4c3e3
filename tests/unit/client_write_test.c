/* Replies and pushes: as text in JSON, and as protobuf-c unpacks them in protobuf. */
#include "tests/unit/client_protocol_fixture.h"

static struct buffer out;

static int clear(void **state)
{
    (void)state;
    buffer_deinit(&out);
    return 0;
}

/* What was written is this text. */
static void expect(const char *json)
{
    assert_text(((struct text){(char *)out.data, out.size}), json);
    buffer_clear(&out, SIZE_MAX);
}

/* What was written; to be freed. */
static Carillon__Client__Reply *unpack(void)
{
    Carillon__Client__Reply *reply = unpack_reply(&out);

    buffer_clear(&out, SIZE_MAX);
    return reply;
}

static void errors_say_whether_they_pass(void **state)
{
    Carillon__Client__Reply *reply;

    (void)state;
    client_write_error(&out, CLIENT_JSON, 7, CLIENT_ERROR_INTERNAL);
    expect("{\"id\":7,\"error\":{\"code\":100,\"message\":\"internal server error\","
           "\"temporary\":true}}");
    client_write_error(&out, CLIENT_JSON, 7, CLIENT_ERROR_PERMISSION_DENIED);
    expect("{\"id\":7,\"error\":{\"code\":103,\"message\":\"permission denied\"}}");
    client_write_custom_error(&out, CLIENT_PROTOBUF, UINT32_MAX, 1000, text_of("no"), true);
    reply = unpack();
    assert_true(reply->id == UINT32_MAX);
    assert_int_equal(reply->error->code, 1000);
    assert_string_equal(reply->error->message, "no");
    assert_true(reply->error->temporary);
    free_reply(reply);
}

static const struct client_info who = {{"u\"", 2}, {"c1", 2}, {"{\"n\":\n1}", 8}, {"[2]", 3}};

static const struct client_tag tags[] = {{{"a", 1}, {"b", 1}}, {{"c", 1}, {"", 0}}};

static const struct client_publication missed[] = {
    {.kind = CLIENT_DATA_JSON, .data = {"{\"x\":\r\n1}", 9}, .info = &who, .offset = 4},
    {.kind = CLIENT_DATA_TEXT, .data = {"say \"hi\"", 8}, .offset = 5, .time_ms = 1700000000123},
    {.kind = CLIENT_DATA_BYTES, .data = {"\xff\0\x01\x02", 4}, .tags = tags, .tag_count = 2},
};

static void check_missed(size_t count, Carillon__Client__Publication *const *publications)
{
    assert_int_equal(count, 3);
    assert_bytes(publications[0]->data, "{\"x\":\r\n1}");
    assert_string_equal(publications[0]->info->user, "u\"");
    assert_string_equal(publications[0]->info->client, "c1");
    assert_bytes(publications[0]->info->conn_info, "{\"n\":\n1}");
    assert_bytes(publications[0]->info->chan_info, "[2]");
    assert_int_equal(publications[0]->offset, 4);
    assert_bytes(publications[1]->data, "say \"hi\"");
    assert_int_equal(publications[1]->offset, 5);
    assert_true(publications[1]->time == 1700000000123);
    assert_null(publications[1]->info);
    assert_int_equal(publications[2]->data.len, 4);
    assert_memory_equal(publications[2]->data.data, "\xff\0\x01\x02", 4);
    assert_int_equal(publications[2]->n_tags, 2);
    assert_string_equal(publications[2]->tags[0]->key, "a");
    assert_string_equal(publications[2]->tags[0]->value, "b");
    assert_string_equal(publications[2]->tags[1]->key, "c");
    assert_string_equal(publications[2]->tags[1]->value, "");
}

#define INFO_JSON "{\"user\":\"u\\\"\",\"client\":\"c1\",\"conn_info\":{\"n\":1},\"chan_info\":[2]}"
#define MISSED_JSON                                                                                \
    "\"publications\":[{\"data\":{\"x\":1},\"info\":" INFO_JSON ",\"offset\":4},"                  \
    "{\"data\":\"say \\\"hi\\\"\",\"offset\":5,\"time\":1700000000123},"                           \
    "{\"data\":\"/wABAg==\",\"tags\":{\"a\":\"b\",\"c\":\"\"}}]"

#define EVERYTHING                                                                                 \
    {                                                                                              \
        .expires = true, .ttl_s = 60, .recoverable = true, .positioned = true, .epoch = {"e", 1},  \
        .offset = UINT64_MAX, .publications = missed, .publication_count = 3, .recovered = true,   \
        .was_recovering = true, .data = {"0", 1}, .delta = true,                                   \
    }

static const struct client_subscribe_result everything = EVERYTHING;

#define EVERYTHING_JSON                                                                            \
    "{\"expires\":true,\"ttl\":60,\"recoverable\":true,\"epoch\":\"e\"," MISSED_JSON               \
    ",\"recovered\":true,\"offset\":18446744073709551615,\"positioned\":true,\"data\":0,"          \
    "\"was_recovering\":true,\"delta\":true}"

static void check_everything(const Carillon__Client__SubscribeResult *result)
{
    assert_true(result->expires && result->recoverable && result->positioned);
    assert_true(result->recovered && result->was_recovering && result->delta);
    assert_int_equal(result->ttl, 60);
    assert_string_equal(result->epoch, "e");
    assert_true(result->offset == UINT64_MAX);
    assert_bytes(result->data, "0");
    check_missed(result->n_publications, result->publications);
}

static const struct client_server_sub server_subs[] = {{{"a\"", 2}, {0}}, {{"b", 1}, EVERYTHING}};

static const struct client_connect_result connected = {
    .client = {"id", 2},
    .version = {"1", 1},
    .expires = true,
    .ttl_s = 9,
    .data = {"{}", 2},
    .subs = server_subs,
    .sub_count = 2,
    .ping_s = 25,
    .pong = true,
    .session = {"s", 1},
    .node = {"n", 1},
};

static void connect_is_answered_with_all_subscriptions(void **state)
{
    Carillon__Client__Reply *reply;
    const Carillon__Client__ConnectResult *result;

    (void)state;
    client_write_connected(&out, CLIENT_JSON, 1, &connected);
    expect("{\"id\":1,\"connect\":{\"client\":\"id\",\"version\":\"1\",\"expires\":true,\"ttl\":9,"
           "\"data\":{},\"subs\":{\"a\\\"\":{},\"b\":" EVERYTHING_JSON "},\"ping\":25,"
           "\"pong\":true,\"session\":\"s\",\"node\":\"n\"}}");
    client_write_connected(&out, CLIENT_JSON, 1, &(struct client_connect_result){0});
    expect("{\"id\":1,\"connect\":{}}");
    client_write_connected(&out, CLIENT_PROTOBUF, 1, &connected);
    reply = unpack();
    result = reply->connect;
    assert_string_equal(result->client, "id");
    assert_string_equal(result->version, "1");
    assert_true(result->expires && result->pong);
    assert_int_equal(result->ttl, 9);
    assert_bytes(result->data, "{}");
    assert_int_equal(result->ping, 25);
    assert_string_equal(result->session, "s");
    assert_string_equal(result->node, "n");
    assert_int_equal(result->n_subs, 2);
    assert_string_equal(result->subs[0]->key, "a\"");
    assert_false(result->subs[0]->value->expires);
    assert_string_equal(result->subs[1]->key, "b");
    check_everything(result->subs[1]->value);
    free_reply(reply);
}

static void subscribe_is_answered_with_what_was_missed(void **state)
{
    Carillon__Client__Reply *reply;

    (void)state;
    client_write_subscribed(&out, CLIENT_JSON, 2, &everything);
    expect("{\"id\":2,\"subscribe\":" EVERYTHING_JSON "}");
    client_write_subscribed(&out, CLIENT_JSON, 2, &(struct client_subscribe_result){0});
    expect("{\"id\":2,\"subscribe\":{}}");
    client_write_subscribed(&out, CLIENT_PROTOBUF, 2, &everything);
    reply = unpack();
    assert_int_equal(reply->id, 2);
    check_everything(reply->subscribe);
    free_reply(reply);
}

static void small_replies_are_small(void **state)
{
    Carillon__Client__Reply *reply;

    (void)state;
    client_write_unsubscribed(&out, CLIENT_JSON, 3);
    expect("{\"id\":3,\"unsubscribe\":{}}");
    client_write_pong(&out, CLIENT_JSON, 3);
    expect("{\"id\":3,\"ping\":{}}");
    client_write_published(&out, CLIENT_JSON, 3, 0, (struct text){0});
    expect("{\"id\":3,\"publish\":{}}");
    client_write_published(&out, CLIENT_JSON, 3, 5, text_of("x"));
    expect("{\"id\":3,\"publish\":{\"offset\":5,\"epoch\":\"x\"}}");
    client_write_unsubscribed(&out, CLIENT_PROTOBUF, 3);
    reply = unpack();
    assert_non_null(reply->unsubscribe);
    free_reply(reply);
    client_write_pong(&out, CLIENT_PROTOBUF, 3);
    reply = unpack();
    assert_non_null(reply->ping);
    free_reply(reply);
    client_write_published(&out, CLIENT_PROTOBUF, 3, 5, text_of("x"));
    reply = unpack();
    assert_int_equal(reply->publish->offset, 5);
    assert_string_equal(reply->publish->epoch, "x");
    free_reply(reply);
}

/* SDKs read these fields without asking whether they are there. */
static void presence_and_history_have_all_their_fields(void **state)
{
    Carillon__Client__Reply *reply;

    (void)state;
    client_write_presence(&out, CLIENT_JSON, 4, NULL, 0);
    expect("{\"id\":4,\"presence\":{\"presence\":{}}}");
    client_write_presence(&out, CLIENT_JSON, 4, &who, 1);
    expect("{\"id\":4,\"presence\":{\"presence\":{\"c1\":" INFO_JSON "}}}");
    client_write_presence_stats(&out, CLIENT_JSON, 4, 0, 0);
    expect("{\"id\":4,\"presence_stats\":{\"num_clients\":0,\"num_users\":0}}");
    client_write_history(&out, CLIENT_JSON, 4, NULL, 0, 0, (struct text){0});
    expect("{\"id\":4,\"history\":{\"publications\":[],\"epoch\":\"\",\"offset\":0}}");
    client_write_history(&out, CLIENT_JSON, 4, missed, 3, 5, text_of("e"));
    expect("{\"id\":4,\"history\":{" MISSED_JSON ",\"epoch\":\"e\",\"offset\":5}}");
    client_write_presence(&out, CLIENT_PROTOBUF, 4, &who, 1);
    reply = unpack();
    assert_int_equal(reply->presence->n_presence, 1);
    assert_string_equal(reply->presence->presence[0]->key, "c1");
    assert_string_equal(reply->presence->presence[0]->value->client, "c1");
    free_reply(reply);
    client_write_presence_stats(&out, CLIENT_PROTOBUF, 4, 8, 9);
    reply = unpack();
    assert_int_equal(reply->presence_stats->num_clients, 8);
    assert_int_equal(reply->presence_stats->num_users, 9);
    free_reply(reply);
    client_write_history(&out, CLIENT_PROTOBUF, 4, missed, 3, 5, text_of("e"));
    reply = unpack();
    check_missed(reply->history->n_publications, reply->history->publications);
    assert_int_equal(reply->history->offset, 5);
    assert_string_equal(reply->history->epoch, "e");
    free_reply(reply);
}

static const struct client_refresh_result refreshed = {{"id", 2}, {"1", 1}, true, 30};

static void refreshes_say_how_long_they_last(void **state)
{
    Carillon__Client__Reply *reply;

    (void)state;
    client_write_refreshed(&out, CLIENT_JSON, 5, &refreshed);
    expect("{\"id\":5,\"refresh\":{\"client\":\"id\",\"version\":\"1\",\"expires\":true,"
           "\"ttl\":30}}");
    client_write_sub_refreshed(&out, CLIENT_JSON, 5, true, 30);
    expect("{\"id\":5,\"sub_refresh\":{\"expires\":true,\"ttl\":30}}");
    client_write_rpc(&out, CLIENT_JSON, 5, text_of("{\"a\":\n[]}"));
    expect("{\"id\":5,\"rpc\":{\"data\":{\"a\":[]}}}");
    client_write_refreshed(&out, CLIENT_PROTOBUF, 5, &refreshed);
    reply = unpack();
    assert_string_equal(reply->refresh->client, "id");
    assert_string_equal(reply->refresh->version, "1");
    assert_true(reply->refresh->expires);
    assert_int_equal(reply->refresh->ttl, 30);
    free_reply(reply);
    client_write_sub_refreshed(&out, CLIENT_PROTOBUF, 5, true, 30);
    reply = unpack();
    assert_true(reply->sub_refresh->expires);
    assert_int_equal(reply->sub_refresh->ttl, 30);
    free_reply(reply);
    client_write_rpc(&out, CLIENT_PROTOBUF, 5, text_of("\n"));
    reply = unpack();
    assert_bytes(reply->rpc->data, "\n");
    free_reply(reply);
}

static void messages_stand_behind_each_other(void **state)
{
    static const unsigned char protobuf[] = {0, 0, 4, 8, 1, 0x62, 0};

    (void)state;
    client_push_ping(&out, CLIENT_JSON);
    client_push_ping(&out, CLIENT_JSON);
    client_write_pong(&out, CLIENT_JSON, 1);
    expect("{}\n{}\n{\"id\":1,\"ping\":{}}");
    client_push_ping(&out, CLIENT_PROTOBUF);
    client_push_ping(&out, CLIENT_PROTOBUF);
    client_write_pong(&out, CLIENT_PROTOBUF, 1);
    assert_int_equal(out.size, sizeof(protobuf));
    assert_memory_equal(out.data, protobuf, sizeof(protobuf));
}

/* Lengths of one, two and three bytes. */
static void messages_of_any_size_have_their_lengths(void **state)
{
    (void)state;
    for (size_t size = 1; size < 40000; size = size * 3 + 1) {
        struct client_publication publication = {.kind = CLIENT_DATA_TEXT};
        struct buffer data = {0};
        Carillon__Client__Reply *reply;

        memset(buffer_reserve(&data, size), 'x', size);
        publication.data = (struct text){(char *)data.data, size};
        client_push_publication(&out, CLIENT_PROTOBUF, text_of("x"), &publication);
        reply = unpack();
        assert_int_equal(reply->push->pub->data.len, size);
        free_reply(reply);
        buffer_deinit(&data);
    }
}

static void every_code_has_a_text(void **state)
{
    (void)state;
    for (int code = CLIENT_ERROR_INTERNAL; code <= CLIENT_ERROR_UNRECOVERABLE_POSITION; code++)
        assert_true(strlen(client_error_text((enum client_error)code)) > 0);
    assert_string_equal(client_unsubscribe_text(CLIENT_UNSUBSCRIBE_SERVER), "server unsubscribe");
    assert_string_equal(client_unsubscribe_text(CLIENT_UNSUBSCRIBE_INSUFFICIENT),
                        "insufficient state");
    assert_string_equal(client_unsubscribe_text(CLIENT_UNSUBSCRIBE_EXPIRED),
                        "subscription expired");
    for (int code = CLIENT_DISCONNECT_INVALID_TOKEN; code <= CLIENT_DISCONNECT_TOO_MANY_ERRORS;
         code++)
        assert_true(strlen(client_disconnect_text((enum client_disconnect)code)) > 0);
    for (int code = CLIENT_DISCONNECT_SLOW; code <= CLIENT_DISCONNECT_TOO_MANY_REQUESTS; code++)
        assert_true(strlen(client_disconnect_text((enum client_disconnect)code)) > 0);
    assert_string_equal(client_disconnect_text(CLIENT_DISCONNECT_SHUTDOWN), "shutdown");
    assert_string_equal(client_disconnect_text(CLIENT_DISCONNECT_NORMAL), "connection closed");
    assert_true(client_error_is_temporary(CLIENT_ERROR_TOO_MANY_REQUESTS));
    assert_false(client_error_is_temporary(CLIENT_ERROR_BAD_REQUEST));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(errors_say_whether_they_pass, clear),
        cmocka_unit_test_teardown(connect_is_answered_with_all_subscriptions, clear),
        cmocka_unit_test_teardown(subscribe_is_answered_with_what_was_missed, clear),
        cmocka_unit_test_teardown(small_replies_are_small, clear),
        cmocka_unit_test_teardown(presence_and_history_have_all_their_fields, clear),
        cmocka_unit_test_teardown(refreshes_say_how_long_they_last, clear),
        cmocka_unit_test_teardown(messages_stand_behind_each_other, clear),
        cmocka_unit_test_teardown(messages_of_any_size_have_their_lengths, clear),
        cmocka_unit_test(every_code_has_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
