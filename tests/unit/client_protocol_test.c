/* Every request says the same in JSON and in protobuf. */
#include "tests/unit/client_protocol_fixture.h"

typedef void check_request(const struct client_request *request);

static Carillon__Client__Command command_of(uint32_t id)
{
    Carillon__Client__Command command = CARILLON__CLIENT__COMMAND__INIT;

    command.id = id;
    return command;
}

static void check_frame(enum client_format format, const void *frame, size_t size,
                        check_request *check)
{
    struct client_reader reader;
    struct client_request request;

    assert_int_equal(read_frame(&reader, format, frame, size, &request), CLIENT_READ_REQUEST);
    check(&request);
    assert_int_equal(client_reader_next(&reader, &request), CLIENT_READ_END);
    client_reader_deinit(&reader);
}

static void check_both(const char *json, const Carillon__Client__Command *command,
                       check_request *check)
{
    struct buffer frame = {0};

    check_frame(CLIENT_JSON, json, strlen(json), check);
    put_command(&frame, command);
    check_frame(CLIENT_PROTOBUF, frame.data, frame.size, check);
    buffer_deinit(&frame);
}

static void check_connect(const struct client_request *request)
{
    const struct client_connect_request *connect = &request->connect;

    assert_int_equal(request->id, 1);
    assert_int_equal(request->method, CLIENT_CONNECT);
    assert_text(connect->token, "a.b.c");
    assert_text(connect->data, "{\"x\":1}");
    assert_text(connect->name, "js");
    assert_text(connect->version, "5");
    assert_int_equal(connect->sub_count, 2);
    assert_text(connect->subs[0].channel, "news");
    assert_true(connect->subs[0].recover);
    assert_text(connect->subs[0].epoch, "e");
    assert_true(connect->subs[0].offset == UINT64_MAX);
    assert_text(connect->subs[1].channel, "empty");
    assert_false(connect->subs[1].recover);
}

static void connect_says_who_it_is_and_where_it_stands(void **state)
{
    Carillon__Client__Command command = command_of(1);
    Carillon__Client__ConnectRequest connect = CARILLON__CLIENT__CONNECT_REQUEST__INIT;
    Carillon__Client__SubscribeRequest sub = CARILLON__CLIENT__SUBSCRIBE_REQUEST__INIT;
    Carillon__Client__ConnectRequest__SubsEntry entries[2] = {
        CARILLON__CLIENT__CONNECT_REQUEST__SUBS_ENTRY__INIT,
        CARILLON__CLIENT__CONNECT_REQUEST__SUBS_ENTRY__INIT};
    Carillon__Client__ConnectRequest__SubsEntry *subs[] = {&entries[0], &entries[1]};

    (void)state;
    sub.recover = true;
    sub.epoch = "e";
    sub.offset = UINT64_MAX;
    entries[0].key = "news";
    entries[0].value = &sub;
    entries[1].key = "empty";
    connect.token = "a.b.c";
    connect.data = bytes_of("{\"x\":1}");
    connect.name = "js";
    connect.version = "5";
    connect.subs = subs;
    connect.n_subs = 2;
    command.connect = &connect;
    check_both("{\"id\":1,\"connect\":{\"token\":\"a.b.c\",\"data\":{\"x\":1},\"name\":\"js\","
               "\"version\":\"5\",\"subs\":{\"news\":{\"recover\":true,\"epoch\":\"e\","
               "\"offset\":18446744073709551615},\"empty\":{\"channel\":\"other\"}}}}",
               &command, check_connect);
}

static void check_subscribe(const struct client_request *request)
{
    const struct client_subscribe_request *subscribe = &request->subscribe;

    assert_true(request->id == UINT32_MAX);
    assert_int_equal(request->method, CLIENT_SUBSCRIBE);
    assert_text(subscribe->channel, "caf\xc3\xa9");
    assert_text(subscribe->token, "t");
    assert_text(subscribe->data, "[]");
    assert_text(subscribe->epoch, "xyz");
    assert_text(subscribe->delta, "fossil");
    assert_int_equal(subscribe->offset, 300);
    assert_true(subscribe->recover && subscribe->positioned && subscribe->recoverable);
    assert_true(subscribe->join_leave);
}

