/* What is sent arrives, field by field. What must not arrive is in router_frame_limits_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/router_frame.h"

#define DATA_LIMIT 1000
#define NODE       0xfedcba9876543210u

static const unsigned char nonce[ROUTER_NONCE_BYTES] = "\0 nonce \xff of thirty-two bytes";

static struct router_frame frame; /* what arrived last */

static int forget_frame(void **state)
{
    (void)state;
    router_frame_release(&frame);
    return 0;
}

/* Lets a frame go to bytes and back. Packed once more it is the same, so nothing is lost that a
 * test forgot to look at; its bytes are gone when the test looks. */
static void carry(const struct router_frame *sent)
{
    struct buffer bytes = {0};
    struct buffer again = {0};

    router_frame_release(&frame);
    router_frame_append(&bytes, sent);
    assert_int_equal(router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &frame), 0);
    assert_int_equal(frame.kind, sent->kind);
    router_frame_append(&again, &frame);
    assert_int_equal(again.size, bytes.size);
    assert_memory_equal(again.data, bytes.data, bytes.size);
    buffer_deinit(&bytes);
    buffer_deinit(&again);
}

/* The same for a frame about a channel. */
static void carry_about(const char *channel, struct router_frame sent)
{
    sent.channel = channel;
    sent.channel_size = strlen(channel);
    carry(&sent);
    assert_int_equal(frame.channel_size, strlen(channel));
    assert_memory_equal(frame.channel, channel, strlen(channel));
}

/* Greeting. */

static void hello_and_welcome_arrive_whole(void **state)
{
    (void)state;
    carry(&(struct router_frame){.kind = FRAME_HELLO,
                                 .hello = {.version = ROUTER_VERSION,
                                           .node = NODE,
                                           .role = ROLE_ROUTER,
                                           .name = "router-1",
                                           .shard = 3,
                                           .shards = 4,
                                           .nonce = nonce,
                                           .address = "[::1]:9000",
                                           .cluster = "bells"}});
    assert_int_equal(frame.hello.version, ROUTER_VERSION);
    assert_true(frame.hello.node == NODE);
    assert_int_equal(frame.hello.role, ROLE_ROUTER);
    assert_string_equal(frame.hello.name, "router-1");
    assert_int_equal(frame.hello.shard, 3);
    assert_int_equal(frame.hello.shards, 4);
    assert_memory_equal(frame.hello.nonce, nonce, sizeof(nonce));
    assert_string_equal(frame.hello.address, "[::1]:9000");
    assert_string_equal(frame.hello.cluster, "bells");

    carry(&(struct router_frame){.kind = FRAME_WELCOME,
                                 .hello = {.version = 7,
                                           .node = 1,
                                           .name = "router-2",
                                           .shards = 16,
                                           .nonce = nonce,
                                           .proof = (const unsigned char *)"\0proof",
                                           .proof_size = 6,
                                           .cluster = "bells"}});
    assert_int_equal(frame.hello.version, 7);
    assert_true(frame.hello.node == 1);
    assert_string_equal(frame.hello.name, "router-2");
    assert_int_equal(frame.hello.shards, 16);
    assert_memory_equal(frame.hello.nonce, nonce, sizeof(nonce));
    assert_int_equal(frame.hello.proof_size, 6);
    assert_memory_equal(frame.hello.proof, "\0proof", 6);
    assert_string_equal(frame.hello.cluster, "bells");
}

static void gateway_needs_to_name_nothing_but_its_node(void **state)
{
    (void)state;
    carry(&(struct router_frame){.kind = FRAME_HELLO,
                                 .hello = {.node = NODE, .role = ROLE_GATEWAY, .nonce = nonce}});
    assert_int_equal(frame.hello.role, ROLE_GATEWAY);
    assert_string_equal(frame.hello.name, "");
    assert_string_equal(frame.hello.address, "");
    assert_string_equal(frame.hello.cluster, "");
    assert_int_equal(frame.hello.shards, 0);
}

static void proof_and_ready_arrive(void **state)
{
    (void)state;
    carry(&(struct router_frame){.kind = FRAME_PROOF, .proof = {nonce, sizeof(nonce)}});
    assert_int_equal(frame.proof.size, sizeof(nonce));
    assert_memory_equal(frame.proof.data, nonce, sizeof(nonce));
    carry(&(struct router_frame){.kind = FRAME_PROOF});
    assert_int_equal(frame.proof.size, 0);
    carry(&(struct router_frame){.kind = FRAME_READY});
}

