/*
 * Messages as bytes on the bus: the protobuf `Envelope` of proto/bus.proto. Pure: no I/O.
 */
#ifndef COMMON_ENVELOPE_H
#define COMMON_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/message.h"

/* Everything in an envelope but its data, at most: fields that we do not know included. */
#define ENVELOPE_EXTRA_LIMIT (MESSAGE_ORIGIN_LIMIT + 2048)

/* Bytes of the message's envelope, which has epoch and offset only where they are set. */
size_t envelope_size(const struct message *message);

/* Writes so many bytes; returns where they end. */
unsigned char *envelope_write(unsigned char *at, const struct message *message);

/* Appends the envelope to `output`. */
void envelope_append(struct buffer *output, const struct message *message);

/*
 * Reads an envelope. Returns 0 and a new message, or UV_EPROTO where the bytes are no envelope, the
 * channel, epoch, key or origin breaks its limits, the kind is unknown, a message of an ephemeral
 * kind bears a place, or the data is more than `data_limit` bytes.
 */
int envelope_read(const void *bytes, size_t size, size_t data_limit, struct message **message);

/* Of a message that is too large: what its publisher can be answered with. */
struct envelope_large {
    const char *channel; /* in the bytes that were read */
    size_t channel_size;
    uint64_t sequence;
};

/*
 * Reads an envelope whose data is more than `data_limit` bytes, of which only the beginning, up to
 * the data's length, need be there. False where it is another, or its data stands before what is
 * wanted, as in none that we write.
 */
bool envelope_read_large(const void *bytes, size_t size, size_t data_limit,
                         struct envelope_large *large);

#endif
