#include "tests/simulation/processes.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "common/router_frame.h"
#include "router/shard_parts.h"
#include "tests/simulation/events.h"
#include "tests/simulation/network.h"
#include "tests/simulation/watch.h"

#define TICK_MS 50

static uint64_t shard_random(void *context)
{
    (void)context;
    return random_number();
}

static void do_open(uint64_t place)
{
    if (world.routers[place])
        shard_open(&world.routers[place]->shard, world.now);
}

struct process *start_process(enum kind kind, int place)
{
    struct process *process = memory_zeroed(1, sizeof(*process));
    struct event *tick;

    process->kind = kind;
    process->place = place;
    process->id = random_number() | 1;
    process->is_alive = true;
    snprintf(process->name, sizeof(process->name), "%c%d-%02x", kind == ROUTER ? 'R' : 'G', place,
             (unsigned)(process->id >> 8 & 0xff));
    if (kind == ROUTER) {
        static char addresses[ROUTERS][16];
        struct shard_settings settings = {
            .node = process->id,
            .history = {.message_limit = 1000, .ttl_ms = 600000, .memory_limit = 64 << 20},
            .waiting_limit_bytes = 64 << 20,
            .key_limit_bytes = 64 << 20,
            .place_limit = 1000,
            .random = shard_random,
        };

        snprintf(addresses[place], sizeof(addresses[place]), "router-%d", place);
        settings.name = addresses[place];
        settings.address = addresses[place];
        shard_init(&process->shard, &settings, &shard_out, process, world.now);
        act_at(world.now + 300, do_open, (uint64_t)place);
    } else {
        process->stats = memory_zeroed(1, sizeof(*process->stats));
        process->client = (struct router_client){
            .output = &client_out,
            .output_context = process,
            .events = &bus_events,
            .events_context = process,
            .stats = process->stats,
            .node = process->id,
            .sequence = &process->sequence,
            .queued_bytes = &process->queued_bytes,
            .queued_count = &process->queued_count,
            .wanted_count = &process->wanted_count,
        };
        router_client_init(&process->client, world.now);
        for (int i = 0; i < CHANNELS; i++)
            router_client_subscribe(&process->client, channels[i], strlen(channels[i]));
    }
    say("%s starts", process->name);
    tick = event_at(world.now + between(1, TICK_MS), EVENT_TICK);
    tick->process = process;
    event_push(tick);
    for (int i = 0; i < world.router_count; i++) {
        if (kind == GATEWAY || i != place)
            dial_at(world.now + between(1, 50), process, i, true);
    }
    return process;
}

struct place *place_of(const struct process *router, int channel)
{
    const char *name = channels[channel];

    return places_find((struct shard *)&router->shard, name, strlen(name));
}

static void bury(struct process *process)
{
    assert(world.graves < 256);
    world.graveyard[world.graves++] = process;
}

void kill_router(int place)
{
    struct process *process = world.routers[place];

    if (!process)
        return;
    say("%s dies", process->name);
    process->is_alive = false;
    world.routers[place] = NULL;
    bury(process);
    bury_messages(process);
    for (struct connection *one = world.connections; one; one = one->next) {
        for (int i = 0; i < 2; i++) {
            if (one->ends[i].process == process)
                close_end(one, i);
        }
    }
}

static struct process *at_address(int address)
{
    return world.routers[address];
}

static void tell_died(struct process *process, uint64_t at, uint64_t id)
{
    struct event *event = event_at(at, EVENT_DIED);

    event->process = process;
    event->id = id;
    event_push(event);
}

/* What the one who dials learns of those that were at the address before. */
static void report_dead(struct process *process, int address, const struct process *present)
{
    if (process->kind != ROUTER)
        return;
    for (int i = 0; i < world.graves; i++) {
        if (world.graveyard[i]->kind == ROUTER && world.graveyard[i]->place == address &&
            world.graveyard[i] != present)
            tell_died(process, world.now + latency() + latency(), world.graveyard[i]->id);
    }
}

