#include "tests/simulation/faults.h"

#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "gateway/router_client_parts.h"
#include "router/shard_parts.h"
#include "tests/simulation/events.h"
#include "tests/simulation/network.h"
#include "tests/simulation/processes.h"
#include "tests/simulation/watch.h"

#define FAULTS_END 9000
#define WELL_MS    20000 /* in which all is well again after a fault */
#define LOOK_MS    100
#define BREAK_MS   50
#define NEWS_MS    61 /* longer than the longest latency */

static struct bus_publish *make_publish(enum message_kind kind, const char *channel,
                                        const char *key)
{
    struct bus_publish *publish = memory_zeroed(1, sizeof(*publish));

    publish->message = message_write(&(struct message_draft){
        .kind = kind,
        .channel = {channel, strlen(channel)},
        .data = {"x", 1},
        .key = {key, strlen(key)},
    });
    publish->message->time_ms = (int64_t)world.now;
    publish->cost = 1;
    return publish;
}

static void say_ephemeral(struct process *process, const char *channel)
{
    struct bus_publish *publish = make_publish(MESSAGE_JOIN, channel, "");

    publish->published = on_said;
    router_client_publish(&process->client, publish);
}

/* In what manner goes by turns, which leaves the random numbers to the schedule: every fourth has
 * a key, which another gateway gives to another message, too; and the history is to be long enough
 * for all. */
void do_publish(uint64_t gateway)
{
    struct process *process = world.gateways[gateway];
    const char *channel = channels[below(CHANNELS)];
    unsigned number = world.published++;
    struct bus_publish *publish;
    char key[16] = "";

    if (world.now < world.faults_end)
        act_at(world.now + between(1, 120), do_publish, gateway);
    if (number % 4 == 1)
        snprintf(key, sizeof(key), "%u", 1 + number / 16);
    publish = make_publish(MESSAGE_TEXT, channel, key);
    publish->published = on_published;
    if (number % 5 == 2) {
        publish->has_limits = true;
        publish->history_size = 2000 + number % 3;
        publish->history_ttl_ms = UINT64_C(300000) * (1 + number % 2);
    }
    router_client_publish(&process->client, publish);
    if (number % 7 == 3)
        say_ephemeral(process, channel);
}

static void lasts_until(uint64_t at)
{
    if (at > world.fault_ends)
        world.fault_ends = at;
}

static void do_restart(uint64_t place)
{
    if (!world.routers[place])
        world.routers[place] = start_process(ROUTER, (int)place);
}

static void do_kill(uint64_t place)
{
    uint64_t at = world.now + between(1, 3000);

    kill_router((int)place);
    act_at(at, do_restart, place);
    lasts_until(at);
}

static void do_kill_all(uint64_t unused)
{
    (void)unused;
    world.all_died = true;
    for (int i = 0; i < world.router_count; i++)
        do_kill((uint64_t)i);
}

static void do_freeze(uint64_t place)
{
    struct process *process = world.routers[place];

    if (!process || process->frozen_until > world.now)
        return; /* waking earlier than was said would turn round what waits */
    process->frozen_until = world.now + between(50, 4000);
    lasts_until(process->frozen_until);
    say("%s is frozen until %llu", process->name, (unsigned long long)process->frozen_until);
}

static void do_leave(uint64_t place)
{
    struct process *process = world.routers[place];

    if (!process || process->is_leaving || process->frozen_until > world.now)
        return;
    say("%s leaves", process->name);
    process->is_leaving = true;
    shard_leave(&process->shard, world.now);
    act_at(world.now + between(2500, 4000), do_kill, place);
    lasts_until(world.now + 4000);
}

static bool cut_routers(int *lower, int *higher, bool refuses)
{
    int one = (int)below((uint64_t)world.router_count);
    int other = (int)below((uint64_t)world.router_count);
    uint64_t until = world.now + between(50, 4000);

    if (one == other)
        return false;
    *lower = one < other ? one : other;
    *higher = one < other ? other : one;
    lasts_until(until);
    world.cut_routers[*lower][*higher] = until;
    world.refuses[*lower][*higher] = refuses;
    say("R%d and R%d are cut off from each other%s", one, other, refuses ? ", and refused" : "");
    return true;
}

static void do_cut_routers(uint64_t unused)
{
    int one;
    int other;

    (void)unused;
    cut_routers(&one, &other, false);
}

