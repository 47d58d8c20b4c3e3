/*
 * Sequences are given without holes, so the queue is a ring with the sequence as index, and every
 * answer and every message of ours that comes back finds its publication at once.
 *
 * A publication outlives its publish. Redis acknowledges before it has written to all subscribers,
 * and dies between the two; then only the publisher still has the message. So it is kept until it
 * is safe: until Redis has answered something that was sent after the acknowledgement (its event
 * loop came round, and the copies for all subscribers went out), and, where the channel is
 * subscribed here, until it was delivered here. After a loss of data whatever is kept goes out
 * again; the dedupe key (redis_script.c) or the subscribers (redis_senders.h) drop what was not
 * lost.
 *
 * What is acknowledged and does not come back counts against the buffer's limit like what is not
 * acknowledged: a subscription on which nothing comes cannot fill the memory.
 *
 * Order: when one message fails, those behind it on its channel are already on their way. The
 * publish script refuses them (GAP), because each names the one before it; then all go again, in
 * order.
 */
#include "gateway/redis_publisher.h"

#include <assert.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "gateway/bus_redis.h"
#include "gateway/redis_publication.h"
#include "gateway/redis_publish.h"

#define FLYING_LIMIT_COUNT 4096
#define FLYING_LIMIT_BYTES ((size_t)4 * 1024 * 1024)
#define KEPT_LIMIT_BYTES   ((size_t)16 * 1024 * 1024) /* beyond, messages are not kept */
#define COST_OVERHEAD      128 /* bytes of a publish beside its content, as bus.h says */
#define PAUSE_MS           100
#define PAUSE_LIMIT_MS     1000

static struct redis_publication *at(const struct redis_publisher *publisher, uint64_t sequence)
{
    return &publisher->ring[sequence & (publisher->capacity - 1)];
}

static bool is_present(const struct redis_publisher *publisher, uint64_t sequence)
{
    return sequence >= publisher->first && sequence < publisher->end;
}

static void update_metrics(struct redis_publisher *publisher)
{
    struct bus_stats *stats = &publisher->bus->bus.stats;

    metric_set(&stats->queued_messages, publisher->queued_count);
    metric_set(&stats->queued_bytes, publisher->queued_bytes);
}

/* Settling. */

static void release_message(struct redis_publisher *publisher,
                            struct redis_publication *publication)
{
    if (!publication->message)
        return;
    if (publication->stage == STAGE_ACKNOWLEDGED || publication->stage == STAGE_KEPT)
        publisher->kept_bytes -= publication->cost;
    message_unref(publication->message);
    publication->message = NULL;
}

/* An acknowledged publication is to be delivered on `channel`, at `offset`. */
static void begin_awaiting(struct redis_publisher *publisher, struct redis_publication *publication,
                           struct redis_channel *channel, uint64_t offset)
{
    publication->stage = STAGE_ACKNOWLEDGED;
    publication->channel = channel;
    publication->offset = offset;
    channel->echo.messages++;
    publisher->awaited_count++;
    publisher->awaited_bytes += publication->cost;
}

/* It was, or it never will be. */
static void end_awaiting(struct redis_publisher *publisher, struct redis_publication *publication)
{
    publication->stage = STAGE_KEPT;
    publication->channel->echo.messages--;
    publisher->awaited_count--;
    publisher->awaited_bytes -= publication->cost;
}

static bool is_safe(const struct redis_publisher *publisher,
                    const struct redis_publication *publication)
{
    if (publication->stage != STAGE_KEPT)
        return publication->stage == STAGE_DONE;
    if (!publication->message)
        return true;
    return publisher->state != REDIS_PUBLISHER_HELD &&
           publisher->bus->commands.answered_count > publication->mark;
}

void redis_publisher_trim(struct redis_publisher *publisher)
{
    while (publisher->first < publisher->end) {
        struct redis_publication *publication = at(publisher, publisher->first);

        if (publication->is_unanswered || !is_safe(publisher, publication))
            break;
        release_message(publisher, publication);
        publisher->first++;
    }
    if (publisher->next < publisher->first)
        publisher->next = publisher->first;
}