void dial(struct process *process, int address)
{
    struct process *target = at_address(address);
    struct connection *connection;
    struct event *event;
    struct process probe = {.kind = ROUTER, .place = address};

    if (target && is_refused(process, target)) {
        tell_died(process, world.now + latency() + latency(), target->id);
        return;
    }
    if (is_cut(process, target ? target : &probe) || (target && target->frozen_until > world.now))
        return;
    if (!target) {
        report_dead(process, address, NULL);
        return;
    }
    report_dead(process, address, target);
    if (has_link(process, target))
        return;
    if (process->kind == ROUTER && process->place > address)
        return; /* the other one dials; this was to see whether it lives */
    connection = memory_zeroed(1, sizeof(*connection));
    connection->next = world.connections;
    world.connections = connection;
    connection->ends[0].process = process;
    connection->ends[1].process = target;
    event = event_at(0, EVENT_UP);
    travel(connection, 0,
           event); /* the acceptor is up first, and its answer brings the dialer up */
}

void bring_up(struct connection *connection, int end)
{
    struct end *self = &connection->ends[end];
    struct process *process = self->process;
    struct process *other = connection->ends[1 - end].process;

    if (self->is_closed || self->is_up)
        return;
    if (process->kind == ROUTER && other->kind == ROUTER) {
        struct node *node = nodes_find(&process->shard, other->id);

        if (node && node->shard_link) { /* an earlier connection that we have not given up yet */
            close_end(connection, end);
            return;
        }
    }
    if (end == 1)
        travel(connection, 1, event_at(0, EVENT_UP));
    self->is_up = true;
    say("%s: link to %s up", process->name, other->name);
    self->shard_link.capabilities = self->client_link.capabilities = ROUTER_CAPABILITIES;
    if (process->kind == ROUTER && other->kind == ROUTER)
        shard_peer_up(&process->shard, &self->shard_link, other->id, other->shard.settings.name,
                      other->shard.settings.address, world.now);
    else if (process->kind == ROUTER)
        shard_gateway_up(&process->shard, &self->shard_link, other->id, world.now);
    else
        router_client_link_up(&process->client, &self->client_link, other->id,
                              other->shard.settings.name, world.now);
}

void receive(struct connection *connection, int end, const struct event *event)
{
    struct end *self = &connection->ends[end];
    struct process *process = self->process;
    struct router_frame frame;

    if (!self->is_up || self->is_closed)
        return;
    if (router_frame_read(event->bytes, event->size, 1 << 20, &frame)) {
        fail("a frame cannot be read, of %zu bytes, kind %u", event->size, event->bytes[0] >> 3);
        return;
    }
    if (process->kind == ROUTER) {
        shard_receive(&process->shard, &self->shard_link, &frame, world.now);
        if (below(2) == 0)
            shard_flush(&process->shard);
    } else {
        router_client_receive(&process->client, &self->client_link, &frame, world.now);
    }
    router_frame_release(&frame);
}

void tick(struct process *process)
{
    struct event *next = event_at(world.now + TICK_MS, EVENT_TICK);

    next->process = process;
    event_push(next);
    if (process->kind == ROUTER) {
        shard_tick(&process->shard, world.now);
        if (process->is_leaving && shard_has_left(&process->shard)) {
            say("%s has left", process->name);
            kill_router(process->place);
        }
    } else {
        router_client_tick(&process->client, world.now);
    }
}

void end_process(struct process *process)
{
    if (process->kind == ROUTER) {
        for (struct connection *one = world.connections; one; one = one->next) {
            for (int i = 0; i < 2; i++) {
                if (one->ends[i].process != process)
                    continue;
                one->ends[i].is_closed = true;
                if (one->ends[i].is_up)
                    shard_link_down(&process->shard, &one->ends[i].shard_link, world.now);
                one->ends[i].is_up = false;
            }
        }
        shard_deinit(&process->shard);
    } else {
        router_client_deinit(&process->client);
        memory_free(process->stats);
        for (int i = 0; i < CHANNELS; i++)
            memory_free(process->logs[i].items);
    }
    memory_free(process);
}