static void subscribe_has_all_its_fields(void **state)
{
    Carillon__Client__Command command = command_of(UINT32_MAX);
    Carillon__Client__SubscribeRequest subscribe = CARILLON__CLIENT__SUBSCRIBE_REQUEST__INIT;

    (void)state;
    subscribe.channel = "caf\xc3\xa9";
    subscribe.token = "t";
    subscribe.data = bytes_of("[]");
    subscribe.epoch = "xyz";
    subscribe.delta = "fossil";
    subscribe.offset = 300;
    subscribe.recover = subscribe.positioned = subscribe.recoverable = subscribe.join_leave = true;
    command.subscribe = &subscribe;
    check_both("{\"subscribe\":{\"channel\":\"caf\\u00e9\",\"token\":\"t\",\"data\":[],"
               "\"epoch\":\"xyz\",\"delta\":\"fossil\",\"offset\":300,\"recover\":true,"
               "\"positioned\":true,\"recoverable\":true,\"join_leave\":true},\"id\":4294967295}",
               &command, check_subscribe);
}

static void check_unsubscribe(const struct client_request *request)
{
    assert_int_equal(request->method, CLIENT_UNSUBSCRIBE);
    assert_text(request->channel, "x");
}

static void check_presence(const struct client_request *request)
{
    assert_int_equal(request->method, CLIENT_PRESENCE);
    assert_text(request->channel, "x");
}

static void check_presence_stats(const struct client_request *request)
{
    assert_int_equal(request->method, CLIENT_PRESENCE_STATS);
    assert_text(request->channel, "x");
}

static void what_concerns_a_channel_names_it(void **state)
{
    Carillon__Client__Command unsubscribe = command_of(3);
    Carillon__Client__Command presence = command_of(3);
    Carillon__Client__Command stats = command_of(3);
    Carillon__Client__UnsubscribeRequest from = CARILLON__CLIENT__UNSUBSCRIBE_REQUEST__INIT;
    Carillon__Client__PresenceRequest whose = CARILLON__CLIENT__PRESENCE_REQUEST__INIT;
    Carillon__Client__PresenceStatsRequest of = CARILLON__CLIENT__PRESENCE_STATS_REQUEST__INIT;

    (void)state;
    from.channel = whose.channel = of.channel = "x";
    unsubscribe.unsubscribe = &from;
    presence.presence = &whose;
    stats.presence_stats = &of;
    check_both("{\"id\":3,\"unsubscribe\":{\"channel\":\"x\"}}", &unsubscribe, check_unsubscribe);
    check_both("{\"id\":3,\"presence\":{\"channel\":\"x\"}}", &presence, check_presence);
    check_both("{\"id\":3,\"presence_stats\":{\"channel\":\"x\"}}", &stats, check_presence_stats);
}

static void check_publish(const struct client_request *request)
{
    assert_int_equal(request->method, CLIENT_PUBLISH);
    assert_text(request->publish.channel, "x");
    assert_text(request->publish.data,
                "{\"b\": 123456789012345678901234567890, \"a\":\"\\u0041\"}");
    assert_text(request->publish.idempotency_key, "k");
}

static void a_payload_is_the_bytes_that_the_client_wrote(void **state)
{
    Carillon__Client__Command command = command_of(3);
    Carillon__Client__PublishRequest publish = CARILLON__CLIENT__PUBLISH_REQUEST__INIT;

    (void)state;
    publish.channel = "x";
    publish.data = bytes_of("{\"b\": 123456789012345678901234567890, \"a\":\"\\u0041\"}");
    publish.idempotency_key = "k";
    command.publish = &publish;
    check_both(" { \"id\" : 3 , \"publish\" : { \"channel\" : \"x\" , \"data\" : "
               "{\"b\": 123456789012345678901234567890, \"a\":\"\\u0041\"}\t, "
               "\"idempotency_key\" : \"k\" } }\r",
               &command, check_publish);
}

static void check_history(const struct client_request *request)
{
    assert_int_equal(request->method, CLIENT_HISTORY);
    assert_text(request->history.channel, "x");
    assert_int_equal(request->history.limit, -1);
    assert_true(request->history.reverse);
    assert_true(request->history.has_since);
    assert_int_equal(request->history.offset, 5);
    assert_text(request->history.epoch, "e");
}

static void check_history_from_the_start(const struct client_request *request)
{
    assert_int_equal(request->method, CLIENT_HISTORY);
    assert_int_equal(request->history.limit, INT32_MIN);
    assert_false(request->history.has_since);
}

static void history_may_begin_at_a_position(void **state)
{
    Carillon__Client__Command command = command_of(3);
    Carillon__Client__HistoryRequest history = CARILLON__CLIENT__HISTORY_REQUEST__INIT;
    Carillon__Client__StreamPosition since = CARILLON__CLIENT__STREAM_POSITION__INIT;

    (void)state;
    history.channel = "x";
    history.limit = INT32_MIN;
    command.history = &history;
    check_both("{\"id\":3,\"history\":{\"channel\":\"x\",\"limit\":-2147483648,\"since\":null}}",
               &command, check_history_from_the_start);
    history.limit = -1;
    history.reverse = true;
    history.since = &since;
    since.offset = 5;
    since.epoch = "e";
    check_both("{\"id\":3,\"history\":{\"channel\":\"x\",\"limit\":-1,\"reverse\":true,"
               "\"since\":{\"offset\":5,\"epoch\":\"e\"}}}",
               &command, check_history);
}

