/*
 * One shard between two other routers and two gateways that say anything at any time. Each step of
 * the input is a byte that says what happens, and the bytes that say how. Numbers and epochs in
 * what the others say are often those that the shard spoke of last, so that they get somewhere.
 *
 * Whatever they say: the shard says nothing that cannot be read; a gateway is delivered what
 * follows the position that it was told, one offset after the other; a shard that has given a title
 * away adds nothing to that epoch until it is told of it again; and in the end nothing is left.
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "tests/fuzz/shard_witness.h"

#define DATA_LIMIT 1024

enum step {
    STEP_PASS,
    STEP_FLUSH,
    STEP_LINK,
    STEP_RESTART,
    STEP_DIED,
    STEP_OPEN,
    STEP_LEAVE,
    STEP_GATEWAY_FRAME,
    STEP_PEER_FRAME,
    STEPS,
};

enum { PEERS = 2, GATEWAYS = 2, PARTIES = PEERS + GATEWAYS };

static const uint8_t *input;
static size_t input_size;
static struct shard shard;
static struct party parties[PARTIES]; /* the peers stand first */
static uint64_t now_ms;
static uint64_t random_count;

static uint8_t take_byte(void)
{
    if (input_size == 0)
        return 0;
    input_size--;
    return *input++;
}

/* A small number, or one near to `known`. */
static uint64_t take_number(uint64_t known)
{
    uint8_t byte = take_byte();

    return byte < 64 ? byte : known + byte - 128;
}

static const char *take_epoch(int channel)
{
    static const char *const others[] = {"", "x", "y"};
    uint8_t byte = take_byte() % 5;

    return byte < 2 ? rumours[channel].epochs[byte] : others[byte - 2];
}

static void on_send(void *context, struct shard_link *link, const struct router_frame *sent)
{
    struct party *party = container_of(link, struct party, link);
    struct buffer bytes = {0};
    struct router_frame frame;

    (void)context;
    assert(party->is_up);
    router_frame_append(&bytes, sent);
    assert(router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &frame) == 0);
    if (frame.kind == FRAME_PING)
        party->pinged_ms = frame.ping.time;
    else if (frame.channel && party < parties + PEERS)
        hear_as_peer(index_of(frame.channel, frame.channel_size), &frame);
    else if (frame.channel)
        hear_as_gateway(party, index_of(frame.channel, frame.channel_size), &frame);
    router_frame_release(&frame);
    buffer_deinit(&bytes);
}

static void on_drop(void *context, struct shard_link *link, const char *reason)
{
    (void)context;
    (void)reason;
    container_of(link, struct party, link)->is_dropped = true;
}

static const struct shard_output output = {on_send, on_drop};

static uint64_t next_random(void *context)
{
    (void)context;
    return ++random_count;
}

/* Links. */

static void go_down(struct party *party)
{
    party->is_dropped = false;
    if (!party->is_up)
        return;
    party->is_up = false;
    memset(party->views, 0, sizeof(party->views));
    shard_link_down(&shard, &party->link, now_ms);
}

static void come_up(struct party *party)
{
    static const char *const names[PEERS] = {"router-1", "router-2"};
    ptrdiff_t index = party - parties;

    party->is_up = true;
    party->link = (struct shard_link){.capabilities = ROUTER_CAPABILITIES};
    if (index < PEERS)
        shard_peer_up(&shard, &party->link, party->id, names[index], names[index], now_ms);
    else
        shard_gateway_up(&shard, &party->link, party->id, now_ms);
}

static void drop_dropped(void)
{
    for (int i = 0; i < PARTIES; i++) {
        if (parties[i].is_dropped)
            go_down(&parties[i]);
    }
}

/* What the others say. */

static void say(struct party *party, struct router_frame *frame)
{
    struct buffer bytes = {0};
    struct router_frame heard;

    router_frame_append(&bytes, frame);
    if (party->is_up && router_frame_read(bytes.data, bytes.size, DATA_LIMIT, &heard) == 0) {
        shard_receive(&shard, &party->link, &heard, now_ms);
        router_frame_release(&heard);
    }
    buffer_deinit(&bytes);
    drop_dropped();
}

static struct message *take_message(int channel)
{
    static const char *const keys[] = {"k", "l"};
    uint8_t size = take_byte();
    const char *key = size >= 0xc0 ? keys[size % 2] : "";

    return message_write(&(struct message_draft){
        .kind = size >= 0xb0 && size < 0xc0 ? MESSAGE_JOIN : MESSAGE_BINARY,
        .channel = {channels[channel], strlen(channels[channel])},
        .data = {(const char *)input, size < input_size ? size : input_size},
        .key = {key, strlen(key)},
    });
}

/* Takes nothing: the byte says something else, too. */
static uint8_t next_byte(void)
{
    return input_size > 0 ? *input : 0;
}

static struct router_limits some_limits(void)
{
    uint8_t byte = next_byte();
    struct router_limits limits = {.are_set = byte >= 0x80};

    if (limits.are_set) {
        limits.history_size = byte / 2 % 8;
        limits.history_ttl_ms = byte / 16 * (uint64_t)500;
    }
    return limits;
}

