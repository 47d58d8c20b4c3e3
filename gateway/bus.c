#include "gateway/bus.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "gateway/bus_backend.h"

bool bus_wants_tls(const char *url)
{
    return strncmp(url, "rediss://", 9) == 0 || strncmp(url, "routers://", 10) == 0;
}

bool bus_is_local(const char *url)
{
    return strcmp(url, "local") == 0;
}

int bus_open(struct bus **bus, struct loop *loop, const char *url,
             const struct bus_settings *settings, const struct bus_events *events, void *context,
             char error[256])
{
    struct bus *opened;

    if (strcmp(url, "local") == 0) {
        opened = bus_local_open(loop);
    } else if (strncmp(url, "redis", 5) == 0) {
        opened = bus_redis_open(loop, url, settings->redis_prefix, error);
    } else if (strncmp(url, "router://", 9) == 0 || strncmp(url, "routers://", 10) == 0) {
        opened = bus_router_open(loop, url, settings->router_cluster, settings->router_secret_file,
                                 error);
    } else {
        snprintf(error, 256,
                 "expected local, redis://HOST[:PORT][/DB], redis+unix:///PATH or "
                 "router://HOST[:PORT],HOST[:PORT]; rediss:// and routers:// for TLS");
        return UV_EINVAL;
    }
    if (!opened)
        return UV_EINVAL;
    opened->loop = loop;
    opened->settings = *settings;
    opened->events = events;
    opened->context = context;
    *bus = opened;
    return 0;
}

static void ignore_channel(void *context, const char *channel, size_t channel_size)
{
    (void)context;
    (void)channel;
    (void)channel_size;
}

static void ignore_message(void *context, struct message *message)
{
    (void)context;
    (void)message;
}

static void ignore_state(void *context, enum bus_state state)
{
    (void)context;
    (void)state;
}

static void note_closed(void *is_closed)
{
    *(bool *)is_closed = true;
}

/* A bus connects when its loop runs, and is closed before that. */
int bus_check(const char *url, const struct bus_settings *settings, char error[256])
{
    static const struct bus_events events = {ignore_message, ignore_channel, ignore_channel,
                                             ignore_state};
    struct loop *loop = memory_zeroed(1, sizeof(*loop));
    bool is_closed = false;
    struct bus *bus;
    int result = loop_init(loop);

    if (result) {
        snprintf(error, 256, "%s", uv_strerror(result));
        memory_free(loop);
        return result;
    }
    result = bus_open(&bus, loop, url, settings, &events, NULL, error);
    if (result == 0) {
        bus_close(bus, note_closed, &is_closed);
        while (!is_closed)
            uv_run(&loop->uv, UV_RUN_ONCE);
    }
    loop_deinit(loop);
    memory_free(loop);
    return result;
}

void bus_subscribe(struct bus *bus, const char *channel, size_t channel_size)
{
    bus->operations->subscribe(bus, channel, channel_size);
}

void bus_unsubscribe(struct bus *bus, const char *channel, size_t channel_size)
{
    bus->operations->unsubscribe(bus, channel, channel_size);
}

void bus_publish(struct bus *bus, struct bus_publish *publish)
{
    bus->operations->publish(bus, publish);
}

void bus_ask_history(struct bus *bus, struct bus_ask *ask)
{
    bus->operations->ask_history(bus, ask);
}

void bus_forget_history(struct bus *bus, struct bus_ask *ask)
{
    bus->operations->forget_history(bus, ask);
}

void bus_presence_set(struct bus *bus, const char *channel, size_t channel_size,
                      const struct bus_present *who)
{
    struct bus_present listed = *who;

    assert(who->client.size > 0 && who->client.size <= BUS_CLIENT_LIMIT);
    assert(who->user.size <= BUS_USER_LIMIT);
    if (listed.info.size > BUS_INFO_LIMIT)
        listed.info = (struct text){0};
    bus->operations->presence_set(bus, channel, channel_size, &listed);
}

void bus_presence_remove(struct bus *bus, const char *channel, size_t channel_size,
                         struct text client)
{
    bus->operations->presence_remove(bus, channel, channel_size, client);
}

void bus_ask_presence(struct bus *bus, struct bus_ask *ask)
{
    bus->operations->ask_presence(bus, ask);
}

void bus_wait(struct bus *bus, struct bus_barrier *barrier)
{
    bus->operations->wait(bus, barrier);
}

enum bus_state bus_state(const struct bus *bus)
{
    return bus->state;
}

const struct bus_stats *bus_stats(const struct bus *bus)
{
    return &bus->stats;
}

uint64_t bus_buffer_limit(const struct bus *bus)
{
    return bus->settings.buffer_limit_bytes;
}

const char *bus_name(const struct bus *bus)
{
    return bus->operations->name;
}

void bus_close(struct bus *bus, void (*closed)(void *context), void *context)
{
    bus->operations->close(bus, closed, context);
}

void bus_set_state(struct bus *bus, enum bus_state state)
{
    if (bus->state == state)
        return;
    bus->state = state;
    metric_set(&bus->stats.up, state == BUS_UP);
    if (state == BUS_UP && bus->was_up)
        metric_add(&bus->stats.reconnects, 1);
    bus->was_up |= state == BUS_UP;
    bus->events->state_changed(bus->context, state);
}