static void pass_barriers(struct redis_publisher *publisher)
{
    if (publisher->settled < publisher->first)
        publisher->settled = publisher->first;
    while (publisher->settled < publisher->end &&
           at(publisher, publisher->settled)->stage >= STAGE_KEPT)
        publisher->settled++;
    while (!list_is_empty(&publisher->barriers)) {
        struct bus_barrier *barrier =
            container_of(publisher->barriers.next, struct bus_barrier, link);

        if (barrier->position >= publisher->settled)
            break;
        list_remove(&barrier->link);
        barrier->passed(barrier);
    }
}

/* Ends the publish of a publication whose stage has been set already. The callback may publish, and
 * thereby move the ring. */
static void finish(struct redis_publisher *publisher, uint64_t sequence, int error)
{
    struct redis_publication *publication = at(publisher, sequence);
    struct bus_publish *publish = publication->publish;
    struct bus_stats *stats = &publisher->bus->bus.stats;

    publication->publish = NULL;
    if (!publish)
        return;
    publisher->queued_count--;
    publisher->queued_bytes -= publication->cost;
    update_metrics(publisher);
    metric_add(error ? &stats->refused : &stats->published, 1);
    if (!error)
        histogram_record(&stats->round_trip, uv_hrtime() - publication->sent_ns);
    publish->published(publish, error);
}

/* Notes that the bus has the message; `channel` is where its delivery is awaited, or NULL. */
static void keep(struct redis_publisher *publisher, uint64_t sequence,
                 struct redis_channel *channel, uint64_t offset)
{
    struct redis_publication *publication = at(publisher, sequence);

    redis_flight_end(&publisher->flight, publication->message);
    publication->mark = publisher->bus->commands.sent_count;
    publication->stage = STAGE_KEPT;
    if (channel)
        begin_awaiting(publisher, publication, channel, offset);
    publisher->kept_bytes += publication->cost;
    if (publisher->kept_bytes > KEPT_LIMIT_BYTES)
        release_message(publisher, publication);
}

static void assign(struct redis_publication *publication, const char *epoch, uint64_t offset)
{
    struct message *message = publication->publish ? publication->publish->message : NULL;

    if (!message)
        return;
    message->offset = offset;
    memcpy(message->epoch, epoch, strlen(epoch) + 1);
}

static void on_acknowledged(struct redis_publisher *publisher, uint64_t sequence,
                            const struct redis_published *published)
{
    struct redis_publication *publication = at(publisher, sequence);
    uint64_t awaited = published->offset ? published->offset : published->top;
    struct redis_channel *channel = /* of a repetition nothing comes back */
        published->is_repeat
            ? NULL
            : redis_echo_await(publisher->bus, publication->message, published->epoch, awaited);

    if (publication->publish)
        publication->publish->is_repeat = published->is_repeat;
    backoff_reset(&publisher->backoff);
    assign(publication, published->epoch, published->offset);
    keep(publisher, sequence, channel, awaited);
    finish(publisher, sequence, 0);
}

static void refuse(struct redis_publisher *publisher, uint64_t sequence, const char *why)
{
    struct redis_publication *publication = at(publisher, sequence);

    if (redis_bus_may_warn(publisher->bus, REDIS_WARNING_REFUSED))
        log_event(LOG_WARNING, log_name("publish refused"), log_text("reason", why),
                  log_text("channel", publication->message->channel));
    redis_flight_end(&publisher->flight, publication->message);
    publication->stage = STAGE_DONE;
    finish(publisher, sequence, UV_EPROTO);
}

static void send_more(struct redis_publisher *publisher);

static void on_error(struct redis_publisher *publisher, uint64_t sequence, const redisReply *reply)
{
    enum redis_fault fault = redis_bus_fault(publisher->bus, reply);

    if (at(publisher, sequence)->stage != STAGE_SENT || fault == REDIS_FAULT_SERVER)
        return;
    if (fault == REDIS_FAULT_FINAL) {
        refuse(publisher, sequence, reply->str);
        return;
    }
    at(publisher, sequence)->stage = STAGE_QUEUED;
    if (publisher->state == REDIS_PUBLISHER_SENDING)
        publisher->state = REDIS_PUBLISHER_PAUSED;
}

