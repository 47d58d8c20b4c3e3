/*
 * The Redis bus: two connections, a publisher, and the subscribed channels.
 *
 * On the command connection the scripts are loaded, then HELLO asks for the life of the data.
 * Another life than the one we knew means that Redis was restarted or replaced and may have lost
 * the last moments, or everything. The gateways then know more than Redis, each a different part of
 * it: every channel is compared at once, and what is missing is restored (redis_attach.c), while
 * publishes rest for REDIS_REST_MS so that nobody numbers new messages before the last gateway is
 * back. Afterwards what was not known to be safe is published again (redis_publisher.c).
 *
 * The bus is up while both connections are there and every SUBSCRIBE that the second one began with
 * is answered. Without commands live messages still come; without a subscriber nothing is
 * published, because nobody here would hear it.
 *
 * What waits at the end of an outage may be more than a channel's history holds, so that whoever
 * is not listening when it goes out would lose some of it for good. So it waits a little longer:
 * - for every channel whose people were told that they are subscribed, until its position is known;
 * - for every channel that was there, until it is live again, but no longer than BEHIND_LIMIT_MS;
 * - after more than OUTAGE_MS, for the other gateways, which come back from the same outage within
 *   their links' longest wait: REDIS_REST_MS.
 * What remains: a gateway that comes back later still, and finds that more was published meanwhile
 * than the history holds, tells its people of a loss.
 */
#include "gateway/bus_redis.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/memory.h"
#include "common/random.h"
#include "gateway/redis_attach.h"
#include "gateway/redis_echo.h"
#include "gateway/redis_hello.h"

#define REST_LIMIT_MS   5000 /* whatever Redis says */
#define OUTAGE_MS       1000
#define BEHIND_LIMIT_MS 5000
#define TICK_MS         250
#define WARN_EVERY_MS   5000
#define TAIL_MESSAGES   1024

static struct redis_bus *of_bus(struct bus *bus)
{
    return container_of(bus, struct redis_bus, bus);
}

/* What the other files build their commands with. */

struct redis_command *redis_bus_begin(struct redis_bus *bus, enum redis_script script,
                                      unsigned keys)
{
    redis_command_begin(&bus->command);
    redis_command_add_text(&bus->command, "EVALSHA");
    redis_command_add(&bus->command, bus->scripts[script], REDIS_SHA_SIZE);
    redis_command_add_number(&bus->command, keys);
    return &bus->command;
}

void redis_bus_add_key(struct redis_bus *bus, const char *channel, size_t channel_size,
                       const char *end)
{
    redis_key(&bus->command.bytes, bus->prefix, channel, channel_size, end);
    redis_command_end_word(&bus->command);
}

void redis_bus_add_history(struct redis_bus *bus, const struct redis_limits *limits)
{
    const struct bus_settings *settings = &bus->bus.settings;
    uint64_t size = limits->are_set ? limits->history_size : settings->history_size;
    uint64_t ttl_ms = limits->are_set ? limits->history_ttl_ms : settings->history_ttl_ms;

    redis_command_add_number(&bus->command, ttl_ms > 0 ? size : 0);
    redis_command_add_number(&bus->command, ttl_ms);
}

void redis_bus_add_topic(struct redis_bus *bus, const char *channel, size_t channel_size)
{
    redis_topic(&bus->command.bytes, bus->prefix, bus->url.database, channel, channel_size);
    redis_command_end_word(&bus->command);
}

void redis_bus_add_fresh_epoch(struct redis_bus *bus)
{
    /* A count from a random start, scattered by a bijection (the finalizer of splitmix64): unique
     * within this process, and as good as random among several. */
    uint64_t id = bus->epoch_seed + ++bus->epoch_count;
    char text[REDIS_ID_SIZE + 1];

    id = (id ^ (id >> 30)) * 0xbf58476d1ce4e5b9u;
    id = (id ^ (id >> 27)) * 0x94d049bb133111ebu;
    redis_format_id(text, id ^ (id >> 31));
    redis_command_add_text(&bus->command, text);
}

bool redis_bus_may_warn(struct redis_bus *bus, enum redis_warning warning)
{
    uint64_t now = loop_now_ms(bus->bus.loop);

    if (bus->warned_ms[warning] != 0 && now - bus->warned_ms[warning] < WARN_EVERY_MS)
        return false;
    bus->warned_ms[warning] = now;
    return true;
}

