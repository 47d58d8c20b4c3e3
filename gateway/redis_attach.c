/*
 * ATTACH says where the channel stands, and gives what follows our position. Its answers:
 *
 * - at: the messages after the position; a new epoch with them where our history was restored.
 * - lost: Redis has no history, we have one. It was restarted without its data, or flushed. We give
 *   it our position and our tail, and numbering goes on from there.
 * - ahead: Redis has our history, but an older state of it than we have seen. Another gateway that
 *   had seen less restored it, or it came back from a snapshot. We add what is missing.
 * - foreign: another history. It is read from its beginning; the senders' sequences drop what we
 *   had.
 * - conflict: we have seen messages beyond the point from which others went on. Nothing can undo
 *   that: it is told as a loss, and the rest is read.
 *
 * The gateways of one Redis come back within a second (their backoff's limit), and none publishes
 * before all could restore (the rest that HELLO hands out), so the last two need a gateway that was
 * away for longer.
 *
 * A hole that history does not have is not yet a loss. The messages may have come live, and wait
 * for their turn; or they are on their way over the other connection, which the answer has
 * overtaken. So what is pending is looked at first, and then SUBSCRIBE is sent once more: when that
 * is confirmed, all that was published before has come, and what a second answer still finds
 * missing is lost.
 */
#include "gateway/redis_attach.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/envelope.h"
#include "common/log.h"
#include "common/memory.h"
#include "gateway/bus_redis.h"
#include "gateway/redis_echo.h"
#include "gateway/redis_epoch.h"
#include "gateway/redis_topics.h"

#define ASKING_LIMIT  256 /* ATTACHes that are out at a time */
#define RESTORE_LIMIT 3   /* refusals before a history counts as not to be had */
#define MARK_TRIES    20  /* questions at once while stragglers are awaited */

static bool needs_attach(const struct redis_channel *channel)
{
    if (channel->stage == REDIS_CHANNEL_LEFT || channel->is_asking)
        return false;
    /* While others restore what they had seen, the present position would be one too low, and what
     * they restore would come as new to subscribers that came after it. */
    if (!channel->is_known)
        return channel->stage == REDIS_CHANNEL_ATTACHING && channel->bus->rest != REDIS_REST_REPAIR;
    return channel->stage == REDIS_CHANNEL_ATTACHING || channel->must_check;
}

static void on_attached(void *context, uint64_t life, const redisReply *reply);
static void on_restored(void *context, uint64_t life, const redisReply *reply);

static void ask(struct redis_channel *channel, redis_answered *answered)
{
    struct redis_bus *bus = channel->bus;

    channel->is_asking = true;
    bus->channels.asking++;
    redis_command_send(&bus->command, &bus->commands, answered, channel, channel->life);
}

static void send_attach(struct redis_channel *channel)
{
    struct redis_bus *bus = channel->bus;
    struct redis_command *command = redis_bus_begin(bus, REDIS_SCRIPT_ATTACH, 2);

    redis_bus_add_key(bus, channel->name, channel->name_size, REDIS_KEY_STREAM);
    redis_bus_add_key(bus, channel->name, channel->name_size, REDIS_KEY_META);
    redis_command_add_text(command, channel->epoch);
    if (channel->is_known)
        redis_command_add_number(command, channel->position);
    else
        redis_command_add_text(command, "-1");
    redis_command_add_number(command, REDIS_ATTACH_COUNT);
    redis_command_add_number(command, REDIS_ATTACH_BYTES);
    redis_command_add_number(command, bus->bus.settings.message_limit_bytes + REDIS_ENVELOPE_EXTRA);
    channel->is_confirming = channel->stage == REDIS_CHANNEL_ATTACHING;
    channel->must_check = false;
    channel->has_overflowed = false;
    channel->attach_number++;
    ask(channel, on_attached);
}