/* A subscription, a publish, or what a gateway asks; `kind` says which. */
static void take_gateway_frame(struct router_frame *frame, int channel, struct party *party,
                               bool insists)
{
    static const struct router_present whos[] = {{"c1", 2, "ann", 3, NULL, 0},
                                                 {"c2", 2, "bob", 3, NULL, 0}};
    const struct rumour *rumour = &rumours[channel];

    switch (frame->kind) {
    case FRAME_SUBSCRIBE:
        frame->subscribe.epoch = take_epoch(channel);
        frame->subscribe.offset = take_number(rumour->offset);
        frame->subscribe.insist = insists;
        frame->subscribe.acknowledged = take_number(rumour->offset);
        return;
    case FRAME_UNSUBSCRIBE:
        party->views[channel].is_subscribed = false;
        return;
    case FRAME_PUBLISH:
        frame->publish.message = take_message(channel);
        frame->publish.message->publisher = party->id;
        frame->publish.message->sequence = party->sequence = take_number(party->sequence);
        frame->publish.after = take_number(party->sequence);
        frame->publish.insist = insists;
        frame->publish.limits = some_limits();
        return;
    case FRAME_PRESENCE_SET:
    case FRAME_PRESENCE_REMOVE:
        frame->presence.request = 1;
        frame->presence.who = whos[take_byte() % 2];
        return;
    case FRAME_PRESENCE_ASK:
    case FRAME_HISTORY_FORGET:
        frame->presence_ask.request = 1;
        frame->presence_ask.insist = insists;
        return;
    default:
        frame->history_ask.request = 1;
        frame->history_ask.epoch = take_epoch(channel);
        frame->history_ask.offset = take_number(rumour->offset);
        frame->history_ask.limit = take_byte();
        frame->history_ask.is_reverse = take_byte() & 1;
        frame->history_ask.insist = insists;
        return;
    }
}

static void say_as_gateway(void)
{
    static const enum router_frame_kind kinds[] = {
        FRAME_SUBSCRIBE,       FRAME_UNSUBSCRIBE,  FRAME_PUBLISH,     FRAME_PRESENCE_SET,
        FRAME_PRESENCE_REMOVE, FRAME_PRESENCE_ASK, FRAME_HISTORY_ASK, FRAME_HISTORY_FORGET};
    struct party *party = &parties[PEERS + take_byte() % GATEWAYS];
    uint8_t kind = take_byte();
    int channel = take_byte() % CHANNELS;
    struct router_frame frame = {.kind = kinds[(kind & 0x7f) % (sizeof(kinds) / sizeof(kinds[0]))],
                                 .channel = channels[channel],
                                 .channel_size = strlen(channels[channel])};

    take_gateway_frame(&frame, channel, party, kind & 0x80);
    say(party, &frame);
    if (frame.kind == FRAME_PUBLISH)
        message_unref(frame.publish.message);
}

static struct router_lineage take_lineage(int channel)
{
    struct router_lineage lineage = {0};

    epoch_copy(lineage.epoch, take_epoch(channel));
    lineage.generation = take_byte() % 4;
    if (lineage.generation > 1) {
        epoch_copy(lineage.previous, take_epoch(channel));
        lineage.fork = take_number(rumours[channel].offset);
    }
    lineage.offset = take_number(rumours[channel].offset);
    return lineage;
}

/* The shard may go on in that epoch from here on. */
static void hand_over(int channel, const struct router_lineage *lineage)
{
    struct rumour *rumour = &rumours[channel];

    if (strcmp(rumour->given, lineage->epoch) == 0 || strcmp(rumour->given, lineage->previous) == 0)
        rumour->given[0] = '\0';
}

/* The fields of one of the frames between routers. */
static void take_peer_frame(struct router_frame *frame, int channel, uint64_t *node)
{
    const struct rumour *rumour = &rumours[channel];

    switch (frame->kind) {
    case FRAME_INQUIRE:
        frame->inquire.claim = take_number(rumour->claim);
        frame->inquire.insist = take_byte() & 1;
        frame->inquire.nodes = node;
        frame->inquire.node_count = take_byte() & 1;
        return;
    case FRAME_HEAD:
        frame->head.claim = take_number(rumour->claim);
        frame->head.state = take_byte() % 3;
        frame->head.has_title = take_byte() & 1;
        frame->head.lineage = take_lineage(channel);
        frame->head.node = *node;
        return;
    case FRAME_TAKE:
        frame->take.claim = take_number(rumour->claim);
        frame->take.epoch = take_epoch(channel);
        frame->take.offset = take_number(rumour->offset);
        return;
    case FRAME_GIVEN:
    case FRAME_MIRROR_OPEN:
        frame->given.claim = take_number(rumour->claim);
        frame->given.has_title = take_byte() & 1;
        frame->given.lineage = take_lineage(channel);
        frame->given.start = take_number(frame->given.lineage.offset);
        frame->given.forgotten = next_byte() & 1 ? frame->given.start : 0;
        hand_over(channel, &frame->given.lineage);
        return;
    case FRAME_MIRROR_HAVE:
    case FRAME_MIRRORED:
    case FRAME_FORGET:
        frame->mirrored.epoch = take_epoch(channel);
        frame->mirrored.offset = take_number(rumour->offset);
        frame->mirrored.is_refused = take_byte() & 1;
        frame->mirrored.node = *node;
        return;
    case FRAME_MIRROR_CLOSE:
        frame->mirror_close.forget = take_byte() & 1;
        return;
    default:
        return;
    }
}