enum redis_fault redis_bus_fault(struct redis_bus *bus, const redisReply *reply)
{
    enum redis_fault fault = redis_fault_of(reply->str);

    if (fault == REDIS_FAULT_SERVER) {
        redis_link_drop(&bus->commands, reply->str);
    } else if (fault == REDIS_FAULT_SCRIPT) {
        redis_hello_reload(bus);
        fault = REDIS_FAULT_RETRY;
    } else if (fault == REDIS_FAULT_RETRY && strncmp(reply->str, "GAP", 3) != 0 &&
               redis_bus_may_warn(bus, REDIS_WARNING_REFUSED)) {
        log_event(LOG_WARNING, log_name("redis refuses for now"), log_text("reason", reply->str));
    }
    return fault;
}

/* Up and down. */

static bool is_up(const struct redis_bus *bus)
{
    return redis_bus_is_usable(bus) && redis_topics_are_heard(bus);
}

bool redis_bus_may_publish(const struct redis_bus *bus)
{
    if (!is_up(bus) || bus->rest != REDIS_REST_NONE || bus->channels.unplaced > 0)
        return false;
    return bus->channels.behind == 0 || loop_now_ms(bus->bus.loop) - bus->up_ms >= BEHIND_LIMIT_MS;
}

void redis_bus_go_on(struct redis_bus *bus)
{
    bool is_new_life = bus->is_new_life;

    if (!redis_bus_may_publish(bus))
        return;
    bus->outage_ms = 0;
    bus->is_new_life = false;
    redis_publisher_go_on(&bus->publisher, is_new_life);
}

static void end_rest(struct redis_bus *bus)
{
    bus->rest = REDIS_REST_NONE;
    loop_cancel(bus->bus.loop, &bus->rest_end);
}

static void on_rested(struct waiter *waiter)
{
    struct redis_bus *bus = container_of(waiter, struct redis_bus, rest_end);

    end_rest(bus);
    redis_attach_all(bus);
    redis_bus_go_on(bus);
}

static void begin_rest(struct redis_bus *bus, enum redis_rest rest, uint64_t rest_ms)
{
    if (bus->rest >= rest)
        return;
    bus->rest = rest;
    loop_wait(bus->bus.loop, &bus->rest_end, rest_ms < REST_LIMIT_MS ? rest_ms : REST_LIMIT_MS);
}

static void come_up(struct redis_bus *bus)
{
    bus->up_ms = loop_now_ms(bus->bus.loop);
    if (bus->outage_ms != 0 && bus->up_ms - bus->outage_ms > OUTAGE_MS)
        begin_rest(bus, REDIS_REST_RETURN, REDIS_REST_MS);
    bus_set_state(&bus->bus, BUS_UP);
}

static void go_down(struct redis_bus *bus)
{
    if (bus->outage_ms == 0)
        bus->outage_ms = loop_now_ms(bus->bus.loop);
    if (bus->rest == REDIS_REST_RETURN)
        end_rest(bus);
    bus_set_state(&bus->bus, BUS_DOWN);
}

static void update_state(struct redis_bus *bus)
{
    if (bus->is_closing)
        return;
    if (is_up(bus)) {
        if (bus->bus.state == BUS_DOWN)
            come_up(bus);
        return;
    }
    if (bus->bus.state == BUS_UP)
        go_down(bus);
    redis_channels_tell_all(bus);
}

static void begin_new_life(struct redis_bus *bus)
{
    log_event(LOG_WARNING, log_name("redis has another life"), log_text("life", bus->life));
    bus->is_new_life = true;
    redis_channels_check(bus);
    /* A connection from before may still hang on to the server that was replaced. */
    if (redis_link_is_ready(&bus->subscriber) && bus->subscriber.ready_ms <= bus->lost_ms)
        redis_link_drop(&bus->subscriber, "the server was replaced");
}

void redis_bus_greeted(struct redis_bus *bus, const struct redis_hello *hello)
{
    /* A server without an id is one that could not write down a new one. */
    bool is_other_life = bus->life[0] != '\0' && strcmp(hello->id, bus->life) != 0;

    if (hello->id[0] != '\0')
        memcpy(bus->life, hello->id, sizeof(bus->life));
    bus->is_greeted = true;
    if (hello->rest_ms > 0)
        begin_rest(bus, REDIS_REST_REPAIR, hello->rest_ms);
    if (is_other_life)
        begin_new_life(bus);
    update_state(bus);
    redis_presence_renew(bus);
    redis_presence_announce(bus);
    redis_attach_all(bus);
    redis_bus_go_on(bus);
}

