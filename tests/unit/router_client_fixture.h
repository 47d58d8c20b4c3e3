/*
 * A gateway's router client between routers that do what the test says: what each was told is
 * written down, and so is what the client's owner was. The channel is "room" wherever none is
 * named, and the routers stand in its order: it belongs to FIRST, then SECOND, then THIRD.
 */
#ifndef TESTS_UNIT_ROUTER_CLIENT_FIXTURE_H
#define TESTS_UNIT_ROUTER_CLIENT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "common/placement.h"
#include "gateway/router_client.h"

#define TICK_MS 50
#define GATEWAY 4711

enum { FIRST, SECOND, THIRD, ROUTERS };

#define ALL 7u /* the routers as a mask */

struct router {
    struct router_client_link link;
    bool is_up;
    bool is_silent; /* answers no ping */
    bool is_old;    /* has no capabilities */
    bool is_to_be_dropped;
    size_t room; /* frames that it reads before it is full */
    struct buffer heard;
};

/* A publish of the owner. */
struct sent {
    struct bus_publish publish;
    struct message *message; /* a reference of its own */
};

static struct router routers[ROUTERS];
static struct router_client client;
static struct bus_stats stats;
static struct buffer told; /* to the client's owner */
static uint64_t sequence, queued_bytes, queued_count, wanted_count;
static uint64_t now_ms;

static inline uint64_t node_of(int router)
{
    return 100 + (uint64_t)router;
}

static inline const char *name_of(int router)
{
    static const char *const names[ROUTERS] = {"router-0", "router-1", "router-2"};

    return names[router];
}

/* Begins another entry of a list. */
static inline struct buffer *next_in(struct buffer *text)
{
    if (text->size > 0)
        buffer_append_text(text, ", ");
    return text;
}

static inline void assert_text(struct buffer *text, const char *expected)
{
    buffer_append(text, "", 1);
    text->size = 0;
    assert_string_equal((const char *)text->data, expected);
}

/* Checks what a router has heard since it was last asked; pings do not count. */
static inline void assert_heard(int router, const char *expected)
{
    assert_text(&routers[router].heard, expected);
}

/* Checks what the owner was told since it was last asked. */
static inline void assert_told(const char *expected)
{
    assert_text(&told, expected);
}

/* What routers hear: "subscribe A/3", "publish 5:hello after 4", with a '!' where it insists. */

static inline void write_publish(struct buffer *heard, const struct router_frame *frame)
{
    const struct message *message = frame->publish.message;

    assert_true(message->publisher == GATEWAY);
    buffer_printf(heard, "publish%s %llu:%.*s", frame->publish.insist ? "!" : "",
                  (unsigned long long)message->sequence, (int)message->data_size,
                  (const char *)message->data);
    if (message->key.size > 0)
        buffer_printf(heard, " with key %.*s", (int)message->key.size, message->key.data);
    if (frame->publish.limits.are_set)
        buffer_printf(heard, " keeping %llu for %llu",
                      (unsigned long long)frame->publish.limits.history_size,
                      (unsigned long long)frame->publish.limits.history_ttl_ms);
    if (frame->publish.after > 0)
        buffer_printf(heard, " after %llu", (unsigned long long)frame->publish.after);
}

static inline void on_send(void *context, struct router_client_link *link,
                           const struct router_frame *frame)
{
    struct router *router = container_of(link, struct router, link);
    struct buffer *heard = &router->heard;

    (void)context;
    assert_true(router->is_up);
    if (router->room > 0 && frame->kind != FRAME_PING)
        router->room--;
    switch (frame->kind) {
    case FRAME_PING:
        if (!router->is_silent)
            link->heard_ms = now_ms; /* as if its answer were here */
        return;
    case FRAME_PONG:
        buffer_printf(next_in(heard), "pong %llu", (unsigned long long)frame->ping.time);
        return;
    case FRAME_SUBSCRIBE:
        buffer_printf(next_in(heard), "subscribe%s", frame->subscribe.insist ? "!" : "");
        if (frame->subscribe.epoch[0] != '\0')
            buffer_printf(heard, " %s/%llu", frame->subscribe.epoch,
                          (unsigned long long)frame->subscribe.offset);
        if (frame->subscribe.acknowledged > 0)
            buffer_printf(heard, " with %llu", (unsigned long long)frame->subscribe.acknowledged);
        return;
    case FRAME_UNSUBSCRIBE:
        buffer_append_text(next_in(heard), "unsubscribe");
        return;
    case FRAME_PUBLISH:
        write_publish(next_in(heard), frame);
        return;
    default:
        fail_msg("a gateway sends frame %d", (int)frame->kind);
    }
}

static inline void on_drop(void *context, struct router_client_link *link, const char *reason)
{
    (void)context;
    (void)reason;
    container_of(link, struct router, link)->is_to_be_dropped = true;
}

static inline bool on_has_room(void *context, const struct router_client_link *link)
{
    (void)context;
    return container_of(link, struct router, link)->room > 0;
}