static void every_error_arrives_with_its_text(void **state)
{
    (void)state;
    for (int code = ROUTER_ERROR_OTHER; code <= ROUTER_ERROR_LEAVING; code++) {
        carry(&(struct router_frame){.kind = FRAME_ERROR,
                                     .error = {(enum router_error)code, "caf\xc3\xa9"}});
        assert_int_equal(frame.error.code, code);
        assert_string_equal(frame.error.text, "caf\xc3\xa9");
    }
}

static void ping_and_pong_carry_a_clock(void **state)
{
    (void)state;
    carry(&(struct router_frame){.kind = FRAME_PING, .ping = {UINT64_MAX}});
    assert_true(frame.ping.time == UINT64_MAX);
    carry(&(struct router_frame){.kind = FRAME_PONG, .ping = {12345}});
    assert_true(frame.ping.time == 12345);
}

static void as_many_members_as_there_may_be_arrive_in_order(void **state)
{
    struct router_member members[ROUTER_MEMBER_LIMIT];
    char names[ROUTER_MEMBER_LIMIT][16];

    (void)state;
    for (unsigned i = 0; i < ROUTER_MEMBER_LIMIT; i++) {
        snprintf(names[i], sizeof(names[i]), "router-%u", i);
        members[i] = (struct router_member){i + 1, names[i], i % 2 ? "10.0.0.1:9000" : "", i == 5};
    }
    carry(&(struct router_frame){.kind = FRAME_MEMBERS, .members = {members, ROUTER_MEMBER_LIMIT}});
    assert_int_equal(frame.members.count, ROUTER_MEMBER_LIMIT);
    for (unsigned i = 0; i < ROUTER_MEMBER_LIMIT; i++) {
        assert_true(frame.members.items[i].node == i + 1);
        assert_string_equal(frame.members.items[i].name, names[i]);
        assert_string_equal(frame.members.items[i].address, members[i].address);
        assert_int_equal(frame.members.items[i].is_leaving, i == 5);
    }
    carry(&(struct router_frame){.kind = FRAME_MEMBERS});
    assert_int_equal(frame.members.count, 0);
}

/* Between gateways and routers. */

static void subscriptions_arrive_with_their_position(void **state)
{
    (void)state;
    carry_about("ns:caf\xc3\xa9",
                (struct router_frame){
                    .kind = FRAME_SUBSCRIBE,
                    .subscribe = {"0123456789abcdef", MESSAGE_OFFSET_LIMIT - 1, true, NODE + 1}});
    assert_string_equal(frame.subscribe.epoch, "0123456789abcdef");
    assert_true(frame.subscribe.offset == MESSAGE_OFFSET_LIMIT - 1);
    assert_true(frame.subscribe.insist);
    assert_true(frame.subscribe.acknowledged == NODE + 1);
    carry_about("room", (struct router_frame){.kind = FRAME_SUBSCRIBE});
    assert_string_equal(frame.subscribe.epoch, "");
    assert_false(frame.subscribe.insist);
    carry_about("room", (struct router_frame){.kind = FRAME_UNSUBSCRIBE});
    for (int outcome = OUTCOME_CONTINUED; outcome <= OUTCOME_LOST; outcome++) {
        carry_about("room", (struct router_frame){
                                .kind = FRAME_SUBSCRIBED,
                                .subscribed = {"epoch", 9, (enum router_outcome)outcome}});
        assert_string_equal(frame.subscribed.epoch, "epoch");
        assert_true(frame.subscribed.offset == 9);
        assert_int_equal(frame.subscribed.outcome, outcome);
    }
    carry_about("room", (struct router_frame){.kind = FRAME_MOVED, .moved = {NODE}});
    assert_true(frame.moved.node == NODE);
}

static struct message *make_message(uint64_t offset)
{
    struct message *message = message_create(MESSAGE_BINARY, "room", 4, "\0\xff\n", 3);

    message->publisher = NODE;
    message->sequence = 77;
    message->time_ms = 1700000000123;
    message->offset = offset;
    if (offset > 0)
        strcpy(message->epoch, "epoch");
    return message;
}

/* The frame's message is the one that make_message made. */
static void assert_message(const struct message *message, uint64_t offset)
{
    assert_int_equal(message->kind, MESSAGE_BINARY);
    assert_string_equal(message->channel, "room");
    assert_int_equal(frame.channel_size, 4);
    assert_memory_equal(frame.channel, "room", 4);
    assert_int_equal(message->data_size, 3);
    assert_memory_equal(message->data, "\0\xff\n", 3);
    assert_true(message->publisher == NODE);
    assert_true(message->sequence == 77);
    assert_true(message->time_ms == 1700000000123);
    assert_true(message->offset == offset);
    assert_string_equal(message->epoch, offset > 0 ? "epoch" : "");
}

