/*
 * The wire formats of the channel protocol (shared/design.md §4.2; Centrifugo's client protocol,
 * version 2): what a frame of a client asks, and the replies and pushes to it, as JSON or protobuf.
 * Pure: no sockets, channels or clocks, and so what the fuzzers hold.
 *
 * Payloads (`data`, `info`) are bytes that nobody here looks into: in JSON frames the JSON text as
 * the client wrote it, in protobuf frames the field's bytes.
 */
#ifndef GATEWAY_CLIENT_PROTOCOL_H
#define GATEWAY_CLIENT_PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/text.h"

enum client_format { CLIENT_JSON, CLIENT_PROTOBUF };

#define CLIENT_SUBS_LIMIT 128 /* subscriptions in a connect request */

/* The codes that SDKs act on. */
enum client_error {
    CLIENT_ERROR_INTERNAL = 100, /* temporary */
    CLIENT_ERROR_UNAUTHORIZED = 101,
    CLIENT_ERROR_UNKNOWN_CHANNEL = 102,
    CLIENT_ERROR_PERMISSION_DENIED = 103,
    CLIENT_ERROR_METHOD_NOT_FOUND = 104,
    CLIENT_ERROR_ALREADY_SUBSCRIBED = 105,
    CLIENT_ERROR_LIMIT_EXCEEDED = 106,
    CLIENT_ERROR_BAD_REQUEST = 107,
    CLIENT_ERROR_NOT_AVAILABLE = 108,
    CLIENT_ERROR_TOKEN_EXPIRED = 109,
    CLIENT_ERROR_EXPIRED = 110,
    CLIENT_ERROR_TOO_MANY_REQUESTS = 111, /* temporary */
    CLIENT_ERROR_UNRECOVERABLE_POSITION = 112,

    /* 108 on the wire, and temporary: the bus is away, and will be back. */
    CLIENT_ERROR_AWAY = 0x10000 | CLIENT_ERROR_NOT_AVAILABLE,
};

#define CLIENT_ERROR_ON_WIRE 0xffffU

enum client_unsubscribe {
    CLIENT_UNSUBSCRIBE_SERVER = 2000,       /* for good */
    CLIENT_UNSUBSCRIBE_INSUFFICIENT = 2500, /* messages were lost: subscribe again */
    CLIENT_UNSUBSCRIBE_EXPIRED = 2501,
};

enum client_disconnect {
    CLIENT_DISCONNECT_NORMAL = 3000,
    CLIENT_DISCONNECT_SHUTDOWN = 3001,
    CLIENT_DISCONNECT_SERVER_ERROR = 3004,
    CLIENT_DISCONNECT_EXPIRED = 3005,
    CLIENT_DISCONNECT_SUB_EXPIRED = 3006,
    CLIENT_DISCONNECT_SLOW = 3008,
    CLIENT_DISCONNECT_WRITE_ERROR = 3009,
    CLIENT_DISCONNECT_INSUFFICIENT = 3010,
    CLIENT_DISCONNECT_FORCE_RECONNECT = 3011,
    CLIENT_DISCONNECT_NO_PONG = 3012,
    CLIENT_DISCONNECT_TOO_MANY_REQUESTS = 3013,
    CLIENT_DISCONNECT_INVALID_TOKEN = 3500, /* from here to 3999, SDKs do not come back */
    CLIENT_DISCONNECT_BAD_REQUEST = 3501,
    CLIENT_DISCONNECT_STALE = 3502,
    CLIENT_DISCONNECT_FORCED = 3503,
    CLIENT_DISCONNECT_CONNECTION_LIMIT = 3504,
    CLIENT_DISCONNECT_CHANNEL_LIMIT = 3505,
    CLIENT_DISCONNECT_INAPPROPRIATE_PROTOCOL = 3506,
    CLIENT_DISCONNECT_PERMISSION_DENIED = 3507,
    CLIENT_DISCONNECT_NOT_AVAILABLE = 3508,
    CLIENT_DISCONNECT_TOO_MANY_ERRORS = 3509,
};

/* Requests. */

enum client_method {
    CLIENT_PONG, /* no id and no method, as in `{}`: an answer to our ping */
    CLIENT_CONNECT,
    CLIENT_SUBSCRIBE,
    CLIENT_UNSUBSCRIBE,
    CLIENT_PUBLISH,
    CLIENT_PRESENCE,
    CLIENT_PRESENCE_STATS,
    CLIENT_HISTORY,
    CLIENT_PING, /* a command with an id that asks for an answer */
    CLIENT_SEND,
    CLIENT_RPC,
    CLIENT_REFRESH,
    CLIENT_SUB_REFRESH,
    CLIENT_METHOD_UNKNOWN, /* there is an id and no method that we know: error 104 */
};

