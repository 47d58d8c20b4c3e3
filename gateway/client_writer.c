#include "gateway/client_writer.h"

#include <assert.h>
#include <string.h>

#include "common/protobuf_field.h"

enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 }; /* of a map */

#define VARINT_MOST 10 /* bytes */

static bool is_json(const struct client_writer *writer)
{
    return writer->format == CLIENT_JSON;
}

/* JSON. */

static void put(struct client_writer *writer, const char *text)
{
    buffer_append_text(writer->out, text);
}

static void separate(struct client_writer *writer)
{
    if (!writer->is_first)
        put(writer, ",");
    writer->is_first = false;
}

/* Our names have nothing in them that would have to be escaped. */
void writer_json_name(struct client_writer *writer, const char *name)
{
    unsigned char *from = buffer_reserve(writer->out, strlen(name) + sizeof(",\"\":"));
    unsigned char *at = from;

    if (!writer->is_first)
        *at++ = ',';
    writer->is_first = false;
    *at++ = '"';
    at = (unsigned char *)stpcpy((char *)at, name);
    *at++ = '"';
    *at++ = ':';
    writer->out->size += (size_t)(at - from);
}

static void put_open(struct client_writer *writer, const char *bracket)
{
    put(writer, bracket);
    writer->is_first = true;
}

static void put_close(struct client_writer *writer, const char *bracket)
{
    put(writer, bracket);
    writer->is_first = false;
}

static void put_uint(struct client_writer *writer, const char *name, uint64_t value)
{
    writer_json_name(writer, name);
    buffer_append_number(writer->out, value);
}

static void put_text(struct client_writer *writer, const char *name, struct text value)
{
    writer_json_name(writer, name);
    client_write_json_string(writer->out, value);
}

/* Protobuf. */

static void put_varint(struct client_writer *writer, uint64_t value)
{
    unsigned char *at = buffer_reserve(writer->out, VARINT_MOST);

    writer->out->size += (size_t)(varint_write(at, value) - at);
}

static void put_bytes(struct client_writer *writer, unsigned number, struct text value)
{
    put_varint(writer, protobuf_tag(number, PROTOBUF_BYTES));
    put_varint(writer, value.size);
    buffer_append(writer->out, value.data, value.size);
}

static void put_start(struct client_writer *writer)
{
    assert(writer->depth < CLIENT_WRITER_DEPTH);
    writer->starts[writer->depth++] = writer->out->size;
}

static void put_tag_and_start(struct client_writer *writer, unsigned number)
{
    put_varint(writer, protobuf_tag(number, PROTOBUF_BYTES));
    put_start(writer);
}

/* Puts the length in front of the message that was opened last. */
static void put_length(struct client_writer *writer)
{
    struct buffer *out = writer->out;
    size_t start = writer->starts[--writer->depth];
    size_t size = out->size - start;
    size_t more = varint_size(size);

    buffer_reserve(out, more);
    memmove(out->data + start + more, out->data + start, size);
    varint_write(out->data + start, size);
    out->size += more;
}

void writer_begin(struct client_writer *writer, struct buffer *out, enum client_format format)
{
    *writer = (struct client_writer){.out = out, .format = format, .is_first = true};
    if (!is_json(writer))
        put_start(writer);
    else
        put(writer, out->size > 0 ? "\n{" : "{");
}

void writer_uint_always(struct client_writer *writer, const char *name, unsigned number,
                        uint64_t value)
{
    if (is_json(writer))
        put_uint(writer, name, value);
    else
        writer_uint(writer, name, number, value);
}

void writer_uint(struct client_writer *writer, const char *name, unsigned number, uint64_t value)
{
    if (value == 0)
        return;
    if (is_json(writer)) {
        put_uint(writer, name, value);
        return;
    }
    put_varint(writer, protobuf_tag(number, PROTOBUF_VARINT));
    put_varint(writer, value);
}

void writer_bool(struct client_writer *writer, const char *name, unsigned number, bool value)
{
    if (!is_json(writer)) {
        writer_uint(writer, name, number, value);
    } else if (value) {
        writer_json_name(writer, name);
        put(writer, "true");
    }
}

void writer_text_always(struct client_writer *writer, const char *name, unsigned number,
                        struct text value)
{
    if (is_json(writer))
        put_text(writer, name, value);
    else
        writer_text(writer, name, number, value);
}

void writer_text(struct client_writer *writer, const char *name, unsigned number, struct text value)
{
    if (value.size == 0)
        return;
    if (is_json(writer))
        put_text(writer, name, value);
    else
        put_bytes(writer, number, value);
}

void writer_data(struct client_writer *writer, const char *name, unsigned number, struct text value)
{
    if (value.size == 0)
        return;
    if (!is_json(writer)) {
        put_bytes(writer, number, value);
        return;
    }
    /* A token's b64info may be any bytes, and must not break the frame of who reads JSON. */
    writer_json_name(writer, name);
    client_write_json_data(writer->out,
                           client_is_json(value) ? CLIENT_DATA_JSON : CLIENT_DATA_BYTES, value);
}

void writer_open(struct client_writer *writer, const char *name, unsigned number)
{
    if (!is_json(writer)) {
        put_tag_and_start(writer, number);
        return;
    }
    writer_json_name(writer, name);
    put_open(writer, "{");
}

void writer_close(struct client_writer *writer)
{
    if (is_json(writer))
        put_close(writer, "}");
    else
        put_length(writer);
}

void writer_list_open(struct client_writer *writer, const char *name)
{
    if (!is_json(writer))
        return;
    writer_json_name(writer, name);
    put_open(writer, "[");
}

void writer_item_open(struct client_writer *writer, unsigned number)
{
    if (!is_json(writer)) {
        put_tag_and_start(writer, number);
        return;
    }
    separate(writer);
    put_open(writer, "{");
}

void writer_list_close(struct client_writer *writer)
{
    if (is_json(writer))
        put_close(writer, "]");
}

void writer_map_open(struct client_writer *writer, const char *name)
{
    if (!is_json(writer))
        return;
    writer_json_name(writer, name);
    put_open(writer, "{");
}

void writer_entry_open(struct client_writer *writer, unsigned number, struct text key)
{
    if (!is_json(writer)) {
        put_tag_and_start(writer, number);
        put_bytes(writer, ENTRY_KEY, key);
        put_tag_and_start(writer, ENTRY_VALUE);
        return;
    }
    separate(writer);
    client_write_json_string(writer->out, key);
    put(writer, ":");
    put_open(writer, "{");
}

void writer_entry_close(struct client_writer *writer)
{
    writer_close(writer);
    if (!is_json(writer))
        writer_close(writer);
}

void writer_entry_text(struct client_writer *writer, unsigned number, struct text key,
                       struct text value)
{
    if (!is_json(writer)) {
        put_tag_and_start(writer, number);
        put_bytes(writer, ENTRY_KEY, key);
        put_bytes(writer, ENTRY_VALUE, value);
        put_length(writer);
        return;
    }
    separate(writer);
    client_write_json_string(writer->out, key);
    put(writer, ":");
    client_write_json_string(writer->out, value);
}

void writer_map_close(struct client_writer *writer)
{
    if (is_json(writer))
        put_close(writer, "}");
}