static void on_answered(void *context, uint64_t sequence, const redisReply *reply)
{
    struct redis_publisher *publisher = context;
    struct redis_publication *publication = at(publisher, sequence);
    struct redis_published published;

    assert(is_present(publisher, sequence) && publication->is_unanswered);
    publication->is_unanswered = false;
    publisher->flying_count--;
    publisher->flying_bytes -= publication->cost;
    if (!reply)
        return; /* `resume` sends it again */
    if (redis_reply_is_error(reply))
        on_error(publisher, sequence, reply);
    else if (!redis_read_published(reply, &published))
        redis_link_drop(&publisher->bus->commands, "the publish script answered nonsense");
    else if (publication->stage == STAGE_SENT)
        on_acknowledged(publisher, sequence, &published);
    pass_barriers(publisher);
    redis_publisher_trim(publisher);
    if (publisher->state == REDIS_PUBLISHER_PAUSED && publisher->flying_count == 0)
        loop_wait(publisher->bus->bus.loop, &publisher->waiter,
                  backoff_next_ms(&publisher->backoff));
    send_more(publisher);
}

/* Sending. */

static void send_one(struct redis_publisher *publisher, uint64_t sequence)
{
    struct redis_publication *publication = at(publisher, sequence);
    struct redis_bus *bus = publisher->bus;
    uint64_t previous = redis_flight_exchange(&publisher->flight, publication->message);

    redis_publish_write(bus, publication->message, previous, &publication->limits);
    if (publication->was_sent && publication->publish)
        metric_add(&bus->bus.stats.repeated, 1);
    else
        publication->sent_ns = uv_hrtime();
    publication->was_sent = true;
    publication->stage = STAGE_SENT;
    publication->is_unanswered = true;
    publisher->flying_count++;
    publisher->flying_bytes += publication->cost;
    redis_command_send(&bus->command, &bus->commands, on_answered, publisher, sequence);
}

static bool has_room(const struct redis_publisher *publisher, size_t cost)
{
    return publisher->flying_count == 0 || (publisher->flying_count < FLYING_LIMIT_COUNT &&
                                            publisher->flying_bytes + cost <= FLYING_LIMIT_BYTES);
}

static void send_more(struct redis_publisher *publisher)
{
    while (publisher->state == REDIS_PUBLISHER_SENDING && publisher->next < publisher->end &&
           redis_bus_may_publish(publisher->bus)) {
        struct redis_publication *publication = at(publisher, publisher->next);

        if (publication->stage == STAGE_QUEUED) {
            if (!has_room(publisher, publication->cost))
                break;
            send_one(publisher, publisher->next);
        }
        publisher->next++;
    }
}

static void start_over(struct redis_publisher *publisher)
{
    redis_flight_clear(&publisher->flight);
    publisher->next = publisher->first;
    publisher->state = REDIS_PUBLISHER_SENDING;
    send_more(publisher);
}

static void on_pause_over(struct waiter *waiter)
{
    start_over(container_of(waiter, struct redis_publisher, waiter));
}

void redis_publisher_hold(struct redis_publisher *publisher)
{
    publisher->state = REDIS_PUBLISHER_HELD;
    loop_cancel(publisher->bus->bus.loop, &publisher->waiter);
}

/* Back to the queue with a message that may have been lost with Redis's data, if we kept it. */
static void send_again(struct redis_publisher *publisher, struct redis_publication *publication)
{
    if (publication->stage == STAGE_ACKNOWLEDGED)
        end_awaiting(publisher, publication);
    if (!publication->message)
        return;
    publisher->kept_bytes -= publication->cost;
    publication->stage = STAGE_QUEUED;
}

static void resume(struct redis_publisher *publisher, bool is_new_life)
{
    assert(publisher->flying_count == 0);
    for (uint64_t sequence = publisher->first; sequence < publisher->end; sequence++) {
        struct redis_publication *publication = at(publisher, sequence);

        if (publication->stage == STAGE_SENT)
            publication->stage = STAGE_QUEUED;
        else if (is_new_life &&
                 (publication->stage == STAGE_ACKNOWLEDGED || publication->stage == STAGE_KEPT))
            send_again(publisher, publication);
    }
    start_over(publisher);
}

void redis_publisher_go_on(struct redis_publisher *publisher, bool is_new_life)
{
    if (publisher->state == REDIS_PUBLISHER_HELD)
        resume(publisher, is_new_life);
    else
        send_more(publisher);
}

void redis_publisher_seen(struct redis_publisher *publisher, uint64_t sequence, const char *epoch,
                          uint64_t offset)
{
    if (!is_present(publisher, sequence))
        return;

    struct redis_publication *publication = at(publisher, sequence);

    switch (publication->stage) {
    case STAGE_QUEUED:
    case STAGE_SENT:
        if (!publication->was_sent)
            return; /* nobody can have seen it: not ours, whatever it says */
        assign(publication, epoch, offset);
        keep(publisher, sequence, NULL, 0);
        finish(publisher, sequence, 0);
        break;
    case STAGE_ACKNOWLEDGED:
        end_awaiting(publisher, publication);
        break;
    default:
        return;
    }
    pass_barriers(publisher);
    redis_publisher_trim(publisher);
}

