/* What breaks a limit is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

#include "common/cluster_name.h"
#include "common/envelope.h"
#include "tests/unit/router_frame_fixture.h"

/* A text of `size` bytes. */
static void put_long(unsigned field, size_t size)
{
    char text[1024];

    memset(text, 'x', sizeof(text));
    put_bytes(field, text, size);
}

/* Puts what `fill` puts into a message of its own, as a field. */
static void put_message(unsigned field, void (*fill)(size_t argument), size_t argument)
{
    struct buffer outer = body;
    struct buffer inner;

    body = (struct buffer){0};
    fill(argument);
    inner = body;
    body = outer;
    put_bytes(field, inner.data, inner.size);
    buffer_deinit(&inner);
}

/* Where the fields are that many frames have. */
struct layout {
    unsigned kind;
    unsigned epoch;   /* field of its epoch, 0: none */
    unsigned lineage; /* field of its lineage, which it must have, 0: none */
};

static const struct layout layouts[] = {
    {FRAME_SUBSCRIBE, 2, 0}, {FRAME_SUBSCRIBED, 2, 0},   {FRAME_UNSUBSCRIBE, 0, 0},
    {FRAME_ACK, 3, 0},       {FRAME_REFUSED, 0, 0},      {FRAME_MOVED, 0, 0},
    {FRAME_INQUIRE, 0, 0},   {FRAME_HEAD, 0, 4},         {FRAME_TAKE, 3, 0},
    {FRAME_GIVEN, 0, 3},     {FRAME_MIRROR_OPEN, 0, 2},  {FRAME_MIRROR_HAVE, 2, 0},
    {FRAME_MIRRORED, 2, 0},  {FRAME_MIRROR_CLOSE, 0, 0}, {FRAME_MIRROR_CLOSED, 0, 0},
    {FRAME_OFFER, 0, 0},
};

#define LAYOUTS (sizeof(layouts) / sizeof(layouts[0]))

/* What is in a lineage: an epoch of `size` bytes, */
static void fill_epoch(size_t size)
{
    put_long(1, size);
}

/* one before it, */
static void fill_previous(size_t size)
{
    put_text(1, "epoch");
    put_long(3, size);
}

/* messages up to 10, of which those up to `fork` are the previous epoch's, */
static void fill_fork(size_t fork)
{
    put_text(1, "epoch");
    put_text(3, "before");
    put_fixed(4, fork);
    put_fixed(5, 10);
}

static void fill_fork_from_nowhere(size_t fork)
{
    put_text(1, "epoch");
    put_fixed(4, fork);
    put_fixed(5, 10);
}

/* messages up to any offset, */
static void fill_far(size_t offset)
{
    put_text(1, "epoch");
    put_fixed(5, offset);
}

/* or messages of no epoch. */
static void fill_offset(size_t offset)
{
    put_fixed(5, offset);
}

static int answer_to_channel(const struct layout *layout, const char *channel)
{
    put_text(1, channel);
    if (layout->lineage)
        put_message(layout->lineage, fill_epoch, 5);
    return answer_to(layout->kind);
}

static void every_frame_about_a_channel_wants_a_valid_name(void **state)
{
    char name[MESSAGE_CHANNEL_LIMIT + 2] = {0};

    (void)state;
    for (size_t i = 0; i < LAYOUTS; i++) {
        memset(name, 'x', MESSAGE_CHANNEL_LIMIT + 1);
        assert_int_equal(answer_to_channel(&layouts[i], name), UV_EPROTO);
        name[MESSAGE_CHANNEL_LIMIT] = '\0';
        assert_int_equal(answer_to_channel(&layouts[i], name), 0);
        assert_int_equal(answer_to_channel(&layouts[i], ""), UV_EPROTO);
        assert_int_equal(answer_to_channel(&layouts[i], "two\nlines"), UV_EPROTO);
        assert_int_equal(answer_to_channel(&layouts[i], "no\xffutf8"), UV_EPROTO);
    }
}

static void every_epoch_keeps_its_limit(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUTS; i++) {
        if (!layouts[i].epoch)
            continue;
        put_text(1, "room");
        put_long(layouts[i].epoch, MESSAGE_EPOCH_LIMIT);
        assert_int_equal(answer_to(layouts[i].kind), 0);
        put_text(1, "room");
        put_long(layouts[i].epoch, MESSAGE_EPOCH_LIMIT + 1);
        assert_int_equal(answer_to(layouts[i].kind), UV_EPROTO);
    }
}

