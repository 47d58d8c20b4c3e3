#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/router_frame.h"
#include "proto/router.pb-c.h"

#define DATA_LIMIT 1000

static struct buffer bytes;
static struct router_frame got;

/* Writes a frame and reads it into `got`. */
static void pass(const struct router_frame *frame)
{
    router_frame_append(&bytes, frame);
    assert_int_equal(router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &got), 0);
    assert_int_equal(got.kind, frame->kind);
    buffer_deinit(&bytes); /* what was read stands alone */
}

static void done(void)
{
    router_frame_release(&got);
}

static void assert_channel(const char *channel)
{
    assert_int_equal(got.channel_size, strlen(channel));
    assert_memory_equal(got.channel, channel, strlen(channel));
}

/* Reads what a stranger has packed. */
static int read_packed(const Carillon__Router__Frame *packed)
{
    unsigned char raw[16384];
    size_t size = carillon__router__frame__pack(packed, raw);

    assert_true(size <= sizeof(raw));

    int error = router_frame_read(raw, size, DATA_LIMIT, &got);

    if (!error)
        done();
    return error;
}

static struct router_frame frame_of(enum router_frame_kind kind)
{
    return (struct router_frame){.kind = kind, .channel = "news", .channel_size = 4};
}

static struct router_present present(const char *client, size_t client_size, size_t user_size,
                                     size_t info_size)
{
    static const unsigned char zeros[ROUTER_INFO_LIMIT + 1];

    return (struct router_present){client,    client_size, (const char *)zeros,
                                   user_size, zeros,       info_size};
}

static int read_set(size_t client_size, size_t user_size, size_t info_size)
{
    static const char client[ROUTER_CLIENT_LIMIT + 1];
    struct router_frame frame = frame_of(FRAME_PRESENCE_SET);
    int error;

    frame.presence.request = 1;
    frame.presence.who = present(client, client_size, user_size, info_size);
    router_frame_append(&bytes, &frame);
    error = router_frame_read(bytes.data, bytes.size, DATA_LIMIT + 8192, &got);
    buffer_deinit(&bytes);
    if (!error)
        done();
    return error;
}

static void presence_set_comes_back_as_it_was(void **state)
{
    struct router_frame frame = frame_of(FRAME_PRESENCE_SET);

    (void)state;
    frame.presence.request = UINT64_MAX;
    frame.presence.who =
        (struct router_present){"c\0d", 3, "u\xff", 2, (const unsigned char *)"{}", 2};
    pass(&frame);
    assert_channel("news");
    assert_true(got.presence.request == UINT64_MAX);
    assert_int_equal(got.presence.who.client_size, 3);
    assert_memory_equal(got.presence.who.client, "c\0d", 3);
    assert_int_equal(got.presence.who.user_size, 2);
    assert_memory_equal(got.presence.who.user, "u\xff", 2);
    assert_int_equal(got.presence.who.info_size, 2);
    assert_memory_equal(got.presence.who.info, "{}", 2);
    done();
}

static void what_a_client_says_of_itself_keeps_its_limits(void **state)
{
    (void)state;
    assert_int_equal(read_set(1, 0, 0), 0);
    assert_int_equal(read_set(ROUTER_CLIENT_LIMIT, ROUTER_USER_LIMIT, ROUTER_INFO_LIMIT), 0);
    assert_int_equal(read_set(0, 0, 0), UV_EPROTO);
    assert_int_equal(read_set(ROUTER_CLIENT_LIMIT + 1, 0, 0), UV_EPROTO);
    assert_int_equal(read_set(1, ROUTER_USER_LIMIT + 1, 0), UV_EPROTO);
    assert_int_equal(read_set(1, 0, ROUTER_INFO_LIMIT + 1), UV_EPROTO);
}

static void presence_set_without_somebody_is_no_frame(void **state)
{
    Carillon__Router__Frame packed = CARILLON__ROUTER__FRAME__INIT;
    Carillon__Router__PresenceSet set = CARILLON__ROUTER__PRESENCE_SET__INIT;

    (void)state;
    set.channel = "news";
    set.request = 1;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_PRESENCE_SET;
    packed.presence_set = &set;
    assert_int_equal(read_packed(&packed), UV_EPROTO);
}

static void presence_remove_names_the_client(void **state)
{
    struct router_frame frame = frame_of(FRAME_PRESENCE_REMOVE);

    (void)state;
    frame.presence.who = present("ann", 3, 0, 0);
    pass(&frame);
    assert_channel("news");
    assert_int_equal(got.presence.who.client_size, 3);
    assert_memory_equal(got.presence.who.client, "ann", 3);
    done();

    frame.presence.who.client_size = 0;
    router_frame_append(&bytes, &frame);
    assert_int_equal(router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &got), UV_EPROTO);
    buffer_deinit(&bytes);
}

