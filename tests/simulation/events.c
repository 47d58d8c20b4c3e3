#include "tests/simulation/events.h"

#include "common/memory.h"
#include "tests/simulation/network.h"

struct event *event_at(uint64_t at, enum event_kind kind)
{
    struct event *event = memory_zeroed(1, sizeof(*event));

    event->at = at;
    event->kind = kind;
    return event;
}

void event_destroy(struct event *event)
{
    memory_free(event->bytes);
    memory_free(event);
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

void event_push(struct event *event)
{
    size_t i;

    if (event->order == 0) /* what is put off keeps its place */
        event->order = ++world.order;
    if (world.count == world.capacity) {
        world.capacity = world.capacity ? world.capacity * 2 : 256;
        world.heap = memory_resize(world.heap, world.capacity * sizeof(*world.heap));
    }
    for (i = world.count++; i > 0 && is_before(event, world.heap[(i - 1) / 2]); i = (i - 1) / 2)
        world.heap[i] = world.heap[(i - 1) / 2];
    world.heap[i] = event;
    if (event->connection)
        event->connection->events++;
}

struct event *event_pop(void)
{
    struct event *top = world.heap[0];
    struct event *last = world.heap[--world.count];
    size_t i = 0;

    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= world.count)
            break;
        if (child + 1 < world.count && is_before(world.heap[child + 1], world.heap[child]))
            child++;
        if (!is_before(world.heap[child], last))
            break;
        world.heap[i] = world.heap[child];
        i = child;
    }
    if (world.count > 0)
        world.heap[i] = last;
    if (top->connection)
        top->connection->events--;
    return top;
}

void act_at(uint64_t at, void (*act)(uint64_t argument), uint64_t argument)
{
    struct event *event = event_at(at, EVENT_ACT);

    event->act = act;
    event->argument = argument;
    event_push(event);
}