static inline void on_changed(void *context, bool is_up)
{
    (void)context;
    assert_int_equal(is_up, router_client_is_up(&client));
    buffer_append_text(next_in(&told), is_up ? "up" : "down");
}

static const struct router_client_output output = {
    .send = on_send,
    .drop = on_drop,
    .has_room = on_has_room,
    .changed = on_changed,
};

/* What the owner is told. */

static inline void on_deliver(void *context, struct message *message)
{
    (void)context;
    if (message_is_ephemeral(message->kind))
        buffer_printf(next_in(&told), "!%.*s", (int)message->data_size,
                      (const char *)message->data);
    else
        buffer_printf(next_in(&told), "%s/%llu:%.*s", message->epoch,
                      (unsigned long long)message->offset, (int)message->data_size,
                      (const char *)message->data);
}

static inline void on_subscribed(void *context, const char *channel, size_t channel_size)
{
    (void)context;
    (void)channel;
    (void)channel_size;
    buffer_append_text(next_in(&told), "subscribed");
}

static inline void on_lost(void *context, const char *channel, size_t channel_size)
{
    (void)context;
    assert_int_equal(channel_size, 4);
    assert_memory_equal(channel, "room", 4);
    buffer_append_text(next_in(&told), "lost");
}

static const struct bus_events events = {on_deliver, on_subscribed, on_lost, NULL};

static inline void on_published(struct bus_publish *publish, int error)
{
    struct sent *sent = container_of(publish, struct sent, publish);
    const struct message *message = sent->message;

    if (error)
        buffer_printf(next_in(&told), "%llu: %s", (unsigned long long)message->sequence,
                      uv_err_name(error));
    else
        buffer_printf(next_in(&told), "%llu is%s %s/%llu", (unsigned long long)message->sequence,
                      publish->is_repeat ? " again" : "", message->epoch,
                      (unsigned long long)message->offset);
    message_unref(sent->message);
    memory_free(sent);
}

/* What the owner does. */

static inline void subscribe(void)
{
    router_client_subscribe(&client, "room", 4);
}

static inline void unsubscribe(void)
{
    router_client_unsubscribe(&client, "room", 4);
}

static inline void publish_to(const char *channel, const char *text)
{
    struct sent *sent = memory_zeroed(1, sizeof(*sent));

    sent->message = message_create(MESSAGE_TEXT, channel, strlen(channel), text, strlen(text));
    sent->publish = (struct bus_publish){
        .published = on_published, .message = sent->message, .cost = strlen(text)};
    router_client_publish(&client, &sent->publish);
}

static inline void publish(const char *text)
{
    publish_to("room", text);
}

/* The same of one that is ephemeral, or has a key, or limits of its channel's history. */
static inline void publish_so(const char *text, enum message_kind kind, const char *key,
                              uint64_t history_size)
{
    struct sent *sent = memory_zeroed(1, sizeof(*sent));

    sent->message = message_write(&(struct message_draft){.kind = kind,
                                                          .channel = {"room", 4},
                                                          .data = {text, strlen(text)},
                                                          .key = {key, strlen(key)}});
    sent->publish = (struct bus_publish){.published = on_published,
                                         .message = sent->message,
                                         .cost = strlen(text),
                                         .has_limits = history_size > 0,
                                         .history_size = history_size,
                                         .history_ttl_ms = 1000};
    router_client_publish(&client, &sent->publish);
}

/* What routers do. */

static inline void come_up(int router)
{
    routers[router].is_up = true;
    routers[router].link.capabilities = routers[router].is_old ? 0 : ROUTER_CAPABILITIES;
    router_client_link_up(&client, &routers[router].link, node_of(router), name_of(router), now_ms);
}

/* A router names itself and the others in `mask`, and says whether it is about to leave itself. */
static inline void name_members(int router, unsigned mask, bool is_leaving)
{
    struct router_member members[ROUTERS] = {{node_of(router), name_of(router), "", is_leaving}};
    size_t count = 1;

    for (int other = 0; other < ROUTERS; other++) {
        if (other != router && mask & 1u << other)
            members[count++] = (struct router_member){node_of(other), name_of(other), "", false};
    }
    router_client_receive(
        &client, &routers[router].link,
        &(struct router_frame){.kind = FRAME_MEMBERS, .members = {members, count}}, now_ms);
}

/* The other routers have noticed it first. */
static inline void go_down(int router)
{
    unsigned mask = 0;

    routers[router].is_up = false;
    for (int other = 0; other < ROUTERS; other++)
        mask |= (unsigned)routers[other].is_up << other;
    for (int other = 0; other < ROUTERS; other++) {
        if (routers[other].is_up)
            name_members(other, mask, false);
    }
    router_client_link_down(&client, &routers[router].link, now_ms);
}