static void asks_come_back_as_they_were(void **state)
{
    struct router_frame frame = frame_of(FRAME_PRESENCE_ASK);

    (void)state;
    frame.presence_ask.request = 7;
    frame.presence_ask.insist = true;
    pass(&frame);
    assert_channel("news");
    assert_int_equal(got.presence_ask.request, 7);
    assert_true(got.presence_ask.insist);
    done();

    frame = frame_of(FRAME_HISTORY_ASK);
    frame.history_ask.request = 8;
    frame.history_ask.epoch = "e1";
    frame.history_ask.offset = 99;
    frame.history_ask.limit = UINT64_MAX;
    frame.history_ask.is_reverse = true;
    frame.history_ask.insist = true;
    pass(&frame);
    assert_channel("news");
    assert_int_equal(got.history_ask.request, 8);
    assert_string_equal(got.history_ask.epoch, "e1");
    assert_int_equal(got.history_ask.offset, 99);
    assert_true(got.history_ask.limit == UINT64_MAX);
    assert_true(got.history_ask.is_reverse);
    assert_true(got.history_ask.insist);
    done();
}

static void an_ask_that_nobody_could_answer_is_no_frame(void **state)
{
    struct router_frame frame = frame_of(FRAME_HISTORY_ASK);

    (void)state;
    router_frame_append(&bytes, &frame); /* no request */
    assert_int_equal(router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &got), UV_EPROTO);
    buffer_deinit(&bytes);

    frame.history_ask.request = 1;
    frame.history_ask.epoch = "12345678901234567"; /* one byte too long */
    router_frame_append(&bytes, &frame);
    assert_int_equal(router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &got), UV_EPROTO);
    buffer_deinit(&bytes);

    frame.history_ask.epoch = "";
    frame.channel_size = 0;
    router_frame_append(&bytes, &frame);
    assert_int_equal(router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &got), UV_EPROTO);
    buffer_deinit(&bytes);
}

static void a_list_comes_back_in_its_order(void **state)
{
    struct router_frame frame = frame_of(FRAME_PRESENCE_LIST);
    struct router_present items[2] = {present("ann", 3, 5, 0), present("bob", 3, 0, 9)};

    (void)state;
    frame.presence_list.request = 3;
    frame.presence_list.items = items;
    frame.presence_list.count = 2;
    frame.presence_list.has_more = true;
    pass(&frame);
    assert_channel("news");
    assert_int_equal(got.presence_list.request, 3);
    assert_true(got.presence_list.has_more);
    assert_int_equal(got.presence_list.count, 2);
    assert_memory_equal(got.presence_list.items[0].client, "ann", 3);
    assert_int_equal(got.presence_list.items[0].user_size, 5);
    assert_memory_equal(got.presence_list.items[1].client, "bob", 3);
    assert_int_equal(got.presence_list.items[1].info_size, 9);
    done();

    frame.presence_list.count = 0;
    frame.presence_list.has_more = false;
    pass(&frame);
    assert_int_equal(got.presence_list.count, 0);
    done();
}

static void a_list_that_is_too_long_is_no_frame(void **state)
{
    Carillon__Router__Frame packed = CARILLON__ROUTER__FRAME__INIT;
    Carillon__Router__PresenceList list = CARILLON__ROUTER__PRESENCE_LIST__INIT;
    Carillon__Router__Present who = CARILLON__ROUTER__PRESENT__INIT;
    Carillon__Router__Present *items[ROUTER_PIECE_LIMIT + 1];

    (void)state;
    who.client = (ProtobufCBinaryData){1, (uint8_t *)"c"};
    for (size_t i = 0; i <= ROUTER_PIECE_LIMIT; i++)
        items[i] = &who;
    list.channel = "news";
    list.present = items;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_PRESENCE_LIST;
    packed.presence_list = &list;
    list.n_present = ROUTER_PIECE_LIMIT;
    assert_int_equal(read_packed(&packed), 0);
    list.n_present = ROUTER_PIECE_LIMIT + 1;
    assert_int_equal(read_packed(&packed), UV_EPROTO);
}

static struct message *message_of(const char *channel, const void *data, size_t size)
{
    struct message *message = message_create(MESSAGE_TEXT, channel, strlen(channel), data, size);

    message->publisher = 1;
    return message;
}

static void history_comes_back_with_its_messages(void **state)
{
    struct router_frame frame = frame_of(FRAME_HISTORY);
    struct message *messages[2];

    (void)state;
    for (uint64_t i = 0; i < 2; i++) {
        messages[i] = message_of("news", i ? "two" : "one", 3);
        messages[i]->offset = 5 + i;
        strcpy(messages[i]->epoch, "e1");
    }
    frame.history.request = 4;
    frame.history.epoch = "e1";
    frame.history.offset = 6;
    frame.history.messages = messages;
    frame.history.count = 2;
    frame.history.has_more = true;
    pass(&frame);
    assert_channel("news");
    assert_int_equal(got.history.request, 4);
    assert_string_equal(got.history.epoch, "e1");
    assert_int_equal(got.history.offset, 6);
    assert_int_equal(got.history.outcome, OUTCOME_CONTINUED);
    assert_true(got.history.has_more);
    assert_int_equal(got.history.count, 2);
    assert_int_equal(got.history.messages[0]->offset, 5);
    assert_memory_equal(got.history.messages[0]->data, "one", 3);
    assert_int_equal(got.history.messages[1]->offset, 6);
    assert_memory_equal(got.history.messages[1]->data, "two", 3);
    done();

    frame.history.count = 0;
    frame.history.outcome = OUTCOME_LOST;
    frame.history.has_more = false;
    pass(&frame);
    assert_int_equal(got.history.count, 0);
    assert_int_equal(got.history.outcome, OUTCOME_LOST);
    done();
    message_unref(messages[0]);
    message_unref(messages[1]);
}

