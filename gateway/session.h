/*
 * A session is what a WebSocket means: what its messages do, and which channels it listens to. What
 * all have in common is here; what they mean is their protocol's: the plain one (plain.h) or the
 * channel protocol (client.h).
 *
 * A session is embedded in its connection and lives on the connection's loop. It reads no frames
 * and knows no sockets: what is to be sent goes out through `session_events`.
 *
 * Publishes travel to the hub and come back with their result, so a session may have some under way
 * when its connection ends: `pending` says how many, and the memory must stay until `settled`.
 */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include <stdint.h>

#include "gateway/channels.h"
#include "gateway/clients.h"
#include "gateway/flow.h"
#include "gateway/namespaces.h"
#include "gateway/pace.h"
#include "gateway/recent.h"
#include "gateway/settings.h"
#include "gateway/websocket.h"
#include "gateway/wires.h"

struct client;
struct session;
struct session_host;
struct status;

struct session_events {
    /* The session may begin (0) or cannot (UV_EMFILE: too many channels). */
    void (*opened)(struct session *session, int error);
    /* Frames to send to each of these sessions of the host, holding `messages` messages. */
    void (*send)(struct session_host *host, struct session *const *sessions, size_t count,
                 struct block *frames, size_t messages);
    /* The session wants its connection closed. */
    void (*close)(struct session *session, uint16_t code, const char *reason);
    /* The last publish under way has come back. */
    void (*settled)(struct session *session);
};

/* What the sessions of a worker share. */
struct session_host {
    struct channels channels;
    struct wires wires;
    struct inflater inflater;
    struct recents recents;
    struct clients clients;
    const struct session_events *events;
    const struct status *status;
    struct settings *settings; /* the present ones; the worker replaces them */
    struct worker_stats *stats;
    struct loop *loop;
    struct flow publishes; /* to the hub; it takes them */
    uint64_t node;         /* this gateway, among all (control.h) */
};

struct session_protocol {
    /* A text or binary message of the client. */
    void (*message)(struct session *session, enum websocket_opcode opcode, const void *data,
                    size_t size);
    /* A publish came back, with its result; the command is freed afterwards. */
    void (*published)(struct session *session, const struct publish_command *command);
    /* Leaves all channels; nothing is sent any more. */
    void (*close)(struct session *session);
    /* We are about to close the connection: sends what is kept to be sent together. May end the
     * session. NULL: nothing ever is. */
    void (*flush)(struct session *session);
    /* The connection was silent: asks the client in words of the protocol. NULL: a ping frame is
     * what it takes. */
    void (*ping)(struct session *session);
    /* The close code for a client that does not answer; 0: its connection ends without one. */
    uint16_t silence_code;
    /* What is sent at the end of a stream, where a WebSocket has its close frame; NULL for a
     * protocol without streams. */
    void (*say_farewell)(struct session *session, uint16_t code, const char *reason,
                         struct buffer *output);
    /* What the protocol calls a close code of ours, and the reason to give with it. NULL: that. */
    uint16_t (*close_code)(uint16_t code, const char **reason);
};

struct session {
    struct session_host *host;
    const struct session_protocol *protocol; /* NULL: never opened */
    union {
        struct subscription subscription; /* of the plain protocol */
        struct client *client;            /* of the channel protocol */
    };
    uint32_t pending; /* publishes under way */
    struct pace pace; /* of its messages */
    bool is_held;     /* nothing is read for it until the hub has caught up */
};

/* For the protocols: prepares a session. */
void session_init(struct session *session, struct session_host *host,
                  const struct session_protocol *protocol);

/* False while so much is on its way to the hub that nothing more should be read for any session;
 * its worker will be told (COMMAND_GO_ON) when that has changed. */
bool session_may_publish(const struct session *session);

/* A text or binary message of the client. */
void session_message(struct session *session, enum websocket_opcode opcode, const void *data,
                     size_t size);

/* Charges one message or control frame to the client's rate. Returns false, having asked for the
 * connection to be closed, if it sends too many. */
bool session_charge(struct session *session);

/* The same of one that is for a channel of these rules, where they are stricter. */
bool session_charge_on(struct session *session, const struct channel_rules *rules);

/* Sends a message to the hub. `limits` are those of the channel's history, NULL for the bus's own;
 * `tag` comes back in the command. */
void session_publish(struct session *session, const struct message_draft *draft,
                     const struct channel_rules *limits, uint64_t tag);

/* The same of a message for which nobody waits: its result is not told. */
void session_announce(struct session_host *host, const struct message_draft *draft);

/* A publish came back from the hub. Frees the command. */
void session_published(struct publish_command *command);

/* Leaves the channels. Harmless if the session was never opened. */
void session_close(struct session *session);

#endif
