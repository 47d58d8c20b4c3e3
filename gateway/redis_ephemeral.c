/* Answers are counted, so that a Redis that is slow costs a bounded amount of memory. */
#include "gateway/redis_ephemeral.h"

#include "common/log.h"
#include "gateway/bus_redis.h"

#define FLYING_LIMIT_COUNT 4096
#define FLYING_LIMIT_BYTES ((size_t)4 * 1024 * 1024)

static void on_answered(void *context, uint64_t cost, const redisReply *reply)
{
    struct redis_bus *bus = context;

    bus->ephemeral.flying_count--;
    bus->ephemeral.flying_bytes -= (size_t)cost;
    if (reply && redis_reply_is_error(reply) && redis_bus_fault(bus, reply) == REDIS_FAULT_FINAL &&
        redis_bus_may_warn(bus, REDIS_WARNING_REFUSED))
        log_event(LOG_WARNING, log_name("publish refused"), log_text("reason", reply->str));
}

static int send_out(struct redis_bus *bus, struct message *message)
{
    struct redis_ephemeral *ephemeral = &bus->ephemeral;
    size_t cost = message_content_size(message);

    if (!redis_bus_is_usable(bus))
        return UV_ENOTCONN;
    if (ephemeral->flying_count > 0 && (ephemeral->flying_count >= FLYING_LIMIT_COUNT ||
                                        ephemeral->flying_bytes + cost > FLYING_LIMIT_BYTES))
        return UV_ENOBUFS;
    message->publisher = bus->bus.settings.node_id;
    redis_command_begin(&bus->command);
    redis_command_add_text(&bus->command, "PUBLISH");
    redis_bus_add_topic(bus, message->channel, message->channel_size);
    redis_command_add_envelope(&bus->command, message);
    ephemeral->flying_count++;
    ephemeral->flying_bytes += cost;
    redis_command_send(&bus->command, &bus->commands, on_answered, bus, cost);
    return 0;
}

void redis_ephemeral_publish(struct redis_bus *bus, struct bus_publish *publish)
{
    publish->published(publish, send_out(bus, publish->message));
}