static int read_history_of(const char *channel, size_t data_size)
{
    static const unsigned char data[DATA_LIMIT + 1];
    struct router_frame frame = frame_of(FRAME_HISTORY);
    struct message *messages[2] = {
        message_of("news", "one", 3),
        message_of(channel, data, data_size),
    };
    int error;

    frame.history.messages = messages;
    frame.history.count = 2;
    router_frame_append(&bytes, &frame);
    error = router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &got);
    buffer_deinit(&bytes);
    message_unref(messages[0]);
    message_unref(messages[1]);
    if (!error)
        done();
    return error;
}

static void history_of_another_channel_or_too_large_is_no_frame(void **state)
{
    (void)state;
    assert_int_equal(read_history_of("news", DATA_LIMIT), 0);
    assert_int_equal(read_history_of("news", DATA_LIMIT + 1), UV_EPROTO);
    assert_int_equal(read_history_of("olds", 1), UV_EPROTO);
}

static void a_refusal_names_what_it_refuses(void **state)
{
    struct router_frame frame = frame_of(FRAME_REFUSED);

    (void)state;
    frame.refused.reason = REASON_BUSY;
    frame.refused.request = 12;
    pass(&frame);
    assert_int_equal(got.refused.request, 12);
    assert_int_equal(got.refused.sequence, 0);
    assert_int_equal(got.refused.reason, REASON_BUSY);
    done();
}

static struct router_frame hello_of(enum router_frame_kind kind, unsigned capabilities)
{
    static const unsigned char nonce[ROUTER_NONCE_BYTES];

    return (struct router_frame){.kind = kind,
                                 .hello = {.version = ROUTER_VERSION,
                                           .capabilities = capabilities,
                                           .node = 1,
                                           .name = "r1",
                                           .nonce = nonce,
                                           .address = ""}};
}

static void capabilities_travel_both_ways(void **state)
{
    static const unsigned sets[] = {0, ROUTER_CAN_PRESENCE, ROUTER_CAN_HISTORY,
                                    ROUTER_CAPABILITIES};

    (void)state;
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        struct router_frame hello = hello_of(FRAME_HELLO, sets[i]);
        struct router_frame welcome = hello_of(FRAME_WELCOME, sets[i]);

        pass(&hello);
        assert_int_equal(got.hello.capabilities, sets[i]);
        done();
        pass(&welcome);
        assert_int_equal(got.hello.capabilities, sets[i]);
        done();
    }
}

static void capabilities_of_tomorrow_are_skipped(void **state)
{
    char *names[] = {"telepathy", "history", "", "history"};
    Carillon__Router__Frame packed = CARILLON__ROUTER__FRAME__INIT;
    Carillon__Router__Hello hello = CARILLON__ROUTER__HELLO__INIT;
    unsigned char nonce[ROUTER_NONCE_BYTES] = {0};
    unsigned char raw[256];
    size_t size;

    (void)state;
    hello.version = ROUTER_VERSION;
    hello.node = 1;
    hello.nonce = (ProtobufCBinaryData){sizeof(nonce), nonce};
    hello.capabilities = names;
    hello.n_capabilities = 4;
    packed.kind_case = CARILLON__ROUTER__FRAME__KIND_HELLO;
    packed.hello = &hello;
    size = carillon__router__frame__pack(&packed, raw);
    assert_int_equal(router_frame_read(raw, size, DATA_LIMIT, &got), 0);
    assert_int_equal(got.hello.capabilities, ROUTER_CAN_HISTORY);
    done();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(presence_set_comes_back_as_it_was),
        cmocka_unit_test(what_a_client_says_of_itself_keeps_its_limits),
        cmocka_unit_test(presence_set_without_somebody_is_no_frame),
        cmocka_unit_test(presence_remove_names_the_client),
        cmocka_unit_test(asks_come_back_as_they_were),
        cmocka_unit_test(an_ask_that_nobody_could_answer_is_no_frame),
        cmocka_unit_test(a_list_comes_back_in_its_order),
        cmocka_unit_test(a_list_that_is_too_long_is_no_frame),
        cmocka_unit_test(history_comes_back_with_its_messages),
        cmocka_unit_test(history_of_another_channel_or_too_large_is_no_frame),
        cmocka_unit_test(a_refusal_names_what_it_refuses),
        cmocka_unit_test(capabilities_travel_both_ways),
        cmocka_unit_test(capabilities_of_tomorrow_are_skipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
