/* Replies: what a command is answered (proto/client.proto, whose numbers these are). */
#include "gateway/client_writer.h"

static void open_reply(struct client_writer *writer, struct buffer *out, enum client_format format,
                       uint32_t id, const char *name, unsigned number)
{
    writer_begin(writer, out, format);
    writer_uint(writer, "id", 1, id);
    writer_open(writer, name, number);
}

static void close_reply(struct client_writer *writer)
{
    writer_close(writer);
    writer_close(writer);
}

void client_write_error(struct buffer *out, enum client_format format, uint32_t id,
                        enum client_error code)
{
    client_write_custom_error(out, format, id, code & CLIENT_ERROR_ON_WIRE,
                              text_of(client_error_text(code)), client_error_is_temporary(code));
}

void client_write_custom_error(struct buffer *out, enum client_format format, uint32_t id,
                               uint32_t code, struct text message, bool is_temporary)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "error", 2);
    writer_uint(&writer, "code", 1, code);
    writer_text(&writer, "message", 2, message);
    writer_bool(&writer, "temporary", 3, is_temporary);
    close_reply(&writer);
}

static void write_publications(struct client_writer *writer, unsigned number,
                               const struct client_publication *publications, size_t count)
{
    writer_list_open(writer, "publications");
    for (size_t i = 0; i < count; i++) {
        writer_item_open(writer, number);
        writer_publication(writer, &publications[i]);
        writer_close(writer);
    }
    writer_list_close(writer);
}

static void write_subscribe_result(struct client_writer *writer,
                                   const struct client_subscribe_result *result)
{
    writer_bool(writer, "expires", 1, result->expires);
    writer_uint(writer, "ttl", 2, result->ttl_s);
    writer_bool(writer, "recoverable", 3, result->recoverable);
    writer_text(writer, "epoch", 6, result->epoch);
    if (result->publication_count > 0)
        write_publications(writer, 7, result->publications, result->publication_count);
    writer_bool(writer, "recovered", 8, result->recovered);
    writer_uint(writer, "offset", 9, result->offset);
    writer_bool(writer, "positioned", 10, result->positioned);
    writer_data(writer, "data", 11, result->data);
    writer_bool(writer, "was_recovering", 12, result->was_recovering);
    writer_bool(writer, "delta", 13, result->delta);
}

static void write_subs(struct client_writer *writer, const struct client_server_sub *subs,
                       size_t count)
{
    if (count == 0)
        return;
    writer_map_open(writer, "subs");
    for (size_t i = 0; i < count; i++) {
        writer_entry_open(writer, 6, subs[i].channel);
        write_subscribe_result(writer, &subs[i].result);
        writer_entry_close(writer);
    }
    writer_map_close(writer);
}

void client_write_connected(struct buffer *out, enum client_format format, uint32_t id,
                            const struct client_connect_result *result)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "connect", 5);
    writer_text(&writer, "client", 1, result->client);
    writer_text(&writer, "version", 2, result->version);
    writer_bool(&writer, "expires", 3, result->expires);
    writer_uint(&writer, "ttl", 4, result->ttl_s);
    writer_data(&writer, "data", 5, result->data);
    write_subs(&writer, result->subs, result->sub_count);
    writer_uint(&writer, "ping", 7, result->ping_s);
    writer_bool(&writer, "pong", 8, result->pong);
    writer_text(&writer, "session", 9, result->session);
    writer_text(&writer, "node", 10, result->node);
    close_reply(&writer);
}

void client_write_subscribed(struct buffer *out, enum client_format format, uint32_t id,
                             const struct client_subscribe_result *result)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "subscribe", 6);
    write_subscribe_result(&writer, result);
    close_reply(&writer);
}

void client_write_unsubscribed(struct buffer *out, enum client_format format, uint32_t id)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "unsubscribe", 7);
    close_reply(&writer);
}

void client_write_published(struct buffer *out, enum client_format format, uint32_t id,
                            uint64_t offset, struct text epoch)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "publish", 8);
    writer_uint(&writer, "offset", 1000, offset);
    writer_text(&writer, "epoch", 1001, epoch);
    close_reply(&writer);
}

void client_write_presence(struct buffer *out, enum client_format format, uint32_t id,
                           const struct client_info *present, size_t count)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "presence", 9);
    writer_map_open(&writer, "presence");
    for (size_t i = 0; i < count; i++) {
        writer_entry_open(&writer, 1, present[i].client);
        writer_info(&writer, &present[i]);
        writer_entry_close(&writer);
    }
    writer_map_close(&writer);
    close_reply(&writer);
}

void client_write_presence_stats(struct buffer *out, enum client_format format, uint32_t id,
                                 uint32_t clients, uint32_t users)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "presence_stats", 10);
    writer_uint_always(&writer, "num_clients", 1, clients);
    writer_uint_always(&writer, "num_users", 2, users);
    close_reply(&writer);
}

void client_write_history(struct buffer *out, enum client_format format, uint32_t id,
                          const struct client_publication *publications, size_t count,
                          uint64_t offset, struct text epoch)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "history", 11);
    write_publications(&writer, 1, publications, count);
    writer_text_always(&writer, "epoch", 2, epoch);
    writer_uint_always(&writer, "offset", 3, offset);
    close_reply(&writer);
}

void client_write_pong(struct buffer *out, enum client_format format, uint32_t id)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "ping", 12);
    close_reply(&writer);
}

void client_write_rpc(struct buffer *out, enum client_format format, uint32_t id, struct text data)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "rpc", 13);
    writer_data(&writer, "data", 1, data);
    close_reply(&writer);
}

void client_write_refreshed(struct buffer *out, enum client_format format, uint32_t id,
                            const struct client_refresh_result *result)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "refresh", 14);
    writer_text(&writer, "client", 1, result->client);
    writer_text(&writer, "version", 2, result->version);
    writer_bool(&writer, "expires", 3, result->expires);
    writer_uint(&writer, "ttl", 4, result->ttl_s);
    close_reply(&writer);
}

void client_write_sub_refreshed(struct buffer *out, enum client_format format, uint32_t id,
                                bool expires, uint32_t ttl_s)
{
    struct client_writer writer;

    open_reply(&writer, out, format, id, "sub_refresh", 15);
    writer_bool(&writer, "expires", 1, expires);
    writer_uint(&writer, "ttl", 2, ttl_s);
    close_reply(&writer);
}
