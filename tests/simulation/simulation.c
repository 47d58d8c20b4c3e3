/*
 * Routers and gateways without sockets or clocks: the real state machines (router/shard.h,
 * gateway/router_client.h), whose frames travel through a network that a random number decides on.
 * Every schedule is made from its seed alone, so one that fails can be run again:
 *
 *     simulation --seed 4711 --verbose
 *
 * What must hold, whatever happens:
 *   - nobody ever sees two messages at one (channel, epoch, offset);
 *   - no epoch of a channel has two titles among the processes that live;
 *   - no gateway is given a message twice, or two in another order than another gateway, unless it
 * was told between them that it lost some;
 *   - in the end, every publish has its answer and every channel has one owner; every message that
 * was acknowledged is in its history, unless only routers that died had it; and of a channel of
 * which no gateway was told of a loss, every gateway has all of them;
 *   - where one thing after the other goes wrong (mild schedules, the same as in tests/chaos), all
 * is well again after each, and nobody is told of a loss at all, but where a firewall came between
 * two routers while gateways moved from one to the other (faults.c says why).
 */
#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/events.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/network.h"
#include "tests/simulation/processes.h"
#include "tests/simulation/world.h"

#define RUN_END 15000 /* after the faults */

static void handle(struct event *event)
{
    struct process *process =
        event->connection ? event->connection->ends[event->end].process : event->process;

    if (process && !process->is_alive)
        return;
    assert(process || event->kind == EVENT_ACT);
    assert(event->connection || event->kind == EVENT_TICK || event->kind == EVENT_DIAL ||
           event->kind == EVENT_DIED || event->kind == EVENT_ACT);
    switch (event->kind) {
    case EVENT_TICK:
        tick(process);
        return;
    case EVENT_FRAME:
        receive(event->connection, event->end, event);
        return;
    case EVENT_UP:
        bring_up(event->connection, event->end);
        return;
    case EVENT_CLOSED:
        close_end(event->connection, event->end);
        tell_down(event->connection, event->end);
        return;
    case EVENT_DIAL:
        if (event->argument)
            dial_at(world.now + between(100, 500), process, event->address, true);
        dial(process, event->address);
        return;
    case EVENT_DIED:
        shard_node_died(&process->shard, event->id, world.now);
        return;
    case EVENT_ACT:
        event->act(event->argument);
        return;
    }
}

/* What happens to a frozen process waits, in order. */
static bool put_off(struct event *event)
{
    struct process *process =
        event->connection ? event->connection->ends[event->end].process : event->process;

    if (!process || !process->is_alive || process->frozen_until <= world.now)
        return false;
    event->at = process->frozen_until;
    event_push(event); /* as early as it was among those that wait */
    return true;
}

static void end_world(void)
{
    /* What the dying say goes nowhere. */
    for (struct connection *one = world.connections; one; one = one->next)
        one->ends[0].is_closed = one->ends[1].is_closed = true;
    for (int i = 0; i < world.router_count; i++) {
        if (world.routers[i])
            end_process(world.routers[i]);
    }
    for (int i = 0; i < world.graves; i++)
        end_process(world.graveyard[i]);
    for (int i = 0; i < GATEWAYS; i++)
        end_process(world.gateways[i]);
    while (world.count > 0) {
        struct event *event = event_pop();

        event_destroy(event);
    }
    free_connections(true);
    memory_free(world.heap);
    memory_free(world.seen);
    memory_free(world.acked);
    memory_free(world.buried);
}

static bool run(uint64_t seed)
{
    world_begin(seed);
    plan_run();
    for (int i = 0; i < world.router_count; i++)
        world.routers[i] = start_process(ROUTER, i);
    for (int i = 0; i < GATEWAYS; i++) {
        world.gateways[i] = start_process(GATEWAY, i);
        act_at(world.now + between(1500, 2000), do_publish, (uint64_t)i); /* all have subscribed */
    }
    while (world.count > 0 && failure[0] == '\0') {
        struct event *event = event_pop();

        if (event->at > world.faults_end && event->at - world.faults_end > RUN_END) {
            event_destroy(event);
            break;
        }
        world.now = event->at;
        if (put_off(event))
            continue;
        handle(event);
        if (event->kind == EVENT_TICK) {
            check_titles();
            free_connections(false);
        }
        event_destroy(event);
    }
    if (failure[0] == '\0')
        check_end();
    say_places();
    end_world();
    return failure[0] == '\0';
}

int main(int argument_count, char **arguments)
{
    uint64_t first = 1;
    uint64_t count = 1000;
    unsigned failed = 0;

    for (int i = 1; i < argument_count; i++) {
        if (strcmp(arguments[i], "--seed") == 0 && i + 1 < argument_count) {
            first = strtoull(arguments[++i], NULL, 10);
            count = 1;
        } else if (strcmp(arguments[i], "--from") == 0 && i + 1 < argument_count) {
            first = strtoull(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--count") == 0 && i + 1 < argument_count) {
            count = strtoull(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--verbose") == 0) {
            is_verbose = true;
        } else {
            fprintf(stderr, "Usage: simulation [--seed N [--verbose] | --from N --count N]\n");
            return 2;
        }
    }
    for (uint64_t seed = first; seed < first + count; seed++) {
        if (run(seed))
            continue;
        failed++;
        printf("seed %llu: %s\n", (unsigned long long)seed, failure);
        if (failed == 20)
            break;
    }
    printf("%llu passed, %u failed\n", (unsigned long long)(count - failed), failed);
    return failed ? 1 : 0;
}
