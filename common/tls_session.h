/*
 * A TLS session is one end of one TLS connection, without a socket: bytes that came from the peer
 * in, plain bytes out, and the reverse. It is a machine that stands on OpenSSL and keeps nothing
 * but its keys and the part of a record that has not arrived whole.
 *
 * It belongs to no loop: what is encrypted and decrypted lies in memory that the caller brings, and
 * so it may be handed to another thread between two calls.
 */
#ifndef COMMON_TLS_SESSION_H
#define COMMON_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/buffer.h"
#include "common/tls_context.h"

/* What is held of a record whose end has not come, at most. */
#define TLS_RECORD_LIMIT (17 * 1024)

struct tls_session;

/*
 * The end of a connection that has the context's side. A client wants the server's certificate to
 * bear `host`, a name or a numeric address, and asks for the name (SNI); NULL for servers.
 */
struct tls_session *tls_session_create(struct tls_context *context, const char *host);

/* NULL is allowed. */
void tls_session_destroy(struct tls_session *session);

/*
 * Offers the kernel to encrypt what the session sends over the TCP connection `socket`, from when
 * there are keys; before the handshake. At that moment `flush` is called amid a call below: it
 * sends what `output` holds by then, and says whether the kernel has all of it and room for more.
 * Where it has not, or the kernel cannot, the session goes on encrypting by itself.
 */
void tls_session_offer_kernel(struct tls_session *session, int socket, bool (*flush)(void *owner),
                              void *owner);

/* The kernel encrypts. Plain bytes go to the socket as they are, and none through
 * tls_session_write; what else there is to say the session sends itself, in records of their kind,
 * if the socket has room. */
bool tls_session_is_offloaded(const struct tls_session *session);

/* Each of the following takes its input from the bytes that were fed last, and appends what is to
 * be sent to `output`, even where it fails. */

/* Bytes from the peer; they must stay until they are used up, which is when a call below returns
 * UV_EAGAIN. */
void tls_session_feed(struct tls_session *session, const void *data, size_t size);

/* Goes on with the handshake. 0: it is done; UV_EAGAIN: more has to come; UV_EPROTO: it failed. */
int tls_session_handshake(struct tls_session *session, struct buffer *output);

/* Decrypts. Bytes of plain text, UV_EAGAIN, UV_EOF after the peer's goodbye, or UV_EPROTO. */
ssize_t tls_session_read(struct tls_session *session, void *plain, size_t capacity,
                         struct buffer *output);

/* Encrypts, once the handshake is done. 0 or UV_EPROTO. */
int tls_session_write(struct tls_session *session, const void *plain, size_t size,
                      struct buffer *output);

/* Says goodbye (close_notify); only once, and nothing may be written after it. */
void tls_session_end(struct tls_session *session, struct buffer *output);

/* Why it failed, in a few words that last for ever. */
const char *tls_session_reason(const struct tls_session *session);

/* The peer of a server has sent a plain HTTP request, and no TLS. */
bool tls_session_met_http(const struct tls_session *session);

/* The handshake went on with an earlier session. */
bool tls_session_was_resumed(const struct tls_session *session);

#endif
