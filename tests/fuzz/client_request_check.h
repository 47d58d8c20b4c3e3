/* For the fuzzers of the channel protocol: whatever a frame asks keeps the promises of
 * gateway/client_protocol.h, and asks the same after it was written and read again. */
#ifndef TESTS_FUZZ_CLIENT_REQUEST_CHECK_H
#define TESTS_FUZZ_CLIENT_REQUEST_CHECK_H

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "common/utf8.h"
#include "gateway/client_writer.h"

static inline struct text bytes_in(const struct buffer *buffer)
{
    return (struct text){(const char *)buffer->data, buffer->size};
}

/* A text, as it is to callers and as JSON. */
static inline void check_text(struct text text)
{
    struct buffer json = {0};
    struct buffer again = {0};

    assert(text.size == 0 || utf8_is_valid((const unsigned char *)text.data, text.size));
    client_write_json_string(&json, text);
    assert(client_read_json_string(bytes_in(&json), &again));
    assert(text_equals(text, bytes_in(&again)));
    buffer_deinit(&json);
    buffer_deinit(&again);
}

static inline void check_data(enum client_format format, struct text data)
{
    assert(format != CLIENT_JSON || data.size == 0 || client_is_json(data));
}

static inline void put_text(struct client_writer *writer, const char *name, unsigned number,
                            struct text text)
{
    check_text(text);
    writer_text(writer, name, number, text);
}

static inline void put_data(struct client_writer *writer, unsigned number, struct text data)
{
    check_data(writer->format, data);
    writer_data(writer, "data", number, data);
}

static inline void put_subscribe(struct client_writer *writer,
                                 const struct client_subscribe_request *subscribe)
{
    put_text(writer, "channel", 1, subscribe->channel);
    put_text(writer, "token", 2, subscribe->token);
    writer_bool(writer, "recover", 3, subscribe->recover);
    put_text(writer, "epoch", 6, subscribe->epoch);
    writer_uint(writer, "offset", 7, subscribe->offset);
    put_data(writer, 8, subscribe->data);
    writer_bool(writer, "positioned", 9, subscribe->positioned);
    writer_bool(writer, "recoverable", 10, subscribe->recoverable);
    writer_bool(writer, "join_leave", 11, subscribe->join_leave);
    put_text(writer, "delta", 12, subscribe->delta);
}

static inline void put_connect(struct client_writer *writer,
                               const struct client_connect_request *connect)
{
    assert(connect->sub_count <= CLIENT_SUBS_LIMIT);
    put_text(writer, "token", 1, connect->token);
    put_data(writer, 2, connect->data);
    writer_map_open(writer, "subs");
    for (size_t i = 0; i < connect->sub_count; i++) {
        writer_entry_open(writer, 3, connect->subs[i].channel);
        put_subscribe(writer, &connect->subs[i]);
        writer_entry_close(writer);
    }
    writer_map_close(writer);
    put_text(writer, "name", 4, connect->name);
    put_text(writer, "version", 5, connect->version);
}

static inline void put_history(struct client_writer *writer,
                               const struct client_history_request *history)
{
    put_text(writer, "channel", 1, history->channel);
    if (history->limit < 0 && writer->format == CLIENT_JSON) {
        writer_json_name(writer, "limit");
        buffer_printf(writer->out, "%" PRId32, history->limit);
    } else {
        writer_uint(writer, "limit", 7, (uint64_t)(int64_t)history->limit);
    }
    if (history->has_since) {
        writer_open(writer, "since", 8);
        writer_uint(writer, "offset", 1, history->offset);
        put_text(writer, "epoch", 2, history->epoch);
        writer_close(writer);
    }
    writer_bool(writer, "reverse", 9, history->reverse);
}

static inline void put_publish(struct client_writer *writer,
                               const struct client_publish_request *publish)
{
    put_text(writer, "channel", 1, publish->channel);
    put_data(writer, 2, publish->data);
    put_text(writer, "idempotency_key", 1000, publish->idempotency_key);
}

