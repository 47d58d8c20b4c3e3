/*
 * The recent messages of a channel, as references, so that whoever missed some can be given them:
 * a ring ordered by offset without holes, which ends at the channel's newest message. Every history
 * belongs to a family, `struct histories`, whose limits it shares:
 *
 * - `message_limit` messages of each channel;
 * - `ttl_ms` since a channel's last message, after which all of its messages go at once;
 * - `memory_limit` bytes of all channels together; the oldest message of them all goes first.
 *
 * The first two may be others for a single channel: whoever appends says which (history_append_as).
 * How many different times to live there are is for the owner to keep small: an append looks
 * through them.
 *
 * Nothing here knows a loop or a clock: `now_ms` is the caller's, monotonic, never going back
 * within a family. Not thread-safe: a family belongs to one loop.
 */
#ifndef COMMON_HISTORY_H
#define COMMON_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/list.h"
#include "common/message.h"

struct history;

/* What an append may say of its own. */
struct history_terms {
    uint64_t message_limit; /* 0: nothing is kept */
    uint64_t ttl_ms;
};

struct history_limits {
    uint64_t message_limit; /* 0: nothing is kept */
    uint64_t ttl_ms;
    uint64_t memory_limit; /* bytes of messages, rings, and what owners keep for them */
};

struct histories {
    struct history_limits limits;
    /* A history has no message left or, on an append, could keep none. It may be freed from here;
     * no other may be changed. */
    void (*emptied)(struct history *history);
    struct list ages;     /* of the histories that hold something, one for each time to live */
    struct list messages; /* of all of them, oldest first */
    struct list cleared;  /* histories that are held without a message */
    uint64_t memory;      /* bytes in use */
    uint64_t evicted;     /* messages that went for want of memory, ever */
};

struct history {
    struct histories *family;
    struct list link; /* in the members of `age` */
    struct list cleared_link;
    struct history_age *age;    /* NULL while empty */
    struct history_entry *ring; /* NULL while empty */
    size_t capacity;            /* 0 or a power of two */
    size_t first;
    size_t count;
    uint64_t top; /* offset of the newest message that ever was; 0: there was none */
    uint64_t last_ms;
    size_t owner_bytes;
};

void histories_init(struct histories *histories, const struct history_limits *limits,
                    void (*emptied)(struct history *history));

/* Empties every history that has been silent for the ttl. */
void histories_expire(struct histories *histories, uint64_t now_ms);

/* When histories_expire will next find something; UINT64_MAX if all are empty. */
uint64_t histories_due_ms(const struct histories *histories);

/* An empty history. `owner_bytes`: what its owner keeps only as long as there are messages; it
 * counts as memory for that long. */
void history_init(struct history *history, struct histories *family, size_t owner_bytes);

/* Drops all messages without a word. */
void history_deinit(struct history *history);

/*
 * Appends a reference to `message`, whose offset is the one after `top`; an empty history may go on
 * at any later one. Messages over a limit go; where the family's memory cannot hold even this one,
 * it goes, too. Calls `emptied` for each history that has none left then, this one included.
 */
void history_append(struct history *history, struct message *message, uint64_t now_ms);

/* The same under terms of the channel's own, which count for what is in the history already, too:
 * a message that is not kept ends what was kept before it, because nothing may have a hole in it.
 */
void history_append_as(struct history *history, struct message *message,
                       const struct history_terms *terms, uint64_t now_ms);

/* Drops the messages up to an offset, as history_clear does if these are all. */
void history_trim(struct history *history, uint64_t offset);

/* Drops all messages; `top` stays, and as long as the messages would have lived the history is
 * held (history_is_held) without them, unless memory is short. */
void history_clear(struct history *history);

/* False once `emptied` was told, or before anything was appended. */
bool history_is_held(const struct history *history);

/* Reading. */

enum history_order {
    HISTORY_FORWARD, /* what follows an offset, oldest first */
    HISTORY_REVERSE, /* what precedes an offset, newest first */
};

enum history_answer {
    HISTORY_FOUND, /* the message next to the offset is the first, or there never was one */
    HISTORY_GONE, /* that message is not kept any more; forward, the oldest one kept is the first */
    HISTORY_AHEAD, /* the offset is beyond `top`: it is none of this history's */
};

/* A reading under way; its fields are history_next's own. */
struct history_reader {
    const struct history *history;
    enum history_order order;
    uint64_t offset; /* of the next message */
    uint64_t left;
};

/*
 * Starts to read at most `limit` messages that follow (or, in reverse, precede) the message at
 * `offset`, which need not be there itself. From the oldest message on: offset 0. In reverse from
 * the newest on: offset `top` + 1. The reader is good until the history changes.
 */
enum history_answer history_read(const struct history *history, struct history_reader *reader,
                                 uint64_t offset, enum history_order order, uint64_t limit);

/* The next message, the history's reference, or NULL at the end. */
struct message *history_next(struct history_reader *reader);

#endif
