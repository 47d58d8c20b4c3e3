/* Messages of the bus as the channel protocol shows them. */
#ifndef GATEWAY_CLIENT_MESSAGE_H
#define GATEWAY_CLIENT_MESSAGE_H

#include "common/arena.h"
#include "common/message.h"
#include "gateway/client_protocol.h"

struct bus_answer;

/* What was said of a message beside its data, out of `message->origin`. */
struct client_origin {
    bool has_info;
    struct client_info info;
    const struct client_tag *tags;
    size_t tag_count;
};

/* Bytes that are no origin count as none. What it points at is the message's or the arena's. */
void client_origin_read(struct client_origin *origin, struct text bytes, struct arena *arena);

/* Appends an `Origin` of proto/bus.proto. */
void client_origin_write(struct buffer *out, const struct client_info *info,
                         const struct client_tag *tags, size_t tag_count);

/* The publication that a message is. It points at the message, at `origin`, which is filled in, and
 * at the arena. */
struct client_publication client_publication_of(const struct message *message,
                                                struct client_origin *origin, struct arena *arena);

/* The publications that messages are, in memory of the arena. `in_deltas`: for a subscriber that
 * was promised differences, and is given whole ones here. */
const struct client_publication *client_publications_of(struct message *const *messages,
                                                        size_t count, bool in_deltas,
                                                        struct arena *arena);

/* How many users the clients of a presence are. */
uint32_t client_count_users(const struct bus_answer *answer);

/*
 * Appends the push for a message of a channel: a publication, a join or a leave. `base` is the
 * publication before it, for subscribers who are to get the difference, or NULL. `in_deltas` is
 * true for those who have asked for differences, whole as this one may be.
 */
void client_push_message_of_channel(struct buffer *out, enum client_format format,
                                    const struct message *message, const struct message *base,
                                    bool in_deltas);

#endif
