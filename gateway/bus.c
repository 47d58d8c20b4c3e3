#include "gateway/bus.h"

#include <stdio.h>
#include <string.h>

#include "gateway/bus_backend.h"

int bus_open(struct bus **bus, struct loop *loop, const char *url,
             const struct bus_settings *settings, const struct bus_events *events, void *context,
             char error[256])
{
    struct bus *opened;

    if (strcmp(url, "local") == 0) {
        opened = bus_local_open(loop);
    } else if (strncmp(url, "redis", 5) == 0) {
        opened = bus_redis_open(loop, url, settings->redis_prefix, error);
    } else {
        snprintf(error, 256, "expected local, redis://HOST[:PORT][/DB] or redis+unix:///PATH");
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
    bus->events->state_changed(bus->context, state);
}
