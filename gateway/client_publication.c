/* Publications and who is behind them, in replies and in pushes. */
#include "gateway/client_writer.h"

void writer_info(struct client_writer *writer, const struct client_info *info)
{
    writer_text_always(writer, "user", 1, info->user);
    writer_text_always(writer, "client", 2, info->client);
    writer_data(writer, "conn_info", 3, info->conn_info);
    writer_data(writer, "chan_info", 4, info->chan_info);
}

/* A JSON string with the JSON text in it. */
static void write_data_as_string(struct buffer *out, const struct client_publication *publication)
{
    struct buffer json = {0};

    client_write_json_data(&json, publication->kind, publication->data);
    client_write_json_string(out, (struct text){(const char *)json.data, json.size});
    buffer_deinit(&json);
}

static void write_publication_data(struct client_writer *writer,
                                   const struct client_publication *publication)
{
    bool is_raw = publication->kind == CLIENT_DATA_JSON && !publication->is_delta;

    if (writer->format != CLIENT_JSON || (is_raw && publication->data.size == 0)) {
        writer_data(writer, "data", 4, publication->data);
        return;
    }
    writer_json_name(writer, "data");
    if (publication->is_delta)
        client_write_json_string(writer->out, publication->data);
    else if (publication->as_string)
        write_data_as_string(writer->out, publication);
    else
        client_write_json_data(writer->out, publication->kind, publication->data);
}

void writer_publication(struct client_writer *writer, const struct client_publication *publication)
{
    write_publication_data(writer, publication);
    if (publication->info) {
        writer_open(writer, "info", 5);
        writer_info(writer, publication->info);
        writer_close(writer);
    }
    writer_uint(writer, "offset", 6, publication->offset);
    if (publication->tag_count > 0) {
        writer_map_open(writer, "tags");
        for (size_t i = 0; i < publication->tag_count; i++)
            writer_entry_text(writer, 7, publication->tags[i].name, publication->tags[i].value);
        writer_map_close(writer);
    }
    writer_bool(writer, "delta", 8, publication->is_delta);
    writer_uint(writer, "time", 9, publication->time_ms > 0 ? (uint64_t)publication->time_ms : 0);
}
