/*
 * hiredis builds whatever a peer announces: an array of two billion elements is allocated before
 * the first of them has come, and a string of a terabyte is waited for with everything read so far
 * in memory. So its constructors are wrapped with a budget per reply, and the bytes that wait for
 * the rest of a reply are bounded, too. What hiredis makes of the replies stays untouched.
 *
 * It is given the bytes a slice at a time, because for each KB of replies it moves all that it has
 * beyond them to the front: of a read of 64 KB that made 2 MB.
 */
#include "gateway/redis_reply.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "common/memory.h"

/* hiredis 1 counts elements in size_t, 0.14 (Debian 12) in int. */
#if HIREDIS_MAJOR >= 1
#define ELEMENT_COUNT size_t
#else
#define ELEMENT_COUNT int
#endif

#define SLICE_BYTES 1024
#define LINE_SLACK  64 /* type bytes, lengths and line ends of one element, generously */

struct redis_reader {
    redisReader *hiredis;
    redisReplyObjectFunctions *plain;  /* hiredis' own constructors */
    redisReplyObjectFunctions limited; /* the same behind the budget */
    const unsigned char *rest;         /* of what was fed, not given to hiredis yet */
    size_t rest_size;
    size_t byte_limit;
    size_t element_limit;
    size_t bytes; /* of strings in the reply under construction */
    size_t elements;
    char error[128];
};

static struct redis_reader *reader_of(const redisReadTask *task)
{
    return task->privdata;
}

static bool spend(struct redis_reader *reader, size_t bytes, size_t elements)
{
    if (bytes > reader->byte_limit - reader->bytes ||
        elements > reader->element_limit - reader->elements)
        return false;
    reader->bytes += bytes;
    reader->elements += elements;
    return true;
}

static void *create_string(const redisReadTask *task, char *text, size_t size)
{
    struct redis_reader *reader = reader_of(task);

    return spend(reader, size, 0) ? reader->plain->createString(task, text, size) : NULL;
}

static void *create_array(const redisReadTask *task, ELEMENT_COUNT count)
{
    struct redis_reader *reader = reader_of(task);

    return spend(reader, 0, (size_t)count) ? reader->plain->createArray(task, count) : NULL;
}

struct redis_reader *redis_reader_create(size_t byte_limit, size_t element_limit)
{
    struct redis_reader *reader = memory_zeroed(1, sizeof(*reader));

    reader->byte_limit = byte_limit;
    reader->element_limit = element_limit;
    reader->hiredis = redisReaderCreate();
    if (!reader->hiredis)
        abort(); /* memory, which never fails here */
    reader->plain = reader->hiredis->fn;
    reader->limited = *reader->plain;
    reader->limited.createString = create_string;
    reader->limited.createArray = create_array;
    reader->hiredis->fn = &reader->limited;
    reader->hiredis->privdata = reader;
    return reader;
}

void redis_reader_destroy(struct redis_reader *reader)
{
    if (!reader)
        return;
    redisReaderFree(reader->hiredis);
    memory_free(reader);
}

static int fail(struct redis_reader *reader, const char *why)
{
    snprintf(reader->error, sizeof(reader->error), "%s", why);
    return UV_EPROTO;
}

int redis_reader_feed(struct redis_reader *reader, const void *data, size_t size)
{
    assert(reader->rest_size == 0 || reader->error[0]);
    if (reader->error[0])
        return UV_EPROTO;
    reader->rest = data;
    reader->rest_size = size;
    return 0;
}

static int feed_slice(struct redis_reader *reader)
{
    size_t size = reader->rest_size < SLICE_BYTES ? reader->rest_size : SLICE_BYTES;

    if (redisReaderFeed(reader->hiredis, (const char *)reader->rest, size) != REDIS_OK)
        return fail(reader, redisReaderGetError(reader->hiredis));
    reader->rest += size;
    reader->rest_size -= size;
    return 0;
}

