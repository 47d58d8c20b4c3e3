/*
 * What a worker knows of the newest messages of a channel: where the channel stands, and the last
 * messages without a hole, kept current by the live ones. It is what subscribers are caught up
 * from, so that ten thousand who come back at once cost the bus one question and not ten thousand.
 *
 * It begins when somebody first asks for it. Messages that arrive from then on are kept; the bus is
 * asked where the channel stands, and what older subscribers lack; its answer and what arrived
 * meanwhile are put together. What is asked in one tick is one question, for whoever lacks most;
 * who comes while it is under way waits for the next one where that answer does not reach.
 *
 * A `struct recents` belongs to one worker's loop and bounds the memory of all.
 */
#ifndef GATEWAY_RECENT_H
#define GATEWAY_RECENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/history.h"
#include "common/list.h"
#include "common/loop.h"
#include "common/message.h"

#define RECENT_MESSAGES 1024 /* of a channel */

struct recent;

/* What a subscriber missed. */
struct missed {
    int error;         /* the bus had no answer: a libuv error; the rest is empty then */
    const char *epoch; /* where the channel stands; empty: nothing was ever published */
    uint64_t offset;
    bool is_recovered;               /* `messages` are exactly those that it missed */
    struct message *const *messages; /* oldest first */
    size_t message_count;
};

/* One that waits to be told; embedded in the subscriber. */
struct catch_up {
    struct list link;
    bool has_position; /* it has seen the message at (epoch, offset) and wants what follows */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    bool is_asked;    /* the question under way is for it, too */
    unsigned answers; /* that did not reach far enough */
    /* Comes once, maybe from inside recent_catch_up. What it is handed is good during the call. */
    void (*done)(struct catch_up *catch_up, const struct missed *missed);
};

/* What is to be asked of the bus: messages that follow (epoch, offset), or where the channel stands
 * (`limit` 0). */
struct recent_question {
    const char *channel;
    size_t channel_size;
    uint64_t generation; /* to be handed to recent_answer again */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    uint64_t limit;
};

struct recents {
    struct histories family;
    struct list asking; /* of those that have something to ask at the end of the tick */
    uint64_t generation;
    uint64_t reach; /* messages that one is caught up with, at most */
    uint64_t now_ms;
    void (*ask)(void *context, const struct recent_question *question);
    void *context;
    struct message **scratch;
    size_t scratch_capacity;
};

/* `memory_limit`: bytes of messages of all channels. */
void recents_init(struct recents *recents, uint64_t memory_limit, uint64_t reach,
                  void (*ask)(void *context, const struct recent_question *question),
                  void *context);
void recents_deinit(struct recents *recents);

/* Asks what was not asked yet. At the end of each tick. */
void recents_end_tick(struct recents *recents);

struct recent *recent_create(struct recents *recents, const char *channel, size_t channel_size);

/* Nobody waits any more. NULL is allowed. */
void recent_destroy(struct recent *recent);

/* A live message, in the bus's order. False where it does not follow on the one before: the rest is
 * lost, which the caller then says with recent_lost. */
bool recent_add(struct recent *recent, struct message *message);

/* Messages of the channel were lost: where it stands has to be asked again. */
void recent_lost(struct recent *recent);

/* Where the channel stands, as far as is known: else false. */
bool recent_position(const struct recent *recent, const char **epoch, uint64_t *offset);

/* Calls `done` when it is known what was missed; the channel is open. */
void recent_catch_up(struct recent *recent, struct catch_up *catch_up);

/* True until `done`. */
bool recent_is_waiting(const struct catch_up *catch_up);

/* It does not want to know any more. Harmless if it waits for nothing. */
void recent_forget(struct catch_up *catch_up);

/* The bus's answer to a question of that generation. `epoch` and `offset` are where the channel
 * stands; the messages follow the position that was asked for, unless `is_lost`. */
struct recent_page {
    int error;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset;
    const char *previous; /* the epoch before this one, whose order goes on here from offset */
    uint64_t fork;        /* `fork`; empty: none is known */
    bool is_lost;
    struct message *const *messages;
    size_t message_count;
};

void recent_answer(struct recent *recent, uint64_t generation, const struct recent_page *page);

#endif