/* Links that the client dropped go down. */
static inline void drop_dropped(void)
{
    for (int router = 0; router < ROUTERS; router++) {
        if (routers[router].is_up && routers[router].is_to_be_dropped)
            go_down(router);
        routers[router].is_to_be_dropped = false;
    }
}

static inline void pass(uint64_t ms)
{
    for (uint64_t end_ms = now_ms + ms; now_ms < end_ms;) {
        now_ms += end_ms - now_ms < TICK_MS ? end_ms - now_ms : TICK_MS;
        router_client_tick(&client, now_ms);
        drop_dropped();
    }
}

static inline void say(int router, const struct router_frame *frame)
{
    router_client_receive(&client, &routers[router].link, frame, now_ms);
    drop_dropped();
}

static inline void say_about_room(int router, struct router_frame frame)
{
    frame.channel = "room";
    frame.channel_size = 4;
    say(router, &frame);
}

static inline void say_subscribed(int router, const char *epoch, uint64_t offset)
{
    say_about_room(router, (struct router_frame){.kind = FRAME_SUBSCRIBED,
                                                 .subscribed = {epoch, offset, OUTCOME_CONTINUED}});
}

static inline void say_lost(int router, const char *epoch, uint64_t offset)
{
    say_about_room(router, (struct router_frame){.kind = FRAME_SUBSCRIBED,
                                                 .subscribed = {epoch, offset, OUTCOME_LOST}});
}

static inline void say_moved(int router, int to)
{
    say_about_room(router, (struct router_frame){.kind = FRAME_MOVED, .moved = {node_of(to)}});
}

static inline void say_acked(int router, uint64_t acked, const char *epoch, uint64_t offset)
{
    say_about_room(router,
                   (struct router_frame){.kind = FRAME_ACK, .ack = {acked, epoch, offset, false}});
}

static inline void say_refused(int router, uint64_t refused, enum router_reason reason, int to)
{
    say_about_room(router, (struct router_frame){.kind = FRAME_REFUSED,
                                                 .refused = {refused, reason, node_of(to), 0}});
}

/* Delivers somebody's message, or, with a sequence, the client's own. */
static inline void deliver_as(int router, uint64_t offset, uint64_t own_sequence, const char *text)
{
    struct message *message = message_create(MESSAGE_TEXT, "room", 4, text, strlen(text));

    message->publisher = own_sequence ? GATEWAY : 1;
    message->sequence = own_sequence ? own_sequence : offset;
    message->offset = offset;
    say(router, &(struct router_frame){.kind = FRAME_DELIVER,
                                       .channel = message->channel,
                                       .channel_size = message->channel_size,
                                       .deliver = {.message = message}});
    message_unref(message);
}

static inline void deliver(int router, uint64_t offset, const char *text)
{
    deliver_as(router, offset, 0, text);
}

/* All that were published before have their answer, and were delivered here where that is due. */
static inline bool is_settled(void)
{
    return router_client_oldest(&client) == UINT64_MAX;
}

/* Subscribed at FIRST, which is at A/0. */
static inline void subscribe_at_first(void)
{
    subscribe();
    say_subscribed(FIRST, "A", 0);
    assert_heard(FIRST, "subscribe");
    assert_told("subscribed");
}

/* Set up and teardown. */

static inline int open_client(void **state)
{
    (void)state;
    now_ms = 1000000;
    memset(routers, 0, sizeof(routers));
    for (int router = 0; router < ROUTERS; router++)
        routers[router].room = SIZE_MAX;
    memset(&stats, 0, sizeof(stats));
    told = (struct buffer){0};
    sequence = queued_bytes = queued_count = wanted_count = 0;
    client = (struct router_client){
        .output = &output,
        .events = &events,
        .stats = &stats,
        .node = GATEWAY,
        .sequence = &sequence,
        .queued_bytes = &queued_bytes,
        .queued_count = &queued_count,
        .wanted_count = &wanted_count,
    };
    router_client_init(&client, now_ms);
    return 0;
}

/* All routers that are named are linked, and each names those. */
static inline int open_with(int count)
{
    open_client(NULL);
    for (int router = 0; router < count; router++)
        come_up(router);
    for (int router = 0; router < count; router++)
        name_members(router, (1u << count) - 1, false);
    pass(2000); /* everything is settled */
    told.size = 0;
    return 0;
}

static inline int open_with_one(void **state)
{
    (void)state;
    return open_with(1);
}

static inline int open_with_three(void **state)
{
    (void)state;
    return open_with(3);
}

static inline int close_client(void **state)
{
    (void)state;
    for (int router = 0; router < ROUTERS; router++) {
        if (routers[router].is_up)
            go_down(router);
        buffer_deinit(&routers[router].heard);
    }
    router_client_deinit(&client);
    buffer_deinit(&told);
    assert_int_equal(queued_bytes, 0);
    assert_int_equal(queued_count, 0);
    return 0;
}

#define CLIENT_TEST(test, open) cmocka_unit_test_setup_teardown(test, open, close_client)

#endif
