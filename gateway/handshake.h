/*
 * The WebSocket opening handshake, server side (RFC 6455 §4.2): a parsed request in, an answer out.
 */
#ifndef GATEWAY_HANDSHAKE_H
#define GATEWAY_HANDSHAKE_H

#include <stdbool.h>

#include "common/buffer.h"
#include "common/http_request.h"
#include "common/option.h"
#include "gateway/forwarded.h"

/* True for what may stand in a list of allowed origins, as handshake_check reads it. */
bool handshake_is_origin_pattern(const char *text);

/* True if a page of the request's Origin, or none, may connect; as handshake_check says. */
bool handshake_allows_origin(const struct http_request *request,
                             const struct option_list *allowed_origins,
                             const struct forwarded *forwarded, bool is_tls);

/*
 * Checks a request that asks for an upgrade against every rule of §4.2.1, and its Origin against
 * `allowed_origins`: each item is `*`, `same` (the host that was asked for, and the scheme where it
 * is known: what a proxy told, see `forwarded`, which is NULL where there is none, and without a
 * proxy https for a connection that `is_tls`), `null` or an origin as
 * browsers send it (`https://example.org`), whose host may begin with a star that stands for one or
 * more labels; no Origin header is allowed, since only browsers must send one. Returns 101, or the
 * status to refuse with (400, 403, 405, 426) and one line for the client in `*message`.
 */
int handshake_check(const struct http_request *request, const struct option_list *allowed_origins,
                    const struct forwarded *forwarded, bool is_tls, const char **message);

/* Appends the 101 response for a request that passed; `subprotocol` is NULL or the chosen one,
 * `extensions` what was agreed on of these, or empty. */
void handshake_append_accept(const struct http_request *request, const char *subprotocol,
                             const char *extensions, struct buffer *output);

/* Appends the response that refuses the request, with Sec-WebSocket-Version: 13 on a 426. */
void handshake_append_refusal(const struct http_request *request, int status, const char *message,
                              struct buffer *output);

#endif