/* Gives Redis our position, and our messages after `top`. */
static void send_restore(struct redis_channel *channel, uint64_t top)
{
    struct redis_bus *bus = channel->bus;
    struct redis_command *command = redis_bus_begin(bus, REDIS_SCRIPT_RESTORE, 4);

    redis_bus_add_key(bus, channel->name, channel->name_size, REDIS_KEY_STREAM);
    redis_bus_add_key(bus, channel->name, channel->name_size, REDIS_KEY_META);
    redis_bus_add_key(bus, channel->name, channel->name_size, REDIS_KEY_PRODUCER);
    redis_bus_add_key(bus, channel->name, channel->name_size, REDIS_KEY_KEY);
    redis_command_add_text(command, channel->epoch);
    redis_command_add_number(command, channel->position);
    redis_bus_add_fresh_epoch(bus);
    redis_bus_add_history(bus, &channel->limits);
    redis_bus_add_topic(bus, channel->name, channel->name_size);
    redis_command_add_number(command, top);
    redis_command_add_number(command, BUS_KEY_WINDOW_MS);
    for (size_t i = 0; i < channel->tail.count; i++) {
        const struct redis_tail_entry *entry = redis_tail_at(&channel->tail, i);
        char publisher[REDIS_ID_SIZE + 1];

        if (entry->offset <= top)
            continue;
        redis_format_id(publisher, entry->message->publisher);
        redis_command_add_number(command, entry->offset);
        redis_command_add_text(command, publisher);
        redis_command_add_number(command, entry->message->sequence);
        redis_command_add(command, entry->message->key.data, entry->message->key.size);
        redis_command_add_envelope(command, entry->message);
    }
    ask(channel, on_restored);
}

void redis_attach_continue(struct redis_bus *bus)
{
    struct redis_channels *channels = &bus->channels;

    while (redis_bus_is_usable(bus) && channels->asking < ASKING_LIMIT &&
           !list_is_empty(&channels->waiting)) {
        struct redis_channel *channel =
            container_of(channels->waiting.next, struct redis_channel, attach_link);

        list_remove(&channel->attach_link);
        if (needs_attach(channel))
            send_attach(channel);
    }
}

void redis_attach(struct redis_channel *channel)
{
    struct redis_bus *bus = channel->bus;

    if (!redis_bus_is_usable(bus) || !needs_attach(channel) ||
        !list_is_empty(&channel->attach_link))
        return;
    list_append(&bus->channels.waiting, &channel->attach_link);
    redis_attach_continue(bus);
}

void redis_attach_all(struct redis_bus *bus)
{
    for (struct list *link = bus->channels.all.next; link != &bus->channels.all;
         link = link->next) {
        struct redis_channel *channel = container_of(link, struct redis_channel, link);

        channel->retry_ms = 0;
        redis_attach(channel);
    }
    redis_attach_continue(bus);
}

void redis_attach_retry(struct redis_bus *bus)
{
    uint64_t now = loop_now_ms(bus->bus.loop);
    struct list all;

    list_init(&all);
    list_append_all(&all, &bus->channels.retrying);
    while (!list_is_empty(&all)) {
        struct redis_channel *channel = container_of(all.next, struct redis_channel, attach_link);

        list_remove(&channel->attach_link);
        if (channel->retry_ms > now) {
            list_append(&bus->channels.retrying, &channel->attach_link);
            continue;
        }
        if (channel->stage == REDIS_CHANNEL_SUBSCRIBING && channel->joins == 0)
            redis_topics_subscribe(channel);
        redis_attach(channel);
    }
}

/* Answers. */

/* Takes one entry of history; what cannot be read counts as lost. */
static void take_entry(struct redis_channel *channel, uint64_t offset, const redisReply *envelope)
{
    struct redis_bus *bus = channel->bus;
    struct message *message = NULL;
    int error = envelope_read(envelope->str, (size_t)envelope->len,
                              (size_t)bus->bus.settings.message_limit_bytes, &message);

    if (error || message_is_ephemeral(message->kind) ||
        message->channel_size != channel->name_size ||
        memcmp(message->channel, channel->name, channel->name_size) != 0) {
        message_unref(message);
        redis_channel_lose(channel, offset);
        return;
    }
    /* The entry may bear the epoch that the history had when it was written. */
    memcpy(message->epoch, channel->epoch, sizeof(message->epoch));
    message->offset = offset;
    metric_add(&bus->bus.stats.holes_filled, 1);
    redis_channel_take(channel, message);
    message_unref(message);
}

/* History does not have what follows, up to `offset`. Tells it as lost if that is certain. */
static void look_at_hole(struct redis_channel *channel, uint64_t offset)
{
    if (channel->hole == channel->position + 1 && channel->is_confirming) {
        redis_channel_lose(channel, offset);
        return;
    }
    channel->hole = channel->position + 1;
    redis_channel_rejoin(channel);
}

