#include "tests/simulation/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/memory.h"
#include "common/router_frame.h"
#include "tests/simulation/events.h"
#include "tests/simulation/processes.h"

uint64_t latency(void)
{
    return below(20) == 0 ? between(1, 60) : between(1, 5);
}

static uint64_t *cut_of(const struct process *a, const struct process *b)
{
    if (a->kind == GATEWAY)
        return &world.cut_gateways[a->place][b->place];
    if (b->kind == GATEWAY)
        return &world.cut_gateways[b->place][a->place];
    return a->place < b->place ? &world.cut_routers[a->place][b->place]
                               : &world.cut_routers[b->place][a->place];
}

bool is_cut(const struct process *a, const struct process *b)
{
    return *cut_of(a, b) > world.now;
}

bool is_refused(const struct process *a, const struct process *b)
{
    return a->kind == ROUTER && b->kind == ROUTER && is_cut(a, b) &&
           (a->place < b->place ? world.refuses[a->place][b->place]
                                : world.refuses[b->place][a->place]);
}

bool has_link(const struct process *a, const struct process *b)
{
    for (struct connection *one = world.connections; one; one = one->next) {
        for (int i = 0; i < 2; i++) {
            if (one->ends[i].process == a && one->ends[1 - i].process == b &&
                !one->ends[i].is_closed && (one->ends[i].is_up || one->events > 0))
                return true;
        }
    }
    return false;
}

void travel(struct connection *connection, int from, struct event *event)
{
    struct end *to = &connection->ends[1 - from];
    uint64_t at = world.now + latency();

    if (is_cut(connection->ends[0].process, connection->ends[1].process))
        connection->ends[from].is_mute = true; /* nothing arrives behind a hole */
    if (connection->ends[from].is_mute) {
        event_destroy(event);
        return;
    }
    if (at < to->last_arrival)
        at = to->last_arrival;
    to->last_arrival = at;
    event->at = at;
    event->connection = connection;
    event->end = 1 - from;
    event_push(event);
}

static void say_frame(const struct connection *connection, int from,
                      const struct router_frame *frame)
{
    static const char *const names[] = {
        [FRAME_MEMBERS] = "members",
        [FRAME_SUBSCRIBE] = "subscribe",
        [FRAME_SUBSCRIBED] = "subscribed",
        [FRAME_UNSUBSCRIBE] = "unsubscribe",
        [FRAME_PUBLISH] = "publish",
        [FRAME_ACK] = "ack",
        [FRAME_REFUSED] = "refused",
        [FRAME_DELIVER] = "deliver",
        [FRAME_MOVED] = "moved",
        [FRAME_INQUIRE] = "inquire",
        [FRAME_HEAD] = "head",
        [FRAME_TAKE] = "take",
        [FRAME_GIVEN] = "given",
        [FRAME_ENTRY] = "entry",
        [FRAME_MIRROR_OPEN] = "mirror_open",
        [FRAME_MIRROR_HAVE] = "mirror_have",
        [FRAME_MIRRORED] = "mirrored",
        [FRAME_MIRROR_CLOSE] = "mirror_close",
        [FRAME_MIRROR_CLOSED] = "closed",
        [FRAME_OWNING] = "owning",
        [FRAME_OFFER] = "offer",
    };
    const char *channel = frame->channel ? frame->channel : "";
    char details[128] = "";

    if (!is_verbose || frame->kind == FRAME_PING || frame->kind == FRAME_PONG)
        return;
    if (frame->kind == FRAME_SUBSCRIBE)
        snprintf(details, sizeof(details), "%s/%llu%s", frame->subscribe.epoch,
                 (unsigned long long)frame->subscribe.offset,
                 frame->subscribe.insist ? " insists" : "");
    else if (frame->kind == FRAME_SUBSCRIBED)
        snprintf(details, sizeof(details), "%s/%llu", frame->subscribed.epoch,
                 (unsigned long long)frame->subscribed.offset);
    else if (frame->kind == FRAME_HEAD)
        snprintf(details, sizeof(details), "%d %s/%llu%s, node %llx", frame->head.state,
                 frame->head.lineage.epoch, (unsigned long long)frame->head.lineage.offset,
                 frame->head.has_title ? " with title" : "", (unsigned long long)frame->head.node);
    else if (frame->kind == FRAME_GIVEN || frame->kind == FRAME_MIRROR_OPEN)
        snprintf(details, sizeof(details), "%s/%llu from %llu%s", frame->given.lineage.epoch,
                 (unsigned long long)frame->given.lineage.offset,
                 (unsigned long long)frame->given.start,
                 frame->given.has_title ? " with title" : "");
    else if (frame->kind == FRAME_REFUSED)
        snprintf(details, sizeof(details), "%llu for %d",
                 (unsigned long long)frame->refused.sequence, frame->refused.reason);
    else if (frame->kind == FRAME_PUBLISH || frame->kind == FRAME_ENTRY ||
             frame->kind == FRAME_DELIVER) {
        const struct message *message =
            frame->kind == FRAME_PUBLISH ? frame->publish.message : frame->deliver.message;
        channel = message->channel;
        snprintf(details, sizeof(details), "%llx:%llu at %llu",
                 (unsigned long long)message->publisher, (unsigned long long)message->sequence,
                 (unsigned long long)message->offset);
    }
    say("    %s -> %s %s %s %s", connection->ends[from].process->name,
        connection->ends[1 - from].process->name, names[frame->kind], channel, details);
}