struct client_subscribe_request {
    struct text channel;
    struct text token;
    struct text data;
    struct text epoch;
    struct text delta; /* "fossil", or empty */
    uint64_t offset;
    int32_t type;    /* 0: a stream, which is what we have */
    bool has_filter; /* by tags, which we do not have */
    bool recover;
    bool positioned;
    bool recoverable;
    bool join_leave;
};

struct client_connect_request {
    struct text token;
    struct text data;
    struct text name;
    struct text version;
    struct client_subscribe_request *subs; /* server-side subscriptions to recover */
    size_t sub_count;
};

struct client_publish_request {
    struct text channel;
    struct text data;
    struct text idempotency_key; /* an addition of ours */
};

struct client_history_request {
    struct text channel;
    int32_t limit; /* 0: only where the channel stands; -1: all */
    bool has_since;
    uint64_t offset;
    struct text epoch;
    bool reverse;
};

struct client_rpc_request {
    struct text method;
    struct text data;
};

struct client_token_request {
    struct text channel; /* of a sub_refresh */
    struct text token;
};

struct client_request {
    uint32_t id; /* never 0 but for PONG and, as nobody answers it, SEND */
    enum client_method method;
    union {
        struct client_connect_request connect;
        struct client_subscribe_request subscribe;
        struct text channel; /* UNSUBSCRIBE, PRESENCE, PRESENCE_STATS */
        struct client_publish_request publish;
        struct client_history_request history;
        struct text data; /* SEND */
        struct client_rpc_request rpc;
        struct client_token_request refresh; /* REFRESH, SUB_REFRESH */
    };
};

enum client_read {
    CLIENT_READ_REQUEST,
    CLIENT_READ_END,
    CLIENT_READ_BAD, /* it is none of the protocol: disconnect 3501 */
};

/* Reads the commands of one frame. What it hands out points into the frame or the arena, and is
 * good until the next call. Texts are UTF-8, and may have zero bytes in them; payloads of JSON
 * frames are JSON. Fields that we do not know are skipped, as is `null` where no payload is
 * expected. */
struct client_reader {
    enum client_format format;
    const unsigned char *next;
    size_t left;
    struct arena arena;
};

/* The reader must not be moved from here on. */
void client_reader_init(struct client_reader *reader, enum client_format format, const void *frame,
                        size_t size);

/* True if no command follows. */
bool client_reader_is_done(const struct client_reader *reader);

/* After CLIENT_READ_BAD the rest of the frame is lost: CLIENT_READ_END follows. */
enum client_read client_reader_next(struct client_reader *reader, struct client_request *request);

void client_reader_deinit(struct client_reader *reader);

/* Replies and pushes: each call appends one whole message to `out`, which holds nothing but
 * messages of one frame. In JSON they are separated by newlines, none behind the last; in protobuf
 * each stands behind its varint length. Payloads for JSON clients must be JSON (line ends between
 * its tokens are left out), and texts for protobuf clients UTF-8. */

struct client_info {
    struct text user;
    struct text client;
    struct text conn_info; /* payloads; empty: none */
    struct text chan_info;
};

struct client_tag {
    struct text name;
    struct text value;
};

/* What a publication's data is. Protobuf clients are given bytes; JSON clients the JSON text, and
 * what is none as a JSON string: text as it is, bytes in base64. */
enum client_data { CLIENT_DATA_JSON, CLIENT_DATA_TEXT, CLIENT_DATA_BYTES };

struct client_publication {
    enum client_data kind;
    struct text data;
    const struct client_info *info; /* NULL: none */
    uint64_t offset;                /* 0: left out */
    int64_t time_ms;                /* 0: left out */
    const struct client_tag *tags;
    size_t tag_count;
    /* Set in every publication for a subscriber that was promised deltas: a JSON client then gets
     * `data` as a JSON string, in which its JSON text is. Protobuf clients get what they always
     * do. */
    bool as_string;
    /* `data` is a fossil delta between what the subscriber was given before and is to have now: of
     * the bytes of protobuf clients, or of what client_write_json_data wrote for JSON clients.
     * These get it in a JSON string, so it must be UTF-8: one that is not (it may begin inside of a
     * character) goes as a whole publication instead. */
    bool is_delta;
};