static int answer_to_lineage(const struct layout *layout, void (*fill)(size_t argument),
                             size_t argument)
{
    put_text(1, "room");
    if (fill)
        put_message(layout->lineage, fill, argument);
    return answer_to(layout->kind);
}

static void every_lineage_is_there_and_keeps_its_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < LAYOUTS; i++) {
        if (!layouts[i].lineage)
            continue;
        assert_int_equal(answer_to_lineage(&layouts[i], NULL, 0), UV_EPROTO);
        assert_int_equal(answer_to_lineage(&layouts[i], fill_epoch, 16), 0);
        assert_int_equal(answer_to_lineage(&layouts[i], fill_epoch, 17), UV_EPROTO);
        assert_int_equal(answer_to_lineage(&layouts[i], fill_previous, 16), 0);
        assert_int_equal(answer_to_lineage(&layouts[i], fill_previous, 17), UV_EPROTO);
        assert_int_equal(answer_to_lineage(&layouts[i], fill_fork, 10), 0);
        assert_int_equal(answer_to_lineage(&layouts[i], fill_fork, 11), UV_EPROTO);
        assert_int_equal(answer_to_lineage(&layouts[i], fill_fork_from_nowhere, 0), 0);
        assert_int_equal(answer_to_lineage(&layouts[i], fill_fork_from_nowhere, 1), UV_EPROTO);
        assert_int_equal(answer_to_lineage(&layouts[i], fill_offset, 1), UV_EPROTO);
    }
}

static int answer_to_start(unsigned kind, unsigned lineage, unsigned field, uint64_t start)
{
    put_text(1, "room");
    put_message(lineage, fill_fork, 0);
    put_fixed(field, start);
    return answer_to(kind);
}

static int answer_to_head(enum router_head head, size_t epoch_size)
{
    put_text(1, "room");
    put_number(3, head);
    put_message(4, fill_epoch, epoch_size);
    return answer_to(FRAME_HEAD);
}

static void copy_is_one_of_an_epoch(void **state)
{
    (void)state;
    assert_int_equal(answer_to_head(HEAD_NONE, 0), 0);
    assert_int_equal(answer_to_head(HEAD_REFUSED, 0), 0);
    assert_int_equal(answer_to_head(HEAD_COPY, 0), UV_EPROTO);
    assert_int_equal(answer_to_head(HEAD_COPY, 1), 0);
    put_text(1, "room");
    put_message(3, fill_epoch, 0);
    assert_int_equal(answer_to(FRAME_GIVEN), UV_EPROTO);
    put_text(1, "room");
    put_message(2, fill_epoch, 0);
    assert_int_equal(answer_to(FRAME_MIRROR_OPEN), UV_EPROTO);
}

/* A channel, and an offset at its field. */
static int answer_to_offset(unsigned kind, unsigned field, uint64_t offset)
{
    put_text(1, "room");
    put_fixed(field, offset);
    return answer_to(kind);
}

static int answer_to_lineage_offset(unsigned kind, unsigned lineage, uint64_t offset)
{
    put_text(1, "room");
    put_message(lineage, fill_far, offset);
    return answer_to(kind);
}

static void offsets_are_too_small_to_overflow(void **state)
{
    static const unsigned fields[][2] = {
        {FRAME_SUBSCRIBE, 3}, {FRAME_SUBSCRIBED, 3},  {FRAME_ACK, 4},     {FRAME_HISTORY, 4},
        {FRAME_TAKE, 4},      {FRAME_MIRROR_HAVE, 3}, {FRAME_MIRRORED, 3}};
    static const unsigned lineages[][2] = {
        {FRAME_HEAD, 4}, {FRAME_GIVEN, 3}, {FRAME_MIRROR_OPEN, 2}};

    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const unsigned *field = fields[i];

        assert_int_equal(answer_to_offset(field[0], field[1], MESSAGE_OFFSET_LIMIT - 1), 0);
        assert_int_equal(answer_to_offset(field[0], field[1], MESSAGE_OFFSET_LIMIT), UV_EPROTO);
        assert_int_equal(answer_to_offset(field[0], field[1], UINT64_MAX), UV_EPROTO);
    }
    for (size_t i = 0; i < sizeof(lineages) / sizeof(lineages[0]); i++) {
        const unsigned *at = lineages[i];

        assert_int_equal(answer_to_lineage_offset(at[0], at[1], MESSAGE_OFFSET_LIMIT - 1), 0);
        assert_int_equal(answer_to_lineage_offset(at[0], at[1], MESSAGE_OFFSET_LIMIT), UV_EPROTO);
        assert_int_equal(answer_to_lineage_offset(at[0], at[1], UINT64_MAX), UV_EPROTO);
    }
}

