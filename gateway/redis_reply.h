/*
 * What Redis says, read by hiredis under limits of our own: whatever the other side sends costs a
 * bounded amount of memory and ends in a reply or in an error. Pure: bytes in, replies out.
 */
#ifndef GATEWAY_REDIS_REPLY_H
#define GATEWAY_REDIS_REPLY_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_reader;

/*
 * A reader that refuses a reply of more than `byte_limit` bytes of strings, more than
 * `element_limit` elements (nested ones included), or nested deeper than hiredis' own limit of 7.
 */
struct redis_reader *redis_reader_create(size_t byte_limit, size_t element_limit);

void redis_reader_destroy(struct redis_reader *reader);

/* Gives the reader further bytes, which must stay until redis_reader_next has found no more replies
 * in them; before that it takes no others. 0, or UV_EPROTO after an error. */
int redis_reader_feed(struct redis_reader *reader, const void *data, size_t size);

/*
 * Takes the next whole reply: 0 with `*reply` (freeReplyObject is the caller's), or NULL where more
 * bytes are needed; UV_EPROTO, with one line in redis_reader_error, where the bytes are no replies
 * or break a limit. An error is final.
 */
int redis_reader_next(struct redis_reader *reader, redisReply **reply);

const char *redis_reader_error(const struct redis_reader *reader);

/* What an error reply means for whoever sent the command. */
enum redis_fault {
    REDIS_FAULT_SERVER, /* this server cannot serve us now: leave it and come back later */
    REDIS_FAULT_SCRIPT, /* it does not know the script (any more): load it and try again */
    REDIS_FAULT_RETRY,  /* it will pass: try again on the same connection */
    REDIS_FAULT_FINAL,  /* this command will never work */
};

/* The meaning of an error reply, from its first word. */
enum redis_fault redis_fault_of(const char *error);

static inline bool redis_reply_is_error(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_ERROR;
}

/* True for a bulk string or a status. */
static inline bool redis_reply_is_text(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING || reply->type == REDIS_REPLY_STATUS;
}

/* The `index`th element of an array, or NULL where it is no array or too short. */
const redisReply *redis_reply_at(const redisReply *reply, size_t index);

/* Copies a text of at most `limit` bytes without zero bytes and ends it with one; false otherwise.
 */
bool redis_reply_copy_text(const redisReply *reply, char *text, size_t limit);

/* Reads an integer of at least 0; false otherwise. */
bool redis_reply_number(const redisReply *reply, uint64_t *number);

/* The same, where 0 is false and all else is true. */
bool redis_reply_flag(const redisReply *reply, bool *flag);

#endif