static void messages_arrive_in_all_frames_that_carry_one(void **state)
{
    struct message *message = make_message(0);
    struct message *placed = make_message(5);

    (void)state;
    carry(&(struct router_frame){.kind = FRAME_PUBLISH,
                                 .publish = {.message = message, .after = 76, .insist = true}});
    assert_message(frame.publish.message, 0);
    assert_true(frame.publish.after == 76);
    assert_true(frame.publish.insist);
    carry(&(struct router_frame){.kind = FRAME_DELIVER, .deliver = {.message = placed}});
    assert_message(frame.deliver.message, 5);
    carry(&(struct router_frame){.kind = FRAME_ENTRY, .deliver = {.message = placed}});
    assert_message(frame.deliver.message, 5);
    message_unref(message);
    message_unref(placed);
}

static void assert_limits(const struct router_limits *limits, uint64_t size, uint64_t ttl_ms)
{
    assert_true(limits->are_set);
    assert_true(limits->history_size == size);
    assert_true(limits->history_ttl_ms == ttl_ms);
}

static void limits_arrive(void **state)
{
    struct message *message = make_message(0);
    struct message *placed = make_message(5);

    (void)state;
    carry(&(struct router_frame){.kind = FRAME_PUBLISH,
                                 .publish = {message, 76, true, {true, 10, 5000}}});
    assert_limits(&frame.publish.limits, 10, 5000);
    carry(&(struct router_frame){.kind = FRAME_ENTRY, .deliver = {placed, {true, 10, 5000}}});
    assert_limits(&frame.deliver.limits, 10, 5000);
    carry(&(struct router_frame){.kind = FRAME_PUBLISH,
                                 .publish = {.message = message, .limits = {.are_set = true}}});
    assert_limits(&frame.publish.limits, 0, 0);
    carry(&(struct router_frame){.kind = FRAME_PUBLISH, .publish = {.message = message}});
    assert_false(frame.publish.limits.are_set);
    message_unref(message);
    message_unref(placed);
}

static void limits_beyond_all_bounds_are_the_bounds(void **state)
{
    struct message *message = make_message(0);
    struct buffer bytes = {0};
    const struct router_limits limits[] = {{true, UINT64_MAX, UINT64_MAX}, {true, 5, 0}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        router_frame_append(
            &bytes, &(struct router_frame){.kind = FRAME_PUBLISH,
                                           .publish = {.message = message, .limits = limits[i]}});
        assert_int_equal(router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &frame), 0);
        if (i == 0)
            assert_limits(&frame.publish.limits, ROUTER_SIZE_LIMIT, ROUTER_TTL_LIMIT_MS);
        else
            assert_limits(&frame.publish.limits, 0, 0); /* no time to live is no history */
        router_frame_release(&frame);
        buffer_deinit(&bytes);
    }
    message_unref(message);
}

static void ephemeral_messages_arrive_but_in_no_history(void **state)
{
    struct message *message = message_create(MESSAGE_JOIN, "\x01node", 5, "", 0);
    struct buffer bytes = {0};

    (void)state;
    message->publisher = NODE;
    message->sequence = 77;
    carry(&(struct router_frame){.kind = FRAME_PUBLISH, .publish = {.message = message}});
    assert_int_equal(frame.publish.message->kind, MESSAGE_JOIN);
    assert_string_equal(frame.publish.message->channel, "\x01node");
    carry(&(struct router_frame){.kind = FRAME_DELIVER, .deliver = {.message = message}});
    assert_int_equal(frame.deliver.message->kind, MESSAGE_JOIN);
    router_frame_release(&frame);
    router_frame_append(
        &bytes, &(struct router_frame){.kind = FRAME_ENTRY, .deliver = {.message = message}});
    assert_int_not_equal(router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &frame), 0);
    frame = (struct router_frame){0};
    buffer_deinit(&bytes);
    message_unref(message);
}