/* Gateways pass on what clients ask for: it is answered, however far it is. */
static void history_may_be_asked_for_from_anywhere(void **state)
{
    (void)state;
    put_text(1, "room");
    put_number(2, 1);
    put_fixed(4, UINT64_MAX);
    assert_int_equal(answer_to(FRAME_HISTORY_ASK), 0);
}

static void copy_cannot_start_behind_its_end(void **state)
{
    (void)state;
    assert_int_equal(answer_to_start(FRAME_GIVEN, 3, 5, 10), 0);
    assert_int_equal(answer_to_start(FRAME_GIVEN, 3, 5, 11), UV_EPROTO);
    assert_int_equal(answer_to_start(FRAME_MIRROR_OPEN, 2, 3, 10), 0);
    assert_int_equal(answer_to_start(FRAME_MIRROR_OPEN, 2, 3, 11), UV_EPROTO);
}

/* Lists. */

static void fill_number(size_t number)
{
    put_number(2, number);
}

/* A frame with a list of `count` producers. */
static int answer_to_producers(unsigned kind, unsigned lineage, unsigned field, size_t count)
{
    put_text(1, "room");
    put_message(lineage, fill_epoch, 5);
    for (size_t i = 0; i < count; i++)
        put_message(field, fill_number, i);
    return answer_to(kind);
}

static int answer_to_nodes(size_t count)
{
    put_text(1, "room");
    for (size_t i = 0; i < count; i++)
        put_fixed(4, i);
    return answer_to(FRAME_INQUIRE);
}

static void fill_member(size_t node)
{
    put_fixed(1, node);
    put_text(2, "router");
}

static int answer_to_members(size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_message(1, fill_member, i + 1);
    return answer_to(FRAME_MEMBERS);
}

static int answer_to_owning(size_t count)
{
    for (size_t i = 0; i < count; i++)
        put_text(1, "room");
    return answer_to(FRAME_OWNING);
}

static void lists_keep_their_limits(void **state)
{
    (void)state;
    assert_int_equal(answer_to_producers(FRAME_GIVEN, 3, 6, ROUTER_PRODUCER_LIMIT), 0);
    assert_int_equal(answer_to_producers(FRAME_GIVEN, 3, 6, ROUTER_PRODUCER_LIMIT + 1), UV_EPROTO);
    assert_int_equal(answer_to_producers(FRAME_MIRROR_OPEN, 2, 4, ROUTER_PRODUCER_LIMIT), 0);
    assert_int_equal(answer_to_producers(FRAME_MIRROR_OPEN, 2, 4, ROUTER_PRODUCER_LIMIT + 1),
                     UV_EPROTO);
    assert_int_equal(answer_to_nodes(ROUTER_MEMBER_LIMIT), 0);
    assert_int_equal(answer_to_nodes(ROUTER_MEMBER_LIMIT + 1), UV_EPROTO);
    assert_int_equal(answer_to_members(ROUTER_MEMBER_LIMIT), 0);
    assert_int_equal(answer_to_members(ROUTER_MEMBER_LIMIT + 1), UV_EPROTO);
    assert_int_equal(answer_to_owning(ROUTER_OWNING_LIMIT), 0);
    assert_int_equal(answer_to_owning(ROUTER_OWNING_LIMIT + 1), UV_EPROTO);
}

static void one_bad_channel_spoils_the_list(void **state)
{
    (void)state;
    put_text(1, "room");
    put_text(1, "");
    assert_int_equal(answer_to(FRAME_OWNING), UV_EPROTO);
    put_text(1, "room");
    put_long(1, MESSAGE_CHANNEL_LIMIT + 1);
    assert_int_equal(answer_to(FRAME_OWNING), UV_EPROTO);
}

