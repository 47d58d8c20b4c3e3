/*
 * The plain protocol (shared/design.md §4.1): one channel, and every message is broadcast on it as
 * it is, same opcode, to everybody, the sender included.
 */
#ifndef GATEWAY_PLAIN_H
#define GATEWAY_PLAIN_H

#include "common/http_request.h"
#include "gateway/session.h"

/* True if the path is one of this protocol's. */
bool plain_serves(const char *path);

/* The channel that a handshake asks for. 0, or an HTTP status with `*message` for the client: it is
 * no name (400), or not for everybody (403). */
int plain_channel(const struct http_request *request, const struct settings *settings,
                  char channel[MESSAGE_CHANNEL_LIMIT + 1], size_t *size, const char **message);

/* Starts a session on a channel; `opened` follows, maybe before this returns. */
void plain_open(struct session *session, struct session_host *host, const char *channel,
                size_t channel_size, enum deflate_window window);

/* For the sink of all channels (wires.h). */
struct block *plain_encode(struct wires *wires, enum deflate_window window, struct block *block,
                           const struct message *message);
void plain_opened(struct subscription *subscription, int error);

/* Messages of the channel were lost: its client has to come again (1012). */
void plain_lost(struct subscription *subscription);

#endif