static void check_ping(const struct client_request *request)
{
    assert_int_equal(request->id, 3);
    assert_int_equal(request->method, CLIENT_PING);
}

static void check_send(const struct client_request *request)
{
    assert_int_equal(request->id, 0);
    assert_int_equal(request->method, CLIENT_SEND);
    assert_text(request->data, "null");
}

static void check_rpc(const struct client_request *request)
{
    assert_int_equal(request->method, CLIENT_RPC);
    assert_text(request->rpc.method, "m");
    assert_text(request->rpc.data, "1e2");
}

static void what_is_for_the_application_carries_data(void **state)
{
    Carillon__Client__Command ping = command_of(3);
    Carillon__Client__Command send = command_of(0);
    Carillon__Client__Command rpc = command_of(3);
    Carillon__Client__PingRequest nothing = CARILLON__CLIENT__PING_REQUEST__INIT;
    Carillon__Client__SendRequest message = CARILLON__CLIENT__SEND_REQUEST__INIT;
    Carillon__Client__RPCRequest call = CARILLON__CLIENT__RPCREQUEST__INIT;

    (void)state;
    ping.ping = &nothing;
    message.data = bytes_of("null");
    send.send = &message;
    call.method = "m";
    call.data = bytes_of("1e2");
    rpc.rpc = &call;
    check_both("{\"id\":3,\"ping\":{}}", &ping, check_ping);
    check_both("{\"send\":{\"data\":null}}", &send, check_send);
    check_both("{\"id\":3,\"rpc\":{\"method\":\"m\",\"data\":1e2}}", &rpc, check_rpc);
}

static void check_refresh(const struct client_request *request)
{
    assert_int_equal(request->method, CLIENT_REFRESH);
    assert_text(request->refresh.token, "t");
}

static void check_sub_refresh(const struct client_request *request)
{
    assert_int_equal(request->method, CLIENT_SUB_REFRESH);
    assert_text(request->refresh.channel, "x");
    assert_text(request->refresh.token, "t");
}

static void tokens_are_renewed(void **state)
{
    Carillon__Client__Command refresh = command_of(3);
    Carillon__Client__Command sub_refresh = command_of(3);
    Carillon__Client__RefreshRequest whole = CARILLON__CLIENT__REFRESH_REQUEST__INIT;
    Carillon__Client__SubRefreshRequest one = CARILLON__CLIENT__SUB_REFRESH_REQUEST__INIT;

    (void)state;
    whole.token = one.token = "t";
    one.channel = "x";
    refresh.refresh = &whole;
    sub_refresh.sub_refresh = &one;
    check_both("{\"id\":3,\"refresh\":{\"token\":\"t\"}}", &refresh, check_refresh);
    check_both("{\"id\":3,\"sub_refresh\":{\"channel\":\"x\",\"token\":\"t\"}}", &sub_refresh,
               check_sub_refresh);
}

static void check_pong(const struct client_request *request)
{
    assert_int_equal(request->id, 0);
    assert_int_equal(request->method, CLIENT_PONG);
}

static void check_unknown(const struct client_request *request)
{
    assert_int_equal(request->id, 3);
    assert_int_equal(request->method, CLIENT_METHOD_UNKNOWN);
}

static void the_empty_command_is_a_pong_and_one_with_an_id_alone_unknown(void **state)
{
    Carillon__Client__Command pong = command_of(0);
    Carillon__Client__Command unknown = command_of(3);

    (void)state;
    check_both("{}", &pong, check_pong);
    check_both(" {\"id\":0} ", &pong, check_pong);
    check_both("{\"id\":3}", &unknown, check_unknown);
    check_both("{\"id\":3,\"dance\":{\"ping\":1},\"ping\":null}", &unknown, check_unknown);
}

