/* What a bus implementation provides; only bus.c and the implementations include this. */
#ifndef GATEWAY_BUS_BACKEND_H
#define GATEWAY_BUS_BACKEND_H

#include "gateway/bus.h"

struct bus_operations {
    const char *name;
    void (*subscribe)(struct bus *bus, const char *channel, size_t channel_size);
    void (*unsubscribe)(struct bus *bus, const char *channel, size_t channel_size);
    void (*publish)(struct bus *bus, struct bus_publish *publish);
    void (*ask_history)(struct bus *bus, struct bus_ask *ask);
    void (*forget_history)(struct bus *bus, struct bus_ask *ask);
    void (*presence_set)(struct bus *bus, const char *channel, size_t channel_size,
                         const struct bus_present *who);
    void (*presence_remove)(struct bus *bus, const char *channel, size_t channel_size,
                            struct text client);
    void (*ask_presence)(struct bus *bus, struct bus_ask *ask);
    void (*wait)(struct bus *bus, struct bus_barrier *barrier);
    void (*close)(struct bus *bus, void (*closed)(void *context), void *context);
};

/* The first member of every implementation's struct. */
struct bus {
    const struct bus_operations *operations;
    const struct bus_events *events;
    void *context;
    struct loop *loop;
    struct bus_settings settings;
    enum bus_state state;
    bool was_up;
    struct bus_stats stats;
};

/* Open one kind each; as bus_open, with the fields of `struct bus` but `operations` to be filled in
 * by bus.c from `settings`, `events`, … before the first event. */
struct bus *bus_local_open(struct loop *loop);
struct bus *bus_redis_open(struct loop *loop, const char *url, const char *prefix, char error[256]);
struct bus *bus_router_open(struct loop *loop, const char *url, const char *cluster,
                            const char *secret_file, char error[256]);

/* Sets the state, its metric, and tells the owner if it changed. */
void bus_set_state(struct bus *bus, enum bus_state state);

#endif