/* The connections. */

static void on_commands_ready(struct redis_link *link)
{
    redis_hello_start(container_of(link, struct redis_bus, commands));
}

static void on_commands_down(struct redis_link *link)
{
    struct redis_bus *bus = container_of(link, struct redis_bus, commands);

    bus->is_greeted = false;
    bus->lost_ms = loop_now_ms(bus->bus.loop);
    end_rest(bus);
    redis_publisher_hold(&bus->publisher);
    redis_bus_tell_soon(bus); /* whoever waits for an answer */
    update_state(bus);
}

static void on_subscriber_ready(struct redis_link *link)
{
    struct redis_bus *bus = container_of(link, struct redis_bus, subscriber);

    redis_topics_connected(bus);
    update_state(bus);
    redis_bus_go_on(bus);
}

static void on_subscriber_down(struct redis_link *link)
{
    struct redis_bus *bus = container_of(link, struct redis_bus, subscriber);

    redis_topics_disconnected(&bus->topics);
    redis_channels_disconnected(bus);
    update_state(bus);
}

static void on_pushed(struct redis_link *link, const redisReply *reply)
{
    struct redis_bus *bus = container_of(link, struct redis_bus, subscriber);
    bool was_heard = redis_topics_are_heard(bus);

    redis_topics_pushed(bus, reply);
    if (was_heard || !redis_topics_are_heard(bus))
        return;
    update_state(bus);
    redis_bus_go_on(bus);
}

/* Time. */

static void on_tick(struct waiter *waiter)
{
    struct redis_bus *bus = container_of(waiter, struct redis_bus, tick);

    redis_echoes_look(bus);
    redis_tails_expire(&bus->channels.tails, loop_now_ms(bus->bus.loop));
    redis_attach_retry(bus);
    redis_publisher_trim(&bus->publisher);
    redis_bus_go_on(bus);
    redis_presence_announce(bus);
    redis_asks_retry(bus);
    loop_wait(bus->bus.loop, &bus->tick, TICK_MS);
}

/* bus.c fills in the settings after bus_redis_open, so the work starts with the loop. */
static void start(struct redis_bus *bus)
{
    const struct bus_settings *settings = &bus->bus.settings;
    size_t message = (size_t)settings->message_limit_bytes + REDIS_ENVELOPE_EXTRA;
    size_t history = (size_t)settings->history_size;

    bus->channels.tails.message_limit = history < TAIL_MESSAGES ? history : TAIL_MESSAGES;
    bus->outage_ms = loop_now_ms(bus->bus.loop);
    bus->commands.tls = bus->subscriber.tls = settings->tls;
    bus->commands.tls_host = bus->subscriber.tls_host = settings->tls_server_name;
    redis_link_start(&bus->commands, REDIS_ATTACH_BYTES + message);
    redis_link_start(&bus->subscriber, message + REDIS_ENVELOPE_EXTRA);
    loop_wait(bus->bus.loop, &bus->tick, TICK_MS);
}

static void on_chores(uv_prepare_t *prepare)
{
    struct redis_bus *bus = container_of(prepare, struct redis_bus, chores);

    uv_prepare_stop(prepare);
    if (bus->commands.byte_limit == 0)
        start(bus);
    redis_channels_tell_untold(bus);
    redis_presence_announce(bus);
    redis_asks_tell(bus);
}

void redis_bus_tell_soon(struct redis_bus *bus)
{
    if (!bus->is_closing)
        uv_prepare_start(&bus->chores, on_chores);
}

/* The operations. */

static void subscribe(struct bus *bus, const char *channel, size_t channel_size)
{
    redis_channel_subscribe(of_bus(bus), channel, channel_size);
}

static void unsubscribe(struct bus *bus, const char *channel, size_t channel_size)
{
    redis_presence_forget(of_bus(bus), channel, channel_size);
    redis_channel_unsubscribe(of_bus(bus), channel, channel_size);
}

static void publish(struct bus *bus, struct bus_publish *publish_)
{
    publish_->is_repeat = false;
    if (message_is_ephemeral(publish_->message->kind))
        redis_ephemeral_publish(of_bus(bus), publish_);
    else
        redis_publisher_add(&of_bus(bus)->publisher, publish_);
}