/* Field 99 of the command and of its publish, in each wire type. */
static void fields_of_tomorrow_are_skipped(void **state)
{
    static const unsigned char frame[] = {
        45,   8,    3,    0x98, 0x06, 0x05, 0x99, 0x06, 1,    2,    3,    4,  5,    6, 7,   8,
        0x9a, 0x06, 1,    'x',  0x9d, 0x06, 1,    2,    3,    4,    0x3a, 18, 0x0a, 1, 'x', 0x12,
        1,    '1',  0x98, 0x06, 0x05, 0x9a, 0x06, 0,    0x9d, 0x06, 1,    2,  3,    4};
    struct client_reader reader;
    struct client_request request;

    (void)state;
    assert_int_equal(sizeof(frame), 46);
    assert_int_equal(read_frame(&reader, CLIENT_PROTOBUF, frame, sizeof(frame), &request),
                     CLIENT_READ_REQUEST);
    assert_int_equal(request.method, CLIENT_PUBLISH);
    assert_text(request.publish.channel, "x");
    assert_text(request.publish.data, "1");
    client_reader_deinit(&reader);
}

static void a_frame_has_any_number_of_commands(void **state)
{
    enum { COUNT = 10000 };
    struct buffer frames[2] = {{0}};
    struct client_reader reader;
    struct client_request request;

    (void)state;
    for (uint32_t i = 1; i <= COUNT; i++) {
        Carillon__Client__Command command = command_of(i);
        Carillon__Client__PresenceRequest presence = CARILLON__CLIENT__PRESENCE_REQUEST__INIT;

        presence.channel = "x";
        command.presence = &presence;
        put_command(&frames[CLIENT_PROTOBUF], &command);
        buffer_printf(&frames[CLIENT_JSON],
                      "\n \r\n{\"id\":%u,\"presence\":{\"channel\":\"\\u0078\"}}\r\n", i);
    }
    for (int format = CLIENT_JSON; format <= CLIENT_PROTOBUF; format++) {
        client_reader_init(&reader, (enum client_format)format, frames[format].data,
                           frames[format].size);
        for (uint32_t i = 1; i <= COUNT; i++) {
            assert_int_equal(client_reader_next(&reader, &request), CLIENT_READ_REQUEST);
            assert_int_equal(request.id, i);
            assert_text(request.channel, "x");
        }
        assert_int_equal(client_reader_next(&reader, &request), CLIENT_READ_END);
        client_reader_deinit(&reader);
        buffer_deinit(&frames[format]);
    }
}

/* A text ends where its length says, so that the check of a channel's name sees all of it. */
static void a_zero_byte_is_part_of_a_channel(void **state)
{
    static const char json[] = "{\"id\":3,\"presence\":{\"channel\":\"a\\u0000b\"}}";
    static const unsigned char protobuf[] = {9, 8, 3, 0x42, 5, 0x0a, 3, 'a', 0, 'b'};
    struct client_reader reader;
    struct client_request request;

    (void)state;
    assert_int_equal(read_frame(&reader, CLIENT_JSON, json, strlen(json), &request),
                     CLIENT_READ_REQUEST);
    assert_int_equal(request.channel.size, 3);
    assert_memory_equal(request.channel.data, "a\0b", 3);
    client_reader_deinit(&reader);
    assert_int_equal(read_frame(&reader, CLIENT_PROTOBUF, protobuf, sizeof(protobuf), &request),
                     CLIENT_READ_REQUEST);
    assert_int_equal(request.channel.size, 3);
    assert_memory_equal(request.channel.data, "a\0b", 3);
    client_reader_deinit(&reader);
}

static void an_empty_frame_has_no_commands(void **state)
{
    struct client_reader reader;
    struct client_request request;

    (void)state;
    assert_int_equal(read_frame(&reader, CLIENT_JSON, NULL, 0, &request), CLIENT_READ_END);
    client_reader_deinit(&reader);
    assert_int_equal(read_frame(&reader, CLIENT_JSON, "\n \n", 3, &request), CLIENT_READ_END);
    client_reader_deinit(&reader);
    assert_int_equal(read_frame(&reader, CLIENT_PROTOBUF, NULL, 0, &request), CLIENT_READ_END);
    client_reader_deinit(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connect_says_who_it_is_and_where_it_stands),
        cmocka_unit_test(subscribe_has_all_its_fields),
        cmocka_unit_test(what_concerns_a_channel_names_it),
        cmocka_unit_test(a_payload_is_the_bytes_that_the_client_wrote),
        cmocka_unit_test(history_may_begin_at_a_position),
        cmocka_unit_test(what_is_for_the_application_carries_data),
        cmocka_unit_test(tokens_are_renewed),
        cmocka_unit_test(the_empty_command_is_a_pong_and_one_with_an_id_alone_unknown),
        cmocka_unit_test(fields_of_tomorrow_are_skipped),
        cmocka_unit_test(a_frame_has_any_number_of_commands),
        cmocka_unit_test(a_zero_byte_is_part_of_a_channel),
        cmocka_unit_test(an_empty_frame_has_no_commands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
