/*
 * Whoever comes is announced before the loop waits, and all who came on one channel meanwhile
 * together. Later announcements are spread: a turn takes a share of all that are due, in commands
 * of bounded size, and no more are sent while too many are unanswered. So ten thousand clients that
 * come back at once are no burst, and with ANNOUNCE_MS well below BUS_PRESENCE_MS none is late.
 */
#include "gateway/redis_presence.h"

#include "common/log.h"
#include "common/memory.h"
#include "gateway/bus_redis.h"
#include "gateway/redis_script_ask.h"

#define ANNOUNCE_MS    5000
#define ANNOUNCE_SHARE 8 /* of all, in one turn: everybody is through after two seconds */
#define ANNOUNCE_LEAST 256
#define BATCH_BYTES    ((size_t)64 * 1024) /* of one command */
#define FLYING_LIMIT   256                 /* commands */
#define RENEW_MS       1000                /* at most so often, while Redis refuses */

static uint64_t now_of(const struct redis_bus *bus)
{
    return loop_now_ms(bus->bus.loop);
}

static struct bus_presence_member *of_link(struct list *link)
{
    return container_of(link, struct bus_presence_member, link);
}

static struct bus_presence_member *of_due_link(struct list *link)
{
    return container_of(link, struct bus_presence_member, due_link);
}

static void on_answered(void *context, uint64_t tag, const redisReply *reply)
{
    struct redis_bus *bus = context;

    (void)tag;
    bus->presence.flying--;
    if (!reply || !redis_reply_is_error(reply))
        return;
    switch (redis_bus_fault(bus, reply)) {
    case REDIS_FAULT_FINAL:
        if (redis_bus_may_warn(bus, REDIS_WARNING_REFUSED))
            log_event(LOG_WARNING, log_name("presence refused"), log_text("reason", reply->str));
        return;
    case REDIS_FAULT_SERVER: /* all are announced when it is back */
        return;
    default:
        bus->presence.must_renew = true;
        return;
    }
}

static void begin(struct redis_bus *bus, enum redis_script script, const char *channel,
                  size_t channel_size)
{
    redis_bus_begin(bus, script, 2);
    redis_bus_add_key(bus, channel, channel_size, REDIS_KEY_WHO);
    redis_bus_add_key(bus, channel, channel_size, REDIS_KEY_DEADLINE);
}

static void send_out(struct redis_bus *bus)
{
    bus->presence.flying++;
    redis_command_send(&bus->command, &bus->commands, on_answered, bus, 0);
}

/* Leaving. */

void redis_presence_remove(struct redis_bus *bus, const char *channel, size_t channel_size,
                           struct text client)
{
    if (!bus_presences_remove(&bus->presence.members, channel, channel_size, client) ||
        !redis_bus_is_usable(bus))
        return;
    begin(bus, REDIS_SCRIPT_LEAVE, channel, channel_size);
    redis_command_add(&bus->command, client.data, client.size);
    send_out(bus);
}

void redis_presence_forget(struct redis_bus *bus, const char *name, size_t size)
{
    const struct bus_presence_channel *channel =
        bus_presences_find(&bus->presence.members, name, size);

    if (!channel)
        return;
    for (struct list *at = channel->members.next;
         redis_bus_is_usable(bus) && at != &channel->members;) {
        begin(bus, REDIS_SCRIPT_LEAVE, name, size);
        for (size_t i = 0; i < REDIS_PRESENT_COUNT && at != &channel->members; i++) {
            struct text client = bus_presence_who(of_link(at)).client;

            redis_command_add(&bus->command, client.data, client.size);
            at = at->next;
        }
        send_out(bus);
    }
    bus_presences_forget(&bus->presence.members, name, size);
}

/* Announcing. */

static bool is_due(const struct redis_bus *bus, const struct bus_presence_member *member,
                   uint64_t after_ms)
{
    return member->announced_ms == 0 || now_of(bus) - member->announced_ms >= after_ms;
}

/* Announces whoever is due on a channel, or soon will be, as far as one command goes; returns how
 * many. */
static size_t announce_some(struct redis_bus *bus, struct bus_presence_channel *channel)
{
    struct redis_command *command = &bus->command;
    size_t count = 0;

    begin(bus, REDIS_SCRIPT_ANNOUNCE, channel->name, channel->name_size);
    redis_command_add_number(command, BUS_PRESENCE_MS);
    while (count < REDIS_PRESENT_COUNT && command->bytes.size < BATCH_BYTES) {
        struct bus_presence_member *member = of_link(channel->members.next);

        if (count > 0 && !is_due(bus, member, ANNOUNCE_MS / 2))
            break;

        struct bus_present who = bus_presence_who(member);

        redis_command_add(command, who.client.data, who.client.size);
        redis_present_append(&command->bytes, &who);
        redis_command_end_word(command);
        bus_presence_announced(&bus->presence.members, member, now_of(bus));
        count++;
    }
    send_out(bus);
    return count;
}

void redis_presence_announce(struct redis_bus *bus)
{
    struct redis_presence *presence = &bus->presence;
    struct bus_presences *members = &presence->members;
    size_t left = members->count / ANNOUNCE_SHARE + ANNOUNCE_LEAST;

    if (presence->must_renew && now_of(bus) - presence->renewed_ms >= RENEW_MS)
        redis_presence_renew(bus);
    while (redis_bus_is_usable(bus) && left > 0 && presence->flying < FLYING_LIMIT &&
           !list_is_empty(&members->due)) {
        struct bus_presence_member *member = of_due_link(members->due.next);
        size_t count;

        if (!is_due(bus, member, ANNOUNCE_MS))
            return;
        count = announce_some(bus, member->channel);
        left -= count < left ? count : left;
    }
}

void redis_presence_renew(struct redis_bus *bus)
{
    bus->presence.must_renew = false;
    bus->presence.renewed_ms = now_of(bus);
    bus_presences_renew(&bus->presence.members);
}

void redis_presence_set(struct redis_bus *bus, const char *channel, size_t channel_size,
                        const struct bus_present *who)
{
    bus_presences_set(&bus->presence.members, channel, channel_size, who);
    redis_bus_tell_soon(bus);
}

void redis_presence_init(struct redis_presence *presence)
{
    *presence = (struct redis_presence){0};
    bus_presences_init(&presence->members);
}

void redis_presence_deinit(struct redis_presence *presence)
{
    bus_presences_deinit(&presence->members);
}
