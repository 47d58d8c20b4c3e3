/*
 * Three real shards and two gateways on a clock that the test moves, with lines between all of them
 * that it can hold up, silence and cut. Frames travel as bytes, in order, and all arrive before a
 * step of the test is over, unless their line is held. Included by shard_fixture.h.
 */
#ifndef TESTS_UNIT_SHARD_NETWORK_H
#define TESTS_UNIT_SHARD_NETWORK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/framing.h"
#include "common/memory.h"
#include "common/placement.h"
#include "router/shard.h"

#define DATA_LIMIT 65536
#define TICK_MS    50

enum party { FIRST, SECOND, THIRD, ANN, BOB, PARTIES };

#define ROUTERS ANN

static const char *const party_names[PARTIES] = {"router-0", "router-1", "router-2", "ann", "bob"};

/* A process: a router or, without a shard, a gateway. */
struct process {
    struct shard shard;
    bool is_up;
    bool is_frozen;
    bool is_mute; /* what it says comes nowhere */
    uint64_t id;
    uint64_t sequence;   /* gateways: of the last publish */
    struct buffer heard; /* gateways: what was said to them */
};

/* One party's end of its line with another. */
struct end {
    struct shard_link link; /* routers' */
    bool is_up;
    bool is_held;         /* what comes waits */
    bool is_old;          /* the other end has no capabilities */
    bool is_silent;       /* what comes is lost */
    bool is_to_be_closed; /* the shard dropped it, or the other end is gone */
    struct buffer inbox;  /* what has come, as framed */
    char members[32];     /* gateways': the routers that the other end named last, itself first */
};

static struct process processes[PARTIES];
static struct end ends[PARTIES][PARTIES];
static struct shard_settings settings; /* of routers that start */
static uint64_t now_ms;
static uint64_t random_count;

/* How a gateway hears a frame of a router: as the fixture has it. */
static void gateway_hears(int party, int router, const struct router_frame *frame);

static inline bool is_router(int party)
{
    return party < ROUTERS;
}

static inline struct shard *shard_of(int party)
{
    return &processes[party].shard;
}

/* Lines. */

static inline void put_frame(int from, int to, const struct router_frame *frame)
{
    struct end *end = &ends[to][from];
    size_t before = end->inbox.size;

    if (!end->is_up || end->is_silent || processes[from].is_mute)
        return;
    buffer_reserve(&end->inbox, FRAMING_HEADER_BYTES);
    end->inbox.size += FRAMING_HEADER_BYTES;
    router_frame_append(&end->inbox, frame);
    framing_write_header(end->inbox.data + before, end->inbox.size - before - FRAMING_HEADER_BYTES);
}

/* Which line a link is the end of. */
static inline void find_line(const struct process *process, const struct shard_link *link,
                             int *from, int *to)
{
    *from = (int)(process - processes);
    *to = 0;
    while (&ends[*from][*to].link != link)
        ++*to;
}

static inline void on_send(void *context, struct shard_link *link, const struct router_frame *frame)
{
    int from;
    int to;

    find_line(context, link, &from, &to);
    put_frame(from, to, frame);
}

static inline void on_drop(void *context, struct shard_link *link, const char *reason)
{
    int from;
    int to;

    (void)reason;
    find_line(context, link, &from, &to);
    ends[from][to].is_to_be_closed = true;
}

static const struct shard_output output = {on_send, on_drop};

static inline void close_end(int party, int other)
{
    struct end *end = &ends[party][other];

    end->is_to_be_closed = false;
    if (!end->is_up)
        return;
    end->is_up = false;
    end->inbox.size = 0;
    if (is_router(party) && processes[party].is_up)
        shard_link_down(shard_of(party), &end->link, now_ms);
    if (!end->is_silent)
        ends[other][party].is_to_be_closed = true;
}

static inline void hear(int party, int from, const void *bytes, size_t size)
{
    struct router_frame frame;

    assert_int_equal(router_frame_read(bytes, size, DATA_LIMIT, &frame), 0);
    if (is_router(party))
        shard_receive(shard_of(party), &ends[party][from].link, &frame, now_ms);
    else
        gateway_hears(party, from, &frame);
    router_frame_release(&frame);
}

/* Lets one end hear one frame, or of its end; true if there was something. */
static inline bool turn(int party, int other)
{
    struct end *end = &ends[party][other];
    const unsigned char *at = end->inbox.data;
    const unsigned char *frame;
    size_t size = end->inbox.size;
    size_t frame_size;
    struct framing_reader reader;
    struct buffer copy = {0};

    if (processes[party].is_frozen || end->is_held)
        return false;
    if (end->inbox.size == 0) {
        if (!end->is_to_be_closed)
            return false;
        close_end(party, other);
        return true;
    }
    framing_reader_init(&reader, DATA_LIMIT + ROUTER_OVERHEAD_BYTES);
    assert_int_equal(framing_read(&reader, &at, &size, &frame, &frame_size), 1);
    buffer_append(&copy, frame, frame_size);
    buffer_consume(&end->inbox, FRAMING_HEADER_BYTES + frame_size);
    hear(party, other, copy.data, copy.size);
    buffer_deinit(&copy);
    return true;
}

