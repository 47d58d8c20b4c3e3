/*
 * A cluster for the tests of shards (shard_network.h), whose gateways do nothing but write down
 * what they are told. The channel is "room" wherever none is named, and the routers stand in its
 * order: it belongs to FIRST, then SECOND, then THIRD. Epochs are random, so tests call them by
 * letters, in the order in which they were heard of.
 */
#ifndef TESTS_UNIT_SHARD_FIXTURE_H
#define TESTS_UNIT_SHARD_FIXTURE_H

#include "tests/unit/shard_network.h"

static char epochs[26][MESSAGE_EPOCH_LIMIT + 1];

static inline char letter_of(const char *epoch)
{
    int i = 0;

    if (epoch[0] == '\0')
        return '-';
    while (i < 25 && epochs[i][0] != '\0' && strcmp(epochs[i], epoch) != 0)
        i++;
    snprintf(epochs[i], sizeof(epochs[i]), "%s", epoch);
    return (char)('A' + i);
}

/* One that was not heard of stands for itself: nobody has ever had it. */
static inline const char *epoch_of(char letter)
{
    static const char *const unknown = "lost in time";

    if (letter == '-')
        return "";
    return epochs[letter - 'A'][0] != '\0' ? epochs[letter - 'A'] : unknown;
}

/* What gateways hear. */

static inline int party_of(uint64_t id)
{
    int party = 0;

    while (party < PARTIES && processes[party].id != id)
        party++;
    return party;
}

/* As "0 1 2-": the last one is leaving. */
static inline void note_members(char members[32], const struct router_frame *frame)
{
    members[0] = '\0';
    for (size_t i = 0; i < frame->members.count; i++)
        snprintf(members + strlen(members), 32 - strlen(members), "%s%d%s", i > 0 ? " " : "",
                 party_of(frame->members.items[i].node),
                 frame->members.items[i].is_leaving ? "-" : "");
}

static inline void write_down(struct buffer *heard, const struct router_frame *frame)
{
    static const char *const reasons[] = {"moved", "gap", "busy", "invalid"};
    unsigned long long sequence;

    if (heard->size > 0)
        buffer_append_text(heard, ", ");
    switch (frame->kind) {
    case FRAME_SUBSCRIBED:
        buffer_printf(heard, "%s %c/%llu", frame->subscribed.outcome ? "lost" : "at",
                      letter_of(frame->subscribed.epoch),
                      (unsigned long long)frame->subscribed.offset);
        return;
    case FRAME_DELIVER:
        if (message_is_ephemeral(frame->deliver.message->kind)) {
            buffer_printf(heard, "!%.*s", (int)frame->deliver.message->data_size,
                          (const char *)frame->deliver.message->data);
            return;
        }
        buffer_printf(heard, "%llu:%.*s", (unsigned long long)frame->deliver.message->offset,
                      (int)frame->deliver.message->data_size,
                      (const char *)frame->deliver.message->data);
        return;
    case FRAME_ACK:
        buffer_printf(heard, "ack %llu%s at %c/%llu", (unsigned long long)frame->ack.sequence,
                      frame->ack.is_repeat ? " again" : "", letter_of(frame->ack.epoch),
                      (unsigned long long)frame->ack.offset);
        return;
    case FRAME_HISTORY_FORGOTTEN:
        buffer_append_text(heard, "forgotten");
        return;
    case FRAME_REFUSED:
        sequence = frame->refused.sequence;
        buffer_printf(heard, "refused %llu %s", sequence, reasons[frame->refused.reason]);
        if (frame->refused.reason == REASON_MOVED)
            buffer_printf(heard, " to %d", party_of(frame->refused.node));
        return;
    case FRAME_MOVED:
        buffer_printf(heard, "moved to %d", party_of(frame->moved.node));
        return;
    default:
        buffer_printf(heard, "frame %d", (int)frame->kind);
        return;
    }
}

static inline void gateway_hears(int party, int router, const struct router_frame *frame)
{
    if (frame->kind == FRAME_PING)
        put_frame(party, router, &(struct router_frame){.kind = FRAME_PONG, .ping = frame->ping});
    else if (frame->kind == FRAME_MEMBERS)
        note_members(ends[party][router].members, frame);
    else if (frame->kind != FRAME_PONG)
        write_down(&processes[party].heard, frame);
}