static void forgetting_arrives(void **state)
{
    (void)state;
    carry_about("room",
                (struct router_frame){.kind = FRAME_HISTORY_FORGET, .presence_ask = {NODE, true}});
    assert_true(frame.presence_ask.request == NODE);
    assert_true(frame.presence_ask.insist);
    carry_about("room",
                (struct router_frame){.kind = FRAME_PRESENCE_ASK, .presence_ask = {NODE, true}});
    assert_true(frame.presence_ask.insist);
    carry_about("room", (struct router_frame){.kind = FRAME_HISTORY_FORGOTTEN,
                                              .history_forgotten = {NODE}});
    assert_true(frame.history_forgotten.request == NODE);
    carry_about("room", (struct router_frame){.kind = FRAME_FORGET,
                                              .mirrored = {.epoch = "epoch", .offset = 12}});
    assert_string_equal(frame.mirrored.epoch, "epoch");
    assert_true(frame.mirrored.offset == 12);
}

static void message_outlives_its_frame_where_it_is_kept(void **state)
{
    struct message *message = make_message(5);
    struct message *kept;

    (void)state;
    carry(&(struct router_frame){.kind = FRAME_DELIVER, .deliver = {.message = message}});
    kept = message_ref(frame.deliver.message);
    router_frame_release(&frame);
    assert_memory_equal(kept->data, message->data, 3);
    message_unref(message);
    message_unref(kept);
}

static void answers_to_publishes_arrive(void **state)
{
    (void)state;
    carry_about("room", (struct router_frame){.kind = FRAME_ACK, .ack = {NODE, "epoch", 12, true}});
    assert_true(frame.ack.sequence == NODE);
    assert_string_equal(frame.ack.epoch, "epoch");
    assert_true(frame.ack.offset == 12);
    assert_true(frame.ack.is_repeat);
    for (int reason = REASON_MOVED; reason <= REASON_INVALID; reason++) {
        carry_about("room",
                    (struct router_frame){.kind = FRAME_REFUSED,
                                          .refused = {8, (enum router_reason)reason, NODE, 0}});
        assert_true(frame.refused.sequence == 8);
        assert_int_equal(frame.refused.reason, reason);
        assert_true(frame.refused.node == NODE);
    }
}

/* Between routers. */

static const struct router_lineage lineage = {"0123456789abcdef", 3, "fedcba9876543210", 40, 42};

static void assert_lineage(const struct router_lineage *one)
{
    assert_string_equal(one->epoch, lineage.epoch);
    assert_string_equal(one->previous, lineage.previous);
    assert_true(one->generation == lineage.generation);
    assert_true(one->fork == lineage.fork);
    assert_true(one->offset == lineage.offset);
}

static void claims_and_their_answers_arrive(void **state)
{
    uint64_t nodes[ROUTER_MEMBER_LIMIT];

    (void)state;
    for (unsigned i = 0; i < ROUTER_MEMBER_LIMIT; i++)
        nodes[i] = NODE + i;
    carry_about("room", (struct router_frame){.kind = FRAME_INQUIRE,
                                              .inquire = {5, true, nodes, ROUTER_MEMBER_LIMIT}});
    assert_true(frame.inquire.claim == 5);
    assert_true(frame.inquire.insist);
    assert_int_equal(frame.inquire.node_count, ROUTER_MEMBER_LIMIT);
    assert_memory_equal(frame.inquire.nodes, nodes, sizeof(nodes));
    for (int head = HEAD_NONE; head <= HEAD_REFUSED; head++) {
        carry_about("room", (struct router_frame){
                                .kind = FRAME_HEAD,
                                .head = {6, (enum router_head)head, lineage, true, NODE}});
        assert_true(frame.head.claim == 6);
        assert_int_equal(frame.head.state, head);
        assert_lineage(&frame.head.lineage);
        assert_true(frame.head.has_title);
        assert_true(frame.head.node == NODE);
    }
}

static void copies_arrive_with_as_many_producers_as_there_may_be(void **state)
{
    struct router_producer producers[ROUTER_PRODUCER_LIMIT];

    (void)state;
    for (unsigned i = 0; i < ROUTER_PRODUCER_LIMIT; i++)
        producers[i] = (struct router_producer){NODE + i, i, i + 9};
    carry_about("room", (struct router_frame){.kind = FRAME_TAKE, .take = {7, "epoch", 12}});
    assert_true(frame.take.claim == 7);
    assert_string_equal(frame.take.epoch, "epoch");
    assert_true(frame.take.offset == 12);

    carry_about("room", (struct router_frame){.kind = FRAME_GIVEN,
                                              .given = {7, lineage, true, 41, {producers, 2}, 40}});
    assert_true(frame.given.claim == 7);
    assert_lineage(&frame.given.lineage);
    assert_true(frame.given.has_title);
    assert_true(frame.given.start == 41);
    assert_int_equal(frame.given.producers.count, 2);
    assert_memory_equal(frame.given.producers.items, producers, 2 * sizeof(*producers));

    carry_about("room",
                (struct router_frame){.kind = FRAME_MIRROR_OPEN,
                                      .given = {.lineage = lineage,
                                                .start = 42,
                                                .producers = {producers, ROUTER_PRODUCER_LIMIT}}});
    assert_lineage(&frame.given.lineage);
    assert_true(frame.given.start == 42);
    assert_int_equal(frame.given.producers.count, ROUTER_PRODUCER_LIMIT);
    assert_memory_equal(frame.given.producers.items, producers, sizeof(producers));
}

