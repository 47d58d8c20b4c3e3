/*
 * What the bus asks of Redis: Lua scripts, the names of the keys they touch, and the reading of
 * their answers (those of bus_ask_history and presence are in redis_script_ask.h). Whatever must
 * happen as one step happens in a script. Pure: no I/O.
 *
 * Keys of channel C under prefix P:
 *     P:{C}:s      stream of the history; entry `<offset>-0`, field `m` is the envelope
 *     P:{C}:m      hash: e epoch, o offset of the newest message; after a loss also prev, the epoch
 *                  before, and fork, the offset up to which both epochs are the same
 *     P:{C}:p:ID   sequence of the last message of publisher ID (16 hex digits), for a day
 *     P:{C}:key:K: where the message with idempotency key K is, for BUS_KEY_WINDOW_MS: its epoch,
 *                  offset, publisher and sequence, with blanks between them
 *     P:{C}:w      hash: who is there, client -> a Present of proto/bus.proto
 *     P:{C}:d      sorted set: client -> until when it is (ms of the server's clock)
 * and for all of P:
 *     P:boot       hash: id of this life of the data, run_id of the server that holds it, and until
 *                  when (ms of the server's clock) publishes rest, so that all gateways can repair
 * Messages go over the pub/sub channel P:<database>:{C}.
 */
#ifndef GATEWAY_REDIS_SCRIPT_H
#define GATEWAY_REDIS_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/envelope.h"
#include "common/message.h"
#include "gateway/redis_reply.h"

enum redis_script {
    REDIS_SCRIPT_PUBLISH,
    REDIS_SCRIPT_ATTACH,
    REDIS_SCRIPT_RESTORE,
    REDIS_SCRIPT_HELLO,
    REDIS_SCRIPT_HISTORY,
    REDIS_SCRIPT_FORGET,
    REDIS_SCRIPT_ANNOUNCE,
    REDIS_SCRIPT_LEAVE,
    REDIS_SCRIPT_PRESENT,
    REDIS_SCRIPT_COUNT,
};

#define REDIS_SHA_SIZE       40 /* hex digits by which a loaded script is called */
#define REDIS_ID_SIZE        16 /* hex digits of an epoch or of a life of the data */
#define REDIS_ATTACH_COUNT   500
#define REDIS_ATTACH_BYTES   ((size_t)1024 * 1024) /* an answer goes beyond by one entry at most */
#define REDIS_ENVELOPE_EXTRA ENVELOPE_EXTRA_LIMIT

/* Appends the text of a script. */
void redis_script_text(enum redis_script script, struct buffer *text);

/* Ends of key names. */
#define REDIS_KEY_STREAM   ":s"
#define REDIS_KEY_META     ":m"
#define REDIS_KEY_PRODUCER ":p:"
#define REDIS_KEY_KEY      ":key:" /* what follows it is a client's, */
#define REDIS_KEY_KEY_END  ":"     /* and what follows that tells it from all others */
#define REDIS_KEY_WHO      ":w"
#define REDIS_KEY_DEADLINE ":d"

/* Appends `P:{C}` and `end`; a zero byte follows that does not count. */
void redis_key(struct buffer *key, const char *prefix, const char *channel, size_t channel_size,
               const char *end);

/* The same for the pub/sub channel. */
void redis_topic(struct buffer *topic, const char *prefix, uint32_t database, const char *channel,
                 size_t channel_size);

/* Finds the channel's name in a pub/sub channel; false where it is none of ours. */
bool redis_topic_channel(const char *prefix, uint32_t database, const char *topic,
                         size_t topic_size, const char **channel, size_t *channel_size);

/* Writes 16 hex digits and a zero. */
void redis_format_id(char text[REDIS_ID_SIZE + 1], uint64_t id);

/* The answer of REDIS_SCRIPT_PUBLISH. */
struct redis_published {
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t offset; /* 0 where a repeated message is there but was not found again */
    uint64_t top;    /* the channel's newest offset */
    bool is_repeat;  /* the place is that of another message with the same idempotency key */
};

enum redis_attach_status {
    REDIS_ATTACH_AT,       /* entries follow our position, perhaps under a new epoch */
    REDIS_ATTACH_LOST,     /* Redis has no history, and we have a position in one */
    REDIS_ATTACH_AHEAD,    /* Redis has the history, but not as far as we have seen it */
    REDIS_ATTACH_FOREIGN,  /* another history, which shares nothing with ours */
    REDIS_ATTACH_CONFLICT, /* ours went on past the fork, and so did Redis without us */
};

/* The answer of REDIS_SCRIPT_ATTACH. */
struct redis_attached {
    enum redis_attach_status status;
    char epoch[MESSAGE_EPOCH_LIMIT + 1];
    uint64_t top;              /* the newest offset */
    uint64_t from;             /* entries are those after this offset */
    const redisReply *entries; /* offset and envelope by turns; inside the reply */
};

/* The answer of REDIS_SCRIPT_HELLO. */
struct redis_hello {
    char id[REDIS_ID_SIZE + 1]; /* empty for a new one that Redis is too full to remember */
    uint64_t rest_ms;           /* how long publishes must rest */
};

/* Read an answer; false where it is not what the script says. */
bool redis_read_published(const redisReply *reply, struct redis_published *published);
bool redis_read_attached(const redisReply *reply, struct redis_attached *attached);
bool redis_read_hello(const redisReply *reply, struct redis_hello *hello);

/* The `index`th entry of an answer: false beyond the last one or where it is no entry. */
bool redis_attached_entry(const struct redis_attached *attached, size_t index, uint64_t *offset,
                          const redisReply **envelope);

#endif