static void say_as_peer(void)
{
    static const enum router_frame_kind kinds[] = {
        FRAME_INQUIRE,      FRAME_HEAD,          FRAME_TAKE,        FRAME_GIVEN,
        FRAME_ENTRY,        FRAME_MIRROR_OPEN,   FRAME_MIRROR_HAVE, FRAME_MIRRORED,
        FRAME_MIRROR_CLOSE, FRAME_MIRROR_CLOSED, FRAME_OWNING,      FRAME_OFFER,
        FRAME_PONG,         FRAME_MEMBERS,       FRAME_FORGET};
    struct party *party = &parties[take_byte() % PEERS];
    uint64_t nodes[] = {shard.settings.node, parties[0].id, parties[1].id, 0};
    uint64_t node = nodes[take_byte() % 4];
    int channel = take_byte() % CHANNELS;
    struct router_frame frame = {.kind = kinds[take_byte() % (sizeof(kinds) / sizeof(kinds[0]))]};
    struct router_member member = {party->id, "router-9", "", take_byte() & 1};
    char *owned = (char *)channels[channel];

    if (frame.kind == FRAME_ENTRY) {
        frame.deliver.message = take_message(channel);
        frame.deliver.message->publisher = 1 + take_byte() % 3;
        frame.deliver.message->sequence = take_byte();
        frame.deliver.limits = some_limits();
        if (!message_is_ephemeral(frame.deliver.message->kind))
            frame.deliver.message->offset = take_number(rumours[channel].offset);
    } else if (frame.kind == FRAME_OWNING) {
        frame.owning.channels = &owned;
        frame.owning.count = 1;
    } else if (frame.kind == FRAME_PONG) {
        frame.ping.time = party->pinged_ms;
    } else if (frame.kind == FRAME_MEMBERS) {
        frame.members.items = &member;
        frame.members.count = 1;
    } else {
        frame.channel = channels[channel];
        frame.channel_size = strlen(channels[channel]);
        take_peer_frame(&frame, channel, &node);
    }
    say(party, &frame);
    if (frame.kind == FRAME_ENTRY)
        message_unref(frame.deliver.message);
}

/* Steps. */

static void pass(uint64_t ms)
{
    now_ms += ms;
    shard_tick(&shard, now_ms);
    drop_dropped();
}

static void step(void)
{
    struct party *party;

    switch ((enum step)(take_byte() % STEPS)) {
    case STEP_PASS:
        pass((uint64_t)take_byte() * 10);
        return;
    case STEP_FLUSH:
        shard_flush(&shard);
        return;
    case STEP_LINK:
        party = &parties[take_byte() % PARTIES];
        if (party->is_up)
            go_down(party);
        else
            come_up(party);
        return;
    case STEP_RESTART:
        party = &parties[take_byte() % PARTIES];
        go_down(party);
        party->id += 100;
        party->sequence = 0;
        return;
    case STEP_DIED:
        shard_node_died(&shard, parties[take_byte() % PEERS].id, now_ms);
        return;
    case STEP_OPEN:
        shard_open(&shard, now_ms);
        return;
    case STEP_LEAVE:
        shard_leave(&shard, now_ms);
        return;
    case STEP_GATEWAY_FRAME:
        say_as_gateway();
        return;
    case STEP_PEER_FRAME:
        say_as_peer();
        return;
    case STEPS:
        return;
    }
}

static void start(void)
{
    struct shard_settings settings = {
        .node = 1,
        .name = "router-0",
        .address = "router-0",
        .history = {.message_limit = 5, .ttl_ms = 5000, .memory_limit = 65536},
        .waiting_limit_bytes = 8192,
        .presence_limit_bytes = 1024,
        .key_limit_bytes = 1024,
        .place_limit = 2,
        .random = next_random,
    };

    now_ms = 1000000;
    random_count = 0;
    memset(parties, 0, sizeof(parties));
    memset(rumours, 0, sizeof(rumours));
    shard_init(&shard, &settings, &output, NULL, now_ms);
    for (int i = 0; i < PARTIES; i++) {
        parties[i].id = 10 + (uint64_t)i;
        if (i >= PEERS)
            come_up(&parties[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    input = data;
    input_size = size < 4096 ? size : 4096;
    start();
    while (input_size > 0)
        step();
    for (int i = 0; i < PARTIES; i++)
        go_down(&parties[i]);
    shard_deinit(&shard);
    assert(shard.waiting_bytes == 0);
    assert(shard.subscription_count == 0);
    assert(shard.histories.memory == 0);
    assert(shard.presences.memory == 0);
    assert(shard.keys.memory == 0);
    return 0;
}