/* What gateways do. */

static inline void subscribe_to(int gateway, int router, const char *channel, char epoch,
                                uint64_t offset, bool insists)
{
    put_frame(gateway, router,
              &(struct router_frame){.kind = FRAME_SUBSCRIBE,
                                     .channel = channel,
                                     .channel_size = strlen(channel),
                                     .subscribe = {epoch_of(epoch), offset, insists, 0}});
    settle();
}

static inline void subscribe(int gateway, int router)
{
    subscribe_to(gateway, router, "room", '-', 0, false);
}

static inline void subscribe_from(int gateway, int router, char epoch, uint64_t offset)
{
    subscribe_to(gateway, router, "room", epoch, offset, false);
}

static inline void unsubscribe(int gateway, int router)
{
    put_frame(
        gateway, router,
        &(struct router_frame){.kind = FRAME_UNSUBSCRIBE, .channel = "room", .channel_size = 4});
    settle();
}

static inline void publish_as(int gateway, int router, const char *channel, uint64_t sequence,
                              uint64_t after, const char *text)
{
    struct message *message =
        message_create(MESSAGE_TEXT, channel, strlen(channel), text, strlen(text));

    message->publisher = processes[gateway].id;
    message->sequence = sequence;
    put_frame(
        gateway, router,
        &(struct router_frame){.kind = FRAME_PUBLISH,
                               .publish = {.message = message, .after = after, .insist = false}});
    message_unref(message);
    settle();
}

/* What a message is, as far as it is not simple. */
struct manner {
    enum message_kind kind;
    const char *key;
    struct router_limits limits;
    uint64_t sequence; /* 0: the next one */
};

static inline void publish_so(int gateway, int router, const char *text, struct manner manner)
{
    const char *key = manner.key ? manner.key : "";
    struct message *message = message_write(&(struct message_draft){
        .kind = manner.kind,
        .channel = {"room", 4},
        .data = {text, strlen(text)},
        .key = {key, strlen(key)},
    });

    message->publisher = processes[gateway].id;
    message->sequence = manner.sequence ? manner.sequence : ++processes[gateway].sequence;
    put_frame(gateway, router,
              &(struct router_frame){.kind = FRAME_PUBLISH,
                                     .publish = {.message = message, .limits = manner.limits}});
    message_unref(message);
    settle();
}

static inline void forget_history(int gateway, int router)
{
    put_frame(gateway, router,
              &(struct router_frame){.kind = FRAME_HISTORY_FORGET,
                                     .channel = "room",
                                     .channel_size = 4,
                                     .presence_ask = {.request = 1}});
    settle();
}

/* Publishes the gateway's next message. */
static inline void publish(int gateway, int router, const char *text)
{
    publish_as(gateway, router, "room", ++processes[gateway].sequence, 0, text);
}

/* Publishes one again, by its sequence. */
static inline void publish_again(int gateway, int router, uint64_t sequence, const char *text)
{
    publish_as(gateway, router, "room", sequence, 0, text);
}

/* Checks what a gateway was told since it was last asked. */
static inline void assert_heard(int gateway, const char *text)
{
    struct buffer *heard = &processes[gateway].heard;

    buffer_append(heard, "", 1);
    heard->size = 0;
    assert_string_equal((const char *)heard->data, text);
}

/* What routers are. */

static inline void note_role(void *context, const struct shard_place_view *view)
{
    if (view->channel_size == 4 && memcmp(view->channel, "room", 4) == 0)
        *(const char **)context = view->role;
}

static inline void note_history(void *context, const struct shard_place_view *view)
{
    if (view->channel_size == 4 && memcmp(view->channel, "room", 4) == 0)
        snprintf(context, 16, "%zu/%llu", view->history, (unsigned long long)view->offset);
}

/* Checks how many messages of "room" a router keeps, and up to where it is: "3/7". */
static inline void assert_kept(int router, const char *expected)
{
    char kept[16] = "-";

    shard_each_place(shard_of(router), UINT64_MAX, note_history, kept);
    assert_string_equal(kept, expected);
}

