/*
 * An echo that does not come is a hole at the end of what came, after which nothing would show it:
 * a subscriber connection that still hangs on to a server which was replaced, say. Where a channel
 * has heard nothing at all for LAG_MS though something was acknowledged, its history is read. One
 * that is merely busy, and always a few messages behind, is left alone.
 */
#include "gateway/redis_echo.h"

#include <string.h>

#include "common/memory.h"
#include "gateway/bus_redis.h"
#include "gateway/redis_attach.h"

#define LAG_MS 1000

void redis_echo_init(struct redis_echo *echo)
{
    *echo = (struct redis_echo){0};
    list_init(&echo->link);
}

struct redis_channel *redis_echo_await(struct redis_bus *bus, const struct message *message,
                                       const char *epoch, uint64_t offset)
{
    struct redis_channel *channel =
        redis_channel_find(bus, message->channel, message->channel_size);

    if (!channel || channel->stage == REDIS_CHANNEL_LEFT || channel->is_barred ||
        !channel->is_known || !epoch[0])
        return NULL;

    struct redis_echo *echo = &channel->echo;
    bool is_same = strcmp(epoch, channel->epoch) == 0;

    if (offset <= channel->position && is_same)
        return NULL;
    if (!is_same && channel->epoch[0])
        redis_channel_look(channel);
    echo->offset = offset;
    if (list_is_empty(&echo->link)) {
        echo->since_ms = loop_now_ms(bus->bus.loop);
        echo->from = channel->position;
        list_append(&bus->channels.echoing, &echo->link);
    }
    return channel;
}

void redis_echo_end(struct redis_channel *channel)
{
    list_remove(&channel->echo.link);
    channel->echo.offset = 0;
    if (channel->echo.messages > 0)
        redis_publisher_release(&channel->bus->publisher, channel, UINT64_MAX);
}

/* Reads history where it has been silent for too long. */
static void look(struct redis_channel *channel, uint64_t now)
{
    struct redis_echo *echo = &channel->echo;

    if (channel->stage != REDIS_CHANNEL_LIVE)
        return;
    if (channel->position >= echo->offset) {
        redis_echo_end(channel);
        return;
    }
    if (channel->position != echo->from) {
        echo->from = channel->position;
        echo->since_ms = now;
    }
    if (now - echo->since_ms < LAG_MS)
        return;
    echo->since_ms = now;
    redis_channel_look(channel);
}

void redis_echoes_look(struct redis_bus *bus)
{
    struct list all;

    list_init(&all);
    list_append_all(&all, &bus->channels.echoing);
    while (!list_is_empty(&all)) {
        struct redis_channel *channel = container_of(all.next, struct redis_channel, echo.link);

        list_remove(&channel->echo.link);
        list_append(&bus->channels.echoing, &channel->echo.link);
        look(channel, loop_now_ms(bus->bus.loop));
    }
}
