/*
 * Routers and gateways on virtual time: their frames are written, queued and read as over TCP, and
 * arrive within the step in which they were sent, unless they are held back.
 */
#ifndef TESTS_UNIT_VIRTUAL_CLUSTER_H
#define TESTS_UNIT_VIRTUAL_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/router_client.h"
#include "router/shard.h"

#define ROUTERS  2
#define GATEWAYS 2
#define STEP_MS  50

struct process {
    bool is_router;
    bool is_alive;
    uint64_t id;
    char name[16];
    struct shard shard;
    struct router_client client;
    struct bus_stats stats;
    uint64_t sequence, queued_bytes, queued_count, wanted_count;
};

extern struct process routers[ROUTERS];
extern struct process gateways[GATEWAYS];
extern uint64_t now;
extern const struct router_client_output client_output; /* of all gateways */
extern bool is_held;    /* what routers tell each other stays on its way */
extern size_t sent[64]; /* frames by kind */

/* Two gateways, and so many routers that all see each other. */
void set_up(int router_count);
void set_up_limit(int router_count, uint64_t presence_limit);
void tear_down(void);

/* Lets everything arrive that is on its way. */
void settle(void);

/* Lets time pass. */
void run(uint64_t ms);

/* A router that may not claim yet: shard_open lets it. */
void start_router(struct process *process, uint64_t id, uint64_t presence_limit);
void start_gateway(struct process *process, uint64_t id);
void connect_processes(struct process *one, struct process *other);
void connect_as(struct process *one, struct process *other, unsigned capabilities);

/* A process dies. Others find a router's address closed. */
void kill_process(struct process *process);

/* The router that owns a channel. */
struct process *owner_of(const char *channel);

/* What gateways do; what comes of it has come when these return. */

void subscribe(struct process *gateway, const char *channel);
void unsubscribe(struct process *gateway, const char *channel);

struct publish {
    struct bus_publish publish;
    bool is_done;
};

void say(struct process *gateway, const char *channel, const char *text);
void say_bytes(struct process *gateway, struct publish *publish, const char *channel,
               const char *data, size_t size);

void come(struct process *gateway, const char *channel, const char *client);
void come_with(struct process *gateway, const char *channel, const char *client, const char *info);
void go(struct process *gateway, const char *channel, const char *client);

/* A question, and what became of it. */
struct question {
    struct router_ask ask;
    unsigned answers;
    int error;
    size_t count;
    char text[1024]; /* clients, or what was said */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    bool is_lost;
};

void prepare(struct question *question, const char *channel);
void ask_who(struct process *gateway, struct question *question, const char *channel);
void ask_history(struct process *gateway, struct question *question);
void assert_there(const char *channel, const char *expected);

#endif