/* Checks what "room" is to each router, FIRST to THIRD: owner, mirror, copy, …; `-`: nothing. */
static inline void assert_roles(const char *text)
{
    char roles[64] = "";

    for (int party = 0; party < ROUTERS; party++) {
        const char *role = "-";

        if (processes[party].is_up)
            shard_each_place(shard_of(party), UINT64_MAX, note_role, &role);
        snprintf(roles + strlen(roles), sizeof(roles) - strlen(roles), "%s%s", party > 0 ? " " : "",
                 role);
    }
    assert_string_equal(roles, text);
}

/* Set up and teardown. */

static inline void start_cluster(int routers)
{
    now_ms = 1000000;
    random_count = 0;
    memset(processes, 0, sizeof(processes));
    memset(ends, 0, sizeof(ends));
    memset(epochs, 0, sizeof(epochs));
    settings = (struct shard_settings){
        .history = {.message_limit = 5, .ttl_ms = 60000, .memory_limit = 1 << 20},
        .waiting_limit_bytes = 65536,
        .key_limit_bytes = 65536,
        .place_limit = 1000000,
        .random = next_random,
    };
    for (int gateway = ANN; gateway < PARTIES; gateway++)
        processes[gateway].id = 1000 * (uint64_t)gateway;
    for (int router = 0; router < routers; router++)
        add_router(router);
}

static inline int start_none(void **state)
{
    (void)state;
    start_cluster(0);
    return 0;
}

static inline int start_one(void **state)
{
    (void)state;
    start_cluster(1);
    return 0;
}

static inline int start_two(void **state)
{
    (void)state;
    start_cluster(2);
    return 0;
}

static inline int start_three(void **state)
{
    (void)state;
    start_cluster(3);
    return 0;
}

/* Ends all, and checks that nothing is left in them. */
static inline int stop_all(void **state)
{
    (void)state;
    for (int party = 0; party < ROUTERS; party++) {
        if (processes[party].is_up)
            kill_router(party);
        assert_int_equal(shard_of(party)->waiting_bytes, 0);
        assert_int_equal(shard_of(party)->histories.memory, 0);
        assert_int_equal(shard_of(party)->keys.memory, 0);
        assert_int_equal(shard_of(party)->subscription_count, 0);
        assert_int_equal(shard_of(party)->place_bytes, 0);
    }
    for (int party = 0; party < PARTIES; party++) {
        buffer_deinit(&processes[party].heard);
        for (int other = 0; other < PARTIES; other++)
            buffer_deinit(&ends[party][other].inbox);
    }
    return 0;
}

#define CLUSTER_TEST(test, start) cmocka_unit_test_setup_teardown(test, start, stop_all)

/* Of all routers. */
static inline uint64_t total_forks(void)
{
    uint64_t forks = 0;

    for (int router = FIRST; router <= THIRD; router++)
        forks += metric_read(&shard_of(router)->stats.forks);
    return forks;
}

/* SECOND owns the room, because FIRST comes later; ANN listens, and has seen two messages. */
static inline void open_room_at_second(void)
{
    add_router(SECOND);
    subscribe(ANN, SECOND);
    publish(BOB, SECOND, "one");
    publish(BOB, SECOND, "two");
    assert_heard(ANN, "at A/0, 1:one, 2:two");
    assert_heard(BOB, "ack 1 at A/1, ack 2 at A/2");
}

/* FIRST and SECOND do not know of each other, and both own the room: A with `first` messages of
 * ANN, and B with `second` of BOB. */
static inline void split(unsigned first, unsigned second)
{
    start_router(FIRST);
    join(FIRST, ANN);
    open_router(FIRST);
    start_router(SECOND);
    join(SECOND, BOB);
    open_router(SECOND);
    subscribe(ANN, FIRST);
    while (first-- > 0)
        publish(ANN, FIRST, "a");
    subscribe(BOB, SECOND);
    while (second-- > 0)
        publish(BOB, SECOND, "b");
    processes[ANN].heard.size = processes[BOB].heard.size = 0;
}

#endif
