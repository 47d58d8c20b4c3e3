#include "tests/unit/virtual_cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <uv.h>

#include "common/memory.h"
#include "router/place.h"

#define DATA_LIMIT ((size_t)1024 * 1024)

struct connection;

struct end {
    struct connection *connection;
    struct process *process;
    struct shard_link shard_link;
    struct router_client_link client_link;
};

struct connection {
    struct list link;
    struct end ends[2];
    bool is_open;
    bool is_dropped;
};

struct packet {
    struct list link;
    struct end *to;
    struct buffer bytes;
};

struct process routers[ROUTERS];
struct process gateways[GATEWAYS];
static struct list connections;
static struct list packets;
uint64_t now;
static uint64_t random_state;
bool is_held;
size_t sent[64];

/* The network. */

static void send_packet(struct end *from, const struct router_frame *frame)
{
    struct packet *packet;

    if (!from->connection->is_open)
        return;
    packet = memory_zeroed(1, sizeof(*packet));
    packet->to = &from->connection->ends[from == &from->connection->ends[0]];
    router_frame_append(&packet->bytes, frame);
    list_init(&packet->link);
    list_append(&packets, &packet->link);
    sent[frame->kind]++;
}

static void on_shard_send(void *context, struct shard_link *link, const struct router_frame *frame)
{
    (void)context;
    send_packet(container_of(link, struct end, shard_link), frame);
}

static void on_client_send(void *context, struct router_client_link *link,
                           const struct router_frame *frame)
{
    (void)context;
    send_packet(container_of(link, struct end, client_link), frame);
}

static void on_shard_drop(void *context, struct shard_link *link, const char *reason)
{
    (void)context;
    (void)reason;
    container_of(link, struct end, shard_link)->connection->is_dropped = true;
}

static void on_client_drop(void *context, struct router_client_link *link, const char *reason)
{
    (void)context;
    (void)reason;
    container_of(link, struct end, client_link)->connection->is_dropped = true;
}

static void on_changed(void *context, bool is_up)
{
    (void)context;
    (void)is_up;
}

static const struct shard_output shard_output = {on_shard_send, on_shard_drop};
const struct router_client_output client_output = {
    .send = on_client_send,
    .drop = on_client_drop,
    .changed = on_changed,
};

static void free_packet(struct packet *packet)
{
    list_remove(&packet->link);
    buffer_deinit(&packet->bytes);
    memory_free(packet);
}

static void close_connection(struct connection *connection)
{
    connection->is_open = false;
    for (struct list *at = packets.next; at != &packets;) {
        struct packet *packet = container_of(at, struct packet, link);

        at = at->next;
        if (packet->to->connection == connection)
            free_packet(packet);
    }
    for (int i = 0; i < 2; i++) {
        struct end *end = &connection->ends[i];

        if (end->process->is_router)
            shard_link_down(&end->process->shard, &end->shard_link, now);
        else
            router_client_link_down(&end->process->client, &end->client_link, now);
    }
    list_remove(&connection->link);
    memory_free(connection);
}

static void receive(const struct packet *packet)
{
    struct end *end = packet->to;
    struct router_frame frame;

    assert_int_equal(router_frame_read(packet->bytes.data, packet->bytes.size, DATA_LIMIT, &frame),
                     0);
    if (end->process->is_alive && end->process->is_router)
        shard_receive(&end->process->shard, &end->shard_link, &frame, now);
    else if (end->process->is_alive)
        router_client_receive(&end->process->client, &end->client_link, &frame, now);
    router_frame_release(&frame);
}

static bool is_held_back(const struct packet *packet)
{
    const struct end *ends = packet->to->connection->ends;

    return is_held && ends[0].process->is_router && ends[1].process->is_router;
}

void settle(void)
{
    struct list later;

    list_init(&later);
    for (;;) {
        for (int i = 0; i < ROUTERS; i++) {
            if (routers[i].is_alive)
                shard_flush(&routers[i].shard);
        }
        if (list_is_empty(&packets))
            break;

        struct packet *packet = container_of(packets.next, struct packet, link);

        if (is_held_back(packet)) {
            list_remove(&packet->link);
            list_append(&later, &packet->link);
            continue;
        }
        receive(packet);
        free_packet(packet);
    }
    list_append_all(&packets, &later);
    for (struct list *at = connections.next; at != &connections;) {
        struct connection *connection = container_of(at, struct connection, link);

        at = at->next;
        if (connection->is_dropped)
            close_connection(connection);
    }
}

