/*
 * Writes one message of the channel protocol field by field, in either format: each field is given
 * with its name in JSON and its number in protobuf. What is zero, false or empty is left out in
 * both, as the protocol's JSON wants it, too; `_always` writes it in JSON.
 *
 * A length stands in front of what it measures, so protobuf's are put in when a message is closed,
 * which moves it by a byte or two: that is cheaper than walking over everything twice.
 */
#ifndef GATEWAY_CLIENT_WRITER_H
#define GATEWAY_CLIENT_WRITER_H

#include "gateway/client_protocol.h"

#define CLIENT_WRITER_DEPTH 8 /* messages inside of each other; each entry of a map is one more */

struct client_writer {
    struct buffer *out;
    enum client_format format;
    bool is_first; /* JSON: no comma before what comes next */
    unsigned depth;
    size_t starts[CLIENT_WRITER_DEPTH]; /* protobuf: of the messages that are open */
};

/* Begins a Reply. It ends with writer_close. */
void writer_begin(struct client_writer *writer, struct buffer *out, enum client_format format);

void writer_uint(struct client_writer *writer, const char *name, unsigned number, uint64_t value);
void writer_uint_always(struct client_writer *writer, const char *name, unsigned number,
                        uint64_t value);
void writer_bool(struct client_writer *writer, const char *name, unsigned number, bool value);
void writer_text(struct client_writer *writer, const char *name, unsigned number,
                 struct text value);
void writer_text_always(struct client_writer *writer, const char *name, unsigned number,
                        struct text value);
/* A payload, which is JSON in JSON. */
void writer_data(struct client_writer *writer, const char *name, unsigned number,
                 struct text value);

/* The name alone, of a JSON value that the caller appends. */
void writer_json_name(struct client_writer *writer, const char *name);

/* A message inside of another, there even where nothing is in it. */
void writer_open(struct client_writer *writer, const char *name, unsigned number);
void writer_close(struct client_writer *writer);

/* A list; its messages end with writer_close. */
void writer_list_open(struct client_writer *writer, const char *name);
void writer_item_open(struct client_writer *writer, unsigned number);
void writer_list_close(struct client_writer *writer);

/* A map from texts to messages. */
void writer_map_open(struct client_writer *writer, const char *name);
void writer_entry_open(struct client_writer *writer, unsigned number, struct text key);
void writer_entry_close(struct client_writer *writer);
/* An entry of a map from texts to texts. */
void writer_entry_text(struct client_writer *writer, unsigned number, struct text key,
                       struct text value);
void writer_map_close(struct client_writer *writer);

/* What several messages have in them (client_publication.c). */
void writer_info(struct client_writer *writer, const struct client_info *info);
void writer_publication(struct client_writer *writer, const struct client_publication *publication);

#endif
