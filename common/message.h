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
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/channel_name.h"

#define MESSAGE_CHANNEL_LIMIT CHANNEL_NAME_LIMIT
#define MESSAGE_EPOCH_LIMIT   16                  /* bytes of an epoch */
#define MESSAGE_OFFSET_LIMIT  (UINT64_C(1) << 62) /* all are below: sums of them do not overflow */

enum message_kind {
    MESSAGE_TEXT = 0, /* as in proto/bus.proto */
    MESSAGE_BINARY = 1,
};

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
};

/* A message with copies of `channel` (1 to MESSAGE_CHANNEL_LIMIT bytes) and `data`, one reference.
 */
struct message *message_create(enum message_kind kind, const char *channel, size_t channel_size,
                               const void *data, size_t data_size);

struct message *message_ref(struct message *message);

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
