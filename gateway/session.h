/*
 * A session is what a WebSocket means: which channels it listens to and what its messages do. This
 * is the plain protocol (shared/design.md §4.1): one channel, and every message is broadcast on it
 * as it is, same opcode, to everybody, the sender included.
 *
 * A session is embedded in its connection and lives on the connection's loop. It reads no frames
 * and knows no sockets: frames of others go out through `session_events.send`.
 *
 * Publishes travel to the hub and come back with their result, so a session may have some under way
 * when its connection ends: `pending` says how many, and the memory must stay until `settled`.
 */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include <stdint.h>

#include "common/http_request.h"
#include "gateway/channels.h"
#include "gateway/flow.h"
#include "gateway/settings.h"
#include "gateway/websocket.h"

struct session;

struct session_events {
    /* The session may begin (0) or cannot (UV_EMFILE: too many channels). */
    void (*opened)(struct session *session, int error);
    /* Frames to send, holding `messages` messages. */
    void (*send)(struct session *session, struct block *frames, size_t messages);
    /* The session wants its connection closed. */
    void (*close)(struct session *session, uint16_t code, const char *reason);
    /* The last publish under way has come back. */
    void (*settled)(struct session *session);
};

/* What the sessions of a worker share. */
struct session_host {
    struct channels channels;
    const struct session_events *events;
    struct settings *settings; /* the present ones; the worker replaces them */
    struct worker_stats *stats;
    struct loop *loop;
    struct flow publishes; /* to the hub; it takes them */
};

struct session {
    struct session_host *host;
    struct subscription subscription;
    uint32_t pending;         /* publishes under way */
    uint32_t allowance;       /* thousandths of messages that may be sent now */
    uint32_t allowance_since; /* loop time of `allowance`, ms, wrapping */
    bool is_held;             /* nothing is read for it until the hub has caught up */
};

/* The channel that a handshake asks for. 0, or an HTTP status with `*message` for the client. */
int session_channel(const struct http_request *request, const struct settings *settings,
                    char channel[MESSAGE_CHANNEL_LIMIT + 1], size_t *size, const char **message);

/* True if the path is one of this protocol's. */
bool session_serves(const char *path);

/* Starts a session on a channel; `opened` follows, maybe before this returns. */
void session_open(struct session *session, struct session_host *host, const char *channel,
                  size_t channel_size);

/* False while so much is on its way to the hub that nothing more should be read for any session;
 * its worker will be told (COMMAND_GO_ON) when that has changed. */
bool session_may_publish(const struct session *session);

/* A text or binary message of the client. */
void session_message(struct session *session, enum websocket_opcode opcode, const void *data,
                     size_t size);

/* Charges one message or control frame to the client's rate. Returns false, having asked for the
 * connection to be closed, if it sends too many. */
bool session_charge(struct session *session);

/* A publish came back from the hub. Frees the command. */
void session_published(struct publish_command *command);

/* Leaves the channel. Harmless if the session was never opened. */
void session_close(struct session *session);

/* Fills in what the channels of a worker need to know of sessions. */
extern const struct channel_sink session_sink;

#endif
