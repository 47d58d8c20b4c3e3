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

static struct block *encode(enum wire wire, struct block *block, const struct message *message)
{
    assert_int_equal(wire, WIRE_PLAIN);
    block = block_reserve(block, message->data_size);
    block_append(block, message->data, message->data_size);
    return block;
}

static void deliver(struct subscription *subscription, struct block *frames, size_t messages)
{
    struct listener *listener = of_subscription(subscription);
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

static void opened(struct subscription *subscription, int error)
{
    struct listener *listener = of_subscription(subscription);

    listener->opened = error ? error : 1;
    if (error || listener->leaves)
        leave(listener);
}

static const struct channel_sink sink = {encode, deliver, opened};

static struct message *make_message(const char *channel, const char *text)
{
    return message_create(MESSAGE_TEXT, channel, strlen(channel), text, strlen(text));
}

#endif