/* The next whole reply of what hiredis was given so far, or NULL. */
static int take_reply(struct redis_reader *reader, redisReply **reply)
{
    void *object = NULL;

    if (redisReaderGetReply(reader->hiredis, &object) != REDIS_OK) {
        /* The only thing that our constructors fail for is the budget. */
        return fail(reader, reader->hiredis->err == REDIS_ERR_OOM
                                ? "reply is larger than anything we asked for"
                                : redisReaderGetError(reader->hiredis));
    }
    *reply = object;
    if (!object) {
        size_t waiting = reader->hiredis->len - reader->hiredis->pos;

        if (waiting > reader->byte_limit + LINE_SLACK)
            return fail(reader, "reply is larger than anything we asked for");
        return 0;
    }
    reader->bytes = 0;
    reader->elements = 0;
    return 0;
}

int redis_reader_next(struct redis_reader *reader, redisReply **reply)
{
    int error;

    *reply = NULL;
    if (reader->error[0])
        return UV_EPROTO;
    error = take_reply(reader, reply);
    while (!error && !*reply && reader->rest_size > 0) {
        error = feed_slice(reader);
        if (!error)
            error = take_reply(reader, reply);
    }
    return error;
}

const char *redis_reader_error(const struct redis_reader *reader)
{
    return reader->error;
}

/*
 * GAP is our own publish script's (redis_script.c). READONLY, MASTERDOWN and LOADING are servers
 * that are not, or not yet, the one to talk to. What a login lacks may be granted by the time we
 * are back: NOPERM concerns the login where it may not run a command at all, which no channel can
 * do without. A key or a channel that it may not touch is another matter, and concerns that one.
 */
static const struct {
    const char *word;
    enum redis_fault fault;
} faults[] = {
    {"LOADING", REDIS_FAULT_SERVER},    {"READONLY", REDIS_FAULT_SERVER},
    {"MASTERDOWN", REDIS_FAULT_SERVER}, {"NOAUTH", REDIS_FAULT_SERVER},
    {"WRONGPASS", REDIS_FAULT_SERVER},  {"NOSCRIPT", REDIS_FAULT_SCRIPT},
    {"GAP", REDIS_FAULT_RETRY},         {"OOM", REDIS_FAULT_RETRY},
    {"BUSY", REDIS_FAULT_RETRY},        {"TRYAGAIN", REDIS_FAULT_RETRY},
    {"MISCONF", REDIS_FAULT_RETRY},     {"NOREPLICAS", REDIS_FAULT_RETRY},
    {"CLUSTERDOWN", REDIS_FAULT_RETRY},
};

enum redis_fault redis_fault_of(const char *error)
{
    size_t size = strcspn(error, " ");

    if (strncmp(error, "NOPERM ", 7) == 0 && strstr(error, " permissions to run "))
        return REDIS_FAULT_SERVER;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        if (strlen(faults[i].word) == size && memcmp(faults[i].word, error, size) == 0)
            return faults[i].fault;
    return REDIS_FAULT_FINAL;
}

const redisReply *redis_reply_at(const redisReply *reply, size_t index)
{
    if (reply->type != REDIS_REPLY_ARRAY || index >= reply->elements)
        return NULL;
    return reply->element[index];
}

bool redis_reply_copy_text(const redisReply *reply, char *text, size_t limit)
{
    if (!reply || !redis_reply_is_text(reply))
        return false;

    size_t size = (size_t)reply->len;

    if (size > limit || memchr(reply->str, '\0', size))
        return false;
    memcpy(text, reply->str, size);
    text[size] = '\0';
    return true;
}

bool redis_reply_number(const redisReply *reply, uint64_t *number)
{
    if (!reply || reply->type != REDIS_REPLY_INTEGER || reply->integer < 0)
        return false;
    *number = (uint64_t)reply->integer;
    return true;
}

bool redis_reply_flag(const redisReply *reply, bool *flag)
{
    uint64_t number;

    if (!redis_reply_number(reply, &number))
        return false;
    *flag = number != 0;
    return true;
}