/* Greeting. */

/* What a greeting is made of, by the kind's fields. */
struct greeting {
    uint64_t node;
    const char *name;
    const char *address;
    size_t nonce_size;
    const char *cluster; /* NULL: none */
};

static int answer_to_hello(enum router_role role, struct greeting greeting)
{
    put_number(1, ROUTER_VERSION);
    put_fixed(3, greeting.node);
    put_number(4, role);
    put_text(5, greeting.name);
    put_long(8, greeting.nonce_size);
    put_text(9, greeting.address);
    if (greeting.cluster)
        put_text(10, greeting.cluster);
    return answer_to(FRAME_HELLO);
}

static int answer_to_welcome(struct greeting greeting)
{
    put_number(1, ROUTER_VERSION);
    put_fixed(3, greeting.node);
    put_text(4, greeting.name);
    put_long(6, greeting.nonce_size);
    if (greeting.cluster)
        put_text(8, greeting.cluster);
    return answer_to(FRAME_WELCOME);
}

static void greeting_names_a_node_and_has_a_nonce(void **state)
{
    (void)state;
    assert_int_equal(answer_to_hello(ROLE_ROUTER, (struct greeting){1, "r", "", 32, NULL}), 0);
    assert_int_equal(answer_to_hello(ROLE_ROUTER, (struct greeting){0, "r", "", 32, NULL}),
                     UV_EPROTO);
    assert_int_equal(answer_to_hello(ROLE_ROUTER, (struct greeting){1, "r", "", 31, NULL}),
                     UV_EPROTO);
    assert_int_equal(answer_to_hello(ROLE_ROUTER, (struct greeting){1, "r", "", 33, NULL}),
                     UV_EPROTO);
    assert_int_equal(answer_to_welcome((struct greeting){1, "r", "", 32, NULL}), 0);
    assert_int_equal(answer_to_welcome((struct greeting){0, "r", "", 32, NULL}), UV_EPROTO);
    assert_int_equal(answer_to_welcome((struct greeting){1, "r", "", 31, NULL}), UV_EPROTO);
    assert_int_equal(answer_to_welcome((struct greeting){1, "r", "", 33, NULL}), UV_EPROTO);
}

static void cluster_is_a_short_printable_name_or_none(void **state)
{
    char longest[CLUSTER_NAME_LIMIT + 1] = {0};
    char longer[CLUSTER_NAME_LIMIT + 2] = {0};
    const char *const good[] = {NULL, "", "bells", longest};
    const char *const bad[] = {longer, "two\nlines", "no\xffutf8"};

    (void)state;
    memset(longest, 'x', CLUSTER_NAME_LIMIT);
    memset(longer, 'x', CLUSTER_NAME_LIMIT + 1);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct greeting greeting = {1, "r", "", 32, good[i]};

        assert_int_equal(answer_to_hello(ROLE_ROUTER, greeting), 0);
        assert_int_equal(answer_to_welcome(greeting), 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct greeting greeting = {1, "r", "", 32, bad[i]};

        assert_int_equal(answer_to_hello(ROLE_ROUTER, greeting), UV_EPROTO);
        assert_int_equal(answer_to_welcome(greeting), UV_EPROTO);
    }
}

static int answer_to_member(const struct greeting *greeting)
{
    struct buffer member;

    put_fixed(1, greeting->node);
    put_text(2, greeting->name);
    put_text(3, greeting->address);
    member = body;
    body = (struct buffer){0};
    put_bytes(1, member.data, member.size);
    buffer_deinit(&member);
    return answer_to(FRAME_MEMBERS);
}

