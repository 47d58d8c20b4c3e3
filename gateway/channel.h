/*
 * A channel as one worker sees it: its own subscribers, and the tick buffer in which the messages
 * of one loop iteration gather as ready-made frames. `channel_flush` hands every subscriber the
 * whole tick in one write; N messages in a tick cost a subscriber one system call, not N.
 *
 * A channel knows no sockets and no encodings: frames come from the encoder of a wire format, and
 * go out through `channel_sink.deliver`, both given at creation. It belongs to one worker's loop
 * and lives while it has subscribers.
 */
#ifndef GATEWAY_CHANNEL_H
#define GATEWAY_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/block.h"
#include "common/list.h"
#include "common/map.h"
#include "common/message.h"

/* A tick that outgrows this is handed out at once; so it holds at most this and one message. */
#define CHANNEL_TICK_BYTES ((size_t)128 * 1024)

/* A *wire* is an encoding in which subscribers want their messages: a number that the sink gives a
 * meaning to, but for this one. There is one tick buffer for each in use. */
#define WIRE_NONE ((uint8_t)0) /* keeps the channel, and is sent nothing */

/* Embedded in whatever listens to a channel. */
struct subscription {
    struct channel *channel; /* NULL while not subscribed */
    uint32_t index;          /* its place among the channel's subscribers of this wire */
    uint8_t wire;
};

struct wire_traits {
    bool takes_joins; /* is sent who joins and leaves */
    bool needs_base;  /* messages are encoded on the ground of the one before */
    uint8_t next;     /* of its subscribers, once they have been sent a message; often the same */
};

struct channel_sink {
    void *context; /* for encode and deliver */
    struct wire_traits (*traits)(uint8_t wire);
    /* Appends the message as frames of the wire to a block (which may move) and returns it. `base`
     * is the message before it, where the wire's traits say that it is needed; else NULL. */
    struct block *(*encode)(void *context, uint8_t wire, struct block *block,
                            const struct message *message, const struct message *base);
    /* Sends a block of frames to each of these receivers. One that is being served may unsubscribe
     * itself, and no other. */
    void (*deliver)(void *context, void *const *receivers, size_t count, struct block *frames,
                    size_t messages);
    /* The channel took effect on the bus, or was refused (`error`): subscribers may begin. */
    void (*opened)(struct subscription *subscription, int error);
};

enum channel_state {
    CHANNEL_OPENING, /* subscribed on the bus, not yet in effect: messages are not for us yet */
    CHANNEL_OPEN,
};

struct channel;
struct recent;

/* A channel without subscribers, CHANNEL_OPENING. `dirty` is the list that it joins while its tick
 * buffer holds something; `sink` must outlive it. */
struct channel *channel_create(const char *name, size_t name_size, const struct channel_sink *sink,
                               struct list *dirty);

/* Frees a channel that has no subscribers. */
void channel_destroy(struct channel *channel);

/* The bus answered: 0 opens the channel, an error refuses it; tells each subscriber. */
void channel_settle(struct channel *channel, int error);

/* Adds a subscriber; flushes first, so that nobody is sent what came before it. `receiver` is whom
 * its messages are delivered to: not the subscription, whose memory a delivery then leaves alone.
 */
void channel_join(struct channel *channel, struct subscription *subscription, void *receiver,
                  uint8_t wire);

/* Gives a subscriber another wire, from the next message on. */
void channel_change_wire(struct subscription *subscription, uint8_t wire);

/* Removes a subscriber. O(1). The caller destroys a channel that is empty then. */
void channel_leave(struct subscription *subscription);

/* Appends a message to the tick buffers in use. Ignored while the channel is not open. */
void channel_append(struct channel *channel, struct message *message);

/* Hands every subscriber the tick and empties it. */
void channel_flush(struct channel *channel);

/* Flushes every channel of a dirty list. */
void channel_flush_all(struct list *dirty);

/*
 * For who lets a busy channel gather more than a tick (loop times, wrapping): moves a dirty channel
 * to `waiting`, unless it has been quiet for `wait_ms`, and is to be flushed then. Those that wait
 * are in the order of their due times.
 */
void channel_await(struct channel *channel, struct list *waiting, uint32_t now_ms,
                   uint32_t wait_ms);

/* How long a channel that waits still has; 0: it is due. */
uint32_t channel_wait_ms(const struct channel *channel, uint32_t now_ms);

/* The first channel of a list that dirty channels are in; NULL where it is empty. */
struct channel *channel_first(const struct list *dirty);

/* Calls `visit` for each subscriber, also those that are sent nothing; it may unsubscribe that one,
 * and no other. */
void channel_each(struct channel *channel,
                  void (*visit)(struct subscription *subscription, void *context), void *context);

bool channel_is_empty(const struct channel *channel);
size_t channel_subscriber_count(const struct channel *channel);
enum channel_state channel_state(const struct channel *channel);

/* What the worker knows of the channel's newest messages; owned by whoever sets it (recent.h), and
 * NULL until then. */
struct recent *channel_recent(const struct channel *channel);
void channel_set_recent(struct channel *channel, struct recent *recent);
const char *channel_name(const struct channel *channel, size_t *size);

/* The places of a channel in its worker's map and list of idle channels, and back. */
struct map_entry *channel_entry(struct channel *channel);
struct channel *channel_of_entry(struct map_entry *entry);
struct list *channel_idle_link(struct channel *channel);
struct channel *channel_of_idle_link(struct list *link);

#endif