/* What is in the request's method. */
static inline void put_method(struct client_writer *writer, const struct client_request *request)
{
    switch (request->method) {
    case CLIENT_CONNECT:
        put_connect(writer, &request->connect);
        break;
    case CLIENT_SUBSCRIBE:
        put_subscribe(writer, &request->subscribe);
        break;
    case CLIENT_PUBLISH:
        put_publish(writer, &request->publish);
        break;
    case CLIENT_HISTORY:
        put_history(writer, &request->history);
        break;
    case CLIENT_UNSUBSCRIBE:
    case CLIENT_PRESENCE:
    case CLIENT_PRESENCE_STATS:
        put_text(writer, "channel", 1, request->channel);
        break;
    case CLIENT_SEND:
        put_data(writer, 1, request->data);
        break;
    case CLIENT_RPC:
        put_data(writer, 1, request->rpc.data);
        put_text(writer, "method", 2, request->rpc.method);
        break;
    case CLIENT_REFRESH:
        put_text(writer, "token", 1, request->refresh.token);
        break;
    case CLIENT_SUB_REFRESH:
        put_text(writer, "channel", 1, request->refresh.channel);
        put_text(writer, "token", 2, request->refresh.token);
        break;
    default:
        break;
    }
}

/* The only command of a frame. */
static inline void put_request(struct buffer *out, enum client_format format,
                               const struct client_request *request)
{
    static const struct {
        const char *name;
        unsigned number;
    } methods[] = {
        [CLIENT_CONNECT] = {"connect", 4},
        [CLIENT_SUBSCRIBE] = {"subscribe", 5},
        [CLIENT_UNSUBSCRIBE] = {"unsubscribe", 6},
        [CLIENT_PUBLISH] = {"publish", 7},
        [CLIENT_PRESENCE] = {"presence", 8},
        [CLIENT_PRESENCE_STATS] = {"presence_stats", 9},
        [CLIENT_HISTORY] = {"history", 10},
        [CLIENT_PING] = {"ping", 11},
        [CLIENT_SEND] = {"send", 12},
        [CLIENT_RPC] = {"rpc", 13},
        [CLIENT_REFRESH] = {"refresh", 14},
        [CLIENT_SUB_REFRESH] = {"sub_refresh", 15},
        [CLIENT_METHOD_UNKNOWN] = {NULL, 0},
    };
    struct client_writer writer;

    writer_begin(&writer, out, format);
    writer_uint(&writer, "id", 1, request->id);
    if (methods[request->method].name) {
        writer_open(&writer, methods[request->method].name, methods[request->method].number);
        put_method(&writer, request);
        writer_close(&writer);
    }
    writer_close(&writer);
}

static inline void check_again(enum client_format format, const struct client_request *request)
{
    struct buffer frame = {0};
    struct buffer again = {0};
    struct client_reader reader;
    struct client_request reread;

    put_request(&frame, format, request);
    client_reader_init(&reader, format, frame.data, frame.size);
    assert(client_reader_next(&reader, &reread) == CLIENT_READ_REQUEST);
    assert(reread.id == request->id && reread.method == request->method);
    put_request(&again, format, &reread);
    assert(text_equals(bytes_in(&frame), bytes_in(&again)));
    assert(client_reader_next(&reader, &reread) == CLIENT_READ_END);
    client_reader_deinit(&reader);
    buffer_deinit(&frame);
    buffer_deinit(&again);
}

/* Every command of a frame. JSON's are written as protobuf, too. */
static inline void check_frame(enum client_format format, const uint8_t *data, size_t size)
{
    struct client_reader reader;
    struct client_request request;
    enum client_read read;

    client_reader_init(&reader, format, data, size);
    while ((read = client_reader_next(&reader, &request)) == CLIENT_READ_REQUEST) {
        assert((request.id == 0) == (request.method == CLIENT_PONG) ||
               request.method == CLIENT_SEND);
        check_again(format, &request);
        check_again(CLIENT_PROTOBUF, &request);
    }
    assert(read == CLIENT_READ_END || client_reader_next(&reader, &request) == CLIENT_READ_END);
    client_reader_deinit(&reader);
}

#endif
