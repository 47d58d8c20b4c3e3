/* Pushes: what a client is told unasked (proto/client.proto, whose numbers these are). */
#include "gateway/client_writer.h"

/* The channel is empty where the push concerns the whole connection. */
static void open_push(struct client_writer *writer, struct buffer *out, enum client_format format,
                      struct text channel, const char *name, unsigned number)
{
    writer_begin(writer, out, format);
    writer_open(writer, "push", 4);
    writer_text(writer, "channel", 2, channel);
    writer_open(writer, name, number);
}

static void close_push(struct client_writer *writer)
{
    writer_close(writer);
    writer_close(writer);
    writer_close(writer);
}

void client_push_ping(struct buffer *out, enum client_format format)
{
    struct client_writer writer;

    writer_begin(&writer, out, format);
    writer_close(&writer);
}

void client_push_publication(struct buffer *out, enum client_format format, struct text channel,
                             const struct client_publication *publication)
{
    struct client_writer writer;

    open_push(&writer, out, format, channel, "pub", 4);
    writer_publication(&writer, publication);
    close_push(&writer);
}

static void push_info(struct buffer *out, enum client_format format, struct text channel,
                      const char *name, unsigned number, const struct client_info *info)
{
    struct client_writer writer;

    open_push(&writer, out, format, channel, name, number);
    writer_open(&writer, "info", 1);
    writer_info(&writer, info);
    writer_close(&writer);
    close_push(&writer);
}

void client_push_join(struct buffer *out, enum client_format format, struct text channel,
                      const struct client_info *info)
{
    push_info(out, format, channel, "join", 5, info);
}

void client_push_leave(struct buffer *out, enum client_format format, struct text channel,
                       const struct client_info *info)
{
    push_info(out, format, channel, "leave", 6, info);
}

void client_push_subscribe(struct buffer *out, enum client_format format, struct text channel,
                           const struct client_subscribe_result *result)
{
    struct client_writer writer;

    open_push(&writer, out, format, channel, "subscribe", 9);
    writer_bool(&writer, "recoverable", 1, result->recoverable);
    writer_text(&writer, "epoch", 4, result->epoch);
    writer_uint(&writer, "offset", 5, result->offset);
    writer_bool(&writer, "positioned", 6, result->positioned);
    writer_data(&writer, "data", 7, result->data);
    close_push(&writer);
}

void client_push_unsubscribe(struct buffer *out, enum client_format format, struct text channel,
                             uint32_t code, struct text reason)
{
    struct client_writer writer;

    open_push(&writer, out, format, channel, "unsubscribe", 7);
    writer_uint(&writer, "code", 2, code);
    writer_text(&writer, "reason", 3, reason);
    close_push(&writer);
}

void client_push_message(struct buffer *out, enum client_format format, struct text data)
{
    struct client_writer writer;

    open_push(&writer, out, format, (struct text){0}, "message", 8);
    writer_data(&writer, "data", 1, data);
    close_push(&writer);
}

void client_push_refresh(struct buffer *out, enum client_format format, bool expires,
                         uint32_t ttl_s)
{
    struct client_writer writer;

    open_push(&writer, out, format, (struct text){0}, "refresh", 12);
    writer_bool(&writer, "expires", 1, expires);
    writer_uint(&writer, "ttl", 2, ttl_s);
    close_push(&writer);
}

void client_push_disconnect(struct buffer *out, enum client_format format, uint32_t code,
                            struct text reason, bool reconnect)
{
    struct client_writer writer;

    open_push(&writer, out, format, (struct text){0}, "disconnect", 11);
    writer_uint(&writer, "code", 1, code);
    writer_text(&writer, "reason", 2, reason);
    writer_bool(&writer, "reconnect", 3, reconnect);
    close_push(&writer);
}
