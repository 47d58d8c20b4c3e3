/*
 * What the reading files of client_protocol.h share. Requests have the same fields in JSON and in
 * protobuf, so client_protocol.c says once, in tables, what they are called in either and where
 * they go, and client_json_read.c and client_protobuf_read.c only know their format.
 */
#ifndef GATEWAY_CLIENT_PROTOCOL_INSIDE_H
#define GATEWAY_CLIENT_PROTOCOL_INSIDE_H

#include "gateway/client_protocol.h"

enum client_field_type {
    CLIENT_FIELD_TEXT,    /* struct text, UTF-8 */
    CLIENT_FIELD_DATA,    /* struct text, a payload */
    CLIENT_FIELD_BOOL,    /* bool */
    CLIENT_FIELD_INT32,   /* int32_t */
    CLIENT_FIELD_UINT64,  /* uint64_t */
    CLIENT_FIELD_MESSAGE, /* `message`, into the same struct; the bool at `offset` becomes true */
    CLIENT_FIELD_SUBS,    /* a map from channels to `message`, into a client_connect_request */
};

struct client_field {
    const char *name;
    unsigned number; /* proto/client.proto */
    enum client_field_type type;
    size_t offset;                        /* of where it goes, in its message's struct */
    const struct client_message *message; /* what is inside of it */
};

struct client_message {
    const struct client_field *fields;
    size_t count;
};

struct client_command {
    const char *name;
    unsigned number;
    enum client_method method;
    const struct client_message *message;
};

#define CLIENT_ID_NUMBER 1 /* of a Command's id */

/* NULL where there is none of the name or number; a NULL name is the number's. */
const struct client_command *client_command_find(const struct text *name, uint64_t number);
const struct client_field *client_field_find(const struct client_message *message,
                                             const struct text *name, uint64_t number);

/* The struct of a command's message: what is in the request's union. */
static inline void *client_request_target(struct client_request *request)
{
    return &request->connect;
}

static inline void *client_field_target(const struct client_field *field, void *target)
{
    return (unsigned char *)target + field->offset;
}

/* Another server-side subscription; NULL where there are too many, or the channel has one. */
struct client_subscribe_request *client_reader_add_sub(struct client_reader *reader,
                                                       struct client_connect_request *connect,
                                                       struct text channel);

/* Good until the next request is read. */
void *client_reader_allocate(struct client_reader *reader, size_t size);

/* Read one command. False: it is none. */
bool client_json_read(struct client_reader *reader, struct text line,
                      struct client_request *request);
bool client_protobuf_read(struct client_reader *reader, struct text command,
                          struct client_request *request);

#endif
