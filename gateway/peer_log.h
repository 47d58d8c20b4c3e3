/*
 * What the log says of the peers of connections, with the address that a proxy told, or else with
 * the one that their socket has now. That is not kept for this: an idle connection must cost
 * little, and a broken one is "unknown".
 */
#ifndef GATEWAY_PEER_LOG_H
#define GATEWAY_PEER_LOG_H

#include <stdint.h>

#include "common/address.h"
#include "common/stream.h"

struct peer {
    const struct stream *stream;
    uint64_t connection; /* its number */
    const char *client;  /* the address that a proxy told; NULL where none did */
};

/* The address of the peer, or "unknown". */
void peer_address(struct peer peer, char text[ADDRESS_TEXT_LIMIT]);

/* The connection is a WebSocket now. For those who look closely: what is said of it later may be
 * said without an address, by the same number. */
void peer_log_opened(struct peer peer);

/* The connection, or its handshake, is refused with this HTTP status; one line a second. */
void peer_log_refused(struct peer peer, int status, const char *reason, uint64_t now_ms);

/* The peer, or the network, ended the connection; `reason` is the error. */
void peer_log_ended(struct peer peer, const char *reason);

/*
 * We close the connection with this code. Where the code says that the client did wrong (1002,
 * 1007, 1008, 1009, 1013) operators are told, once a second for each code; the rest is for those
 * who look closely.
 */
void peer_log_closing(struct peer peer, uint16_t code, const char *reason, uint64_t now_ms);

/* A proxy did not begin a connection as --proxy-protocol says; once a second. */
void peer_log_proxy_error(struct peer peer, const char *reason, uint64_t now_ms);

/* A TLS handshake failed: operators are told once a second. */
void peer_log_tls(struct peer peer, const char *reason, uint64_t now_ms);

/* Somebody speaks TLS to the listener without; likewise. */
void peer_log_stray_tls(struct peer peer, uint64_t now_ms);

#endif
