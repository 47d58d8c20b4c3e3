/*
 * What a client without a WebSocket posts beside its stream (the SDKs' "emulation"): commands, and
 * which session on which gateway they are for. Pure.
 */
#ifndef GATEWAY_EMULATION_REQUEST_H
#define GATEWAY_EMULATION_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "common/text.h"
#include "gateway/client_protocol.h"

/* A session's name: its worker's number, a dash, and 128 random bits, which is what makes it a
 * secret of the client's. */
#define EMULATION_SESSION_LIMIT 64

/* A gateway's name among the others: its id in hexadecimal. */
#define EMULATION_NODE_SIZE 16

struct emulation_request {
    struct text session;
    struct text data;
    uint64_t node; /* 0: none of ours */
};

/*
 * Reads `{"session", "node", "data"}`, where `data` is a string or else a command as it is, or the
 * same as protobuf: node, session, data, fields 1 to 3. Texts point into the body, or into `space`,
 * which has room for as many bytes. False: it is none of these.
 */
bool emulation_request_read(struct text body, enum client_format format, char *space,
                            struct emulation_request *request);

/* `name` has room for its zero. */
void emulation_write_session(char name[EMULATION_SESSION_LIMIT], unsigned worker);
void emulation_write_node(char name[EMULATION_NODE_SIZE + 1], uint64_t node);

/* Which worker's a session is; UINT_MAX where that is no session's name. */
unsigned emulation_worker_of(struct text session);

#endif
