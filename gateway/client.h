/*
 * The channel protocol (shared/design.md §4.2) as a session: a client that connects, says who it
 * is, and subscribes to channels, of which each is caught up, listed, and given back. What frames
 * look like is in client_protocol.h.
 *
 * A client's memory is its own and outlives its session while an answer of the bus is on its way.
 * Belongs to the worker's loop.
 */
#ifndef GATEWAY_CLIENT_H
#define GATEWAY_CLIENT_H

#include "gateway/session.h"
#include "gateway/wires.h"

/* True if the path is this protocol's WebSocket. */
bool client_serves(const char *path);

/* What has to do without a WebSocket has a stream of HTTP from us, and posts what it says. */
bool transport_is_stream(enum transport transport);

/* The subprotocol that a client which wants protobuf asks for. */
#define CLIENT_SUBPROTOCOL "centrifuge-protobuf"

/* Starts a session that has still to connect; `opened` comes before this returns. It copies the
 * headers of its handshake that the application's backend is to be sent (backend.h), if any. */
void client_open(struct session *session, struct session_host *host, enum transport transport,
                 const struct buffer *headers);

/* For the sink of all channels (wires.h). */
void client_opened(struct subscription *subscription, int error);

/* Messages of the channel were lost: unsubscribed with 2500, after which SDKs subscribe again. */
void client_lost(struct subscription *subscription);

/* An act on clients (a Control of proto/control.proto), of whatever gateway: does it to those of
 * this worker that it is for. */
void client_control(struct session_host *host, const struct message *act);

/* What a client posted beside its stream; a session that is not there has ended. */
void client_emulate(struct session_host *host, struct text session, const void *data, size_t size);

/* The end of a tick, before its messages go out: sends the replies that wait for it. */
void client_send_replies(struct session_host *host);

/* There is room on the way to the hub again: streams do what they were sent meanwhile. */
void client_streams_go_on(struct session_host *host);

/* Asks the bus what the recents of a worker want to know; `context` is the session_host. */
void client_ask_recent(void *context, const struct recent_question *question);

#endif