static void mirror_and_owner_understand_each_other(void **state)
{
    (void)state;
    carry_about("room", (struct router_frame){.kind = FRAME_MIRROR_HAVE,
                                              .mirrored = {"epoch", 12, true, NODE}});
    assert_string_equal(frame.mirrored.epoch, "epoch");
    assert_true(frame.mirrored.offset == 12);
    assert_true(frame.mirrored.is_refused);
    assert_true(frame.mirrored.node == NODE);
    carry_about("room", (struct router_frame){.kind = FRAME_MIRRORED,
                                              .mirrored = {.epoch = "epoch", .offset = 13}});
    assert_string_equal(frame.mirrored.epoch, "epoch");
    assert_true(frame.mirrored.offset == 13);
    carry_about("room", (struct router_frame){.kind = FRAME_MIRROR_CLOSE, .mirror_close = {true}});
    assert_true(frame.mirror_close.forget);
    carry_about("room", (struct router_frame){.kind = FRAME_MIRROR_CLOSE});
    assert_false(frame.mirror_close.forget);
    carry_about("room", (struct router_frame){.kind = FRAME_MIRROR_CLOSED});
    carry_about("room", (struct router_frame){.kind = FRAME_OFFER});
}

static void owned_channels_arrive_in_order(void **state)
{
    char *channels[] = {"room", "ns:caf\xc3\xa9", "x"};

    (void)state;
    carry(&(struct router_frame){.kind = FRAME_OWNING, .owning = {channels, 3}});
    assert_int_equal(frame.owning.count, 3);
    for (int i = 0; i < 3; i++)
        assert_string_equal(frame.owning.channels[i], channels[i]);
}

static void released_frame_may_be_released_again(void **state)
{
    (void)state;
    carry_about("room", (struct router_frame){.kind = FRAME_OFFER});
    router_frame_release(&frame);
    router_frame_release(&frame);
    assert_null(frame.storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(hello_and_welcome_arrive_whole, forget_frame),
        cmocka_unit_test_teardown(gateway_needs_to_name_nothing_but_its_node, forget_frame),
        cmocka_unit_test_teardown(proof_and_ready_arrive, forget_frame),
        cmocka_unit_test_teardown(every_error_arrives_with_its_text, forget_frame),
        cmocka_unit_test_teardown(ping_and_pong_carry_a_clock, forget_frame),
        cmocka_unit_test_teardown(as_many_members_as_there_may_be_arrive_in_order, forget_frame),
        cmocka_unit_test_teardown(subscriptions_arrive_with_their_position, forget_frame),
        cmocka_unit_test_teardown(messages_arrive_in_all_frames_that_carry_one, forget_frame),
        cmocka_unit_test_teardown(message_outlives_its_frame_where_it_is_kept, forget_frame),
        cmocka_unit_test_teardown(limits_arrive, forget_frame),
        cmocka_unit_test_teardown(limits_beyond_all_bounds_are_the_bounds, forget_frame),
        cmocka_unit_test_teardown(ephemeral_messages_arrive_but_in_no_history, forget_frame),
        cmocka_unit_test_teardown(forgetting_arrives, forget_frame),
        cmocka_unit_test_teardown(answers_to_publishes_arrive, forget_frame),
        cmocka_unit_test_teardown(claims_and_their_answers_arrive, forget_frame),
        cmocka_unit_test_teardown(copies_arrive_with_as_many_producers_as_there_may_be,
                                  forget_frame),
        cmocka_unit_test_teardown(mirror_and_owner_understand_each_other, forget_frame),
        cmocka_unit_test_teardown(owned_channels_arrive_in_order, forget_frame),
        cmocka_unit_test_teardown(released_frame_may_be_released_again, forget_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
