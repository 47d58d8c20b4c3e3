#include "gateway/redis_epoch.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "gateway/bus_redis.h"
#include "gateway/redis_echo.h"

void redis_epoch_change(struct redis_channel *channel, const char *epoch)
{
    struct redis_bus *bus = channel->bus;

    if (strcmp(channel->epoch, epoch) == 0)
        return;
    if (channel->epoch[0] != '\0') {
        metric_add(&bus->bus.stats.histories_lost, 1);
        log_event(LOG_DEBUG, log_name("epoch changed"), log_text("channel", channel->name),
                  log_text("from", channel->epoch), log_text("to", epoch));
        if (redis_bus_may_warn(bus, REDIS_WARNING_EPOCH))
            log_event(LOG_WARNING, log_name("history lost"), log_text("channel", channel->name));
        redis_echo_end(channel);
    }
    redis_pending_forget(&channel->pending, channel->epoch);
    channel->hole = 0;
    snprintf(channel->epoch, sizeof(channel->epoch), "%s", epoch);
}

/* The first pending message of a history that is neither ours nor `epoch`, or NULL. */
static const struct redis_pending_entry *find_stranger(const struct redis_channel *channel,
                                                       const char *epoch)
{
    for (size_t i = 0; i < channel->pending.count; i++) {
        const struct redis_pending_entry *entry = &channel->pending.entries[i];

        if (strcmp(entry->message->epoch, channel->epoch) != 0 &&
            strcmp(entry->message->epoch, epoch) != 0)
            return entry;
    }
    return NULL;
}

/* What came before the question was sent is older than its answer; what came since may be newer. */
static bool is_older(const struct redis_channel *channel, const struct redis_pending_entry *entry)
{
    return entry->attach_number != channel->attach_number;
}

/* True where messages of the history that we stand in wait beyond a hole. */
static bool has_hole(const struct redis_channel *channel)
{
    for (size_t i = 0; i < channel->pending.count; i++) {
        if (strcmp(channel->pending.entries[i].message->epoch, channel->epoch) == 0)
            return true;
    }
    return false;
}

/* Delivers what there is of a history from a message of it on. */
static void enter(struct redis_channel *channel, const struct message *message)
{
    uint64_t before = message->offset - 1;

    redis_epoch_change(channel, message->epoch);
    redis_tail_clear(&channel->bus->channels.tails, &channel->tail);
    channel->position = before;
    redis_channel_take_pending(channel);
}

bool redis_epoch_take_interim(struct redis_channel *channel, const char *epoch)
{
    const struct redis_pending_entry *stranger;
    uint32_t life = channel->life;
    bool is_lost = channel->dropped[0] != '\0' && strcmp(channel->dropped, epoch) != 0;
    bool has_moved = false;

    while ((stranger = find_stranger(channel, epoch)) && is_older(channel, stranger)) {
        is_lost |= has_hole(channel) || stranger->message->offset > 1;
        enter(channel, stranger->message);
        if (channel->life != life)
            return true;
        has_moved = true;
    }
    channel->dropped[0] = '\0';
    if (is_lost || (has_moved && has_hole(channel)))
        redis_channel_lose(channel, channel->position);
    return has_moved || stranger || channel->life != life;
}

void redis_epoch_pass_interim(struct redis_channel *channel, const char *epoch)
{
    const struct redis_pending_entry *stranger = find_stranger(channel, epoch);
    bool is_lost = strcmp(channel->epoch, epoch) != 0 && stranger && is_older(channel, stranger);

    redis_epoch_change(channel, epoch);
    if (is_lost)
        redis_channel_lose(channel, channel->position);
}
