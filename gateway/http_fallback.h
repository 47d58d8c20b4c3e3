/*
 * The channel protocol for networks that let no WebSocket through, as the SDKs' "emulation" has it:
 * a stream of HTTP down, posts up (emulation.h).
 *
 * - POST /connection/http_stream begins a stream; its body is the connect command, as JSON or, with
 *   Content-Type: application/octet-stream, as protobuf.
 * - GET /connection/sse does the same with Server-Sent Events; the command is in ?cf_connect=.
 * - POST /emulation brings commands for a stream.
 *
 * A stream's body has no length and ends with the connection, so that what is sent to it is shared
 * by all that listen. Pages of origins that may connect (--allow-origin) may use all of this.
 */
#ifndef GATEWAY_HTTP_FALLBACK_H
#define GATEWAY_HTTP_FALLBACK_H

#include "gateway/http_phase.h"

bool http_fallback_serves(const char *path);

/* How many bytes the body of a request for this path may have. */
size_t http_fallback_body_limit(const struct config *config, const char *path);

/* From now on refusals of this client say that a page of the request's origin may read them, where
 * it may. For a request for a path that it serves; `forwarded` as in http_fallback_respond. */
void http_fallback_meet(struct http_phase *http, const struct http_request *request,
                        const struct forwarded *forwarded);

/* Answers a request for a path that it serves; HTTP_TAKEN where it begins a stream. */
enum http_verdict http_fallback_respond(struct http_phase *http, const struct http_request *request,
                                        const struct forwarded *forwarded, struct buffer *output);

#endif