static void send_frame(struct connection *connection, int from, const struct router_frame *frame)
{
    struct buffer bytes = {0};
    struct event *event;

    if (connection->ends[from].is_closed)
        return;
    say_frame(connection, from, frame);
    router_frame_append(&bytes, frame);
    event = event_at(0, EVENT_FRAME);
    event->bytes = bytes.data;
    event->size = bytes.size;
    travel(connection, from, event);
}

static struct connection *of_shard_link(struct shard_link *link, int *end)
{
    for (struct connection *one = world.connections; one; one = one->next) {
        for (int i = 0; i < 2; i++) {
            if (&one->ends[i].shard_link == link) {
                *end = i;
                return one;
            }
        }
    }
    abort();
}

static struct connection *of_client_link(struct router_client_link *link, int *end)
{
    for (struct connection *one = world.connections; one; one = one->next) {
        for (int i = 0; i < 2; i++) {
            if (&one->ends[i].client_link == link) {
                *end = i;
                return one;
            }
        }
    }
    abort();
}

void dial_at(uint64_t at, struct process *process, int address, bool repeats)
{
    struct event *event = event_at(at, EVENT_DIAL);

    event->process = process;
    event->address = address;
    event->argument = repeats;
    event_push(event);
}

void close_end(struct connection *connection, int end)
{
    struct end *self = &connection->ends[end];

    if (self->is_closed)
        return;
    self->is_closed = true;
    travel(connection, end, event_at(0, EVENT_CLOSED));
}

void tell_down(struct connection *connection, int end)
{
    struct end *self = &connection->ends[end];
    struct process *process = self->process;
    struct process *other = connection->ends[1 - end].process;

    if (!self->is_up)
        return;
    self->is_up = false;
    say("%s: link to %s down", process->name, other->name);
    if (process->kind == ROUTER)
        shard_link_down(&process->shard, &self->shard_link, world.now);
    else
        router_client_link_down(&process->client, &self->client_link, world.now);
    if (other->kind == ROUTER && process->is_alive)
        dial_at(world.now, process, other->place, false);
}

void drop_soon(struct connection *connection, int end)
{
    struct event *event = event_at(world.now, EVENT_CLOSED);

    event->connection = connection;
    event->end = end;
    event_push(event);
}

static void shard_send_out(void *context, struct shard_link *link, const struct router_frame *frame)
{
    int end;
    struct connection *connection = of_shard_link(link, &end);

    (void)context;
    send_frame(connection, end, frame);
}

static void shard_drop_out(void *context, struct shard_link *link, const char *reason)
{
    int end;
    struct connection *connection = of_shard_link(link, &end);
    const struct process *process = context;

    say("%s drops %s: %s", process->name, connection->ends[1 - end].process->name, reason);
    if (strncmp(reason, "silent", 6) != 0)
        fail("a router drops a link: %s", reason);
    drop_soon(connection, end);
}

const struct shard_output shard_out = {shard_send_out, shard_drop_out};

static void client_send_out(void *context, struct router_client_link *link,
                            const struct router_frame *frame)
{
    int end;
    struct connection *connection = of_client_link(link, &end);

    (void)context;
    send_frame(connection, end, frame);
}

static void client_drop_out(void *context, struct router_client_link *link, const char *reason)
{
    int end;
    struct connection *connection = of_client_link(link, &end);
    const struct process *process = context;

    say("%s drops %s: %s", process->name, connection->ends[1 - end].process->name, reason);
    if (strncmp(reason, "silent", 6) != 0)
        fail("a gateway drops a link: %s", reason);
    drop_soon(connection, end);
}

static void client_changed(void *context, bool is_up)
{
    (void)context;
    (void)is_up;
}

const struct router_client_output client_out = {
    .send = client_send_out,
    .drop = client_drop_out,
    .changed = client_changed,
};

void free_connections(bool all)
{
    struct connection **at = &world.connections;

    while (*at) {
        struct connection *one = *at;

        if (all || (one->events == 0 && !one->ends[0].is_up && !one->ends[1].is_up)) {
            *at = one->next;
            memory_free(one);
        } else {
            at = &one->next;
        }
    }
}