void redis_publisher_release(struct redis_publisher *publisher, struct redis_channel *channel,
                             uint64_t position)
{
    for (uint64_t sequence = publisher->first;
         sequence < publisher->end && channel->echo.messages > 0; sequence++) {
        struct redis_publication *publication = at(publisher, sequence);

        if (publication->stage != STAGE_ACKNOWLEDGED || publication->channel != channel ||
            publication->offset > position)
            continue;
        end_awaiting(publisher, publication);
    }
    pass_barriers(publisher);
}

/* From the bus's owner. */

/* What counts against the limit: whatever the ring holds, and the messages that are not settled. */
static size_t used_bytes(const struct redis_publisher *publisher)
{
    size_t settled = (size_t)(publisher->end - publisher->first) - publisher->queued_count -
                     publisher->awaited_count;

    return publisher->queued_bytes + publisher->awaited_bytes + settled * COST_OVERHEAD;
}

static void make_room(struct redis_publisher *publisher)
{
    size_t capacity = publisher->capacity * 2;

    if (publisher->end - publisher->first < publisher->capacity)
        return;

    struct redis_publication *ring = memory_allocate(capacity * sizeof(*ring));

    for (uint64_t sequence = publisher->first; sequence < publisher->end; sequence++)
        ring[sequence & (capacity - 1)] = *at(publisher, sequence);
    memory_free(publisher->ring);
    publisher->ring = ring;
    publisher->capacity = capacity;
}

void redis_publisher_add(struct redis_publisher *publisher, struct bus_publish *publish)
{
    struct bus *bus = &publisher->bus->bus;
    struct message *message = publish->message;
    size_t cost = message_content_size(message) + COST_OVERHEAD;

    redis_publisher_trim(publisher);
    if (used_bytes(publisher) + cost > bus->settings.buffer_limit_bytes) {
        metric_add(&bus->stats.refused, 1);
        publish->published(publish, UV_ENOBUFS);
        return;
    }
    make_room(publisher);
    message->publisher = bus->settings.node_id;
    message->sequence = publisher->end++;
    *at(publisher, message->sequence) = (struct redis_publication){
        .publish = publish,
        .message = message_ref(message),
        .cost = cost,
        .limits = {publish->has_limits, publish->history_size, publish->history_ttl_ms},
        .stage = STAGE_QUEUED,
    };
    publisher->queued_count++;
    publisher->queued_bytes += cost;
    update_metrics(publisher);
    send_more(publisher);
}

void redis_publisher_wait(struct redis_publisher *publisher, struct bus_barrier *barrier)
{
    barrier->position = publisher->end - 1;
    list_append(&publisher->barriers, &barrier->link);
    pass_barriers(publisher);
}

void redis_publisher_init(struct redis_publisher *publisher, struct redis_bus *bus)
{
    *publisher = (struct redis_publisher){
        .bus = bus,
        .capacity = 64,
        .first = 1,
        .next = 1,
        .end = 1,
        .settled = 1,
        .backoff = {.floor_ms = PAUSE_MS, .limit_ms = PAUSE_LIMIT_MS},
    };
    publisher->ring = memory_allocate(publisher->capacity * sizeof(*publisher->ring));
    list_init(&publisher->barriers);
    waiter_init(&publisher->waiter, on_pause_over);
}

void redis_publisher_close(struct redis_publisher *publisher)
{
    loop_cancel(publisher->bus->bus.loop, &publisher->waiter);
    for (uint64_t sequence = publisher->first; sequence < publisher->end; sequence++) {
        if (at(publisher, sequence)->stage == STAGE_ACKNOWLEDGED)
            end_awaiting(publisher, at(publisher, sequence));
        release_message(publisher, at(publisher, sequence));
        at(publisher, sequence)->stage = STAGE_DONE;
        finish(publisher, sequence, UV_ECANCELED);
    }
    pass_barriers(publisher);
    publisher->first = publisher->end;
    redis_flight_clear(&publisher->flight);
    memory_free(publisher->ring);
    publisher->ring = NULL;
}