static void do_cut_gateway(uint64_t unused)
{
    int gateway = (int)below(GATEWAYS);
    int router = (int)below((uint64_t)world.router_count);
    uint64_t until = world.now + between(50, 4000);

    (void)unused;
    world.cut_gateways[gateway][router] = until;
    lasts_until(until);
    say("G%d and R%d are cut off from each other", gateway, router);
}

/* A line of which the connections end again and again. */
static void break_line(struct process *one, struct process *other)
{
    for (struct connection *at = world.connections; one && other && at; at = at->next) {
        for (int i = 0; i < 2; i++) {
            if (at->ends[i].process == one && at->ends[1 - i].process == other) {
                drop_soon(at, i);
                drop_soon(at, 1 - i);
            }
        }
    }
}

/* Where a gateway seeks a channel: the router's id, or 0. */
static uint64_t home_of(struct process *gateway, int channel)
{
    const char *name = channels[channel];
    const struct route *route = client_route_find(&gateway->client, name, strlen(name));

    return route && route->target ? route->target->node : 0;
}

static bool any_gateway_at(const struct process *router, int channel)
{
    for (int i = 0; i < GATEWAYS; i++) {
        if (router && home_of(world.gateways[i], channel) == router->id)
            return true;
    }
    return false;
}

/*
 * Gateways give a channel back to a router that has returned, each in its time. A firewall that
 * comes in the midst of that, and resets, divides them. Who has moved already wants the channel
 * where its owner seems to have died, so the copy there forks at once; who has not stays where it
 * is served, since a router is left only for one that it sees. Both go on, as router/README.md has
 * it of splits: who was given a message at the old owner has seen more of the old epoch than the
 * fork has, where that place is another message's. No order could please both, and the loss that
 * it is told of when they meet is true, though a single thing went wrong.
 *
 * That is so only where they had moved before they could know: by now everybody has heard of it,
 * and who has not moved does not. Nor is it so where lines hang: all have moved before the silence
 * is noticed.
 */
static void do_look_who_is_divided(uint64_t routers)
{
    const struct process *one = world.routers[routers & 0xff];
    const struct process *other = world.routers[routers >> 8];

    for (int c = 0; c < CHANNELS; c++) {
        if (any_gateway_at(one, c) && any_gateway_at(other, c)) {
            say("%s is divided", channels[c]);
            world.is_divided[c] = true;
        }
    }
}

/* A firewall between two routers rejects: it refuses connections, and resets those that are there
 * or leaves them hanging. */
static void do_refuse_routers(uint64_t unused)
{
    int one;
    int other;

    (void)unused;
    if (!cut_routers(&one, &other, true) || below(4) == 0)
        return;
    break_line(world.routers[one], world.routers[other]);
    act_at(world.now + NEWS_MS, do_look_who_is_divided, (uint64_t)other << 8 | (uint64_t)one);
}

static void do_break(uint64_t argument)
{
    int left = (int)(argument & 0xff);
    int gateway = (int)(argument >> 8 & 0xff); /* + 1, or 0 */
    int one = (int)(argument >> 16 & 0xff);
    int other = (int)(argument >> 24 & 0xff);

    break_line(gateway ? world.gateways[gateway - 1] : world.routers[one], world.routers[other]);
    lasts_until(world.now + BREAK_MS + 1);
    if (left > 1)
        act_at(world.now + BREAK_MS, do_break, argument - 1);
}

static void do_break_routers(uint64_t unused)
{
    uint64_t one = below((uint64_t)world.router_count);
    uint64_t other = below((uint64_t)world.router_count);

    (void)unused;
    if (one == other)
        return;
    say("the line between R%d and R%d breaks", (int)one, (int)other);
    do_break(other << 24 | one << 16 | between(1, 60));
}

static void do_break_gateway(uint64_t unused)
{
    uint64_t gateway = below(GATEWAYS);
    uint64_t router = below((uint64_t)world.router_count);

    (void)unused;
    say("the line between G%d and R%d breaks", (int)gateway, (int)router);
    do_break(router << 24 | (gateway + 1) << 8 | between(1, 60));
}