static void ask_history(struct bus *bus, struct bus_ask *ask)
{
    redis_asks_history(of_bus(bus), ask);
}

static void forget_history(struct bus *bus, struct bus_ask *ask)
{
    redis_asks_forget(of_bus(bus), ask);
}

static void ask_presence(struct bus *bus, struct bus_ask *ask)
{
    redis_asks_presence(of_bus(bus), ask);
}

static void presence_set(struct bus *bus, const char *channel, size_t channel_size,
                         const struct bus_present *who)
{
    redis_presence_set(of_bus(bus), channel, channel_size, who);
}

static void presence_remove(struct bus *bus, const char *channel, size_t channel_size,
                            struct text client)
{
    redis_presence_remove(of_bus(bus), channel, channel_size, client);
}

static void wait_for(struct bus *bus, struct bus_barrier *barrier)
{
    redis_publisher_wait(&of_bus(bus)->publisher, barrier);
}

static void handle_closed(struct redis_bus *bus)
{
    void (*closed)(void *context) = bus->closed;
    void *context = bus->closed_context;

    if (--bus->handles > 0)
        return;
    redis_topics_disconnected(&bus->topics);
    redis_channels_deinit(bus);
    redis_presence_deinit(&bus->presence);
    redis_command_deinit(&bus->command);
    redis_url_deinit(&bus->url);
    memory_free(bus->prefix);
    memory_free(bus);
    closed(context);
}

static void on_commands_closed(struct redis_link *link)
{
    handle_closed(container_of(link, struct redis_bus, commands));
}

static void on_subscriber_closed(struct redis_link *link)
{
    handle_closed(container_of(link, struct redis_bus, subscriber));
}

static void on_chores_closed(uv_handle_t *handle)
{
    handle_closed(container_of((uv_prepare_t *)handle, struct redis_bus, chores));
}

static void close_bus(struct bus *generic, void (*closed)(void *context), void *context)
{
    struct redis_bus *bus = of_bus(generic);

    assert(!bus->is_closing);
    bus->is_closing = true;
    bus->is_greeted = false;
    bus->closed = closed;
    bus->closed_context = context;
    bus->handles = 3;
    end_rest(bus);
    loop_cancel(generic->loop, &bus->tick);
    uv_close((uv_handle_t *)&bus->chores, on_chores_closed);
    redis_link_close(&bus->commands);
    redis_link_close(&bus->subscriber);
    redis_publisher_close(&bus->publisher);
    redis_asks_close(bus);
}

static const struct bus_operations operations = {
    .name = "redis",
    .subscribe = subscribe,
    .unsubscribe = unsubscribe,
    .publish = publish,
    .ask_history = ask_history,
    .forget_history = forget_history,
    .presence_set = presence_set,
    .presence_remove = presence_remove,
    .ask_presence = ask_presence,
    .wait = wait_for,
    .close = close_bus,
};

static const struct redis_link_events command_events = {
    .ready = on_commands_ready,
    .down = on_commands_down,
    .closed = on_commands_closed,
};

static const struct redis_link_events subscriber_events = {
    .ready = on_subscriber_ready,
    .down = on_subscriber_down,
    .pushed = on_pushed,
    .closed = on_subscriber_closed,
};

struct bus *bus_redis_open(struct loop *loop, const char *url, const char *prefix, char error[256])
{
    struct redis_bus *bus = memory_zeroed(1, sizeof(*bus));

    if (redis_url_parse(&bus->url, url, error)) {
        memory_free(bus);
        return NULL;
    }
    bus->bus.operations = &operations;
    bus->bus.loop = loop;
    bus->prefix = memory_copy_text(prefix, strlen(prefix));
    bus->epoch_seed = random_id();
    redis_channels_init(&bus->channels);
    redis_topics_init(&bus->topics);
    redis_presence_init(&bus->presence);
    redis_asks_init(&bus->asks);
    redis_publisher_init(&bus->publisher, bus);
    redis_link_init(&bus->commands, loop, REDIS_LINK_COMMANDS, &bus->url, &command_events);
    redis_link_init(&bus->subscriber, loop, REDIS_LINK_SUBSCRIBER, &bus->url, &subscriber_events);
    waiter_init(&bus->rest_end, on_rested);
    waiter_init(&bus->tick, on_tick);
    uv_prepare_init(&loop->uv, &bus->chores); /* cannot fail */
    uv_prepare_start(&bus->chores, on_chores);
    return &bus->bus;
}