/* Takes the entries of an answer; false where it stopped at a hole that may not be one. */
static bool take_entries(struct redis_channel *channel, const struct redis_attached *attached)
{
    uint32_t life = channel->life;
    const redisReply *envelope;
    uint64_t offset;

    for (size_t i = 0; redis_attached_entry(attached, i, &offset, &envelope); i++) {
        if (offset > channel->position + 1)
            redis_channel_take_pending(channel);
        if (channel->life == life && offset > channel->position + 1)
            look_at_hole(channel, offset - 1);
        if (channel->life == life && offset == channel->position + 1)
            take_entry(channel, offset, envelope);
        if (channel->life != life || channel->position < offset)
            return false;
    }
    return true;
}

/* True where live messages have taken over from where the channel stands: all that follows comes as
 * they did. */
static bool has_joined_live(struct redis_channel *channel)
{
    return redis_channel_take_pending(channel) && channel->pending.count == 0 &&
           channel->is_confirming;
}

/* Takes what an answer brings; true if there is more to ask for. */
static bool take_history(struct redis_channel *channel, const struct redis_attached *attached)
{
    uint64_t before = channel->position;
    uint32_t life = channel->life;

    if (has_joined_live(channel) || channel->life != life)
        return false;

    bool is_whole = take_entries(channel, attached);

    if (channel->life != life)
        return false;
    if (channel->position >= attached->top) {
        redis_echo_end(channel);
        return false;
    }
    if (has_joined_live(channel) || channel->life != life)
        return false;
    if (is_whole && channel->position == before)
        look_at_hole(channel, attached->top); /* history is shorter than the hole */
    /* What is not subscribed reads on once it is. */
    return channel->life == life && channel->stage != REDIS_CHANNEL_SUBSCRIBING &&
           channel->position < attached->top;
}

/* Our messages and Redis's are not the same any more. */
static void give_up(struct redis_channel *channel, const char *epoch, uint64_t from)
{
    redis_epoch_change(channel, epoch);
    redis_channel_lose(channel, from);
}

/* True if Redis's newest message, where we have seen that offset, is the one that we have seen. */
static bool is_same_history(const struct redis_channel *channel,
                            const struct redis_attached *attached)
{
    const struct redis_tail_entry *ours = redis_tail_find(&channel->tail, attached->top);
    struct message *theirs = NULL;
    const redisReply *envelope;
    uint64_t offset;

    if (!ours || !redis_attached_entry(attached, 0, &offset, &envelope) ||
        offset != attached->top ||
        envelope_read(envelope->str, (size_t)envelope->len, SIZE_MAX, &theirs))
        return true; /* nothing to compare */

    bool is_same = theirs->publisher == ours->message->publisher &&
                   theirs->sequence == ours->message->sequence;

    message_unref(theirs);
    return is_same;
}

/* Handles an answer that is not simply `at`; true if it left anything to ask at once. */
static bool reconcile(struct redis_channel *channel, const struct redis_attached *attached)
{
    bool can_restore = channel->restores < RESTORE_LIMIT && channel->epoch[0] != '\0';

    /* What came live and fits belongs to what we have seen. */
    if (redis_channel_take_pending(channel) || redis_epoch_take_interim(channel, attached->epoch))
        return true;
    switch (attached->status) {
    case REDIS_ATTACH_LOST:
        if (can_restore)
            send_restore(channel, 0);
        else
            give_up(channel, "", 0);
        return true;
    case REDIS_ATTACH_AHEAD:
        if (can_restore && is_same_history(channel, attached))
            send_restore(channel, attached->top);
        else
            give_up(channel, attached->epoch, 0);
        return true;
    case REDIS_ATTACH_CONFLICT:
        give_up(channel, attached->epoch, attached->from);
        break;
    case REDIS_ATTACH_FOREIGN:
        redis_epoch_change(channel, attached->epoch);
        redis_tail_clear(&channel->bus->channels.tails, &channel->tail);
        channel->position = 0;
        break;
    case REDIS_ATTACH_AT:
        break;
    }
    return take_history(channel, attached);
}

/*
 * The answer came over the command connection, and may have overtaken messages that Redis wrote to
 * the subscriber connection before it lost their history. True while some may still come: the
 * channel asks again when the mark that is put behind them has passed.
 */