static void plan_fault(uint64_t at)
{
    uint64_t place = below((uint64_t)world.router_count);

    switch (below(world.router_count > 1 ? 16 : 3)) {
    case 12:
        act_at(at, do_break_routers, 0);
        return;
    case 13:
        act_at(at, do_break_gateway, 0);
        return;
    case 14:
    case 15:
        act_at(at, do_refuse_routers, 0);
        return;
    case 0:
    case 1:
    case 2:
        if (world.router_count == 1)
            world.all_died = true;
        act_at(at, do_kill, place);
        return;
    case 3:
    case 4:
        act_at(at, do_freeze, place);
        return;
    case 5:
    case 6:
        act_at(at, do_cut_routers, 0);
        return;
    case 7:
    case 8:
        act_at(at, do_cut_gateway, 0);
        return;
    case 9:
    case 10:
        act_at(at, do_leave, place);
        return;
    default:
        act_at(at, do_kill_all, 0);
        return;
    }
}

static size_t list_length(const struct list *list)
{
    size_t length = 0;

    for (const struct list *at = list->next; at != list; at = at->next)
        length++;
    return length;
}

/* One router owns the channel, all gateways listen there, and another router has all of it. */
static bool is_served(int channel)
{
    int owners = 0;

    for (int i = 0; i < world.router_count; i++) {
        const struct place *place = place_of(world.routers[i], channel);

        if (!place || place->role == PLACE_COPY)
            continue;
        if (place->role != PLACE_OWNED || list_length(&place->subscribers) != GATEWAYS ||
            (world.router_count > 1 && place->mirror_state != MIRROR_HELD))
            return false;
        owners++;
    }
    return owners == 1;
}

/* As tests/chaos/stage.js has it: everybody sees everybody, one router owns each channel and
 * another has all of it. */
static bool is_well(void)
{
    for (int i = 0; i < world.router_count; i++) {
        const struct process *router = world.routers[i];

        if (!router || router->frozen_until > world.now)
            return false;
        for (int j = 0; j < world.router_count; j++) {
            const struct node *node =
                world.routers[j] ? nodes_find((struct shard *)&router->shard, world.routers[j]->id)
                                 : NULL;

            if (j != i && (!node || !node->shard_link))
                return false;
        }
        if (list_length(&router->shard.gateways) != GATEWAYS)
            return false;
    }
    for (int i = 0; i < GATEWAYS; i++) {
        if (list_length(&world.gateways[i]->client.links) != (size_t)world.router_count)
            return false;
    }
    for (const struct connection *one = world.connections; one; one = one->next) {
        if ((one->ends[0].is_up || one->ends[1].is_up) &&
            (one->ends[0].is_mute || one->ends[1].is_mute))
            return false; /* nobody has noticed yet */
    }
    for (int c = 0; c < CHANNELS; c++) {
        if (!is_served(c))
            return false;
    }
    return true;
}

static void do_next_fault(uint64_t unused);

static void do_look(uint64_t since)
{
    if (is_well() && world.well_looks++ > 0) {
        say("all is well");
        memset(world.is_divided, 0, sizeof(world.is_divided));
        act_at(world.now + between(1, 300), do_next_fault, 0);
    } else if (world.now - since > WELL_MS) {
        fail("not all is well %d ms after a fault", WELL_MS);
    } else {
        act_at(world.now + LOOK_MS, do_look, since);
    }
    if (!is_well())
        world.well_looks = 0;
}

/* Waits for the end of one that goes on, and until all is well. */
static void do_wait(uint64_t unused)
{
    (void)unused;
    world.well_looks = 0;
    if (world.now < world.fault_ends)
        act_at(world.fault_ends + 1, do_wait, 0);
    else
        do_look(world.now);
}

static void do_next_fault(uint64_t unused)
{
    (void)unused;
    if (world.faults_left-- == 0) {
        world.faults_end = world.now;
        return;
    }
    plan_fault(world.now);
    act_at(world.now + 1, do_wait, 0);
}

void plan_run(void)
{
    world.is_mild = below(2) == 0;
    world.router_count = (int)between(1, ROUTERS);
    world.faults_end = world.is_mild ? UINT64_MAX : FAULTS_END;
    if (world.is_mild) {
        world.faults_left = (int)between(1, 3);
        act_at(between(3500, 5500), do_next_fault, 0);
        return;
    }
    for (uint64_t count = between(1, 6); count > 0; count--)
        plan_fault(between(3500, FAULTS_END - 500));
}
