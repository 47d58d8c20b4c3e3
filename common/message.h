/*
 * A message as it travels through a process: what one client said on one channel, with the place
 * that the bus gave it. One allocation holds it all, channel name and data included.
 *
 * The bus writes `epoch` and `offset` while it holds the only reference; after that a message does
 * not change. References may be taken and dropped on any thread.
 */
#ifndef COMMON_MESSAGE_H
#define COMMON_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/channel_name.h"
#include "common/text.h"

#define MESSAGE_CHANNEL_LIMIT CHANNEL_NAME_LIMIT
#define MESSAGE_EPOCH_LIMIT   16                  /* bytes of an epoch */
#define MESSAGE_OFFSET_LIMIT  (UINT64_C(1) << 62) /* all are below: sums of them do not overflow */

#define MESSAGE_KEY_LIMIT    255                 /* bytes of an idempotency key */
#define MESSAGE_ORIGIN_LIMIT ((size_t)64 * 1024) /* bytes of an origin */

/* As in proto/bus.proto. */
enum message_kind {
    MESSAGE_TEXT = 0,
    MESSAGE_BINARY = 1,
    MESSAGE_JSON = 2,         /* one JSON value */
    MESSAGE_JOIN = 3,         /* ephemeral, as what follows; its origin is who came */
    MESSAGE_LEAVE = 4,        /* or went */
    MESSAGE_CONTROL = 5,      /* from gateway to gateway */
    MESSAGE_PASSING_JSON = 6, /* a publication that no history keeps */
    MESSAGE_PASSING_BINARY = 7,
};

/* What the bus carries without keeping it or giving it a place. */
static inline bool message_is_ephemeral(enum message_kind kind)
{
    return kind >= MESSAGE_JOIN;
}

/* What a client published, or the application: not who came and went, nor a gateway's word. */
static inline bool message_is_publication(enum message_kind kind)
{
    return kind < MESSAGE_JOIN || kind >= MESSAGE_PASSING_JSON;
}

/* The kind of a publication of this one that is not to be kept. */
static inline enum message_kind message_passing_kind(enum message_kind kind)
{
    return kind == MESSAGE_BINARY ? MESSAGE_PASSING_BINARY : MESSAGE_PASSING_JSON;
}

struct message {
    atomic_uint references;
    enum message_kind kind;
    uint64_t offset;    /* 0 until the bus assigned it */
    int64_t time_ms;    /* wall clock of the publishing gateway */
    uint64_t publisher; /* the publishing gateway's id */
    uint64_t sequence;  /* its count of messages */
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    const char *channel; /* zero-terminated, inside this allocation */
    size_t channel_size;
    const unsigned char *data; /* inside this allocation */
    size_t data_size;
    struct text key;    /* the publisher's own, inside this allocation; may be empty */
    struct text origin; /* an `Origin` of proto/bus.proto, inside this allocation; may be empty */
};

struct message_draft {
    enum message_kind kind;
    struct text channel; /* 1 to MESSAGE_CHANNEL_LIMIT bytes */
    struct text data;
    struct text key;    /* at most MESSAGE_KEY_LIMIT bytes */
    struct text origin; /* at most MESSAGE_ORIGIN_LIMIT bytes */
};

/* A message with copies of all that, one reference. */
struct message *message_write(const struct message_draft *draft);

/* The same of a message with neither key nor origin. */
struct message *message_create(enum message_kind kind, const char *channel, size_t channel_size,
                               const void *data, size_t data_size);

struct message *message_ref(struct message *message);

/* Bytes of it that its publisher chose the number of, but for the channel's name. */
static inline size_t message_content_size(const struct message *message)
{
    return message->data_size + message->key.size + message->origin.size;
}

/* Copies an epoch of at most MESSAGE_EPOCH_LIMIT bytes; more are cut off. */
static inline void epoch_copy(char to[MESSAGE_EPOCH_LIMIT + 1], const char *from)
{
    size_t size = strnlen(from, MESSAGE_EPOCH_LIMIT);

    memcpy(to, from, size);
    to[size] = '\0';
}

/* NULL is allowed. */
void message_unref(struct message *message);

#endif