void run(uint64_t ms)
{
    for (uint64_t end = now + ms; now < end;) {
        now += STEP_MS;
        for (int i = 0; i < ROUTERS; i++) {
            if (routers[i].is_alive)
                shard_tick(&routers[i].shard, now);
        }
        for (int i = 0; i < GATEWAYS; i++) {
            if (gateways[i].is_alive)
                router_client_tick(&gateways[i].client, now);
        }
        settle();
    }
}

static void bring_up(struct end *end, const struct end *other, unsigned capabilities)
{
    struct process *process = end->process;

    if (!process->is_router) {
        end->client_link.capabilities = capabilities;
        router_client_link_up(&process->client, &end->client_link, other->process->id,
                              other->process->name, now);
    } else if (other->process->is_router) {
        shard_peer_up(&process->shard, &end->shard_link, other->process->id, other->process->name,
                      other->process->name, now);
    } else {
        shard_gateway_up(&process->shard, &end->shard_link, other->process->id, now);
    }
}

void connect_as(struct process *one, struct process *other, unsigned capabilities)
{
    struct connection *connection = memory_zeroed(1, sizeof(*connection));

    connection->is_open = true;
    connection->ends[0] = (struct end){.connection = connection, .process = one};
    connection->ends[1] = (struct end){.connection = connection, .process = other};
    list_init(&connection->link);
    list_append(&connections, &connection->link);
    bring_up(&connection->ends[1], &connection->ends[0], capabilities);
    bring_up(&connection->ends[0], &connection->ends[1], capabilities);
    settle();
}

void connect_processes(struct process *one, struct process *other)
{
    connect_as(one, other, ROUTER_CAPABILITIES);
}

/* The processes. */

static uint64_t fresh_number(void *context)
{
    (void)context;
    return random_state += 0x9e3779b97f4a7c15u;
}

static void on_deliver(void *context, struct message *message)
{
    (void)context;
    (void)message;
}

static void on_told(void *context, const char *channel, size_t channel_size)
{
    (void)context;
    (void)channel;
    (void)channel_size;
}

static const struct bus_events bus_events = {on_deliver, on_told, on_told, NULL};

void start_router(struct process *process, uint64_t id, uint64_t presence_limit)
{
    *process = (struct process){.is_router = true, .is_alive = true, .id = id};
    snprintf(process->name, sizeof(process->name), "router-%u", (unsigned)id);
    shard_init(&process->shard,
               &(struct shard_settings){.node = id,
                                        .name = process->name,
                                        .address = process->name,
                                        .history = {1000, 600000, (uint64_t)64 * 1024 * 1024},
                                        .waiting_limit_bytes = (uint64_t)1024 * 1024,
                                        .place_limit = 10000,
                                        .presence_limit_bytes = presence_limit,
                                        .random = fresh_number},
               &shard_output, process, now);
}

void start_gateway(struct process *process, uint64_t id)
{
    *process = (struct process){.is_alive = true, .id = id};
    process->client = (struct router_client){.output = &client_output,
                                             .output_context = process,
                                             .events = &bus_events,
                                             .events_context = process,
                                             .stats = &process->stats,
                                             .node = id,
                                             .sequence = &process->sequence,
                                             .queued_bytes = &process->queued_bytes,
                                             .queued_count = &process->queued_count,
                                             .wanted_count = &process->wanted_count};
    router_client_init(&process->client, now);
}

static void stop_connections(const struct process *process)
{
    for (struct list *at = connections.next; at != &connections;) {
        struct connection *connection = container_of(at, struct connection, link);

        at = at->next;
        if (connection->ends[0].process == process || connection->ends[1].process == process)
            close_connection(connection);
    }
}

void kill_process(struct process *process)
{
    if (!process->is_alive)
        return;
    process->is_alive = false;
    stop_connections(process);
    if (!process->is_router) {
        router_client_deinit(&process->client);
        return;
    }
    shard_deinit(&process->shard);
    for (int i = 0; i < ROUTERS; i++) {
        if (routers[i].is_alive)
            shard_node_died(&routers[i].shard, process->id, now);
    }
    settle();
}

void set_up_limit(int router_count, uint64_t presence_limit)
{
    list_init(&connections);
    list_init(&packets);
    now = 1000000;
    random_state = 1;
    is_held = false;
    memset(sent, 0, sizeof(sent));
    memset(routers, 0, sizeof(routers));
    for (int i = 0; i < GATEWAYS; i++)
        start_gateway(&gateways[i], (uint64_t)i + 101);
    for (int i = 0; i < router_count; i++)
        start_router(&routers[i], (uint64_t)i + 1, presence_limit);
    if (router_count == 2)
        connect_processes(&routers[0], &routers[1]);
    for (int i = 0; i < router_count; i++) {
        shard_open(&routers[i].shard, now);
        for (int g = 0; g < GATEWAYS; g++)
            connect_processes(&gateways[g], &routers[i]);
    }
}