/* They go to logs and to /state. */
static void names_and_addresses_of_routers_are_short_printable_text(void **state)
{
    char longest[ROUTER_NAME_LIMIT + 1] = {0};
    char longer[ROUTER_NAME_LIMIT + 2] = {0};
    const char *const bad[] = {longer, "two\nlines", "\x1b[2J", "no\xffutf8"};

    (void)state;
    memset(longest, 'x', ROUTER_NAME_LIMIT);
    memset(longer, 'x', ROUTER_NAME_LIMIT + 1);
    for (enum router_role role = ROLE_GATEWAY; role <= ROLE_ROUTER; role++)
        assert_int_equal(answer_to_hello(role, (struct greeting){1, longest, longest, 32, NULL}),
                         0);
    assert_int_equal(answer_to_welcome((struct greeting){1, longest, "", 32, NULL}), 0);
    assert_int_equal(answer_to_member(&(struct greeting){1, longest, longest, 0, NULL}), 0);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(answer_to_hello(ROLE_ROUTER, (struct greeting){1, bad[i], "", 32, NULL}),
                         UV_EPROTO);
        assert_int_equal(answer_to_hello(ROLE_ROUTER, (struct greeting){1, "r", bad[i], 32, NULL}),
                         UV_EPROTO);
        assert_int_equal(answer_to_welcome((struct greeting){1, bad[i], "", 32, NULL}), UV_EPROTO);
        assert_int_equal(answer_to_member(&(struct greeting){1, bad[i], "", 0, NULL}), UV_EPROTO);
        assert_int_equal(answer_to_member(&(struct greeting){1, "r", bad[i], 0, NULL}), UV_EPROTO);
    }
}

static void router_has_a_name_and_a_node_and_a_gateway_needs_no_name(void **state)
{
    (void)state;
    assert_int_equal(answer_to_hello(ROLE_GATEWAY, (struct greeting){1, "", "", 32, NULL}), 0);
    assert_int_equal(answer_to_hello(ROLE_ROUTER, (struct greeting){1, "", "", 32, NULL}),
                     UV_EPROTO);
    assert_int_equal(answer_to_welcome((struct greeting){1, "", "", 32, NULL}), UV_EPROTO);
    assert_int_equal(answer_to_member(&(struct greeting){1, "", "", 0, NULL}), UV_EPROTO);
    assert_int_equal(answer_to_member(&(struct greeting){0, "r", "", 0, NULL}), UV_EPROTO);
}

static int answer_to_error(const char *text)
{
    put_text(2, text);
    return answer_to(FRAME_ERROR);
}

static void text_of_an_error_is_short_and_printable(void **state)
{
    char text[ROUTER_TEXT_LIMIT + 2] = {0};

    (void)state;
    memset(text, 'x', ROUTER_TEXT_LIMIT + 1);
    assert_int_equal(answer_to_error(text), UV_EPROTO);
    text[ROUTER_TEXT_LIMIT] = '\0';
    assert_int_equal(answer_to_error(text), 0);
    assert_int_equal(answer_to_error(""), 0);
    assert_int_equal(answer_to_error("two\nlines"), UV_EPROTO);
    assert_int_equal(answer_to_error("no\xffutf8"), UV_EPROTO);
}

/* Messages. */

static int answer_to_data(unsigned kind, uint64_t publisher, size_t size)
{
    static const unsigned char data[DATA_LIMIT + 1];
    struct message *message = message_create(MESSAGE_BINARY, "room", 4, data, size);
    struct buffer envelope = {0};

    message->publisher = publisher;
    envelope_append(&envelope, message);
    put_bytes(1, envelope.data, envelope.size);
    buffer_deinit(&envelope);
    message_unref(message);
    return answer_to(kind);
}

static void every_frame_with_a_message_holds_a_whole_one_within_the_limit(void **state)
{
    static const unsigned kinds[] = {FRAME_PUBLISH, FRAME_DELIVER, FRAME_ENTRY};

    (void)state;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        assert_int_equal(answer_to_data(kinds[i], 1, DATA_LIMIT), 0);
        assert_int_equal(answer_to_data(kinds[i], 1, DATA_LIMIT + 1), UV_EPROTO);
        assert_int_equal(answer_to_data(kinds[i], 0, 1), UV_EPROTO);
        put_text(1, "no envelope");
        assert_int_equal(answer_to(kinds[i]), UV_EPROTO);
        assert_int_equal(answer_to(kinds[i]), UV_EPROTO);
    }
}