struct client_subscribe_result {
    bool expires;
    uint32_t ttl_s;
    bool recoverable;
    bool positioned;
    struct text epoch;
    uint64_t offset;
    const struct client_publication *publications;
    size_t publication_count;
    bool recovered;
    bool was_recovering;
    struct text data;
    bool delta;
};

struct client_server_sub {
    struct text channel;
    struct client_subscribe_result result;
};

struct client_connect_result {
    struct text client;
    struct text version;
    bool expires;
    uint32_t ttl_s;
    struct text data;
    const struct client_server_sub *subs;
    size_t sub_count;
    uint32_t ping_s; /* how often we ping; 0: never */
    bool pong;       /* whether we want an answer */
    struct text session;
    struct text node;
};

struct client_refresh_result {
    struct text client; /* of the connection's refresh */
    struct text version;
    bool expires;
    uint32_t ttl_s;
};

void client_write_error(struct buffer *out, enum client_format format, uint32_t id,
                        enum client_error code);
/* With a code and a message of the application. */
void client_write_custom_error(struct buffer *out, enum client_format format, uint32_t id,
                               uint32_t code, struct text message, bool is_temporary);
void client_write_connected(struct buffer *out, enum client_format format, uint32_t id,
                            const struct client_connect_result *result);
void client_write_subscribed(struct buffer *out, enum client_format format, uint32_t id,
                             const struct client_subscribe_result *result);
void client_write_unsubscribed(struct buffer *out, enum client_format format, uint32_t id);
/* `offset` 0 and an empty epoch are left out; they are an addition of ours. */
void client_write_published(struct buffer *out, enum client_format format, uint32_t id,
                            uint64_t offset, struct text epoch);
void client_write_presence(struct buffer *out, enum client_format format, uint32_t id,
                           const struct client_info *present, size_t count);
void client_write_presence_stats(struct buffer *out, enum client_format format, uint32_t id,
                                 uint32_t clients, uint32_t users);
void client_write_history(struct buffer *out, enum client_format format, uint32_t id,
                          const struct client_publication *publications, size_t count,
                          uint64_t offset, struct text epoch);
void client_write_pong(struct buffer *out, enum client_format format, uint32_t id);
void client_write_rpc(struct buffer *out, enum client_format format, uint32_t id, struct text data);
void client_write_refreshed(struct buffer *out, enum client_format format, uint32_t id,
                            const struct client_refresh_result *result);
void client_write_sub_refreshed(struct buffer *out, enum client_format format, uint32_t id,
                                bool expires, uint32_t ttl_s);

/* Our ping: the empty message. */
void client_push_ping(struct buffer *out, enum client_format format);
void client_push_publication(struct buffer *out, enum client_format format, struct text channel,
                             const struct client_publication *publication);
void client_push_join(struct buffer *out, enum client_format format, struct text channel,
                      const struct client_info *info);
void client_push_leave(struct buffer *out, enum client_format format, struct text channel,
                       const struct client_info *info);
void client_push_subscribe(struct buffer *out, enum client_format format, struct text channel,
                           const struct client_subscribe_result *result);
void client_push_unsubscribe(struct buffer *out, enum client_format format, struct text channel,
                             uint32_t code, struct text reason);
void client_push_message(struct buffer *out, enum client_format format, struct text data);
void client_push_refresh(struct buffer *out, enum client_format format, bool expires,
                         uint32_t ttl_s);
void client_push_disconnect(struct buffer *out, enum client_format format, uint32_t code,
                            struct text reason, bool reconnect);

/* What the error, unsubscribe or disconnect code is called on the wire. */
const char *client_error_text(enum client_error code);
const char *client_unsubscribe_text(enum client_unsubscribe code);
const char *client_disconnect_text(enum client_disconnect code);

/* A refused request may succeed a little later. */
bool client_error_is_temporary(enum client_error code);

/* The JSON string with this text; invalid UTF-8 becomes U+FFFD. */
void client_write_json_string(struct buffer *out, struct text text);

/* The JSON text that a publication's data is to JSON clients; nothing where JSON is empty. */
void client_write_json_data(struct buffer *out, enum client_data kind, struct text data);

/* True if it is one JSON value, of a depth that we bear (json_check.h). */
bool client_is_json(struct text text);

/* Where the JSON text is a string: appends what it says and returns true. */
bool client_read_json_string(struct text json, struct buffer *out);

#endif