void set_up(int router_count)
{
    set_up_limit(router_count, UINT64_MAX / 2);
}

void tear_down(void)
{
    for (int i = 0; i < ROUTERS; i++)
        kill_process(&routers[i]);
    for (int i = 0; i < GATEWAYS; i++)
        kill_process(&gateways[i]);
    assert_true(list_is_empty(&connections));
}

/* What gateways do. */

void subscribe(struct process *gateway, const char *channel)
{
    router_client_subscribe(&gateway->client, channel, strlen(channel));
    settle();
}

void unsubscribe(struct process *gateway, const char *channel)
{
    router_client_unsubscribe(&gateway->client, channel, strlen(channel));
    settle();
}

void come_with(struct process *gateway, const char *channel, const char *client, const char *info)
{
    struct router_present who = {
        client, strlen(client), "user", 4, (const unsigned char *)info, strlen(info)};

    router_client_presence_set(&gateway->client, channel, strlen(channel), &who);
    settle();
}

void come(struct process *gateway, const char *channel, const char *client)
{
    come_with(gateway, channel, client, "");
}

void go(struct process *gateway, const char *channel, const char *client)
{
    router_client_presence_remove(&gateway->client, channel, strlen(channel), client,
                                  strlen(client));
    settle();
}

static void on_answered(struct router_ask *ask, int error, const struct router_answer *answer)
{
    struct question *question = container_of(ask, struct question, ask);
    size_t size = 0;

    question->answers++;
    question->error = error;
    question->count = answer->present_count + answer->message_count;
    question->offset = answer->offset;
    question->is_lost = answer->is_lost;
    epoch_copy(question->epoch, answer->epoch);
    for (size_t i = 0; i < answer->present_count && size < sizeof(question->text) - 100; i++)
        size += (size_t)snprintf(question->text + size, sizeof(question->text) - size, "%s%.*s%.*s",
                                 size ? " " : "", (int)answer->present[i].client_size,
                                 answer->present[i].client, (int)answer->present[i].info_size,
                                 (const char *)answer->present[i].info);
    for (size_t i = 0; i < answer->message_count && size < sizeof(question->text) - 100; i++) {
        const struct message *message = answer->messages[i];

        assert_string_equal(message->epoch, answer->epoch);
        size += (size_t)snprintf(
            question->text + size, sizeof(question->text) - size, "%s%.*s", size ? " " : "",
            (int)(message->data_size < 10 ? message->data_size : 10), (const char *)message->data);
    }
}

void prepare(struct question *question, const char *channel)
{
    *question = (struct question){.ask = {.channel = channel,
                                          .channel_size = strlen(channel),
                                          .limit = UINT64_MAX,
                                          .answered = on_answered}};
}

void ask_who(struct process *gateway, struct question *question, const char *channel)
{
    prepare(question, channel);
    router_client_presence_ask(&gateway->client, &question->ask);
    settle();
}

void assert_there(const char *channel, const char *expected)
{
    struct question question;

    ask_who(&gateways[1], &question, channel);
    assert_int_equal(question.answers, 1);
    assert_int_equal(question.error, 0);
    assert_string_equal(question.text, expected);
}

void ask_history(struct process *gateway, struct question *question)
{
    router_client_history_ask(&gateway->client, &question->ask);
    settle();
}

static void on_published(struct bus_publish *publish, int error)
{
    struct publish *mine = container_of(publish, struct publish, publish);

    (void)error;
    mine->is_done = true;
    message_unref(publish->message);
}

void say_bytes(struct process *gateway, struct publish *publish, const char *channel,
               const char *data, size_t size)
{
    *publish = (struct publish){.publish.published = on_published};
    publish->publish.message = message_create(MESSAGE_TEXT, channel, strlen(channel), data, size);
    router_client_publish(&gateway->client, &publish->publish);
    settle();
}

void say(struct process *gateway, const char *channel, const char *text)
{
    struct publish publish;

    say_bytes(gateway, &publish, channel, text, strlen(text));
    assert_true(publish.is_done);
}

struct process *owner_of(const char *channel)
{
    for (int i = 0; i < ROUTERS; i++) {
        const struct map_entry *entry =
            routers[i].is_alive ? map_find(&routers[i].shard.map, channel, strlen(channel)) : NULL;
        const struct place *place = entry ? container_of(entry, struct place, entry) : NULL;

        if (place && place->role == PLACE_OWNED)
            return &routers[i];
    }
    fail_msg("nobody owns %s", channel);
    abort(); /* not reached, which cmocka does not tell the compiler */
}