static int answer_to_padding(size_t frame_size)
{
    unsigned char *bytes = memory_zeroed(frame_size, 1);
    struct router_frame frame;
    int answer;

    /* A ping of nothing, and a field that nobody knows: 2 and 6 bytes beside what is in it. */
    put_bytes(FRAME_PING, "", 0);
    body.size = 0;
    put_varint(&body, FRAME_PING << 3 | BYTES);
    put_varint(&body, 0);
    put_varint(&body, UNKNOWN << 3 | BYTES);
    put_varint(&body, frame_size - body.size - 3);
    memcpy(bytes, body.data, body.size);
    buffer_deinit(&body);
    answer = read_bytes(bytes, frame_size, &frame);
    if (answer == 0)
        router_frame_release(&frame);
    memory_free(bytes);
    return answer;
}

static void frame_as_a_whole_keeps_its_limit(void **state)
{
    (void)state;
    assert_int_equal(answer_to_padding(ROUTER_OVERHEAD_BYTES), 0);
    assert_int_equal(answer_to_padding(ROUTER_OVERHEAD_BYTES + 1), UV_EPROTO);
}

/* A history of one message that fills it. */
static int answer_to_large_history(size_t padding)
{
    static const unsigned char data[DATA_LIMIT];
    struct message *message = message_create(MESSAGE_BINARY, "room", 4, data, sizeof(data));
    struct buffer envelope = {0};
    unsigned char *unknown = memory_zeroed(padding, 1);

    message->publisher = 1;
    envelope_append(&envelope, message);
    put_text(1, "room");
    put_bytes(6, envelope.data, envelope.size);
    put_bytes(UNKNOWN, unknown, padding);
    memory_free(unknown);
    buffer_deinit(&envelope);
    message_unref(message);
    return answer_to(FRAME_HISTORY);
}

static void frame_with_a_message_has_room_for_it_beside_the_rest(void **state)
{
    (void)state;
    assert_int_equal(answer_to_large_history(ROUTER_OVERHEAD_BYTES - 100), 0);
    assert_int_equal(answer_to_large_history(ROUTER_OVERHEAD_BYTES), UV_EPROTO);
}

/* Two bytes each, which unpack to a hundred. */
static void frame_that_would_unpack_to_many_times_its_size_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROUTER_OVERHEAD_BYTES / 4; i++)
        put_bytes(1, "", 0);
    assert_int_equal(answer_to(FRAME_MEMBERS), UV_EPROTO);
    for (size_t i = 0; i < ROUTER_OVERHEAD_BYTES / 4; i++)
        put_number(UNKNOWN, 0);
    assert_int_equal(answer_to(FRAME_PING), UV_EPROTO);
}

/* A list of the longest names is the largest frame without a message. */
static void largest_list_of_channels_fits_into_a_frame(void **state)
{
    struct router_frame frame;

    (void)state;
    for (int i = 0; i < ROUTER_OWNING_LIMIT; i++)
        put_long(1, MESSAGE_CHANNEL_LIMIT);
    assert_int_equal(read_put(FRAME_OWNING, &frame), 0);
    assert_int_equal(frame.owning.count, ROUTER_OWNING_LIMIT);
    router_frame_release(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_frame_about_a_channel_wants_a_valid_name),
        cmocka_unit_test(every_epoch_keeps_its_limit),
        cmocka_unit_test(every_lineage_is_there_and_keeps_its_limits),
        cmocka_unit_test(copy_is_one_of_an_epoch),
        cmocka_unit_test(offsets_are_too_small_to_overflow),
        cmocka_unit_test(history_may_be_asked_for_from_anywhere),
        cmocka_unit_test(copy_cannot_start_behind_its_end),
        cmocka_unit_test(lists_keep_their_limits),
        cmocka_unit_test(one_bad_channel_spoils_the_list),
        cmocka_unit_test(greeting_names_a_node_and_has_a_nonce),
        cmocka_unit_test(cluster_is_a_short_printable_name_or_none),
        cmocka_unit_test(names_and_addresses_of_routers_are_short_printable_text),
        cmocka_unit_test(router_has_a_name_and_a_node_and_a_gateway_needs_no_name),
        cmocka_unit_test(text_of_an_error_is_short_and_printable),
        cmocka_unit_test(every_frame_with_a_message_holds_a_whole_one_within_the_limit),
        cmocka_unit_test(frame_as_a_whole_keeps_its_limit),
        cmocka_unit_test(frame_with_a_message_has_room_for_it_beside_the_rest),
        cmocka_unit_test(frame_that_would_unpack_to_many_times_its_size_is_refused),
        cmocka_unit_test(largest_list_of_channels_fits_into_a_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