static bool awaits_stragglers(struct redis_channel *channel)
{
    struct redis_link *subscriber = &channel->bus->subscriber;

    if (!channel->is_marked) {
        channel->is_marked = true;
        channel->mark_tries = 0;
        channel->mark = redis_link_mark(subscriber);
    }
    if (redis_link_has_passed(subscriber, channel->mark)) {
        channel->is_marked = false;
        return false;
    }
    channel->must_check = true;
    /* Both connections are about as fast; and others publish on, into a history that is no longer
     * than it is. */
    if (++channel->mark_tries > MARK_TRIES)
        redis_channel_try_later(channel, false);
    return true;
}

/* Brings the channel to where the answer says; true if there is more to ask. */
static bool handle_attached(struct redis_channel *channel, const struct redis_attached *attached)
{
    if (!channel->is_known) {
        redis_epoch_change(channel, attached->epoch);
        redis_channel_place(channel, attached->top);
        return false;
    }
    redis_channel_admit(channel);
    if (attached->status != REDIS_ATTACH_AT)
        return awaits_stragglers(channel) || reconcile(channel, attached);
    channel->is_marked = false;
    if (attached->epoch[0] != '\0')
        redis_epoch_pass_interim(channel, attached->epoch);
    return take_history(channel, attached);
}

/* True where nothing is missing between what was read and what comes live. */
static bool is_complete(const struct redis_channel *channel)
{
    if (channel->stage == REDIS_CHANNEL_LIVE)
        return true; /* it was a check */
    return channel->stage == REDIS_CHANNEL_ATTACHING && channel->is_confirming &&
           !channel->has_overflowed;
}

/* Goes on after an answer. */
static void proceed(struct redis_channel *channel, bool has_more)
{
    if (!has_more && is_complete(channel))
        redis_channel_go_live(channel);
    if (has_more && channel->stage == REDIS_CHANNEL_LIVE)
        channel->stage = REDIS_CHANNEL_ATTACHING; /* it was on a check, and it is behind */
    if (has_more && channel->stage == REDIS_CHANNEL_SUBSCRIBING)
        channel->must_check = true;
    redis_attach(channel);
}

/* What ATTACH and RESTORE have in common: true if there is an answer to look at. */
static bool is_answered(struct redis_channel *channel, uint64_t life, const redisReply *reply)
{
    struct redis_bus *bus = channel->bus;
    enum redis_fault fault;

    channel->is_asking = false;
    bus->channels.asking--;
    if (channel->stage == REDIS_CHANNEL_LEFT || (uint32_t)life != channel->life) {
        redis_attach(channel);
        return false;
    }
    if (!reply) {
        channel->must_check = true; /* when the connection is back */
        return false;
    }
    if (!redis_reply_is_error(reply))
        return true;
    fault = redis_bus_fault(bus, reply);
    if (fault == REDIS_FAULT_SERVER)
        return false;
    if (fault == REDIS_FAULT_FINAL) {
        /* Its keys hold something else. Subscribers need not wait for somebody to repair that. */
        if (redis_bus_may_warn(bus, REDIS_WARNING_REFUSED))
            log_event(LOG_WARNING, log_name("history unreadable"), log_text("reason", reply->str),
                      log_text("channel", channel->name));
        redis_channel_bar(channel);
        redis_channel_tell(channel);
    }
    if (channel->life == (uint32_t)life) {
        channel->must_check = true;
        redis_channel_try_later(channel, fault == REDIS_FAULT_FINAL);
    }
    return false;
}

static void on_attached(void *context, uint64_t life, const redisReply *reply)
{
    struct redis_channel *channel = context;
    struct redis_bus *bus = channel->bus;
    struct redis_attached attached;

    redis_channel_pin(channel);
    if (is_answered(channel, life, reply)) {
        if (!redis_read_attached(reply, &attached)) {
            redis_link_drop(&bus->commands, "the attach script answered nonsense");
        } else {
            bool has_more = handle_attached(channel, &attached);

            if (channel->life == (uint32_t)life)
                proceed(channel, has_more);
        }
    }
    redis_channel_unpin(channel);
    redis_attach_continue(bus);
    redis_bus_go_on(bus);
}

static void on_restored(void *context, uint64_t life, const redisReply *reply)
{
    struct redis_channel *channel = context;
    struct redis_bus *bus = channel->bus;

    redis_channel_pin(channel);
    if (is_answered(channel, life, reply)) {
        if (reply->type == REDIS_REPLY_INTEGER && reply->integer == 0)
            channel->restores++;
        channel->must_check = true; /* the next ATTACH tells what came of it */
        redis_attach(channel);
    }
    redis_channel_unpin(channel);
    redis_attach_continue(bus);
}
