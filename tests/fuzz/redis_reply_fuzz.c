/* Whatever Redis says ends in a reply, in an error, or in waiting for more: never in a crash, and
 * never in more memory than the limits allow. The first byte says in which pieces the rest comes.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gateway/redis_reply.h"
#include "gateway/redis_script.h"
#include "gateway/redis_script_ask.h"

#define BYTE_LIMIT    4096
#define ELEMENT_LIMIT 256

static void read_as_attached(const redisReply *reply)
{
    struct redis_attached attached;
    const redisReply *envelope;
    uint64_t offset;

    if (!redis_read_attached(reply, &attached))
        return;
    for (size_t i = 0; redis_attached_entry(&attached, i, &offset, &envelope); i++)
        if (envelope->len > BYTE_LIMIT)
            __builtin_trap();
}

static void read_as_history(const redisReply *reply)
{
    struct redis_history_page page;
    const redisReply *envelope;
    uint64_t offset;

    if (!redis_read_history(reply, &page))
        return;
    if (strlen(page.epoch) > MESSAGE_EPOCH_LIMIT)
        __builtin_trap();
    for (size_t i = 0; redis_history_entry(&page, i, &offset, &envelope); i++)
        if (envelope->len > BYTE_LIMIT)
            __builtin_trap();
}

static void read_as_present(const redisReply *reply)
{
    struct redis_present_page page;
    struct bus_present who;
    struct buffer packed = {0};

    if (!redis_read_present(reply, &page))
        return;
    for (size_t i = 0; i < redis_present_count(&page); i++) {
        if (!redis_present_entry(&page, i, &who))
            continue;
        if (who.client.size == 0 || who.client.size > BUS_CLIENT_LIMIT ||
            who.user.size > BUS_USER_LIMIT || who.info.size > BUS_INFO_LIMIT)
            __builtin_trap();
        redis_present_append(&packed, &who);
    }
    buffer_deinit(&packed);
}

static void read_as_everything(const redisReply *reply)
{
    struct redis_published published;
    struct redis_hello hello;
    const redisReply *topic = redis_reply_at(reply, 1);
    const char *channel;
    size_t size;

    read_as_attached(reply);
    read_as_history(reply);
    read_as_present(reply);
    if (redis_read_published(reply, &published) && strlen(published.epoch) > MESSAGE_EPOCH_LIMIT)
        __builtin_trap();
    if (redis_read_hello(reply, &hello) && strlen(hello.id) > REDIS_ID_SIZE)
        __builtin_trap();
    if (topic && redis_reply_is_text(topic))
        redis_topic_channel("p", 0, topic->str, (size_t)topic->len, &channel, &size);
    if (redis_reply_is_error(reply))
        redis_fault_of(reply->str);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;

    struct redis_reader *reader = redis_reader_create(BYTE_LIMIT, ELEMENT_LIMIT);
    size_t piece = data[0] ? data[0] : size;
    int error = 0;

    for (size_t at = 1; at < size && !error; at += piece) {
        redisReply *reply = NULL;

        error = redis_reader_feed(reader, data + at, size - at < piece ? size - at : piece);
        while (!error && !(error = redis_reader_next(reader, &reply)) && reply) {
            read_as_everything(reply);
            freeReplyObject(reply);
        }
    }
    redis_reader_destroy(reader);
    return 0;
}
