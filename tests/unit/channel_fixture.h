/*
 * Listeners for the tests of channels: each writes down what it is handed, and leaves when told to.
 * Included by one test program at a time, after cmocka.
 */
#ifndef TESTS_UNIT_CHANNEL_FIXTURE_H
#define TESTS_UNIT_CHANNEL_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "common/memory.h"
#include "gateway/channel.h"

/* Somebody who listens; what was delivered to it, each block ending in a '|'. */
struct listener {
    struct subscription subscription;
    char heard[64];
    size_t messages;
    struct block *last; /* kept only where `keeps` */
    bool keeps;
    bool leaves; /* at its next delivery */
    int opened;  /* 1: told that it may begin; negative: the error */
};

static struct listener listeners[8];

/* How a listener leaves: as the program's subject has it. */
static void leave(struct listener *listener);

static struct listener *of_subscription(struct subscription *subscription)
{
    return container_of(subscription, struct listener, subscription);
}

/* The wires of these tests: WIRE_FIRST is for the first message alone, WIRE_AFTER for those that
 * follow, shown with the one before; WIRE_JOINS takes joins, too. */
enum { WIRE_SIMPLE = 1, WIRE_FIRST, WIRE_AFTER, WIRE_JOINS };

static struct wire_traits traits(uint8_t wire)
{
    return (struct wire_traits){
        .takes_joins = wire == WIRE_JOINS,
        .needs_base = wire == WIRE_FIRST || wire == WIRE_AFTER,
        .next = wire == WIRE_FIRST ? WIRE_AFTER : wire,
    };
}

static struct block *encode(void *context, uint8_t wire, struct block *block,
                            const struct message *message, const struct message *base)
{
    assert_null(context);
    assert_int_not_equal(wire, WIRE_NONE);
    assert_true(base == NULL || traits(wire).needs_base);
    if (wire == WIRE_AFTER) {
        assert_non_null(base);
        block = block_reserve(block, base->data_size + 1);
        block_append(block, base->data, base->data_size);
        block_append(block, ">", 1);
    }
    block = block_reserve(block, message->data_size);
    block_append(block, message->data, message->data_size);
    return block;
}

static void take(struct listener *listener, struct block *frames, size_t messages)
{
    size_t used = strlen(listener->heard);
    size_t shown = frames->size < 16 ? frames->size : 16;

    snprintf(listener->heard + used, sizeof(listener->heard) - used, "%.*s|", (int)shown,
             (const char *)frames->data);
    listener->messages += messages;
    if (listener->keeps) {
        block_unref(listener->last);
        listener->last = block_ref(frames);
    }
    if (listener->leaves)
        leave(listener);
}

static void deliver(void *context, void *const *receivers, size_t count, struct block *frames,
                    size_t messages)
{
    assert_null(context);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        take(receivers[i], frames, messages);
}

static void opened(struct subscription *subscription, int error)
{
    struct listener *listener = of_subscription(subscription);

    listener->opened = error ? error : 1;
    if (error || listener->leaves)
        leave(listener);
}

static const struct channel_sink sink = {NULL, traits, encode, deliver, opened};

static struct message *make_message(const char *channel, const char *text)
{
    return message_create(MESSAGE_TEXT, channel, strlen(channel), text, strlen(text));
}

#endif
