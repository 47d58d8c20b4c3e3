/*
 * Which permessage-deflate is agreed on (RFC 7692 §5, §7.1) with a client whose handshake offers
 * it: the Sec-WebSocket-Extensions of a request in, that of the answer out.
 *
 * The first offer is taken that can be kept. Both sides are told to keep nothing between messages.
 * A client that wants a smaller window for what it is sent gets the narrow one, of 512 bytes; one
 * that wants 256 bytes is declined, since zlib has none that small. How large the client's own
 * window is it may choose.
 */
#ifndef GATEWAY_DEFLATE_OFFER_H
#define GATEWAY_DEFLATE_OFFER_H

#include "common/http_request.h"
#include "gateway/deflate.h"

#define DEFLATE_ANSWER_LIMIT 128

/*
 * Reads what a request offers. 0: `*window` is what was agreed on, and `answer` the value of the
 * answer's header; DEFLATE_OFF and an empty one where nothing that is offered can be accepted.
 * UV_EINVAL: this is no list of extensions (RFC 6455 §9.1), and the handshake must fail.
 */
int deflate_negotiate(const struct http_request *request, enum deflate_window *window,
                      char answer[DEFLATE_ANSWER_LIMIT]);

#endif