/* Until nothing is under way. */
static inline void settle(void)
{
    bool any = true;

    while (any) {
        any = false;
        for (int party = 0; party < PARTIES; party++) {
            for (int other = 0; other < PARTIES; other++)
                any |= turn(party, other);
        }
        for (int party = 0; party < ROUTERS; party++) {
            if (processes[party].is_up && !processes[party].is_frozen)
                shard_flush(shard_of(party));
        }
        for (int party = 0; party < PARTIES && !any; party++) {
            for (int other = 0; other < PARTIES; other++)
                any |= ends[party][other].inbox.size > 0 && !ends[party][other].is_held &&
                       !processes[party].is_frozen;
        }
    }
}

static inline void bring_up(int party, int other)
{
    struct end *end = &ends[party][other];

    if (!is_router(party))
        return;
    end->link = (struct shard_link){.capabilities = end->is_old ? 0 : ROUTER_CAPABILITIES};
    if (is_router(other))
        shard_peer_up(shard_of(party), &end->link, processes[other].id, party_names[other],
                      party_names[other], now_ms);
    else
        shard_gateway_up(shard_of(party), &end->link, processes[other].id, now_ms);
}

/* What tests do to lines. */

static inline void join(int one, int other)
{
    struct end *there = &ends[one][other];
    struct end *back = &ends[other][one];

    assert_false(there->is_up || back->is_up);
    there->is_silent = back->is_silent = false;
    there->is_to_be_closed = back->is_to_be_closed = false;
    there->is_up = back->is_up = true;
    bring_up(one, other);
    bring_up(other, one);
    settle();
}

/* Both ends learn at once that the line is gone; what was held is lost. */
static inline void cut(int one, int other)
{
    close_end(one, other);
    close_end(other, one);
    ends[one][other].is_held = ends[other][one].is_held = false;
    settle();
}

/* One end closes the line; the other learns it when it gets to it. */
static inline void hang_up(int one, int other)
{
    close_end(one, other);
    settle();
}

/* Nothing arrives any more, and nobody is told. */
static inline void silence(int one, int other)
{
    ends[one][other].is_silent = ends[other][one].is_silent = true;
}

/* What `from` says to `to` waits until it is let go. */
static inline void hold(int from, int to)
{
    ends[to][from].is_held = true;
}

static inline void let_go(int from, int to)
{
    ends[to][from].is_held = false;
    settle();
}

/* One frame of those that are held arrives. */
static inline void let_one_go(int from, int to)
{
    ends[to][from].is_held = false;
    turn(to, from);
    ends[to][from].is_held = true;
    settle();
}

/* Processes. */

static inline uint64_t next_random(void *context)
{
    (void)context;
    return ++random_count;
}

/* A router's process starts, alone; it claims nothing before it opens. */
static inline void start_router(int party)
{
    struct process *process = &processes[party];

    process->is_up = true;
    process->is_mute = false;
    process->id = 100 * (uint64_t)(party + 1) + ++random_count;
    settings.node = process->id;
    settings.name = settings.address = party_names[party];
    shard_init(&process->shard, &settings, &output, process, now_ms);
}

static inline void open_router(int party)
{
    shard_open(shard_of(party), now_ms);
    settle();
}

/* A router's process starts, and finds all others. */
static inline void add_router(int party)
{
    start_router(party);
    for (int other = 0; other < PARTIES; other++) {
        if (other != party && (!is_router(other) || processes[other].is_up))
            join(party, other);
    }
    open_router(party);
}

/* It is gone, and with it what it had not heard or what of it was held. */
static inline void kill_router(int party)
{
    struct process *process = &processes[party];

    process->is_frozen = false;
    process->is_mute = true; /* the dead do not comment on it */
    for (int other = 0; other < PARTIES; other++)
        close_end(party, other);
    shard_deinit(&process->shard);
    process->is_up = false;
    for (int other = 0; other < PARTIES; other++) {
        ends[other][party].inbox.size = 0;
        ends[other][party].is_held = false;
    }
    settle();
}

/* It stands still: others hear no more of it, and it hears of nothing. */
static inline void freeze(int party)
{
    processes[party].is_frozen = true;
}

static inline void thaw(int party)
{
    processes[party].is_frozen = false;
    settle();
}

/* `party` learns that the process with that id is no more. */
static inline void tell_dead(int party, uint64_t id)
{
    shard_node_died(shard_of(party), id, now_ms);
    settle();
}

static inline void pass(uint64_t ms)
{
    for (uint64_t end_ms = now_ms + ms; now_ms < end_ms;) {
        now_ms += end_ms - now_ms < TICK_MS ? end_ms - now_ms : TICK_MS;
        for (int party = 0; party < ROUTERS; party++) {
            if (processes[party].is_up && !processes[party].is_frozen)
                shard_tick(shard_of(party), now_ms);
        }
        settle();
    }
}

#endif
